"""Rows dealt into folds, each of which is asked about by a model that has not seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]


def dealt(stratum: NDArray[np.generic], folds: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """The fold of each row, shape (rows,): as many rows of each stratum in all folds as can be.

    Args:
        stratum: What is to be spread evenly, such as the outcome or the arm, shape (rows,).
        folds: How many folds.
        generator: Deals.
    """
    fold = np.empty(len(stratum), np.int64)
    for kind in np.unique(stratum):
        rows = generator.permutation(np.flatnonzero(stratum == kind))
        fold[rows] = (np.arange(len(rows)) + generator.integers(folds)) % folds
    return fold


def cross_fitted(fold: NDArray[np.int64], answer: Callable[[Flags, Flags], NDArray[np.float64]]) -> NDArray[np.float64]:
    """What is said of each row by a model of the other folds, shape (rows,).

    Args:
        fold: The fold of each row.
        answer: Fits on the rows of its first argument and answers for those of its second.
    """
    said = np.empty(len(fold))
    for number in np.unique(fold):
        asked = fold == number
        said[asked] = answer(~asked, asked)
    return said
