"""How long the exported model takes for one row, on the machine that exports it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

ROWS: Final = 500
ROUNDS: Final = 3


def latency(
    answer: Callable[[NDArray[np.float32]], NDArray[np.float64]], rows: NDArray[np.float32]
) -> dict[str, float]:
    """The median and the 99th percentile of the time that one row takes, as `latency/p50_ms` and `latency/p99_ms`.

    Each row is asked three times and the least counts: what else the machine does is not the model's doing, and the
    first time is spent on warming up.

    Args:
        answer: The exported scorer; it is given one row at a time, shape (1, features).
        rows: Test rows, float32, shape (rows, features), at least one; up to 500 spread over them are asked.
    """
    asked = np.unique(np.linspace(0, len(rows) - 1, ROWS).astype(np.intp))
    took = np.array([[_seconds(answer, rows[row : row + 1]) for row in asked] for _ in range(ROUNDS)]).min(axis=0)
    p50, p99 = np.percentile(took * 1_000, [50, 99])
    return {"latency/p50_ms": float(p50), "latency/p99_ms": float(p99)}


def _seconds(answer: Callable[[NDArray[np.float32]], NDArray[np.float64]], row: NDArray[np.float32]) -> float:
    began = time.perf_counter()
    answer(row)
    return time.perf_counter() - began
