"""Folds that hold whole stretches of town back, beside folds at random that show what neglecting this would claim.

Stores near each other share customers, rivals and most of what their features are made of. A random fold asks of a
store whose neighbours were learned from; a new site in another part of town has no such neighbours. Spatial folds are
compact groups of stores, and what lies within `buffer_km` of any held-out store is not learned from either: the buffer
is as wide as the largest ring, so that no feature is made of the same surroundings on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError
from features.distance import degrees_apart_km

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

FEWEST = 3
DEGREE_KM = 111.195


@dataclass(frozen=True)
class Folds:
    """Which fold each store is held out in, and which stores may not be learned from while it is.

    Attributes:
        fold: Fold of each store, 0 to `count` - 1, shape (stores,).
        barred: Whether a store is within the buffer of a fold, or in it; shape (folds, stores).
    """

    fold: Codes
    barred: NDArray[np.bool_]

    @property
    def count(self) -> int:
        """How many folds."""
        return len(self.barred)

    def learned(self, *held: int) -> NDArray[np.intp]:
        """The stores that may be learned from while those folds are held out."""
        return np.flatnonzero(~self.barred[list(held)].any(axis=0))


def spatial_folds(lat: Floats, lon: Floats, count: int, buffer_km: float) -> Folds:
    """Compact groups of about equal size: the largest is halved across its longer side until there are enough.

    Args:
        lat: Degrees, WGS-84.
        lon: Degrees, WGS-84.
        count: How many folds.
        buffer_km: What lies nearer to a held-out store than this is not learned from.

    Raises:
        DataError: The stores lie so near to each other that a fold leaves nothing to learn from.
    """
    fold = np.zeros(len(lat), np.int64)
    for number in range(1, min(count, len(lat))):
        largest = np.flatnonzero(fold == np.argmax(np.bincount(fold)))
        fold[largest[_second_half(lat[largest], lon[largest])]] = number
    apart = degrees_apart_km(lat[:, None], lon[:, None], lat, lon)
    barred = np.stack([(apart[:, fold == one] <= buffer_km).any(axis=1) for one in range(int(fold.max()) + 1)])
    return _required(Folds(fold, barred), buffer_km)


def random_folds(stores: int, count: int, generator: np.random.Generator) -> Folds:
    """Folds of equal size at random and without a buffer: what is judged on them is too good for a new place."""
    fold = generator.permutation(np.arange(stores, dtype=np.int64) % count)
    return Folds(fold, np.stack([fold == one for one in range(count)]))


def _second_half(lat: Floats, lon: Floats) -> NDArray[np.bool_]:
    north = (lat - lat.mean()) * DEGREE_KM
    east = (lon - lon.mean()) * DEGREE_KM * np.cos(np.radians(lat.mean()))
    longer = north if np.ptp(north) >= np.ptp(east) else east
    rank = np.argsort(np.argsort(longer, kind="stable"), kind="stable")
    return np.asarray(rank >= len(lat) // 2)


def _required(folds: Folds, buffer_km: float) -> Folds:
    left = [len(folds.learned(one)) for one in range(folds.count)]
    if folds.count < FEWEST or min(left) < len(folds.fold) // 4:
        raise DataError(
            f"stores: found {folds.count} spatial folds that leave {min(left)} of {len(folds.fold)} stores to learn "
            f"from beyond {buffer_km:g} km, expected {FEWEST} folds or more and a quarter of the stores; the chain "
            "lies too close together to be judged on places it does not know: give smaller rings, or more towns"
        )
    return folds
