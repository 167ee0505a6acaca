"""Points within so many metres: all of them, none other, and in one order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.distance import degrees_apart_km
from features.neighbourhood import Points


def _filed(lat, lon, reach_m):
    order = Points.order(lat, lon, reach_m)
    return Points.filed(lat[order], lon[order], reach_m)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(30.6, 104.1), (-33.9, 151.2), (64.1, -21.9), (0.0, 0.0), (10.536, 58.158), (52.0, 179.99)]),
    st.sampled_from([400.0, 3_000.0, 10_000.0, 30_000.0]),
)
def test_every_point_within_the_radius_is_found_and_no_other(seed, middle, reach_m):
    draw = np.random.default_rng(seed)
    spread = 2.5 * reach_m / 111_000
    lat, lon = (middle[place] + spread * draw.uniform(-1, 1, 200) for place in (0, 1))
    lon = (lon + 180) % 360 - 180
    points = _filed(lat[:150], lon[:150], reach_m)
    radius = reach_m * draw.uniform(0.2, 1)
    pairs = points.within(lat[150:], lon[150:], radius)
    apart = degrees_apart_km(lat[150:, None], lon[150:, None], points.lat, points.lon) * 1000
    rows, found = np.nonzero(apart <= radius)
    assert sorted(zip(pairs.row, pairs.point, strict=True)) == list(zip(rows, found, strict=True))
    assert (np.diff(pairs.row) >= 0).all()
    nearest = np.minimum(np.where(apart <= radius, apart, np.inf).min(axis=1), radius)
    np.testing.assert_allclose(pairs.nearest(50, radius), nearest)


@given(st.integers(0, 2**32 - 1))
def test_a_place_has_the_same_pairs_alone_and_among_others(seed):
    draw = np.random.default_rng(seed)
    lat, lon = 30 + 0.1 * draw.random(80), 104 + 0.1 * draw.random(80)
    points = _filed(lat[:60], lon[:60], 3_000.0)
    together = points.within(lat[60:], lon[60:], 2_000.0)
    for row in range(20):
        alone = points.within(lat[60 + row : 61 + row], lon[60 + row : 61 + row], 2_000.0)
        mine = together.row == row
        np.testing.assert_array_equal(alone.point, together.point[mine])
        np.testing.assert_array_equal(alone.metres, together.metres[mine])


def test_sums_and_counts_of_rows_without_neighbours_are_nothing():
    points = _filed(np.array([30.0]), np.array([104.0]), 1_000.0)
    pairs = points.within(np.array([40.0, 30.0]), np.array([104.0, 104.001]), 1_000.0)
    assert pairs.total(2).tolist() == [0.0, 1.0]
    assert pairs.total(2, np.array([7.0])).tolist() == [0.0, 7.0]
    assert pairs.nearest(2, 900.0) == pytest.approx([900.0, 96.3], abs=0.1)
    nothing = _filed(np.empty(0), np.empty(0), 1_000.0).within(np.array([40.0]), np.array([104.0]), 500.0)
    assert nothing.total(1).tolist() == [0.0]
    assert points.within(np.empty(0), np.empty(0), 500.0).total(0).shape == (0,)
