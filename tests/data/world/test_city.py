import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from data.world.city import City, CitySettings, apportioned
from data.world.grid import great_circle_km
from data.world.stores import OPEN_ENDED


@pytest.fixture(scope="module")
def city() -> City:
    return City(CitySettings(), 7)


def test_the_same_seed_builds_the_same_city_and_another_seed_another():
    settings = replace(CitySettings(), towns=CitySettings().towns[:2], people=1_000_000.0)
    first, again, other = City(settings, 3), City(settings, 3), City(settings, 4)
    for name in ("population", "footfall", "taste", "store_lat", "place_lon", "site_lat"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.population, other.population)
    np.testing.assert_array_equal(first.stores[1].closed, again.stores[1].closed)


def test_sizes_fall_by_rank_and_add_up(city):
    assert city.city_share.sum() == pytest.approx(1)
    assert (np.diff(city.city_share) < 0).all()
    assert city.population.sum() == pytest.approx(city.settings.people)
    by_city = np.bincount(city.city, weights=city.population) / city.settings.people
    np.testing.assert_allclose(by_city, city.city_share)
    assert len(city.regions) == len(set(city.regions)) == 48
    assert set(city.district) == set(range(48))
    np.testing.assert_array_equal(city.region_city[city.district], city.city)


def test_density_is_that_of_a_city_and_falls_from_the_centre(city):
    density = city.population / city.settings.land.cell_km2
    assert 800 < np.median(density) < 8000
    assert 8000 < np.percentile(density, 99) < 60_000
    for number in range(len(city.cities)):
        here = city.city == number
        apart = great_circle_km(city.lat[here], city.lon[here], city.city_lat[number], city.city_lon[number])
        inner = apart < np.median(apart) / 2
        assert density[here][inner].mean() > 1.5 * density[here][~inner].mean()


def test_homes_fall_where_people_live_and_like_the_brand(city):
    homes = city.draw_homes(np.random.default_rng(0), 200_000)
    fond = city.population * city.taste
    expected = 200_000 * fond / fond.sum()
    counts = np.bincount(homes, minlength=city.population.size)
    deviation = (counts - expected) / np.sqrt(expected)
    assert 0.9 < deviation.std() < 1.1
    assert np.abs(deviation).max() < 6


def test_a_place_in_a_cell_is_found_in_that_cell_again(city):
    generator = np.random.default_rng(1)
    cells = city.draw_homes(generator, 20_000)
    lat, lon = city.jitter(generator, cells)
    np.testing.assert_array_equal(city.nearest_cell(lat, lon), cells)
    np.testing.assert_array_equal(city.district_of(lat, lon), city.district[cells])
    np.testing.assert_array_equal(city.nearest_city(lat, lon), city.city[cells])
    assert len(np.unique(lat)) > 19_900


def test_a_place_in_the_sea_belongs_to_the_nearest_city(city):
    cell = city.nearest_cell(np.array([24.0]), np.array([119.5]))
    assert city.cities[city.city[cell[0]]] == "Xiamen"


def test_people_shop_at_trading_stores_of_their_city_most_often_nearby(city):
    cells = city.draw_homes(np.random.default_rng(2), 5000)
    stores, chances = city.store_weights(cells)
    assert stores.shape == chances.shape == (5000, 8)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert (np.diff(chances, axis=1) <= 0).all()
    used = chances > 0
    assert city.store_open[stores[used]].all()
    np.testing.assert_array_equal(
        city.store_city[stores][used], np.broadcast_to(city.city[cells, None], used.shape)[used]
    )
    apart = great_circle_km(
        city.lat[cells, None], city.lon[cells, None], city.store_lat[stores], city.store_lon[stores]
    )
    assert np.median(apart[:, 0]) < np.median(apart[:, 7])


def test_a_city_of_few_stores_fills_up_with_chances_of_zero():
    settings = CitySettings()
    few = replace(settings, towns=settings.towns[:2], people=800_000.0, stores=replace(settings.stores, stores=9))
    city = City(few, 1)
    _, chances = city.store_weights(np.arange(city.lat.size))
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert (chances == 0).any()


def test_stores_are_as_many_and_as_old_as_the_settings_say(city):
    settings = city.settings.stores
    opened = np.concatenate([stores.opened for stores in city.stores])
    closed = np.concatenate([stores.closed for stores in city.stores])
    assert opened.size == settings.stores
    assert opened.min() >= round((settings.first_year - 1970) * 365.25)
    assert opened.max() < city.start_day
    shut = closed != OPEN_ENDED
    assert shut.mean() == pytest.approx(settings.closed_share, abs=0.02)
    assert (closed[shut] < city.start_day).all()
    assert (closed[shut] - opened[shut] > 200).all()
    np.testing.assert_array_equal(city.store_open, ~shut)
    young = (city.start_day - opened[~shut] < 18 * 30).mean()
    assert 0.08 < young < 0.3
    apart = great_circle_km(city.store_lat[:, None], city.store_lon[:, None], city.store_lat, city.store_lon)
    np.fill_diagonal(apart, np.inf)
    assert (apart.min(axis=1) >= settings.spread.spacing_km).mean() > 0.98


def test_stores_and_sites_lie_in_the_cities(city):
    for lat, lon, cell in (
        (city.store_lat, city.store_lon, city.store_cell),
        (city.site_lat, city.site_lon, city.nearest_cell(city.site_lat, city.site_lon)),
    ):
        apart = great_circle_km(lat, lon, city.lat[cell], city.lon[cell])
        assert (apart < 1.5).mean() > 0.95


def test_places_are_older_than_the_world_and_rivals_have_brands(city):
    for streets in city.streets:
        places = streets.places
        assert places.opened.max() < city.start_day
        branded = np.array([sort.brands > 0 for sort in streets.sorts.sorts])[places.sort]
        assert ((places.brand >= 0) == branded).all()
        rival = np.array([sort.strength > 0 for sort in streets.sorts.sorts])[places.sort]
        assert ((places.pull > 0) == rival).all()
    names = [sort.name for sort in city.settings.places.sorts]
    assert set(city.place_sort) == set(range(len(names)))


def test_restaurants_crowd_where_people_pass(city):
    names = [sort.name for sort in city.settings.places.sorts]
    around = city.place_cell[city.place_sort == names.index("restaurant")]
    assert city.footfall[around].mean() > 2 * city.footfall.mean()


def test_the_settings_are_numbers_and_texts_alone():
    told = json.dumps(asdict(CitySettings()), sort_keys=True, allow_nan=False)
    assert json.loads(told)["gravity"]["residents"]["decay"] > 1


@pytest.mark.parametrize("total", [0, 1, 7, 80, 260])
def test_apportioned_adds_up(total):
    share = np.array([0.4, 0.35, 0.15, 0.1])
    parts = apportioned(total, share)
    assert sum(parts) == total
    assert np.abs(np.array(parts) - total * share).max() < 1
