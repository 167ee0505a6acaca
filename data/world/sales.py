"""What each own store took in each month: the market's expectation, the season, and luck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from data.world.market import Market
from data.world.stores import day_number, presence
from data.world.streams import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.city import City
    from data.world.grid import Floats, Wholes

    Months = NDArray[np.datetime64]

NEW_YEARS: Final = (
    "2018-02-16",
    "2019-02-05",
    "2020-01-25",
    "2021-02-12",
    "2022-02-01",
    "2023-01-22",
    "2024-02-10",
    "2025-01-29",
    "2026-02-17",
    "2027-02-06",
)
"""Chinese New Year's Day; presents are bought before it."""

_FIRST_MONTH: Final = np.datetime64("2018-01", "M")
_MONTHS_OF_LUCK: Final = 120


@dataclass(frozen=True)
class SalesSettings:
    """Season and luck; assumed, with a summer of fruit and drinks and presents before New Year.

    Luck is multiplicative, of mean 1, and lasts: each month keeps `luck_kept` of the last one's.

    Attributes:
        months: calendar months of sales that the tables show for each store, the last ones whose books are closed.
        season: factor of each calendar month on what a store takes, January first.
        new_year_days: days before Chinese New Year on which presents are bought.
        new_year_lift: what such a day adds to a store's takings, as a share of them.
        luck_sd: standard deviation of the logarithm of a store's luck in a month, which no table explains.
        luck_kept: share of a month's luck that lasts into the next month: its correlation.
        town_sd: the same as `luck_sd` for what all stores of a city share in a month; none of it lasts.
    """

    months: int = 36
    season: tuple[float, ...] = (0.97, 0.93, 0.97, 0.98, 1.01, 1.05, 1.09, 1.09, 1.03, 1.0, 0.95, 0.93)
    new_year_days: int = 20
    new_year_lift: float = 0.3
    luck_sd: float = 0.07
    luck_kept: float = 0.5
    town_sd: float = 0.025


def season(settings: SalesSettings, months: Months) -> Floats:
    """The factor of each calendar month, datetime64[M]: of the time of year, and of the days before New Year."""
    of_year = np.asarray(settings.season)[months.astype(np.int64) % 12]
    first, after = day_number(months)[:, None], day_number(months + np.timedelta64(1, "M"))[:, None]
    eve = np.array(NEW_YEARS, "datetime64[D]").astype(np.int64)
    before = np.minimum(after, eve) - np.maximum(first, eve - settings.new_year_days)
    busy = np.maximum(before, 0).sum(axis=1) / (after - first)[:, 0]
    factor: Floats = of_year * (1 + settings.new_year_lift * busy)
    return factor


def sales_months(settings: SalesSettings, start: int, days: int) -> Months:
    """The months whose sales are known in a world of so many days from day `start` (days since 1970-01-01).

    They end with the month before the last full month of the world: the books close a month late.
    """
    ending = np.array(start + days, np.int64).astype("datetime64[D]").astype("datetime64[M]")
    back = np.arange(settings.months, 0, -1).astype("timedelta64[M]")
    months: Months = ending - np.timedelta64(1, "M") - back
    return months


def expected_sales(city: City, months: Months) -> Floats:
    """What each store is expected to take in each month, luck aside; fen, stores x months, 0 where it did not trade.

    Own stores opened or closed nearby, rivals' shops and other places count from their own days on.
    """
    settings = city.settings
    middle = (day_number(months) + day_number(months + np.timedelta64(1, "M"))) // 2
    parts = [
        Market(settings.gravity, streets, stores, middle).takings(presence(settings.stores, stores, months))
        for streets, stores in zip(city.streets, city.stores, strict=True)
    ]
    expected: Floats = np.concatenate(parts) * season(settings.sales, months)
    return expected


def store_sales(city: City, months: Months) -> Wholes:
    """What each store took in each month; fen, stores x months, 0 where it did not trade.

    A month's luck is the same in worlds of any length.
    """
    taken: Wholes = np.rint(expected_sales(city, months) * _luck(city, months)).astype(np.int64)
    return taken


def _luck(city: City, months: Months) -> Floats:
    settings = city.settings.sales
    generator = stream(city.seed, "city.sales")
    of_store = generator.standard_normal((_MONTHS_OF_LUCK, city.store_lat.size))
    of_town = settings.town_sd * generator.standard_normal((_MONTHS_OF_LUCK, len(city.cities)))[:, city.store_city]
    fresh = np.sqrt(1 - settings.luck_kept**2)
    for month in range(1, _MONTHS_OF_LUCK):
        of_store[month] = settings.luck_kept * of_store[month - 1] + fresh * of_store[month]
    log = settings.luck_sd * of_store - settings.luck_sd**2 / 2 + of_town - settings.town_sd**2 / 2
    luck: Floats = np.exp(log[(months - _FIRST_MONTH).astype(np.int64)]).T
    return luck
