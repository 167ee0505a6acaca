"""How far the rows of the test are from those that were learned from, before any of them are served."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from training.formulas import Binning, reference_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.record import Record

_ROWS: Final = 1 << 15  # put into bins at a time


def drift(learned: NDArray[np.float32], tested: NDArray[np.float32], names: Sequence[str]) -> dict[str, float]:
    """Population stability index of each feature, in the bins that live drift is measured in; 0 for none.

    Args:
        learned: Rows that were learned from, shape (rows, features), NaN for unknown.
        tested: Rows of the test, likewise.
        names: Of the features.
    """
    binning = Binning(reference_of(learned, np.zeros(len(learned))))
    columns = np.column_stack((tested.astype(np.float64), np.zeros(len(tested))))
    counts = sum(
        (binning.counts(columns[start : start + _ROWS]) for start in range(0, len(columns), _ROWS)),
        np.zeros_like(binning.expected),
    )
    return dict(zip(names, binning.psi(counts)[:-1].tolist(), strict=True))


def weighted(record: Record) -> float:
    """The mean index of the features, each counting as much as the model leans on it; NaN where nothing is known.

    A feature that nothing rests on may go where it likes.
    """
    weight = sum(record.attributions.get(name, 0.0) for name in record.drift)
    if not weight:
        return math.nan
    return sum(index * record.attributions.get(name, 0.0) for name, index in record.drift.items()) / weight
