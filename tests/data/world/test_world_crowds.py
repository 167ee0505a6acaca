"""Every honest crowd is there, in its size, and looks as guilty as it should."""

import numpy as np
import pytest

from data.world.almanac import DAY_US, START_US, AlmanacSettings, draw_almanac
from data.world.campaigns import HOUR, LIVE_STREAM, MINUTE, Campaigns, CampaignSettings
from data.world.campaigns import LAUNCH as LAUNCH_CAMPAIGN
from data.world.city import City, CitySettings
from data.world.codes import CodeBook, CodeSettings
from data.world.crowds import member_crowds
from data.world.grid import great_circle_km
from data.world.honest import HonestSettings, honest_scans
from data.world.intents import Scene
from data.world.networks import CAMPUS, DEPOT, MARKET, Networks, NetworkSettings
from data.world.occasions import OccasionSettings, draw_elsewhere
from data.world.people import PeopleSettings, draw_people
from data.world.products import ProductSettings, draw_products
from data.world.records import CROWDS
from data.world.streams import stream

SEED, DAYS, MEMBERS = 5, 60, 16_384
CITY = City(CitySettings(), SEED)
RANGE = draw_products(ProductSettings(), SEED)


@pytest.fixture(scope="module")
def scene():
    campaigns = Campaigns(CampaignSettings(), CITY, RANGE, MEMBERS, DAYS, SEED)
    codes = CodeBook(CodeSettings(), CITY, RANGE, campaigns, MEMBERS, DAYS, SEED)
    networks = Networks(NetworkSettings(), CITY, MEMBERS, DAYS, SEED)
    return Scene(CITY, codes, campaigns, networks, MEMBERS, DAYS, SEED)


@pytest.fixture(scope="module")
def people():
    return draw_people(PeopleSettings(), CITY, DAYS, SEED, "honest", 0, range(MEMBERS))


@pytest.fixture(scope="module")
def scans(scene, people):
    almanac = draw_almanac(AlmanacSettings(), DAYS, CITY.city_lat, SEED)
    occasions = draw_elsewhere(OccasionSettings(), almanac, RANGE, people, stream(SEED, "test occasions"))
    made = honest_scans(HonestSettings(), scene, 0, people, occasions)
    return made[np.argsort(made["at"], kind="stable")]


def _of(scans, crowd):
    return scans[scans["crowd"] == CROWDS.index(crowd)]


def _distinct(keys, values):
    """How many different values each key met."""
    pairs = np.unique(np.stack([keys, values]), axis=1)
    return np.unique(pairs[0], return_counts=True)[1]


def _gaps(scans, of="member"):
    ordered = scans[np.lexsort((scans["at"], scans[of]))]
    same = ordered[of][1:] == ordered[of][:-1]
    return np.diff(ordered["at"])[same] / 1e6, np.diff(ordered["serial"])[same]


@pytest.mark.parametrize("crowd", CROWDS[1:])
def test_each_crowd_makes_three_thousandths_to_a_twentieth_of_the_scans(scans, crowd):
    assert 0.003 <= len(_of(scans, crowd)) / len(scans) <= 0.05


def test_most_scans_are_of_nobody_in_particular(scans):
    assert (scans["crowd"] == 0).mean() > 0.7


def test_small_carriers_put_hundreds_of_members_behind_an_address_and_on_no_wifi(scans):
    crowd = _of(scans, "carrier_nat")
    assert _distinct(crowd["mobile_address"], crowd["member"]).max() > 50
    assert (crowd["wifi_address"] == crowd["mobile_address"]).mean() > 0.6


