from dataclasses import replace

import numpy as np
import pytest

from data.world.city import City, CitySettings
from data.world.grid import great_circle_km
from data.world.oracle import Oracle, SiteAnswers
from data.world.sales import expected_sales, sales_months, season, store_sales


@pytest.fixture(scope="module")
def city() -> City:
    settings = CitySettings()
    return City(replace(settings, towns=settings.towns[:4], people=3_000_000.0), 13)


@pytest.fixture(scope="module")
def oracle(city) -> Oracle:
    return Oracle(city)


@pytest.fixture(scope="module")
def answers(oracle) -> SiteAnswers:
    return oracle.sites()


def test_a_sites_taking_adds_up_over_its_neighbours(city, oracle, answers):
    sites, stores, taken = oracle.cannibalisation()
    np.testing.assert_allclose(np.bincount(sites, weights=taken), answers.taken)
    assert (taken >= 0).all()
    np.testing.assert_array_equal(city.site_city[sites], city.store_city[stores])
    assert city.store_open[stores].all()
    assert len(taken) == sum(
        int(((city.store_city == number) & city.store_open).sum()) * int((city.site_city == number).sum())
        for number in range(len(city.cities))
    )


def test_a_site_takes_less_than_it_sells_and_most_from_near(city, oracle, answers):
    rate = answers.taken / answers.revenue
    assert (rate > 0).all()
    assert (rate < 0.6).all()
    sites, stores, taken = oracle.cannibalisation()
    apart = great_circle_km(city.site_lat[sites], city.site_lon[sites], city.store_lat[stores], city.store_lon[stores])
    assert np.corrcoef(np.log(apart), np.log(taken))[0, 1] < -0.6


def test_a_plan_is_worth_its_sites_less_what_they_take_from_each_other(city, oracle, answers):
    today = oracle.network()
    for site in (0, 5, city.site_lat.size - 1):
        assert oracle.network([site]) - today == pytest.approx(answers.revenue[site] - answers.taken[site], rel=1e-9)
    one, other, lost = oracle.rivalry()
    assert (lost >= -1).all()
    pair = int(np.argmax(lost))
    gain = answers.revenue - answers.taken
    both = oracle.network([one[pair], other[pair]]) - today
    assert both == pytest.approx(gain[one[pair]] + gain[other[pair]] - lost[pair], rel=1e-9)
    apart = int(np.argmax(city.site_city))
    far = oracle.network([0, apart]) - today
    assert far == pytest.approx(gain[0] + gain[apart], rel=1e-9)  # two cities: nothing in common


def test_closing_a_store_costs_less_than_it_sells(city, oracle):
    revenue, lost = oracle.stores()
    trading = city.store_open
    assert np.isnan(lost[~trading]).all()
    assert (lost[trading] > 0).all()
    assert (lost[trading] < revenue[trading]).all()
    store = int(np.flatnonzero(trading)[3])
    assert oracle.network() - oracle.network(closed=[store]) == pytest.approx(lost[store], rel=1e-9)


def test_the_network_is_the_sum_of_its_stores(city, oracle):
    revenue, _ = oracle.stores()
    assert oracle.network() == pytest.approx(revenue[city.store_open].sum(), rel=1e-9)


def test_what_could_be_known_is_right_on_average_and_misses_what_is_hidden(answers):
    error = np.log(answers.revenue / answers.revealed)
    assert abs(error.mean()) < 3 * error.std() / np.sqrt(error.size)
    assert 0.05 < error.std() < 0.3
    explained = np.corrcoef(error, np.log(answers.taste) + answers.quality)[0, 1]
    assert explained > 0.95


def test_averaging_quality_out_is_the_mean_over_many_qualities(city, oracle, answers):
    """The quadrature against plain chance: the same site with quality drawn ten thousand times."""
    number, site = 1, 0
    own = city.stores[number].lat.size
    place = int(np.flatnonzero(city.site_city == number)[0])
    shops = city.sites[number].shops
    drawn = city.settings.stores.quality_sd * np.random.default_rng(0).standard_normal(10_000)
    cases = np.repeat(oracle._one_site_each(number)[:, 1:2], drawn.size, 1)
    cases[own + site] = np.exp(drawn - shops.quality[site])
    mean = oracle._yearly(number, cases)[own + site].mean()
    assert mean / answers.taste[place] == pytest.approx(answers.revealed[place], rel=0.01)


def test_the_truth_is_what_the_books_of_mature_stores_show(city, oracle):
    """A year of sales of stores grown up beside grown-up neighbours is the truth, but for luck and younger stores."""
    months = sales_months(city.settings.sales, city.start_day, 90)[-12:]
    revenue, _ = oracle.stores()
    opened = np.concatenate([stores.opened for stores in city.stores])
    mature = city.store_open & (city.start_day - opened > 40 * 30.4)
    ratio = store_sales(city, months).sum(axis=1)[mature] / revenue[mature]
    assert np.corrcoef(np.log(revenue[mature]), np.log(ratio * revenue[mature]))[0, 1] > 0.99
    assert 0.95 < np.median(ratio) < 1.1
    assert np.abs(np.log(ratio)).max() < 0.25


def test_without_young_stores_truth_and_expectation_are_one(city):
    """With all stores mature when the world starts, the oracle's year is that month's expectation, season aside."""
    grown = City(city.settings, city.seed)
    grown.stores = tuple(
        replace(stores, opened=np.minimum(stores.opened, grown.start_day - 1500)) for stores in grown.stores
    )
    month = np.array([grown.start_month])
    expected = expected_sales(grown, month)[:, 0] / season(grown.settings.sales, month)
    revenue, _ = Oracle(grown).stores()
    year = season(grown.settings.sales, grown.start_month - np.arange(12, 0, -1)).sum()
    np.testing.assert_allclose(expected[grown.store_open], revenue[grown.store_open] / year, rtol=1e-9)
