"""What reaches the brand hangs on nothing that tells who scans."""

from __future__ import annotations

import numpy as np
import pytest

from data.world.masks import MaskSettings, arrivals, masked
from data.world.records import SCAN

COUNT = 40_000
SETTINGS = MaskSettings()


@pytest.fixture
def scans():
    generator = np.random.default_rng(3)
    made = np.zeros(COUNT, SCAN)
    made["at"] = 1_741_000_000_000_000 + np.arange(COUNT) * 1_000_000
    made["device"] = generator.integers(0, 9_000, COUNT)
    made["wifi"] = np.where(generator.random(COUNT) < 0.3, -1, 77)
    made["wifi_address"] = 0x0A000001
    made["mobile_address"] = 0xFFFFFFFF
    made["lat"], made["lon"] = 30.6, 104.1
    made["agent"] = 12
    made["batch"] = 4
    return made


def _masked(scans):
    return masked(SETTINGS, np.random.default_rng(5), scans)


def test_who_scans_changes_nothing(scans):
    other = scans.copy()
    for name in ("member", "family", "ring", "crowd", "linked", "campaign", "number", "serial"):
        other[name] = 1

    one, two = _masked(scans), _masked(other)

    for name in vars(one):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_shares_are_those_of_the_settings(scans):
    seen = _masked(scans)
    within = 4 * np.sqrt(0.25 / COUNT)
    reached = scans["wifi"] >= 0

    assert np.mean(seen.device < 0) == pytest.approx(SETTINGS.device_withheld, abs=within)
    assert np.mean(seen.address < 0) == pytest.approx(SETTINGS.address_withheld, abs=within)
    assert np.mean(np.isnan(seen.lat)) == pytest.approx(SETTINGS.place_withheld, abs=within)
    assert np.mean(seen.misread) == pytest.approx(SETTINGS.misread, abs=within)
    assert np.mean(seen.wifi[reached] >= 0) == pytest.approx(SETTINGS.over_wifi * SETTINGS.wifi_named, abs=within)
    assert not (seen.wifi[~reached] >= 0).any()
    assert set(np.unique(seen.address[~reached])) <= {-1, 0xFFFFFFFF}
    assert (np.isnan(seen.lat) == np.isnan(seen.lon)).all()


def test_a_named_network_is_the_one_whose_address_is_seen(scans):
    seen = _masked(scans)

    assert set(np.unique(seen.address[seen.wifi >= 0])) <= {-1, 0x0A000001}


def test_positions_err_by_metres_and_are_told_to_six_decimals(scans):
    seen = _masked(scans)
    known = ~np.isnan(seen.lat)
    north = (seen.lat[known] - 30.6) * 111_320
    east = (seen.lon[known] - 104.1) * 111_320 * np.cos(np.radians(30.6))

    apart = np.hypot(north, east)
    assert SETTINGS.fine_metres < np.median(apart) < 2 * SETTINGS.fine_metres
    assert abs(north.mean()) < 0.05 * apart.std()
    assert (np.round(seen.lat[known], 6) == seen.lat[known]).all()


def test_a_forged_code_stays_one(scans):
    scans["batch"][:100] = -1

    assert _masked(scans).misread[:100].all()


def test_scans_keep_their_second_and_arrive_later_seldom_much(scans):
    made, received = arrivals(SETTINGS, np.random.default_rng(1), scans["at"])

    assert (made // 1_000_000 == scans["at"] // 1_000_000).all()
    assert np.bincount((made % 1_000_000) // 100_000, minlength=10).min() > 0.9 * COUNT / 10
    lag = (received - made) / 1e6
    assert lag.min() >= 0
    assert lag.max() < SETTINGS.latest_seconds + 60
    assert np.mean(lag > 60) == pytest.approx(SETTINGS.late, rel=0.2)
