"""Codes on the shelves: some of those that honest shoppers will buy in the next days, for whoever gets there first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.world.trade import SHELVED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.spool import Spool

ON_SHELF: Final = np.dtype([("city", "i2"), *SHELVED.descr])
"""A code on sale in a city, where it will be scanned."""


@dataclass(frozen=True)
class ShelfSettings:
    """Which codes can be got at before they are sold; assumed.

    Attributes:
        days: Codes that will be scanned on so many days after today stand on the shelves.
        codes_a_day: So many a day are known at least, if there are as many.
        share: And at least this share of them.
    """

    days: int = 3
    codes_a_day: int = 2_000
    share: float = 0.1


@dataclass
class Shelf:
    """The shelves of all cities on one day after the other.

    Attributes:
        settings: Which codes stand there.
        coming: Records of `ON_SHELF`, by the day on which an honest shopper will scan them.
    """

    settings: ShelfSettings
    coming: Spool
    _stock: dict[int, NDArray[Any]] = field(default_factory=dict, repr=False)

    def put(self, codes: NDArray[Any], at: NDArray[np.int64]) -> None:
        """Take in codes (records of `ON_SHELF`) and when an honest shopper will scan them."""
        self.coming.put(codes, at)

    def open(self, day: int) -> None:
        """Go on to a day: what was to be scanned on it is sold, what will be some days later arrives."""
        for arriving in range(day + 1, day + 1 + self.settings.days):
            if arriving not in self._stock and arriving < self.coming.slices.count:
                self._stock[arriving] = self.coming.take(arriving)
        self._stock.pop(day, None)

    def sample(self, generator: np.random.Generator, city: int, count: int) -> NDArray[Any]:
        """Up to `count` different codes on sale in the city, records of `SHELVED`; nobody else gets them.

        There are fewer where fewer are left.
        """
        found: list[NDArray[Any]] = []
        places = {day: np.flatnonzero(stock["city"] == city) for day, stock in self._stock.items()}
        left = sum(map(len, places.values()))
        drawn = generator.permutation(left)[: max(count, 0)]
        first = 0
        for day, of_city in places.items():
            chosen = of_city[drawn[(drawn >= first) & (drawn < first + len(of_city))] - first]
            first += len(of_city)
            found.append(self._stock[day][chosen])
            self._stock[day]["city"][chosen] = -1
        taken = np.concatenate(found) if found else np.empty(0, ON_SHELF)
        shelved = np.empty(len(taken), SHELVED)
        for name in SHELVED.names or ():
            shelved[name] = taken[name]
        return shelved[generator.permutation(len(shelved))]
