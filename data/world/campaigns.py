"""Campaigns with prizes: the evergreen one, promotions, launches, live streams and flash sales, and what each pays.

A scan belongs to the campaign that its product, place and moment fall under; outside all others to the evergreen one,
so that no scan is without a campaign. The prize is printed with the code: a draw that hangs on the code decides it, and
the campaign says how many draws win and what. A flash sale has no prize but a stock: the first valid requests get it.
Instants are microseconds since 1970 UTC, money is fen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.streams import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.city import City
    from data.world.products import Products

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
TIME_ZONE: Final = "Asia/Shanghai"

KINDS: Final = ("evergreen", "promotion", "launch", "live_stream", "flash_sale")
EVERGREEN, PROMOTION, LAUNCH, LIVE_STREAM, FLASH_SALE = range(5)

CAMPAIGN: Final = np.dtype(
    [
        ("campaign", "i4"),
        ("kind", "i1"),  # place in KINDS
        ("starts_at", "i8"),
        ("ends_at", "i8"),
        ("odds", "f8"),  # chance that a valid scan wins; NaN for a flash sale
        ("budget_fen", "i8"),
        ("stock", "i4"),  # of a flash sale: valid requests that get the deal, in order of arrival; else 0
        ("discount_fen", "i8"),  # of a flash sale: what each of them gets
        ("product", "i4"),  # of a flash sale: what is sold; else -1
    ]
)

Tiers = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class CampaignSettings:
    """How many campaigns run in 90 days, and what they pay; all assumed, in the range of published scan-to-win odds.

    Attributes:
        evergreen_odds: Chance of a prize outside every other campaign.
        evergreen_prizes: Prizes in fen with their weights among wins.
        promotions: Promotions in 90 days: a third of the categories, better odds, in all or half of the cities.
        promotion_days: Least and most days that one lasts.
        promotion_odds: Least and greatest odds.
        promotion_prizes: Prizes of promotions, as `evergreen_prizes`.
        launches: New products in 90 days, with the best odds for a few days.
        launch_days: How many days a launch lasts.
        launch_odds: Chance of a prize for a scan of a product that is launched.
        launch_prizes: Prizes of launches, as `evergreen_prizes`.
        live_streams: Live streams in 90 days, minutes of an evening in which linked scans win often.
        live_minutes: Least and most minutes that one lasts.
        live_odds: Chance of a prize for a scan linked to a live stream.
        live_prizes: Prizes of live streams, as `evergreen_prizes`.
        flash_sales: Flash sales in 90 days.
        flash_minutes: How long one stays open; its stock is gone far sooner.
        flash_shoppers: Share of the members who honestly try one flash sale.
        flash_stock: Deals for each honest shopper who tries.
        flash_discount_fen: What one deal is worth to who gets it.
        budget_fen_a_member_day: Size of the budgets that the table of campaigns states.
    """

    evergreen_odds: float = 0.12
    evergreen_prizes: Tiers = ((30, 0.60), (50, 0.25), (100, 0.12), (500, 0.03))
    promotions: float = 5.0
    promotion_days: tuple[int, int] = (8, 18)
    promotion_odds: tuple[float, float] = (0.25, 0.40)
    promotion_prizes: Tiers = ((50, 0.55), (88, 0.25), (200, 0.14), (500, 0.05), (1880, 0.01))
    launches: float = 3.0
    launch_days: int = 5
    launch_odds: float = 0.6
    launch_prizes: Tiers = ((88, 0.55), (188, 0.30), (388, 0.12), (1888, 0.03))
    live_streams: float = 8.0
    live_minutes: tuple[int, int] = (12, 30)
    live_odds: float = 0.5
    live_prizes: Tiers = ((66, 0.60), (128, 0.25), (288, 0.12), (888, 0.03))
    flash_sales: float = 3.0
    flash_minutes: int = 10
    flash_shoppers: float = 0.02
    flash_stock: float = 0.6
    flash_discount_fen: int = 2_000
    budget_fen_a_member_day: float = 4.0


class Campaigns:
    """All campaigns of a world that scans belong to.

    Args:
        settings: How many and what they pay.
        city: The cities in which they run.
        products: The range; only own products are promoted.
        members: Honest members, to whom stocks and budgets are cut.
        days: Length of the world.
        seed: Seed of the world.

    Attributes:
        rows: One CAMPAIGN record each, in order of number; number 0 is the evergreen campaign.
        products: Which products each covers (campaigns x products).
        cities: In which cities it runs (campaigns x cities).
    """

    def __init__(
        self, settings: CampaignSettings, city: City, products: Products, members: int, days: int, seed: int
    ) -> None:
        self.settings = settings
        self._generator = stream(seed, "campaigns")
        self._own = np.flatnonzero(products.own)
        self._category = products.category
        self._shape = (members, days, len(products), len(city.cities))
        drafts = [self._evergreen(), *self._promotions(), *self._launches(), *self._streams(), *self._sales()]
        self.rows = np.concatenate([draft[0] for draft in drafts])
        self.rows["campaign"] = np.arange(len(self.rows))
        self.products = np.stack([draft[1] for draft in drafts])
        self.cities = np.stack([draft[2] for draft in drafts])
        self._tiers = (
            settings.evergreen_prizes,
            settings.promotion_prizes,
            settings.launch_prizes,
            settings.live_prizes,
            ((0, 1.0),),
        )

    def of_kind(self, kind: int) -> NDArray[np.int64]:
        """Numbers of the campaigns of a kind, in order of their start."""
        found = np.flatnonzero(self.rows["kind"] == kind)
        ordered: NDArray[np.int64] = found[np.argsort(self.rows["starts_at"][found], kind="stable")]
        return ordered

    @property
    def flash_sales(self) -> NDArray[Any]:
        """The CAMPAIGN records of the flash sales, which are the last of all campaigns."""
        sales: NDArray[Any] = self.rows[self.rows["kind"] == FLASH_SALE]
        return sales

    @property
    def rises(self) -> NDArray[np.int64]:
        """Instants at which prizes rise: starts of promotions, launches and live streams, in order."""
        rising = np.isin(self.rows["kind"], (PROMOTION, LAUNCH, LIVE_STREAM))
        started: NDArray[np.int64] = np.sort(self.rows["starts_at"][rising])
        return started

    def campaign_of(
        self, product: NDArray[Any], city: NDArray[Any], at: NDArray[np.int64], linked: NDArray[np.bool_]
    ) -> NDArray[np.int32]:
        """The campaign that each scan of a printed code falls under; live streams only take what came by a link.

        Where several run, the one with the best odds wins. Flash sales take no printed codes: their scans carry the
        number of the sale from the start.
        """
        found = np.zeros(len(at), np.int32)
        best = np.full(len(at), self.settings.evergreen_odds)
        for row in self.rows[1:]:
            if row["kind"] == FLASH_SALE:
                continue
            inside = np.flatnonzero((at >= row["starts_at"]) & (at < row["ends_at"]) & (best < row["odds"]))
            if row["kind"] == LIVE_STREAM:
                inside = inside[linked[inside]]
            number = row["campaign"]
            inside = inside[self.products[number, product[inside]] & self.cities[number, city[inside]]]
            found[inside] = number
            best[inside] = row["odds"]
        return found

    def prize(self, campaign: NDArray[Any], draw: NDArray[np.float64]) -> NDArray[np.int64]:
        """What a valid scan wins in fen, given the draw of [0, 1) printed with its code; 0 for flash sales."""
        odds = self.rows["odds"][campaign]
        kinds = self.rows["kind"][campaign]
        won = np.zeros(len(campaign), np.int64)
        for kind, tiers in enumerate(self._tiers):
            winning = np.flatnonzero((kinds == kind) & (draw < odds))
            weights = np.cumsum([weight for _, weight in tiers])
            tier = np.searchsorted(weights / weights[-1], draw[winning] / odds[winning], side="right")
            won[winning] = np.array([fen for fen, _ in tiers])[np.minimum(tier, len(tiers) - 1)]
        return won

    def expected_prize_fen(self, campaign: NDArray[Any]) -> NDArray[np.float64]:
        """Mean prize of a valid scan in fen, losers included; what the wool party reckons with."""
        means = np.array(
            [sum(fen * weight for fen, weight in tiers) / sum(weight for _, weight in tiers) for tiers in self._tiers]
        )
        value: NDArray[np.float64] = np.nan_to_num(self.rows["odds"][campaign]) * means[self.rows["kind"][campaign]]
        return value

    def _starts(self, rate: float) -> NDArray[np.int64]:
        """Days on which the campaigns of a kind start: spread over the world, none on the first day."""
        days = self._shape[1]
        count = max(1, round(rate * days / 90))
        placed = (np.arange(count) + self._generator.uniform(0.15, 0.85, count)) * days / count
        return np.clip(placed.astype(np.int64), 1, days - 1)

    def _draft(
        self, kind: int, starts_at: int, ends_at: int, odds: float, share: float
    ) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]:
        members, _, products, cities = self._shape
        row = np.zeros(1, CAMPAIGN)
        span = max(1.0, (ends_at - starts_at) / DAY_US)
        budget = int(self.settings.budget_fen_a_member_day * members * span * share)
        row[0] = (0, kind, starts_at, ends_at, odds, (budget // 10_000 + 1) * 10_000, 0, 0, -1)
        return row, np.zeros(products, np.bool_), np.ones(cities, np.bool_)

    def _evergreen(self) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]:
        end = START_US + self._shape[1] * DAY_US
        row, covers, where = self._draft(
            EVERGREEN, START_US - 365 * DAY_US, end + 365 * DAY_US, self.settings.evergreen_odds, 1.0
        )
        covers[self._own] = True
        return row, covers, where

    def _promotions(self) -> list[tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]]:
        return [self._promotion(int(day), turn) for turn, day in enumerate(self._starts(self.settings.promotions))]

    def _promotion(self, day: int, turn: int) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]:
        least, most = self.settings.promotion_days
        start = START_US + day * DAY_US
        end = start + int(self._generator.integers(least, most + 1)) * DAY_US
        odds = round(float(self._generator.uniform(*self.settings.promotion_odds)), 3)
        row, covers, where = self._draft(PROMOTION, start, end, odds, 0.4)
        categories = np.unique(self._category[self._own])
        chosen = self._generator.choice(categories, max(1, len(categories) // 3), replace=False)
        covers[self._own] = np.isin(self._category[self._own], chosen)
        if turn % 2:
            where[:] = False
            where[self._generator.choice(len(where), max(1, len(where) // 2), replace=False)] = True
        return row, covers, where

    def _launches(self) -> list[tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]]:
        drafts = []
        for day in self._starts(self.settings.launches):
            start = START_US + int(day) * DAY_US + 10 * HOUR
            end = start + self.settings.launch_days * DAY_US
            row, covers, where = self._draft(LAUNCH, start, end, self.settings.launch_odds, 0.5)
            covers[self._generator.choice(self._own, min(3, len(self._own)), replace=False)] = True
            drafts.append((row, covers, where))
        return drafts

    def _streams(self) -> list[tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]]:
        least, most = self.settings.live_minutes
        drafts = []
        for day in self._starts(self.settings.live_streams):
            start = START_US + int(day) * DAY_US + 19 * HOUR + int(self._generator.integers(5)) * 30 * MINUTE
            end = start + int(self._generator.integers(least, most + 1)) * MINUTE
            row, covers, where = self._draft(LIVE_STREAM, start, end, self.settings.live_odds, 0.1)
            covers[self._own] = True
            drafts.append((row, covers, where))
        return drafts

    def _sales(self) -> list[tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]]:
        drafts = []
        for day in self._starts(self.settings.flash_sales):
            start = START_US + int(day) * DAY_US + (10 + 10 * int(self._generator.integers(2))) * HOUR
            row, covers, where = self._draft(
                FLASH_SALE, start, start + self.settings.flash_minutes * MINUTE, np.nan, 0.0
            )
            row["stock"] = max(5, round(self._shape[0] * self.settings.flash_shoppers * self.settings.flash_stock))
            row["discount_fen"] = self.settings.flash_discount_fen
            row["budget_fen"] = row["stock"] * row["discount_fen"]
            row["product"] = self._generator.choice(self._own)
            covers[row["product"]] = True
            drafts.append((row, covers, where))
        return drafts
