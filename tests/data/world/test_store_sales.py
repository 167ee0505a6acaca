from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.world.city import City, CitySettings
from data.world.grid import great_circle_km
from data.world.market import Market
from data.world.sales import SalesSettings, expected_sales, sales_months, season, store_sales
from data.world.stores import OPEN_ENDED, StoreSettings, maturity, presence


@pytest.fixture(scope="module")
def city() -> City:
    settings = CitySettings()
    return City(replace(settings, towns=settings.towns[:3], people=3_000_000.0), 11)


@pytest.fixture(scope="module")
def months(city):
    return sales_months(city.settings.sales, city.start_day, 90)


@given(st.floats(6, 30), st.floats(0, 60), st.floats(0, 60))
def test_a_store_only_grows_up_and_stays_grown(ripening, age, later):
    settings = StoreSettings()
    young, old = maturity(settings.newborn, np.array([ripening]), np.array([[age], [age + later]]))[:, 0]
    assert settings.newborn <= young <= old <= 1
    assert (old == 1) if age + later >= ripening else (old < 1 or age + later > 0.999 * ripening)


def test_before_opening_a_store_is_nothing():
    assert maturity(0.45, np.array([18.0]), np.array([-1.0])) == 0


def test_the_books_close_a_month_late():
    settings = SalesSettings()
    months = sales_months(settings, 20_150, 90)  # 2025-03-03 to 2025-05-31: May is full, April is in the books
    assert len(months) == 36
    assert (str(months[0]), str(months[-1])) == ("2022-05", "2025-04")
    assert str(sales_months(settings, 20_150, 89)[-1]) == "2025-03"  # May lacks its last day
    assert str(sales_months(settings, 20_150, 14)[-1]) == "2025-01"


def test_presents_are_bought_in_the_month_before_new_year():
    settings = SalesSettings()
    factor = season(settings, np.array(["2024-01", "2024-02", "2025-01", "2025-02", "2025-06"], "datetime64[M]"))
    base = np.asarray(settings.season)[[0, 1, 0, 1, 5]]
    np.testing.assert_allclose(factor / base, [1 + 0.3 * 11 / 31, 1 + 0.3 * 9 / 29, 1 + 0.3 * 20 / 31, 1, 1])


def test_a_store_is_present_by_the_days_it_trades(city):
    stores = city.stores[0]
    one = replace(
        stores,
        **{name: getattr(stores, name)[:1] for name in ("lat", "lon", "form", "area_m2", "quality", "ripening_months")},
        opened=np.array([np.datetime64("2020-03-01", "D").astype(int)]),
        closed=np.array([np.datetime64("2024-06-16", "D").astype(int)]),
    )
    months = np.array(["2020-02", "2024-05", "2024-06", "2024-07"], "datetime64[M]")
    np.testing.assert_allclose(presence(city.settings.stores, one, months)[0], [0, 1, 0.5, 0])


def test_sales_are_the_expectation_and_luck_of_the_size_set(city, months):
    expected, taken = expected_sales(city, months), store_sales(city, months)
    traded = expected > 0
    np.testing.assert_array_equal(taken > 0, traded)
    luck = np.log(taken[traded] / expected[traded])
    settings = city.settings.sales
    assert luck.std() == pytest.approx(np.hypot(settings.luck_sd, settings.town_sd), rel=0.12)
    assert abs(luck.mean()) < 0.02
    full = traded.all(axis=1)
    walk = np.log(taken[full] / expected[full])
    kept = np.corrcoef(walk[:, 1:].ravel(), walk[:, :-1].ravel())[0, 1]
    assert kept == pytest.approx(settings.luck_kept, abs=0.12)


def test_a_months_luck_is_the_same_in_worlds_of_any_length(city):
    short = sales_months(city.settings.sales, city.start_day, 30)
    long = sales_months(city.settings.sales, city.start_day, 300)
    both, of_short, of_long = np.intersect1d(short, long, return_indices=True)
    assert both.size > 20
    np.testing.assert_array_equal(store_sales(city, short)[:, of_short], store_sales(city, long)[:, of_long])


def test_young_stores_gain_on_old_ones(city, months):
    opened = np.concatenate([stores.opened for stores in city.stores])
    taken = store_sales(city, months).astype(float)
    last, before = taken[:, -6:].sum(axis=1), taken[:, -18:-12].sum(axis=1)
    age = (city.start_day - opened) / 30.4
    grown = last / np.maximum(before, 1)
    young, old = city.store_open & (age > 18) & (age < 24), city.store_open & (age > 40)
    assert young.sum() >= 2
    assert np.median(grown[young]) > 1.1
    assert 0.85 < np.median(grown[old]) < 1.05


def test_a_store_opened_nearby_later_takes_from_its_neighbours_from_then_on(city):
    """The network with and without one of its stores: the others lose from its first month, the nearest most."""
    months = np.arange("2022-05", "2025-05", dtype="datetime64[M]")
    stores, streets = city.stores[0], city.streets[0]
    days = months.astype("datetime64[D]").astype(np.int64) + 14
    new = int(np.argmax(np.where(stores.closed == OPEN_ENDED, stores.opened, 0)))
    market = Market(city.settings.gravity, streets, stores, days)
    here = presence(city.settings.stores, stores, months)
    without = here.copy()
    without[new] = 0
    lost = market.takings(without) - market.takings(here)
    others = np.arange(stores.lat.size) != new
    opened = here[new] > 0
    assert not opened.all()
    assert np.abs(lost[others][:, ~opened]).max() == 0
    assert (lost[others] >= -1e-6).all()
    trading = others & (stores.closed == OPEN_ENDED) & (here[:, -1] == 1)
    share = lost[trading, -1] / market.takings(without)[trading, -1]
    apart = great_circle_km(stores.lat[trading], stores.lon[trading], stores.lat[new], stores.lon[new])
    assert share[np.argmin(apart)] > 3 * np.median(share)
    by_month = lost[trading].sum(axis=0)[opened]
    assert (np.diff(by_month) > 0).all()  # it grows up, and takes more and more


def test_rivals_and_complements_count_from_their_own_day_on(city):
    stores, streets = city.stores[0], city.streets[0]
    days = np.array([city.start_day - 3650, city.start_day])
    market = Market(city.settings.gravity, streets, stores, days)
    assert (market.residents.against[:, 0] < market.residents.against[:, 1]).mean() > 0.99
    assert (market.lift[:, 0] <= market.lift[:, 1]).all()
    early = streets.places.opened.min() - 1
    empty = Market(city.settings.gravity, streets, stores, np.array([early]))
    np.testing.assert_allclose(empty.residents.against, city.settings.gravity.residents.elsewhere)
    np.testing.assert_array_equal(empty.lift, 1.0)


def test_closings_are_mostly_poor_stores():
    """Over a chain of many stores those that closed took less for their floor than those that did not."""
    settings = CitySettings()
    big = replace(settings, towns=settings.towns[:2], people=4_000_000.0, stores=replace(settings.stores, stores=300))
    city = City(big, 5)
    gaps = []
    for streets, stores in zip(city.streets, city.stores, strict=True):
        market = Market(big.gravity, streets, stores, np.array([city.start_day]))
        score = np.log(market.takings(np.ones((stores.lat.size, 1)))[:, 0] / stores.area_m2)
        shut = stores.closed != OPEN_ENDED
        gaps.append(score[shut].mean() - score[~shut].mean())
    assert np.mean(gaps) < -0.2
