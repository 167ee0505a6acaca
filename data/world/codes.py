"""The printed codes: batches of own products sent to cities, crates of neighbouring serials, and who gets which code.

A batch is one product printed for one city in one fortnight. Its codes lie in crates of 24 neighbouring serials, and
crates go different ways, decided by a keyed permutation of the batch: most are sold from shelves, a crate within days
and in one neighbourhood; some are drunk unscanned, so that their caps reach the recycling trade; few are opened in the
depot. A code is its batch and its place in it, from 0. About a third of the codes on shelves is ever scanned.
Instants are microseconds since 1970 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from data.world.almanac import DAY_US
from data.world.batches import BATCH, CRATE, STALL_CRATES, TICKETS, Printing
from data.world.grid import great_circle_km
from data.world.hashes import below, hashed, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.campaigns import Campaigns
    from data.world.city import City
    from data.world.products import Products

    Integers = NDArray[np.int64]
    Doubles = NDArray[np.float64]


class Picked(NamedTuple):
    """Codes by batch and place in the batch; -1 both where the shelf was empty."""

    batch: Integers
    serial: Integers


class Runs(NamedTuple):
    """Runs of neighbouring serials: `length` codes of `batch` from place `first` on."""

    batch: Integers
    first: Integers
    length: Integers


@dataclass(frozen=True)
class CodeSettings:
    """How codes are printed and sold; assumed, but for the share that is ever scanned.

    Attributes:
        batch_days: Days from one batch of a product for a city to the next.
        youngest_days: Least days from shipping to sale.
        oldest_days: Most days from shipping to sale.
        age_shape: Parameters of the beta distribution of a sold code's age between the two.
        activation_days: Most days from shipping to activation.
        scanned: Share of the codes on shelves that is ever scanned; trade columns put it below 30 % of what is sold,
            scans by the wool party included it comes to about a third.
        scans_a_member_day: Honest scans for which codes are printed.
        other_region: Share of codes bought in a city other than the one the batch was sent to.
        reach_km: Distance over which such trade falls to a third.
        recycled: Share of the crates whose caps reach the recycling trade.
        loose: Share of the crates sold one by one in small shops.
        opened: Share of the crates opened in the depot.
        patch_degrees: Side of the neighbourhood in which a crate is sold.
        patch_days: Days within which it is sold.
    """

    batch_days: int = 14
    youngest_days: float = 5.0
    oldest_days: float = 60.0
    age_shape: tuple[float, float] = (1.5, 2.5)
    activation_days: float = 3.0
    scanned: float = 1 / 3
    scans_a_member_day: float = 0.25
    other_region: float = 0.03
    reach_km: float = 400.0
    recycled: float = 0.12
    loose: float = 0.06
    opened: float = 0.03
    patch_degrees: float = 0.02
    patch_days: int = 4


class CodeBook:
    """All codes of one world.

    Args:
        settings: How they are printed and sold.
        city: The cities; their share of people decides what is sent to each.
        products: The range; own products carry codes.
        campaigns: Whose odds the prizes follow, and whose flash sales hand out tickets.
        members: Honest members.
        days: Length of the world.
        seed: Seed of the world.

    Attributes:
        batches: One BATCH record each, in order of number.
        blocks: Blocks of honest members among which the shelves are shared.
    """

    def __init__(
        self,
        settings: CodeSettings,
        city: City,
        products: Products,
        campaigns: Campaigns,
        members: int,
        days: int,
        seed: int,
    ) -> None:
        self.settings = settings
        self._seed = seed
        self._campaigns = campaigns
        self._printing = Printing(settings, city, products, members, days, seed)
        self._trade = _neighbours(city, settings.reach_km)
        printed = self._printing.batches()
        self._printed = len(printed)
        self.batches = np.concatenate([printed, self._ticketed()])
        self.blocks = self._printing.blocks

    def on_shelf(
        self,
        generator: np.random.Generator,
        block: int,
        product: NDArray[Any],
        city: NDArray[Any],
        at: Integers,
        place: tuple[Doubles, Doubles],
    ) -> Picked:
        """Codes that shoppers of a block find on what they buy: each is handed out once, whatever the block.

        Call it once a block with all of its purchases. Purchases of one neighbourhood within days come from the same
        few crates, so that honest serials are near each other too. Where a batch is sold out the code is -1.

        Args:
            generator: Chance of the block.
            block: Which block buys, below `blocks`.
            product: What is bought; own products only.
            city: Where.
            at: When.
            place: Latitude and longitude of each purchase, degrees.
        """
        batch = self._bought(generator, product, city, at)
        days = self.settings.patch_days
        patch = np.stack([np.floor(part / self.settings.patch_degrees) for part in place]).astype(np.int64)
        order = np.lexsort((at, patch[1], patch[0], at // (days * DAY_US), batch))
        rank = np.empty(len(batch), np.int64)
        rank[order] = _rank_in_run(batch[order])
        stall_codes = STALL_CRATES * CRATE
        picks = max(1, round(stall_codes * self.settings.scanned))
        stalls = self._printing.cut.stalls[batch]
        turn, stall = np.divmod(rank // picks, stalls)
        nth = turn * picks + rank % picks
        sold_out = nth >= stall_codes
        slot = self._printing.slot(batch, stall * self.blocks + block, np.minimum(nth, stall_codes - 1))
        position = (stall * self.blocks + block) * STALL_CRATES + slot // CRATE
        serial = self._printing.crate(batch, position) * CRATE + slot % CRATE
        return Picked(np.where(sold_out, -1, batch), np.where(sold_out, -1, serial))

    def pieces(self, generator: np.random.Generator, count: int) -> Integers:
        """Products of so many own-brand pieces, as they are sold on the whole."""
        return self._printing.pieces(generator, count)

    def loose(self, generator: np.random.Generator, product: NDArray[Any], city: NDArray[Any], at: Integers) -> Picked:
        """Codes of what is bought in small shops here and there: drawn anew at each call, hardly ever twice."""
        batch = self._bought(generator, product, city, at)
        cut = self._printing.cut
        first = self._any_of(generator, batch, cut.shelf, cut.loose)
        return Picked(batch, first + generator.integers(0, CRATE, len(batch)))

    def recycled_runs(
        self, generator: np.random.Generator, count: int, at: Integers | int, city: Integers | int | None = None
    ) -> Runs:
        """Runs of caps as dealers sell them: a crate's codes, or most of them, weeks after the crate was sold.

        Args:
            generator: Chance of the buyer.
            count: How many runs.
            at: When they are bought; one instant or one a run.
            city: Where the batch was sent; any city by its size if not given.
        """
        product, sent = self._printing.shipments(generator, count, city)
        when = np.broadcast_to(np.asarray(at, np.int64), count) - generator.integers(7, 30, count) * DAY_US
        batch = self._bought(generator, product, sent, when, traded=False)
        cut = self._printing.cut
        first = self._any_of(generator, batch, cut.loose, cut.recycled)
        length = np.where(generator.random(count) < 0.4, CRATE, generator.integers(6, CRATE, count))
        start = (generator.random(count) * (CRATE - length + 1)).astype(np.int64)
        return Runs(batch, first + start, length)

    def opened_cases(
        self, generator: np.random.Generator, block: int, count: int, city: Integers, at: Integers
    ) -> Runs:
        """Runs from crates that depot staff open days after shipping: each of another crate, for one block only.

        Where the depot has no crate for the block, or it was opened already, the batch is -1.
        """
        product, sent = self._printing.shipments(generator, count, city)
        ready = at - int((self.settings.activation_days + 0.5) * DAY_US)
        batch = self._printing.sent(product, sent, ready)
        first_turn = (block - below(self._seed, "depot", self.blocks, batch)) % self.blocks
        cases = self._printing.cut.total[batch] - self._printing.cut.recycled[batch]
        mine = np.maximum(0, -(-(cases - first_turn) // self.blocks))
        turn = first_turn + self.blocks * (generator.random(count) * mine).astype(np.int64)
        first = self._printing.crate(batch, self._printing.cut.recycled[batch] + turn) * CRATE
        opened = np.zeros(count, np.bool_)
        opened[np.unique((batch << 32) + first, return_index=True)[1]] = True
        opened &= mine > 0
        return Runs(np.where(opened, batch, -1), first, generator.integers(4, CRATE // 2 + 1, count))

    def leaked_lists(
        self, generator: np.random.Generator, count: int, size: int, at: int, city: int | None = None
    ) -> Runs:
        """Serial ranges that leave the printer or the plant as files, of batches activated within days of the leak.

        Args:
            generator: Chance of the buyer.
            count: How many lists; fewer come back where fewer batches are about.
            size: Codes of each list, cut to the batch.
            at: When the lists are sold; some of the batches are activated already, most will be within days.
            city: Where the batches are sent; any if not given.
        """
        lag = self.batches["activated_at"] - at
        about = (lag > -1 * DAY_US) & (lag < 4 * DAY_US) & (self.batches["sale"] < 0)
        if city is not None:
            about &= self.batches["city"] == city
        open_to = np.flatnonzero(about)
        weight = self.batches["codes"][open_to].astype(np.float64)
        count = min(count, len(open_to))
        if count == 0:
            return Runs(*(np.empty(0, np.int64) for _ in range(3)))
        batch = generator.choice(open_to, count, replace=False, p=weight / weight.sum()).astype(np.int64)
        length = np.minimum(size, self.batches["codes"][batch])
        first = (generator.random(count) * (self.batches["codes"][batch] - length + 1)).astype(np.int64)
        return Runs(batch, first, length)

    def tickets(self, sale: NDArray[Any], number: NDArray[Any], *, wool: bool = False) -> Picked:
        """One-time tickets of flash sales, a different one for each number of a side; they say nothing of the side.

        Args:
            sale: Campaign of the flash sale.
            number: Which ticket, from 0; below half of TICKETS.
            wool: Whether the wool party asks.
        """
        half = TICKETS // 2
        if np.any((number < 0) | (number >= half)):
            raise ValueError(f"tickets: found numbers up to {int(np.max(number))}, expected 0..{half - 1}")
        place = np.asarray(number, np.int64) + (half if wool else 0)
        first = self._campaigns.flash_sales["campaign"][0]
        batch = self._printed + np.asarray(sale, np.int64) - first
        return Picked(batch, _shuffled(self._seed, sale, place))

    @property
    def tickets_a_block(self) -> int:
        """Tickets of one flash sale that each block of members can ask for."""
        return TICKETS // 2 // self.blocks

    def prize_draw(self, batch: NDArray[Any], serial: NDArray[Any]) -> Doubles:
        """The draw of [0, 1) that is printed with each code; the campaign's odds decide what it wins."""
        return uniform(self._seed, "prize", batch, serial)

    def prize(self, batch: NDArray[Any], serial: NDArray[Any], campaign: NDArray[Any]) -> Integers:
        """What a valid scan of each code wins under its campaign, in fen."""
        return self._campaigns.prize(campaign, self.prize_draw(batch, serial))

    def _bought(
        self,
        generator: np.random.Generator,
        product: NDArray[Any],
        city: NDArray[Any],
        at: Integers,
        *,
        traded: bool = True,
    ) -> Integers:
        """The batch that a code bought somewhere at some moment is of."""
        count, span = len(at), self.settings.oldest_days - self.settings.youngest_days - self.settings.batch_days
        age = self.settings.youngest_days + span * generator.beta(*self.settings.age_shape, count)
        sent = np.asarray(city, np.int64)
        moved = generator.random(count) < self.settings.other_region
        draw = generator.random(count)
        if traded and self._printing.cities > 1:
            other = np.sum(self._trade[sent] < draw[:, None], axis=1)
            sent = np.where(moved, np.minimum(other, self._printing.cities - 1), sent)
        return self._printing.sent(product, sent, np.asarray(at, np.int64) - (age * DAY_US).astype(np.int64))

    def _ticketed(self) -> NDArray[Any]:
        sales = self._campaigns.flash_sales
        made = np.zeros(len(sales), BATCH)
        made["batch"] = self._printed + np.arange(len(sales))
        made["product"] = sales["product"]
        made["city"] = -1
        made["shipped_at"] = sales["starts_at"] - DAY_US
        made["activated_at"] = sales["starts_at"]
        made["first_serial"] = 1
        made["codes"] = TICKETS
        made["sale"] = sales["campaign"]
        return made

    def _any_of(self, generator: np.random.Generator, batch: Integers, start: Integers, end: Integers) -> Integers:
        """First serial of any crate of each batch among those at positions from start up to end."""
        first, last = start[batch], end[batch]
        position = first + (generator.random(len(batch)) * (last - first)).astype(np.int64)
        return self._printing.crate(batch, position) * CRATE


