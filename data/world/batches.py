"""Batches of printed codes: what is printed for which city and when, and how the crates of a batch part ways.

A batch is one product printed for one city in one fortnight. Its codes lie in crates of 24 neighbouring serials, and a
keyed permutation of the crates decides which go to shelves, to small shops, to those whose caps are recycled, and which
are opened in the depot; each way is a range of positions in that permutation.
Instants are microseconds since 1970 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.hashes import below, hashed, uniform
from data.world.people import BLOCK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.city import City
    from data.world.codes import CodeSettings
    from data.world.products import Products

    Integers = NDArray[np.int64]
    Doubles = NDArray[np.float64]

CRATE: Final = 24
STALL_CRATES: Final = 2
"""Crates that stand side by side in shops, of which shoppers take from one as from the other."""
TICKETS: Final = 1 << 22
"""Tickets of one flash sale; the upper half is the wool party's to ask for, and nobody sees which half it was."""

BATCH: Final = np.dtype(
    [
        ("batch", "i4"),
        ("product", "i4"),
        ("city", "i2"),  # where it was sent; -1 for the tickets of a flash sale
        ("shipped_at", "i8"),
        ("activated_at", "i8"),
        ("first_serial", "i8"),  # the table's serial of the code at place 0
        ("codes", "i8"),
        ("sale", "i4"),  # campaign of the flash sale whose tickets these are; -1 for printed codes
    ]
)

_PRIMES: Final = np.array([15_485_863, 32_452_843, 49_979_687, 67_867_967, 86_028_121], np.int64)


@dataclass(frozen=True)
class Cut:
    """How the crates of each batch part ways: one number a batch.

    Attributes:
        stalls: Pairs of crates on the shelves of each block of members.
        shelf: Positions from 0 up to here go to shelves.
        loose: From there up to here, to small shops.
        recycled: Up to here, to those whose caps are recycled.
        total: Up to here, to the depot's opened cases; all crates of the batch.
    """

    stalls: Integers
    shelf: Integers
    loose: Integers
    recycled: Integers
    total: Integers


