"""What stands around a site: how many places and of what mix, rivals, transit, and company that suits the chain.

All of it is dated: a place counts from the day after it opened. One without a date counts always.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.kernel import Doubles, Flags
    from features.neighbourhood import Pairs, Points, Wholes

ALWAYS: Final = np.iinfo(np.int64).min
NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Lasting:
    """From when to when each thing is there; days since 1970-01-01, shape (things,).

    Attributes:
        opened: First day; `ALWAYS` where it is not known.
        closed: First day it is no longer there; `NEVER` while it is.
    """

    opened: Wholes
    closed: Wholes

    def there(self, day: int) -> Flags:
        """Which of them could be seen on the eve of a day."""
        found: Flags = (self.opened < day) & (day <= self.closed)
        return found


@dataclass(frozen=True)
class Around:
    """Distances that are counted within, in metres: a doorstep, a walk and a trade area, each wider than the last."""

    near_m: float = 500.0
    walk_m: float = 1000.0
    far_m: float = 3000.0

    def __post_init__(self) -> None:
        """Refuse rings that do not widen."""
        if not 0 < self.near_m <= self.walk_m <= self.far_m < float("inf"):
            raise UsageError(
                f"rings: found {self.near_m}, {self.walk_m}, {self.far_m} m; expected them to widen from 0"
            )


@dataclass(frozen=True)
class Company:
    """Which categories suit the chain, as of a day: how its stores' surroundings differ from the city's.

    Attributes:
        attraction: The logarithm of each category's coefficient, shape (categories,).
        expected: How many places of it stand around a store of the chain on average.
    """

    attraction: Doubles
    expected: Doubles

    def quality(self, counts: Doubles) -> Doubles:
        """Jensen quality of spots with so many places of each category around, shape (rows, categories)."""
        return _in_order(self.attraction * (counts - self.expected))


@dataclass(frozen=True)
class Surroundings:
    """The places of a region, filed.

    Attributes:
        points: Where they are.
        lasting: When they are there.
        category: Number of each one's category, shape (places,).
        categories: How many categories there are.
        rival: Whether its category competes with the chain.
        transit: Whether people arrive there.
        reached: The day on which the chain first opened within reach of it; `NEVER` if it did not.
    """

    points: Points
    lasting: Lasting
    category: Wholes
    categories: int
    rival: Flags
    transit: Flags
    reached: Wholes

    def columns(self, lat: Doubles, lon: Doubles, day: int, around: Around) -> Mapping[str, Doubles]:
        """What stands around each spot on the eve of a day, by the name of the feature; shape (rows,) each."""
        rows = len(lat)
        pairs = self.points.within(lat, lon, around.far_m)
        pairs = pairs.where(self.lasting.there(day)[pairs.point])
        near, walk = pairs.where(pairs.metres <= around.near_m), pairs.where(pairs.metres <= around.walk_m)
        rivals = pairs.where(self.rival[pairs.point])
        transit = pairs.where(self.transit[pairs.point])
        all_walk, rivals_walk = walk.total(rows), rivals.where(rivals.metres <= around.walk_m).total(rows)
        return {
            "place_count_near": near.total(rows),
            "place_count_walk": all_walk,
            "place_entropy_walk": entropy(self.counts(walk, rows)),
            "rival_count_near": rivals.where(rivals.metres <= around.near_m).total(rows),
            "rival_count_walk": rivals_walk,
            "rival_share_walk": np.divide(rivals_walk, all_walk, out=np.full(rows, np.nan), where=all_walk > 0),
            "rival_nearest_m": rivals.nearest(rows, around.far_m),
            "transit_count_near": transit.where(transit.metres <= around.near_m).total(rows),
            "transit_nearest_m": transit.nearest(rows, around.far_m),
        }

    def counts(self, pairs: Pairs, rows: int) -> Doubles:
        """How many places of each category stand around, shape (rows, categories)."""
        slot = pairs.row * self.categories + self.category[pairs.point]
        found = np.bincount(slot, minlength=rows * self.categories).reshape(rows, self.categories)
        return found.astype(np.float64)

    def company(self, beside: Pairs, stores: Flags, day: int) -> Company | None:
        """What stands around the chain's stores more, or less, often than elsewhere (Jensen 2006).

        The coefficient of category B around the stores A, of N places of which N_B are of B, is (N / (N_A N_B)) times
        the sum over stores of B's share of the places around; stores with no place around are no evidence. It is
        observed over expected, one store's worth added to both, so that a chain of few stores claims little. Only
        places within reach of a store are counted.

        Args:
            beside: Places near each store, whatever their dates.
            stores: Which stores count, shape (stores,).
            day: Places count on the eve of it.

        Returns:
            None where no store counts.
        """
        known = self.lasting.there(day) & (self.reached < day)
        totals = np.bincount(self.category[known], minlength=self.categories)
        if not stores.any() or not totals.sum():
            return None
        counted = self.counts(beside.where(known[beside.point] & stores[beside.row]), len(stores))[stores]
        around = counted.sum(axis=1, keepdims=True)
        number = int((around > 0).sum())
        observed = np.divide(counted, around, out=np.zeros_like(counted), where=around > 0).sum(axis=0)
        usual = totals / totals.sum()
        often = np.divide(observed + usual, (number + 1) * usual, out=np.ones(len(usual)), where=usual > 0)
        return Company(np.log(often), counted.mean(axis=0))


def entropy(counts: Doubles) -> Doubles:
    """How mixed the categories around are, in nats: 0 for one alone; NaN for none; shape (rows,)."""
    total = counts.sum(axis=1, keepdims=True)
    part = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    logs = np.log(part, out=np.zeros_like(part), where=part > 0)
    return np.where(total[:, 0] > 0, np.abs(_in_order(part * logs)), np.nan)


def first_reached(pairs: Pairs, opened: Wholes, rows: int) -> Wholes:
    """For each place the first day on which any store near it opened; `NEVER` where none ever did."""
    found = np.full(rows, NEVER)
    np.minimum.at(found, pairs.row, opened[pairs.point])
    return found


def _in_order(table: Doubles) -> Doubles:
    """The sum of each row, one after the other: a category of which there is none here changes no bit."""
    return np.cumsum(table, axis=1)[:, -1] if table.shape[1] else np.zeros(len(table))