def _rank_in_run(ordered: Integers) -> Integers:
    """Place of each item among equal neighbours of an ordered array."""
    places = np.arange(len(ordered))
    starts = np.flatnonzero(np.diff(ordered, prepend=-2))
    return places - np.repeat(starts, np.diff(np.append(starts, len(ordered))))


def _neighbours(city: City, reach_km: float) -> Doubles:
    """Cumulated chances with which goods of a city come from each other city (cities x cities)."""
    apart = great_circle_km(city.city_lat[:, None], city.city_lon[:, None], city.city_lat, city.city_lon)
    near = np.exp(-apart / reach_km) + 1e-9
    np.fill_diagonal(near, 0.0)
    total = near.sum(axis=1, keepdims=True)
    return np.asarray(np.cumsum(near / np.where(total > 0, total, 1.0), axis=1), np.float64)


def _shuffled(seed: int, sale: NDArray[Any], place: Integers) -> Integers:
    """A permutation of the tickets of a sale: odd multipliers and folded high bits, thrice."""
    mixed = place.astype(np.uint64)
    mask = np.uint64(TICKETS - 1)
    for turn in range(3):
        key = hashed(seed, "ticket", sale, turn)
        mixed = (mixed * (key | np.uint64(1)) + (key >> np.uint64(32))) & mask
        mixed ^= mixed >> np.uint64(11)
    return mixed.astype(np.int64)
