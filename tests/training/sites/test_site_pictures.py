"""The pictures of a forecast for sites: the densest stretch of town, ranges that hold, sales against features."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from training.sites.pictures import against_sales, ranges, town


@pytest.fixture
def ground():
    """Six stores of one town, two of another; cells around both; a feature that is unknown of one store."""
    draw = np.random.default_rng(2)
    lat = np.concatenate((30.0 + 0.02 * draw.random(6), 40.0 + 0.02 * draw.random(2)))
    lon = 104.0 + 0.02 * draw.random(8)
    spots = np.concatenate((30.0 + 0.05 * draw.random(50), 40.0 + 0.05 * draw.random(50)))
    cells = pa.table({"lat": spots, "lon": 104 + 0.05 * draw.random(100), "population": draw.integers(1, 900, 100)})
    revenue = np.arange(1.0, 9.0) * 1e8
    features = np.column_stack((np.arange(8), [np.nan, *range(1, 8)])).astype(np.float32)
    stores = SimpleNamespace(log_revenue=np.log(revenue), features=features, names=("people", "rivals"))
    sales = SimpleNamespace(revenue_fen=revenue)
    return SimpleNamespace(tables={"cells": cells}, lat=lat, lon=lon, sales=sales, stores=stores)


def test_the_densest_stretch_of_town_is_shown_with_its_stores_alone(ground):
    axes = town(ground, np.linspace(-1, 1, 8)).axes[0]

    people, stores = axes.collections
    assert len(people.get_offsets()) == 50
    assert len(stores.get_offsets()) == 6
    np.testing.assert_allclose(np.sort(stores.get_offsets()[:, 1]), np.sort(ground.lat[:6]))
    assert (np.diff(stores.get_sizes()) > 0).all()


def test_a_store_beyond_its_range_is_outside():
    truth = np.log(np.array([1.0, 2.0, 4.0]) * 1e8)
    ends = (truth - np.array([0.1, 0.1, -0.2]), truth + np.array([0.1, 0.1, 0.4]))
    said = SimpleNamespace(
        log_revenue=truth, output=np.exp(truth), held=SimpleNamespace(intervals={0.8: ends, 0.9: ends})
    )

    axes = ranges(SimpleNamespace(predictions=said)).axes[0]

    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert told == ["within the range: 2 stores", "outside: 1 stores"]
    assert "80%" in axes.get_ylabel()


def test_sales_are_drawn_against_what_is_known(ground):
    shown = [axes for axes in against_sales(ground, ["people", "rivals"]).axes if axes.get_visible()]

    assert [axes.get_title() for axes in shown] == ["people", "rivals"]
    assert [len(axes.lines[0].get_xdata()) for axes in shown] == [8, 7]
    np.testing.assert_allclose(shown[0].lines[0].get_ydata(), np.arange(1.0, 9.0))
