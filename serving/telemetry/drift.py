"""Live drift: how far the last few thousand rows have moved from those that the model was judged on.

Rows gather until there are some hundred, and are then counted at once: a row costs a copy, and every few hundred rows
a millisecond. The window is made of such blocks, the oldest of which falls out whole.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from serving.telemetry.reference import Binning, Reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW: Final = 8_192
BLOCK: Final = 256


class Drifted(NamedTuple):
    """What moved, and by how much.

    Attributes:
        rows: How many rows of the window have been counted; 0 says nothing yet.
        features: Population stability index of each feature, shape (features,).
        score: That of the score.
    """

    rows: int
    features: NDArray[np.float64]
    score: float


class Drift:
    """The drift of one model.

    Args:
        reference: How its inputs and scores were spread where it was judged.
        window: How many of the last rows count; whole blocks.
        block: How many rows are counted at once.
    """

    def __init__(self, reference: Reference, window: int = WINDOW, block: int = BLOCK) -> None:
        self._binning = Binning(reference)
        self._gathered = np.empty((block, self._binning.columns))
        self._filled = 0
        self._blocks: deque[NDArray[np.int64]] = deque()
        self._most = max(1, window // block)
        self._counts = np.zeros_like(self._binning.expected)

    def add(self, features: NDArray[np.float32], score: NDArray[np.float64]) -> None:
        """Take in rows that were scored.

        Args:
            features: Shape (rows, features), NaN for unknown.
            score: What the model said of them, shape (rows,).
        """
        start = 0
        while start < len(features):
            taken = min(len(features) - start, len(self._gathered) - self._filled)
            rows = slice(self._filled, self._filled + taken)
            self._gathered[rows, :-1] = features[start : start + taken]
            self._gathered[rows, -1] = score[start : start + taken]
            self._filled += taken
            start += taken
            if self._filled == len(self._gathered):
                self._count()

    def found(self) -> Drifted:
        """What moved over the window, as counted so far."""
        rows = len(self._blocks) * len(self._gathered)
        index = self._binning.psi(self._counts) if rows else np.zeros(self._binning.columns)
        return Drifted(rows, index[:-1], float(index[-1]))

    def _count(self) -> None:
        counts = self._binning.counts(self._gathered)
        self._filled = 0
        self._blocks.append(counts)
        self._counts += counts
        if len(self._blocks) > self._most:
            self._counts -= self._blocks.popleft()
