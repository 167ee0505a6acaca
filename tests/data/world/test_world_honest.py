"""Honest scans: of what was bought, by registered members, inside the world, and each block by itself."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.world.almanac import DAY_US, START_US, AlmanacSettings, draw_almanac
from data.world.campaigns import FLASH_SALE, Campaigns, CampaignSettings
from data.world.city import City, CitySettings
from data.world.codes import CodeBook, CodeSettings
from data.world.grid import great_circle_km
from data.world.honest import HonestSettings, honest_scans
from data.world.intents import Scene
from data.world.networks import Networks, NetworkSettings
from data.world.occasions import OccasionSettings, draw_elsewhere
from data.world.people import BLOCK, PeopleSettings, draw_people
from data.world.products import ProductSettings, draw_products
from data.world.records import SCAN
from data.world.streams import stream

SEED, DAYS = 6, 28
CITY = City(CitySettings(), SEED)
RANGE = draw_products(ProductSettings(), SEED)
ALMANAC = draw_almanac(AlmanacSettings(), DAYS, CITY.city_lat, SEED)


def _scene(members, seed=SEED, days=DAYS):
    campaigns = Campaigns(CampaignSettings(), CITY, RANGE, members, days, seed)
    codes = CodeBook(CodeSettings(), CITY, RANGE, campaigns, members, days, seed)
    return Scene(CITY, codes, campaigns, Networks(NetworkSettings(), CITY, members, days, seed), members, days, seed)


def _lived(scene, block, members, chosen=None):
    people = draw_people(PeopleSettings(), CITY, scene.days, scene.seed, "honest", block, members)
    units = stream(scene.seed, "test units", block)
    occasions = draw_elsewhere(OccasionSettings(), ALMANAC, RANGE, people, units)
    return people, honest_scans(chosen or HonestSettings(), scene, block, people, occasions)


@pytest.fixture(scope="module")
def world():
    members = BLOCK + 4_000
    scene = _scene(members)
    return scene, [_lived(scene, 0, range(BLOCK)), _lived(scene, 1, range(BLOCK, members))]


def test_scans_are_inside_the_world_and_after_their_members_registered(world):
    _, lots = world
    for people, scans in lots:
        registered = people.members["registered_at"][scans["member"] - people.first_member]
        assert np.all(scans["at"] >= registered)
        assert np.all((scans["at"] >= START_US) & (scans["at"] < START_US + DAYS * DAY_US))


def test_numbers_are_unique_and_tell_the_block_and_nobody_is_of_a_ring(world):
    _, lots = world
    numbers = np.concatenate([scans["number"] for _, scans in lots])
    assert len(np.unique(numbers)) == len(numbers)
    for block, (_, scans) in enumerate(lots):
        assert scans.dtype == SCAN
        assert np.all(scans["number"] >> 28 == block)
        assert np.all((scans["family"] == 0) & (scans["ring"] == -1))


def test_members_scan_about_a_fifth_of_a_unit_a_day_with_a_heavy_tail(world):
    scene, lots = world
    scans = np.concatenate([scans for _, scans in lots])
    each = np.bincount(scans["member"], minlength=scene.members) / DAYS
    # What is bought in the retailer's own channels comes on top.
    assert 0.14 < each.mean() < 0.27
    assert np.quantile(each, 0.999) > 10 * each.mean()
    assert np.median(each) < 0.6 * each.mean()


def test_a_code_meets_two_members_only_where_kin_try_it(world):
    _, lots = world
    people = np.concatenate([people.household for people, _ in lots])
    scans = np.concatenate([scans for _, scans in lots])
    keys = scans["batch"].astype(np.int64) * (1 << 32) + scans["serial"]
    order = np.argsort(keys, kind="stable")
    twice = np.flatnonzero(np.diff(keys[order]) == 0)
    household = people[scans["member"][order]]
    assert 0.015 < len(twice) / len(scans) < 0.05
    assert np.array_equal(household[twice], household[twice + 1])


def test_only_early_requests_of_flash_sales_meet_inactive_codes(world):
    scene, lots = world
    scans = np.concatenate([scans for _, scans in lots])
    early = scans["at"] < scene.codes.batches["activated_at"][scans["batch"]]
    kinds = scene.campaigns.rows["kind"][scans["campaign"]]
    assert np.all(kinds[early] == FLASH_SALE)
    assert early.any()


def test_flash_requests_are_seconds_apart_with_a_ticket_each(world):
    scene, lots = world
    scans = np.concatenate([scans for _, scans in lots])
    sales = scene.campaigns.of_kind(FLASH_SALE)
    asked = scans[np.isin(scans["campaign"], sales)]
    assert len(np.unique(asked["serial"])) == len(asked)
    starts = scene.campaigns.rows["starts_at"][asked["campaign"]]
    assert np.median(np.abs(asked["at"] - starts)) / 1e6 < 60
    assert asked["linked"].all()


def test_every_scan_has_a_campaign_that_runs_unless_it_came_too_early(world):
    scene, lots = world
    scans = np.concatenate([scans for _, scans in lots])
    rows = scene.campaigns.rows[scans["campaign"]]
    outside = (scans["at"] < rows["starts_at"]) | (scans["at"] >= rows["ends_at"])
    assert np.all(rows["kind"][outside] == FLASH_SALE)


def test_most_scans_are_near_home_and_on_the_own_phone(world):
    _, lots = world
    for people, scans in lots:
        place = scans["member"] - people.first_member
        away = great_circle_km(people.lat[place], people.lon[place], scans["lat"], scans["lon"])
        assert (away < 0.05).mean() > 0.4
        assert (away < 60).mean() > 0.97
        assert (scans["device"] // 8 == scans["member"]).mean() > 0.9


def test_those_who_join_by_scanning_scan_within_minutes(world):
    _, lots = world
    waits = []
    for people, scans in lots:
        registered = people.members["registered_at"]
        new = np.flatnonzero((registered >= START_US) & (people.members["channel"] == 0))
        theirs = scans[np.isin(scans["member"] - people.first_member, new)]
        theirs = theirs[np.lexsort((theirs["at"], theirs["member"]))]
        member, first = np.unique(theirs["member"], return_index=True)
        waits.append((theirs["at"][first] - registered[member - people.first_member]) / 1e6)
    waited = np.concatenate(waits)
    assert (waited < 600).mean() > 0.5


def test_every_scan_has_a_network_in_reach_so_that_its_absence_tells_nothing(world):
    _, lots = world
    for _, scans in lots:
        assert np.all(scans["wifi"] >= 0)
        assert np.all(scans["wifi_address"] > 0)
        assert np.all(scans["mobile_address"] > 0)
        assert (scans["wifi_address"] == scans["mobile_address"]).mean() < 0.5


def test_a_block_lives_the_same_life_whenever_it_is_made(world):
    scene, lots = world
    _, again = _lived(scene, 1, range(BLOCK, BLOCK + 4_000))
    assert again.tobytes() == lots[1][1].tobytes()


def test_settings_move_what_they_name(world):
    scene, lots = world
    chosen = replace(HonestSettings(), linked=0.4, again=0.0, tried_by_kin=0.0)
    _, scans = _lived(scene, 1, range(BLOCK, BLOCK + 4_000), chosen)
    keys = scans["batch"].astype(np.int64) * (1 << 32) + scans["serial"]
    assert len(np.unique(keys)) == len(keys)
    assert scans["linked"].mean() > 0.3 > lots[1][1]["linked"].mean()


@given(members=st.integers(1, 60), seed=st.integers(0, 2**16))
@settings(max_examples=12, deadline=None)
def test_worlds_of_a_handful_of_members_hold_together(members, seed):
    scene = _scene(members, seed, 14)
    people, scans = _lived(scene, 0, range(members))
    assert np.all(np.isin(scans["member"], people.members["member"]))
    assert np.all(scans["batch"] >= 0)
    assert np.all(scans["serial"] < scene.codes.batches["codes"][scans["batch"]])
    assert np.all(scans["agent"] < len(scene.networks.agent_texts()))
