"""How a model's inputs and scores were spread where it was judged, in bins: what live drift is measured against."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS: Final = 10
MOST_EDGES: Final = 64
_HALF: Final = 0.5
"""Added to every bin, so that an empty one has a share that can be compared."""


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one column was spread.

    Attributes:
        edges: Where a bin ends and the next begins, rising; a value on an edge belongs to the lower bin.
        counts: Values in each bin, and last of all the unknown ones: two more than there are edges.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How everything was spread over the rows of the test.

    Attributes:
        features: The spread of each feature, in the order of the model's.
        score: The spread of the probability; of the raw score where the model has none; of the logarithm of the revenue
            that is forecast, in fen, where it is of sites.
    """

    features: tuple[Spread, ...]
    score: Spread

    def problems(self, features: int) -> list[str]:
        """What is wrong with it, for a model of so many features."""
        found = []
        if len(self.features) != features:
            found.append(f"found the spread of {len(self.features)} features, expected that of {features}")
        wrong = [number for number, one in enumerate((*self.features, self.score)) if not _is_spread(one)]
        if wrong:
            found.append(
                f"found no spread in {len(wrong)} places of reference, the first at {wrong[0]}; expected at most "
                f"{MOST_EDGES} rising numbers and two counts more"
            )
        return found


def reference_of(features: NDArray[np.float32], score: NDArray[np.float64]) -> Reference:
    """The deciles of rows, and how many rows fell into each.

    A column of few values has fewer bins: a decile that repeats is one edge.

    Args:
        features: Shape (rows, features), NaN for unknown; at least one row.
        score: What the model says of them, shape (rows,).
    """
    return Reference(tuple(map(_spread, features.T.astype(np.float64))), _spread(score))


def _spread(column: NDArray[np.float64]) -> Spread:
    known = column[np.isfinite(column)]
    edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS, method="lower")) if known.size else np.empty(0)
    edges = edges[edges < known.max()] if known.size else edges  # above the largest value there is no bin
    bins = np.where(np.isnan(column), len(edges) + 1, np.searchsorted(edges, column, side="left"))
    counts = np.bincount(bins, minlength=len(edges) + 2)
    return Spread(tuple(edges.tolist()), tuple(counts.tolist()))


def _is_spread(spread: Spread) -> bool:
    edges = spread.edges
    return (
        len(edges) <= MOST_EDGES
        and all(map(math.isfinite, edges))
        and all(one < other for one, other in pairwise(edges))
        and len(spread.counts) == len(edges) + 2
        and all(count >= 0 for count in spread.counts)
    )


class Binning:
    """The spreads of a reference as arrays: every column of many rows is put into its bin at once.

    The score is one more column, the last.
    """

    def __init__(self, reference: Reference) -> None:
        spreads = (*reference.features, reference.score)
        self.columns = len(spreads)
        self._width = max(len(one.counts) for one in spreads)
        self._edges = np.full((self.columns, self._width - 2), np.inf)
        self._unknown = np.array([len(one.edges) + 1 for one in spreads])
        self.expected = np.zeros((self.columns, self._width), np.int64)
        for row, one in enumerate(spreads):
            self._edges[row, : len(one.edges)] = one.edges
            self.expected[row, : len(one.counts)] = one.counts
        self._bins = np.array([len(one.counts) for one in spreads])
        self._real = np.arange(self._width) < self._bins[:, None]
        self._offset = np.arange(self.columns) * self._width

    def counts(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """How many of some rows fall into each bin.

        Args:
            values: Features, then the score, shape (rows, columns).

        Returns:
            Shape (columns, bins).
        """
        bins = (values[:, :, None] > self._edges).sum(axis=2)
        bins = np.where(np.isnan(values), self._unknown, bins)
        flat = np.bincount((bins + self._offset).ravel(), minlength=self.columns * self._width)
        return flat.reshape(self.columns, self._width)

    def psi(self, found: NDArray[np.int64]) -> NDArray[np.float64]:
        """Population stability index of each column, shape (columns,): 0 for no drift.

        The sum over the bins of (p - q) ln(p / q), with half a row added to every bin; twice the symmetric
        Kullback-Leibler divergence. Commonly 0.1 is a shift to look at and 0.25 one to act on.

        Args:
            found: As `counts` gives it.
        """
        p, q = self._shares(found), self._shares(self.expected)
        index: NDArray[np.float64] = ((p - q) * np.log(p / q)).sum(axis=1)
        return index

    def _shares(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        raised = counts + _HALF
        return np.where(self._real, raised / (counts.sum(axis=1) + _HALF * self._bins)[:, None], 1.0)
