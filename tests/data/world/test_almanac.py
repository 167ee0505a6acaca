"""Days as a Chinese shop knows them."""

from __future__ import annotations

import numpy as np
import pytest

from data.contracts import TABLES
from data.world.almanac import DAY_US, MAXIMUM_DAYS, START_US, AlmanacSettings, draw_almanac
from data.world.products import CATEGORIES

NORTH, SOUTH = 0, 1


@pytest.fixture(scope="module")
def almanac():
    return draw_almanac(AlmanacSettings(), MAXIMUM_DAYS, np.array([41.8, 24.5]), 7)


def _day(almanac, date):
    return int(np.flatnonzero(almanac.date == np.datetime64(date))[0])


def test_the_world_starts_on_a_monday_at_midnight_in_shanghai(almanac):
    assert np.datetime64(START_US, "us") + np.timedelta64(8, "h") == np.datetime64("2025-03-03T00:00")
    assert not almanac.day_off[:5].any()
    assert almanac.day_off[5:7].all()
    assert almanac.start_us[-1] == almanac.end_us == START_US + MAXIMUM_DAYS * DAY_US


@pytest.mark.parametrize(
    ("date", "off"),
    [
        ("2025-04-27", False),  # a Sunday made up for May Day
        ("2025-05-05", True),
        ("2025-10-08", True),
        ("2025-10-11", False),
        ("2026-01-04", False),
        ("2026-02-17", True),
        ("2026-02-28", False),
        ("2026-06-19", True),
        ("2026-03-09", False),
    ],
)
def test_holidays_and_make_up_days_are_those_of_the_state_council(almanac, date, off):
    assert almanac.day_off[_day(almanac, date)] == off


def test_people_shop_more_on_days_off_and_before_618_and_less_in_the_rain(almanac):
    dry = almanac.visits / np.exp(AlmanacSettings().rain * np.minimum(almanac.rain_mm, 40) / 10)
    wet = almanac.rain_mm > 20

    assert dry[0, almanac.day_off].mean() > 1.1 * dry[0, ~almanac.day_off].mean()
    assert dry[0, _day(almanac, "2025-06-18")] > dry[0, _day(almanac, "2025-06-25")]
    assert dry[0, _day(almanac, "2025-04-10")] > dry[0, _day(almanac, "2025-04-09")]
    assert (almanac.visits[wet] < dry[wet]).all()


def test_winters_are_cold_in_the_north_and_summers_alike(almanac):
    winter = (almanac.date >= np.datetime64("2026-01-01")) & (almanac.date < np.datetime64("2026-02-01"))
    summer = (almanac.date >= np.datetime64("2025-07-01")) & (almanac.date < np.datetime64("2025-08-01"))
    cold, warm = (almanac.temperature_c[:, month].mean(axis=1) for month in (winter, summer))

    assert cold[NORTH] < cold[SOUTH] - 10
    assert abs(warm[NORTH] - warm[SOUTH]) < 8
    assert 20 < warm[NORTH] < 32
    assert -18 < cold[NORTH] < 2


def test_weather_persists_from_day_to_day(almanac):
    course = np.array([np.convolve(row, np.ones(31) / 31, "same") for row in almanac.temperature_c])
    anomaly = (almanac.temperature_c - course)[:, 20:-20]

    assert np.corrcoef(anomaly[:, 1:].ravel(), anomaly[:, :-1].ravel())[0, 1] > 0.4


def test_heat_sells_water_and_cold_sells_noodles(almanac):
    hot = almanac.temperature_c > 28
    water, noodles = CATEGORIES.index("water"), CATEGORIES.index("instant_noodles")

    assert almanac.category[hot][:, water].mean() > 1.1
    assert almanac.category[hot][:, noodles].mean() < 1.0


def test_the_weather_table_has_a_row_a_city_and_day_with_the_columns_of_its_contract(almanac):
    table = almanac.weather(["Shenyang", "Xiamen"])

    assert table.column_names == [column.name for column in TABLES["weather"].columns]
    assert table.num_rows == 2 * MAXIMUM_DAYS
    assert table["city"][MAXIMUM_DAYS].as_py() == "Xiamen"
    assert table["day"][MAXIMUM_DAYS].as_py().isoformat() == "2025-03-03"


def test_the_same_seed_gives_the_same_weather_and_another_seed_another():
    once, again, other = (
        draw_almanac(AlmanacSettings(), 30, np.array([30.0]), seed).temperature_c for seed in (1, 1, 2)
    )

    assert (once == again).all()
    assert (once != other).any()
