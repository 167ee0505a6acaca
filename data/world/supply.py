"""What the wool party lives on: caps from recyclers, codes over the counter, leaked lists, word of better prizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.campaigns import FLASH_SALE, LIVE_STREAM
from data.world.trade import OPENING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.campaigns import Campaigns
    from data.world.codes import CodeBook

    Integers = NDArray[np.int64]


class Crates(NamedTuple):
    """Runs of neighbouring serials: `length` codes, at least 6, of `batch` from place `first` on."""

    batch: Integers
    first: Integers
    length: Integers


@dataclass(frozen=True)
class SupplySettings:
    """How choosy buyers of codes are; assumed, since caps and links are priced by brand and odds (notes/risk.md §1).

    Attributes:
        choosy: Chance that a buyer picks the best of the offers at hand instead of any.
        offers: Offers at hand for one crate.
        list_codes: Codes of a leaked list.
        lying_days: Most days that a sack of caps lies about before somebody scans it.
    """

    choosy: float = 0.4
    offers: int = 4
    list_codes: int = 150
    lying_days: float = 30.0


class Supply:
    """Where codes come from, and what the trade hears of campaigns.

    Args:
        settings: How choosy buyers are.
        codes: The printed codes of the world.
        campaigns: Its campaigns.
        shares: Share of the members in each city, where caps of no city in particular come from.
        members: Honest members.
    """

    def __init__(
        self,
        settings: SupplySettings,
        codes: CodeBook,
        campaigns: Campaigns,
        *,
        shares: NDArray[np.float64],
        members: int,
    ) -> None:
        self._settings = settings
        self._codes = codes
        self._campaigns = campaigns
        self._members = members
        self._share = np.asarray(shares, np.float64) / np.sum(shares)
        carriers = np.unique(codes.batches["product"][codes.batches["sale"] < 0])
        self._carriers = carriers.astype(np.int64)

    def crates(self, generator: np.random.Generator, cities: Integers, at: int, campaign: int = -1) -> Crates:
        """Crates of caps whose batches were sent to the cities, -1 for any; most are the best of a few on offer.

        Where a campaign is named, a buyer always picks, and looks for products that it covers.
        """
        offers = self._settings.offers * (1 if campaign < 0 else 3)
        sent = np.repeat(cities, offers)
        anywhere = generator.choice(len(self._share), sent.size, p=self._share)
        sent = np.where(sent < 0, anywhere, sent)
        lying = generator.random(sent.size) ** 2 * self._settings.lying_days * DAY_US
        runs = self._codes.recycled_runs(generator, sent.size, at - lying.astype(np.int64), sent)
        product = self.product(runs.batch)
        if campaign < 0:
            linked = np.zeros(sent.size, np.bool_)
            found = self._campaigns.campaign_of(product, sent, np.full(sent.size, at, np.int64), linked)
            value = self._campaigns.expected_prize_fen(found)
        else:
            value = self._campaigns.products[campaign, product].astype(np.float64)
        value = (value + 1e-6 * generator.random(sent.size)).reshape(-1, offers)
        best = value.argmax(axis=1) if sent.size else np.empty(0, np.int64)
        if campaign < 0:
            best = np.where(generator.random(cities.size) < self._settings.choosy, best, 0)
        taken = np.arange(cities.size) * offers + best
        return Crates(runs.batch[taken], runs.first[taken], runs.length[taken])

    def bought(self, generator: np.random.Generator, cities: Integers, at: Integers) -> tuple[Integers, Integers]:
        """Batch and place of a code bought over the counter in each city at each moment, as any shopper buys."""
        product = generator.choice(self._carriers, cities.size)
        found = self._codes.loose(generator, product, cities, at)
        return found.batch, found.serial

    def leaks(self, generator: np.random.Generator, count: int, at: int) -> Crates:
        """`count` leaked lists of batches activated about then, drawn from those on the market, repeatedly if few."""
        lists = self._codes.leaked_lists(generator, count, self._settings.list_codes, at)
        if lists.batch.size == 0:
            return Crates(*(np.empty(0, np.int64) for _ in range(3)))
        drawn = generator.integers(0, lists.batch.size, count)
        return Crates(lists.batch[drawn], lists.first[drawn], lists.length[drawn])

    def openings(self, day: int) -> NDArray[Any]:
        """When prizes rise on the day: promotions, launches and live streams that start, as OPENING by time."""
        rows = self._campaigns.rows
        return self._of_day(rows[(rows["kind"] > 0) & (rows["kind"] != FLASH_SALE)], day)

    def sales(self, day: int) -> NDArray[Any]:
        """The flash sales that start on the day, as OPENING by time."""
        return self._of_day(self._campaigns.flash_sales, day)

    @property
    def shoppers_a_sale(self) -> float:
        """Honest shoppers expected in one flash sale."""
        return self._campaigns.settings.flash_shoppers * self._members

    def tickets(self, sale: int, count: int) -> tuple[Integers, Integers]:
        """Batch and place of one-time tickets of a flash sale, for requests to buy."""
        found = self._codes.tickets(np.full(count, sale), np.arange(count), wool=True)
        return found.batch, found.serial

    def campaign_of(
        self, batch: NDArray[Any], city: Integers, at: Integers, linked: NDArray[np.bool_]
    ) -> NDArray[np.int32]:
        """The campaign that scans of printed codes fall under."""
        return self._campaigns.campaign_of(self.product(batch), city, at, linked)

    def mean_prize_fen(self, campaign: NDArray[Any]) -> NDArray[np.float64]:
        """What a valid scan wins under each campaign on average, in fen; a flash sale's deals are resold."""
        rows = self._campaigns.rows
        deals = np.where(rows["kind"] == FLASH_SALE, 0.1 * rows["discount_fen"], 0.0)
        return np.asarray(self._campaigns.expected_prize_fen(campaign) + deals[campaign], np.float64)

    def product(self, batch: NDArray[Any]) -> Integers:
        """The product of each batch."""
        return np.asarray(self._codes.batches["product"][batch], np.int64)

    def _of_day(self, rows: NDArray[Any], day: int) -> NDArray[Any]:
        today = np.sort(rows[(rows["starts_at"] - START_US) // DAY_US == day], order="starts_at")
        found = np.zeros(today.size, OPENING)
        found["at"], found["until"] = today["starts_at"], today["ends_at"]
        found["campaign"], found["linked"] = today["campaign"], today["kind"] == LIVE_STREAM
        return found
