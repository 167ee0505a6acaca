"""Networks and phones: lines keep their address for a while, carriers crowd phones, and digits tell nothing."""

from itertools import pairwise

import numpy as np
import pytest

from data.world.almanac import DAY_US, START_US
from data.world.city import City, CitySettings
from data.world.networks import CAMPUS, DEPOT, HOME, MARKET, PUBLIC, SHOP, Networks, NetworkSettings, wifi_number

CITY = City(CitySettings(), 3)
MEMBERS, DAYS = 40_000, 90
NETWORKS = Networks(NetworkSettings(), CITY, MEMBERS, DAYS, 3)
NOON = START_US + 10 * DAY_US + DAY_US // 2


def _homes(count):
    """Numbers of households, with cities in the shares of the people."""
    generator = np.random.default_rng(1)
    return np.arange(count), generator.choice(len(CITY.cities), count, p=CITY.city_share)


def test_a_home_has_one_network_for_good_and_an_address_for_a_while():
    household, city = _homes(5_000)
    now = np.full(5_000, NOON)
    first, later, much_later = (NETWORKS.home(household, city, now + wait) for wait in (0, DAY_US, 80 * DAY_US))
    assert np.array_equal(first[0], later[0])
    assert np.array_equal(first[0], much_later[0])
    assert len(np.unique(first[0])) == 5_000
    assert (first[1] == later[1]).mean() > 0.85
    assert (first[1] == much_later[1]).mean() < 0.35


def test_an_open_network_is_in_reach_everywhere_and_is_none_of_the_others():
    near = NETWORKS.around(np.array([30.0001, 30.0002, 30.5]), np.array([104.0001, 104.0002, 104.0001]))
    assert near[0] == near[1] != near[2]
    cells = np.arange(len(CITY.lat))
    open_ones = NETWORKS.around(CITY.lat, CITY.lon)
    assert not np.isin(open_ones, [wifi_number(kind, cells) for kind in range(6)]).any()
    assert NETWORKS.around(np.array([90.0]), np.array([180.0]))[0] < 2**50


def test_few_homes_share_an_address_and_many_share_a_block():
    household, city = _homes(18_000)
    _, address = NETWORKS.home(household, city, np.full(18_000, NOON))
    _, homes = np.unique(address, return_counts=True)
    assert (homes[homes > 1].sum() / homes.sum()) < 0.35
    _, neighbours = np.unique(address >> 8, return_counts=True)
    assert np.median(neighbours) > 5


def test_a_carrier_hides_many_members_behind_an_address_and_moves_them_on():
    device = np.arange(MEMBERS) * 8
    city = np.random.default_rng(2).choice(len(CITY.cities), MEMBERS, p=CITY.city_share)
    now = np.full(MEMBERS, NOON)
    address = NETWORKS.mobile(device, city, now)
    _, phones = np.unique(address, return_counts=True)
    assert phones.max() > 100
    assert (NETWORKS.mobile(device, city, now + DAY_US) != address).mean() > 0.5
    crowded = NETWORKS.mobile(device, city, now, np.ones(MEMBERS, bool))
    assert len(np.unique(crowded)) < len(np.unique(address))
    assert np.isin(crowded, address).all()


@pytest.mark.parametrize(("kind", "most"), [(CAMPUS, 6), (SHOP, 1), (DEPOT, 1), (MARKET, 1), (PUBLIC, 2)])
def test_a_venue_is_one_network_of_few_addresses(kind, most):
    device = np.arange(2_000)
    wifi, address = NETWORKS.venue(kind, np.full(2_000, 17), device, np.full(2_000, NOON))
    assert len(np.unique(wifi)) == 1
    assert len(np.unique(address)) == most


def test_networks_of_different_kinds_never_share_a_number():
    numbers = np.arange(10_000)
    everything = np.concatenate([wifi_number(kind, numbers) for kind in (HOME, CAMPUS, SHOP, DEPOT, MARKET, PUBLIC)])
    assert len(np.unique(everything)) == len(everything)
    assert everything.max() < 2**50


def test_octets_tell_neither_kind_nor_city():
    household, city = _homes(30_000)
    at = np.full(30_000, NOON)
    generator = np.random.default_rng(4)
    lots = {
        "home": NETWORKS.home(household, city, at)[1],
        "proxy": NETWORKS.proxy(generator, city, at),
        "shop": NETWORKS.venue(SHOP, household, household, at)[1],
        "one city": NETWORKS.home(household, np.zeros(30_000, int), at)[1],
    }
    for shift in (24, 0):
        means = [((address >> np.uint32(shift)) & np.uint32(255)).mean() for address in lots.values()]
        # Blocks are shared, so the effective number of draws is that of blocks: some hundreds in the smallest lot.
        assert np.ptp(means) < (16 if shift else 4)


def test_a_proxy_leaves_through_a_home_that_some_member_may_live_in():
    generator = np.random.default_rng(5)
    at = np.full(60_000, NOON)
    borrowed = NETWORKS.proxy(generator, np.zeros(60_000, int), at)
    household = np.arange(MEMBERS)
    _, homes = NETWORKS.home(household, np.zeros(MEMBERS, int), np.full(MEMBERS, NOON))
    assert np.isin(borrowed, homes).mean() > 0.1


def test_a_phone_keeps_its_model_and_only_ever_moves_on_to_newer_versions():
    device = np.arange(3_000)
    versions = NETWORKS._versions
    agents = [NETWORKS.agent(device, np.full(3_000, START_US + day * DAY_US)) for day in (0, 30, 60, 89)]
    for earlier, later in pairwise(agents):
        assert np.array_equal(earlier // versions, later // versions)
        assert np.all(later >= earlier)
    assert (agents[-1] > agents[0]).mean() > 0.8
    assert (agents[-1] == agents[0]).mean() > 0.04


def test_every_agent_has_a_text_of_its_own_phone():
    texts = NETWORKS.agent_texts()
    agents = NETWORKS.agent(np.arange(50_000), np.full(50_000, START_US + (DAYS - 1) * DAY_US))
    assert agents.max() < len(texts)
    counts = np.sort(np.bincount(agents))[::-1]
    assert counts[0] > 20 * counts[counts > 0].mean()