def test_a_campus_scans_over_few_addresses_and_in_the_breaks(scans):
    crowd = _of(scans, "campus_wifi")
    assert np.all(crowd["wifi"] >> 44 == CAMPUS)
    assert _distinct(crowd["wifi"], crowd["member"]).max() > 50
    assert _distinct(crowd["wifi_address"], crowd["member"]).max() > 20
    # Half of its scans fall into the few minutes after six bells, a fortieth of a day each.
    minute = (crowd["at"] - START_US) % DAY_US // MINUTE
    busiest = np.sort(np.bincount(minute // 15, minlength=96))[::-1]
    assert busiest[:6].sum() > 0.3 * len(crowd)


def test_a_family_scans_on_one_phone_for_several_members_within_a_minute(scans):
    crowd = _of(scans, "family_phone")
    assert (_distinct(crowd["device"], crowd["member"]) > 1).mean() > 0.6
    gaps, _ = _gaps(crowd, "device")
    assert (gaps < 60).mean() > 0.1


def test_live_streams_and_launches_gather_hundreds_within_minutes(scans, scene):
    for crowd, kind, minutes in (("live_stream", LIVE_STREAM, 10), ("launch", LAUNCH_CAMPAIGN, 60)):
        mine = _of(scans, crowd)
        first = scene.campaigns.rows["starts_at"][scene.campaigns.of_kind(kind)[0]]
        during = (mine["at"] >= first) & (mine["at"] < first + minutes * MINUTE)
        assert len(np.unique(mine["member"][during])) > 100
        assert mine["linked"].all() == (crowd == "live_stream")


def test_a_stall_scans_for_a_dozen_customers_on_one_phone_and_one_network(scans):
    crowd = _of(scans, "market_stall")
    assert np.median(_distinct(crowd["device"], crowd["member"])) > 10
    assert np.all(_distinct(crowd["device"], crowd["wifi"]) == 1)
    assert np.all(crowd["wifi"] >> 44 == MARKET)
    hour = (crowd["at"] - START_US) % DAY_US / HOUR
    # Customers who try a code again at home, days later, are the few at other hours.
    assert ((hour > 6) & (hour < 13)).mean() > 0.97


def test_depot_staff_scan_serial_runs_within_minutes_and_at_night(scans):
    crowd = _of(scans, "warehouse_staff")
    gaps, steps = _gaps(crowd)
    assert (steps == 1).mean() > 0.7
    assert np.median(gaps) < 15
    hour = (crowd["at"] - START_US) % DAY_US // HOUR
    assert (np.isin(hour, (22, 23, 0, 1, 2, 3, 4, 5))).mean() > 0.2
    assert np.all(crowd["wifi"] >> 44 == DEPOT)


def test_heavy_fans_scan_dozens_a_week_at_near_serials(scans):
    crowd = _of(scans, "heavy_fan")
    weekly = np.unique(crowd["member"], return_counts=True)[1] / (DAYS / 7)
    assert 24 < np.median(weekly) < 70
    gaps, steps = _gaps(crowd)
    sitting = gaps < 60
    assert (np.abs(steps[sitting]) < 96).mean() > 0.2


def test_changed_phones_tie_members_together_through_used_ones(scans, people):
    crowd = _of(scans, "changed_phone")
    member = crowd["member"] - people.first_member
    own = crowd["device"] // 8 == crowd["member"]
    assert own.mean() > 0.5
    assert (~own).mean() > 0.05
    changed = people.changed_us[member[own]]
    assert np.all(crowd["at"][own] >= changed)
    # A code may be tried again some days after its first scan.
    assert np.all(crowd["at"][own] < changed + 17 * DAY_US)
    # A used phone is in two hands, one after the other.
    used = np.unique(crowd["device"][~own])
    both = scans[np.isin(scans["device"], used)]
    assert _distinct(both["device"], both["member"]).max() >= 2


def test_travellers_are_hundreds_of_kilometres_apart_within_hours_but_never_faster_than_a_plane(scans):
    crowd = _of(scans, "traveller")
    ordered = crowd[np.lexsort((crowd["at"], crowd["member"]))]
    same = ordered["member"][1:] == ordered["member"][:-1]
    hours = np.diff(ordered["at"])[same] / HOUR
    place = ordered["lat"], ordered["lon"]
    apart = great_circle_km(*(axis[:-1][same] for axis in place), *(axis[1:][same] for axis in place))
    quick = (hours < 8) & (apart > 200)
    assert quick.sum() > 100
    assert np.quantile(apart[quick] / hours[quick], 0.9) < 900


def test_each_member_is_of_one_crowd_for_good(people):
    crowds = member_crowds(HonestSettings().crowds, people, SEED)
    assert np.array_equal(crowds, member_crowds(HonestSettings().crowds, people, SEED))
    moments = [CROWDS.index(name) for name in ("live_stream", "launch", "changed_phone")]
    assert not np.isin(crowds, moments).any()
    sharing = crowds == CROWDS.index("family_phone")
    assert np.all(people.household_size[sharing] > 1)
