"""Days of the simulated world: China's holidays and make-up days, pay-days, shopping festivals, and the weather."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from data.world.products import CATEGORIES
from data.world.streams import stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DAY_US: Final = 86_400_000_000
FIRST_DAY: Final = np.datetime64("2025-03-03")
START_US: Final = 1_740_931_200_000_000
"""Midnight of Monday 2025-03-03 in Shanghai (UTC+8, no daylight saving), in microseconds since 1970 UTC."""

MAXIMUM_DAYS: Final = 540
MINIMUM_DAYS: Final = 14

# Notices of the General Office of the State Council on public holidays, of November 2024 and November 2025.
_HOLIDAYS: Final = (
    ("2025-04-04", "2025-04-06"),
    ("2025-05-01", "2025-05-05"),
    ("2025-05-31", "2025-06-02"),
    ("2025-10-01", "2025-10-08"),
    ("2026-01-01", "2026-01-03"),
    ("2026-02-15", "2026-02-23"),
    ("2026-04-04", "2026-04-06"),
    ("2026-05-01", "2026-05-05"),
    ("2026-06-19", "2026-06-21"),
    ("2026-09-25", "2026-09-27"),
    ("2026-10-01", "2026-10-07"),
)
_MAKE_UP_DAYS: Final = (
    "2025-04-27",
    "2025-09-28",
    "2025-10-11",
    "2026-01-04",
    "2026-02-14",
    "2026-02-28",
    "2026-05-09",
    "2026-09-20",
    "2026-10-10",
)
_FESTIVALS: Final = (("06-16", "06-18"), ("11-09", "11-11"))


@dataclass(frozen=True)
class AlmanacSettings:
    """How days move demand. Sizes assumed; the direction of each is common knowledge of the trade.

    Attributes:
        weekend: visits on a day off relative to a working day.
        holiday: the same on a public holiday.
        pay_day: on the 10th and the 15th, when wages land.
        festival: on the last three days before 618 and Double 11.
        rain: change of the logarithm of visits for 10 mm of rain.
        warmth: change of the logarithm of each category's demand for 10 degrees above 18 C, category by category.
        gift: change of the logarithm of each category's demand on public holidays.
        persistence: correlation of one day's temperature anomaly with the next day's.
        anomaly_c: standard deviation of the anomaly.
        rain_chance: share of days with rain in a dry month; a wet summer month doubles it.
        rain_mm: mean rain of a day with rain.
    """

    weekend: float = 1.22
    holiday: float = 1.18
    pay_day: float = 1.10
    festival: float = 1.25
    rain: float = -0.07
    warmth: tuple[float, ...] = (-0.06, -0.08, 0.06, -0.05, 0.22, 0.20, -0.02, 0.10, 0.02, -0.10, -0.03, -0.09)
    gift: tuple[float, ...] = (0.15, 0.12, 0.15, 0.08, 0.0, 0.05, 0.08, 0.0, 0.08, 0.22, 0.04, -0.08)
    persistence: float = 0.75
    anomaly_c: float = 3.0
    rain_chance: float = 0.16
    rain_mm: float = 9.0


@dataclass(frozen=True)
class Almanac:
    """What each day was like.

    Attributes:
        days: how many days the world lasts.
        date: the calendar day in Shanghai of each day, datetime64[D].
        day_off: weekends that are not made up for, and public holidays.
        holiday: public holidays alone.
        temperature_c: by city and day.
        rain_mm: by city and day.
        visits: factor of visits to shops by city and day; 1 on an ordinary working day.
        category: factor of each category's demand by city, day and category; 1 at 18 C on an ordinary day.
    """

    days: int
    date: NDArray[np.datetime64]
    day_off: NDArray[np.bool_]
    holiday: NDArray[np.bool_]
    temperature_c: NDArray[np.float64]
    rain_mm: NDArray[np.float64]
    visits: NDArray[np.float64]
    category: NDArray[np.float64]

    @property
    def start_us(self) -> NDArray[np.int64]:
        """Midnight in Shanghai of each day, in microseconds since 1970 UTC, and of the day after the last."""
        return START_US + DAY_US * np.arange(self.days + 1)

    @property
    def end_us(self) -> int:
        """First moment after the world."""
        return START_US + DAY_US * self.days

    def weather(self, cities: Sequence[str]) -> pa.Table:
        """The table `weather`: a row a city and day, for the names of the cities in their order."""
        columns: dict[str, Any] = {
            "city": pa.array([name for name in cities for _ in range(self.days)]),
            "day": pa.array(np.tile(self.date, len(cities))),
            "temperature_c": pa.array(np.round(self.temperature_c, 1).ravel()),
            "rain_mm": pa.array(np.round(self.rain_mm, 1).ravel()),
        }
        return pa.table(columns)


def draw_almanac(settings: AlmanacSettings, days: int, latitudes: NDArray[np.float64], seed: int) -> Almanac:
    """The days of one world and the weather of each of its cities, given by their latitude in degrees."""
    date = FIRST_DAY + np.arange(days)
    holiday, make_up = _among(date, _HOLIDAYS), np.isin(date, np.array(_MAKE_UP_DAYS, "datetime64[D]"))
    weekday = (date.astype(np.int64) + 3) % 7
    day_off = holiday | ((weekday >= 5) & ~make_up)
    generator = stream(seed, "weather")
    temperature = _temperature(settings, generator, date, latitudes)
    rain = _rain(settings, generator, date, len(latitudes))
    calendar = np.where(holiday, settings.holiday, np.where(day_off, settings.weekend, 1.0))
    of_month = (date - date.astype("datetime64[M]")).astype(np.int64) + 1
    calendar = calendar * np.where((of_month == 10) | (of_month == 15), settings.pay_day, 1.0)
    calendar = calendar * np.where(_festival(date), settings.festival, 1.0)
    warmth = np.clip((temperature - 18.0) / 10.0, -2.0, 2.0)
    category = np.exp(warmth[:, :, None] * np.array(settings.warmth) + holiday[None, :, None] * np.array(settings.gift))
    return Almanac(
        days=days,
        date=date,
        day_off=day_off,
        holiday=holiday,
        temperature_c=temperature,
        rain_mm=rain,
        visits=calendar * np.exp(settings.rain * np.minimum(rain, 40.0) / 10.0),
        category=category[:, :, : len(CATEGORIES)],
    )


def _among(date: NDArray[np.datetime64], spans: Sequence[tuple[str, str]]) -> NDArray[np.bool_]:
    inside = np.zeros(len(date), bool)
    for first, last in spans:
        inside |= (date >= np.datetime64(first)) & (date <= np.datetime64(last))
    return inside


def _festival(date: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    years = (2025, 2026)
    return _among(date, [(f"{year}-{first}", f"{year}-{last}") for year in years for first, last in _FESTIVALS])


def _temperature(
    settings: AlmanacSettings,
    generator: np.random.Generator,
    date: NDArray[np.datetime64],
    latitudes: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Yearly course by latitude (coldest in mid-January; northern winters far colder) and a persistent anomaly."""
    of_year = (date - date.astype("datetime64[Y]")).astype(np.int64)
    mean = 26.0 - 0.6 * (latitudes - 18.0)
    swing = 5.0 + 0.47 * (latitudes - 18.0)
    course = mean[:, None] - swing[:, None] * np.cos(2.0 * np.pi * (of_year - 17) / 365.25)[None, :]
    shocks = generator.standard_normal((len(latitudes), len(date))) * settings.anomaly_c
    anomaly = np.empty_like(shocks)
    anomaly[:, 0] = shocks[:, 0]
    for day in range(1, len(date)):
        fresh = np.sqrt(1.0 - settings.persistence**2) * shocks[:, day]
        anomaly[:, day] = settings.persistence * anomaly[:, day - 1] + fresh
    made: NDArray[np.float64] = course + anomaly
    return made


def _rain(
    settings: AlmanacSettings,
    generator: np.random.Generator,
    date: NDArray[np.datetime64],
    cities: int,
) -> NDArray[np.float64]:
    """Rain of each city and day: more often in summer, and more likely after a wet day."""
    of_year = (date - date.astype("datetime64[Y]")).astype(np.int64)
    chance = settings.rain_chance * (1.5 - 0.5 * np.cos(2.0 * np.pi * (of_year - 17) / 365.25))
    luck, amount = generator.random((cities, len(date))), generator.exponential(settings.rain_mm, (cities, len(date)))
    wet = np.zeros((cities, len(date)), bool)
    for day in range(len(date)):
        before = wet[:, day - 1] if day else np.zeros(cities, bool)
        wet[:, day] = luck[:, day] < chance[day] * np.where(before, 1.8, 0.75)
    return np.where(wet, amount, 0.0)
