import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.world.grid import Raster, great_circle_km, nearest, smooth_chance

RASTER = Raster(30.66, 104.07, 0.7, 21)

latitudes = st.floats(18, 53)
longitudes = st.floats(74, 134)


@given(latitudes, longitudes, latitudes, longitudes)
def test_the_way_there_is_as_long_as_the_way_back(lat, lon, other_lat, other_lon):
    there = great_circle_km(np.array(lat), np.array(lon), np.array(other_lat), np.array(other_lon))
    back = great_circle_km(np.array(other_lat), np.array(other_lon), np.array(lat), np.array(lon))
    assert there == pytest.approx(back, abs=1e-6)
    assert (there == 0) == (lat == other_lat and lon == other_lon) or there < 1e-3


def test_a_known_distance():
    # Beijing to Shanghai, about 1 067 km over ground.
    apart = great_circle_km(np.array(39.9042), np.array(116.4074), np.array(31.2304), np.array(121.4737))
    assert apart == pytest.approx(1067, abs=3)


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_degrees_and_kilometres_are_two_ways_of_saying_a_place(east, north):
    back = RASTER.kilometres(*RASTER.degrees(east, north))
    assert back[0] == pytest.approx(east, abs=1e-6)
    assert back[1] == pytest.approx(north, abs=1e-6)


@given(st.integers(0, 440), st.floats(-0.34, 0.34), st.floats(-0.34, 0.34))
def test_a_place_anywhere_in_a_cell_is_in_that_cell(cell, east, north):
    easts, norths = RASTER.offsets_km()
    lat, lon = RASTER.degrees(easts[cell] + east, norths[cell] + north)
    assert RASTER.cell_of(lat, lon) == cell


def test_a_place_beyond_the_raster_is_in_a_cell_at_its_edge():
    far = RASTER.cell_of(np.array([50.0, 30.66]), np.array([104.07, 0.0]))
    assert far.tolist() == [20 * 21 + 10, 10 * 21]


def test_smooth_chance_has_variance_one_and_is_alike_nearby():
    fields = np.array([smooth_chance(np.random.default_rng(seed), RASTER, 2.0).reshape(21, 21) for seed in range(400)])
    assert fields.var() == pytest.approx(1, abs=0.06)
    assert abs(fields.mean()) < 0.06
    beside = (fields[:, 10, 10] * fields[:, 10, 11]).mean()
    across = (fields[:, 0, 10] * fields[:, 20, 10]).mean()
    assert beside > 0.85
    assert abs(across) < 0.2  # opposite edges do not meet


def test_nearest_gives_a_covered_cell_itself():
    covered = np.array([3, 40, 222, 400])
    found = nearest(RASTER, covered)
    assert found[covered].tolist() == [0, 1, 2, 3]
    assert found[41] == 1