class Printing:
    """What the printer makes: a batch for each own product, city and fortnight, sized by what will be scanned.

    Args:
        settings: How codes are printed.
        city: The cities; their share of people decides what is sent to each.
        products: The range; own products carry codes.
        members: Honest members.
        days: Length of the world.
        seed: Seed of the world.

    Attributes:
        blocks: Blocks of honest members among which the shelves are shared.
        cities: How many cities there are.
        cut: How the crates of each batch part ways.
    """

    def __init__(
        self, settings: CodeSettings, city: City, products: Products, members: int, days: int, seed: int
    ) -> None:
        self.settings = settings
        self.blocks = max(1, -(-members // BLOCK))
        self.cities = len(city.cities)
        self._seed = seed
        self._share = city.city_share / city.city_share.sum()
        self._carriers = np.flatnonzero(products.own)
        self._place = np.full(len(products), -1, np.int64)
        self._place[self._carriers] = np.arange(len(self._carriers))
        self._demand = own_demand(products)[self._carriers]
        self._lead = settings.oldest_days + settings.batch_days
        self._runs = int((days + self._lead) // settings.batch_days)
        self.cut = self._crates(members)

    def pieces(self, generator: np.random.Generator, count: int) -> Integers:
        """Products of so many own-brand pieces, as they are sold on the whole."""
        drawn: Integers = generator.choice(self._carriers, count, p=self._demand)
        return drawn

    def shipments(
        self, generator: np.random.Generator, count: int, city: Integers | int | None
    ) -> tuple[Integers, Integers]:
        """Products of so many codes, and the cities that they were sent to: those given, or any by their size."""
        product = self.pieces(generator, count)
        if city is None:
            return product, generator.choice(self.cities, count, p=self._share)
        return product, np.array(np.broadcast_to(np.asarray(city, np.int64), count))

    def sent(self, product: NDArray[Any], city: Integers, before: Integers) -> Integers:
        """The last batch of each product that was shipped to the city by then; the first one if none was."""
        line = self._place[product] * self.cities + city
        run = np.floor((before - self._first(line)) / (self.settings.batch_days * DAY_US)).astype(np.int64)
        batch: Integers = line * self._runs + np.clip(run, 0, self._runs - 1)
        return batch

    def batches(self) -> NDArray[Any]:
        """A BATCH record of each printed batch, in order of number."""
        made = np.zeros(len(self.cut.total), BATCH)
        number = np.arange(len(made))
        line, run = np.divmod(number, self._runs)
        made["batch"] = number
        made["product"] = self._carriers[line // self.cities]
        made["city"] = line % self.cities
        made["shipped_at"] = self._first(line) + run * self.settings.batch_days * DAY_US
        wait = uniform(self._seed, "activation", number) * self.settings.activation_days
        made["activated_at"] = made["shipped_at"] + (wait * DAY_US).astype(np.int64)
        made["first_serial"] = 1 + below(self._seed, "first serial", 9_000_000, number)
        made["codes"] = self.cut.total * CRATE
        made["sale"] = -1
        return made

    def crate(self, batch: Integers, position: Integers) -> Integers:
        """The crate at a position: a permutation of the batch's crates, so that neighbours go different ways."""
        step = _PRIMES[below(self._seed, "crate step", len(_PRIMES), batch)]
        total = self.cut.total[batch]
        offset = below(self._seed, "crate offset", total, batch)
        crate: Integers = (step * position + offset) % total
        return crate

    def slot(self, batch: Integers, stall: Integers, nth: Integers) -> Integers:
        """The place of the nth code that is bought from two crates which stand side by side in shops."""
        named, which = np.unique((batch << 32) + stall, return_inverse=True)
        keys = hashed(self._seed, "slot", named[:, None], np.arange(STALL_CRATES * CRATE))
        orders = np.argsort(keys, axis=1)
        slots: Integers = orders[which, nth]
        return slots

    def _first(self, line: Integers) -> Integers:
        """When the first batch of each product and city was shipped; they are staggered over a fortnight."""
        stagger = uniform(self._seed, "shipping", line) * self.settings.batch_days
        return START_US + ((stagger - self._lead) * DAY_US).astype(np.int64)

    def _crates(self, members: int) -> Cut:
        """How the crates of each batch are cut: bounds of the shelf, loose, recycled and opened ones."""
        lines = len(self._carriers) * self.cities
        wanted = np.outer(self._demand, self._share).ravel() * members
        wanted *= self.settings.scans_a_member_day * self.settings.batch_days
        varied = np.repeat(wanted, self._runs) * (
            0.75 + 0.5 * uniform(self._seed, "print run", np.arange(lines * self._runs))
        )
        shelf_share = 1 - self.settings.recycled - self.settings.loose - self.settings.opened
        wanted_stalls = varied / self.settings.scanned / CRATE / STALL_CRATES / self.blocks
        stalls = np.maximum(1, np.rint(wanted_stalls)).astype(np.int64)
        shelf = stalls * self.blocks * STALL_CRATES
        loose, recycled, opened = (
            np.maximum(1, np.rint(shelf * (share / shelf_share))).astype(np.int64)
            for share in (self.settings.loose, self.settings.recycled, self.settings.opened)
        )
        recycled += shelf + loose
        loose += shelf
        return Cut(stalls, shelf, loose, recycled, recycled + opened)


def own_demand(products: Products) -> Doubles:
    """Share of each product in the own-brand pieces that are sold; adds up to 1, and is 0 for rivals' products."""
    usual = (products.weight + products.cheap_weight) / 2
    wanted = np.where(products.own, products.demand[products.category] * usual, 0.0)
    return np.asarray(wanted / wanted.sum(), np.float64)
