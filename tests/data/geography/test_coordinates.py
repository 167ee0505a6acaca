"""Chinese map coordinates: known pairs, the way there and back, and nothing outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from data.errors import UsageError
from data.geography.coordinates import from_wgs84, in_china, to_wgs84

DATUMS = st.sampled_from(("gcj02", "bd09"))
METRES = 111_195.0


def test_the_square_before_the_gate_is_where_the_maps_have_it():
    lat, lon = np.array([39.915]), np.array([116.404])
    gcj = from_wgs84(lat, lon, "gcj02")
    np.testing.assert_allclose(gcj, [[39.91640428150164], [116.41024449916938]], atol=1e-9)  # coordtransform's example
    bd = from_wgs84(lat, lon, "bd09")
    np.testing.assert_allclose(np.subtract(bd, gcj), [[0.0063], [0.0064]], atol=5e-4)


@given(st.lists(st.tuples(st.floats(4, 53), st.floats(74, 135)), min_size=1, max_size=20), DATUMS)
def test_there_and_back_is_less_than_a_metre(places, datum):
    lat, lon = np.array(places).T
    north, east = to_wgs84(*from_wgs84(lat, lon, datum), datum)
    assert np.abs(north - lat).max() * METRES < 0.01
    assert np.abs(east - lon).max() * METRES < 0.01


@given(st.floats(19, 50), st.floats(75, 130), DATUMS)
def test_maps_are_shifted_by_some_hundred_metres(lat, lon, datum):
    north, east = from_wgs84(np.array([lat]), np.array([lon]), datum)
    apart = np.hypot((north - lat) * METRES, (east - lon) * METRES * np.cos(np.radians(lat)))
    assert 20 < apart[0] < 2_000


@given(st.floats(-90, 90), st.floats(-180, 180), DATUMS)
def test_outside_the_box_nothing_is_shifted(lat, lon, datum):
    north, east = np.array([lat]), np.array([lon])
    assume(not in_china(north, east)[0])
    for one in (to_wgs84, from_wgs84):
        assert [float(half[0]) for half in one(north, east, datum)] == [lat, lon]


def test_wgs84_stays_and_other_names_are_refused():
    lat, lon = np.array([31.0]), np.array([121.0])
    assert to_wgs84(lat, lon, "wgs84") == (lat, lon)
    assert from_wgs84(lat, lon, "wgs84") == (lat, lon)
    with pytest.raises(UsageError, match="'mars'"):
        to_wgs84(lat, lon, "mars")
