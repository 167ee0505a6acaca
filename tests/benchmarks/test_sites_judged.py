"""What the benchmark of sites prints of brands and of worlds together, and what can be won by place at all."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks import brand_sites, footfall, site_worlds, sites, whole_city
from data.world.city import City
from data.world.preset import PRESETS
from data.world.simulation import RECORD
from training.interval import Interval, Resampling


def _of_a_city():
    draw = np.random.default_rng(0)
    keys = [(name, metric.name) for name in ("model", "popularity", "brand_knn") for metric in brand_sites.METRICS]
    split = {key: draw.random(9) + (key[0] == "model") for key in keys}
    found = brand_sites.figures([split], Resampling(np.arange(9), draw, 50))
    return {**found, "brands": 9, "areas": 4, "cpu_seconds": 1.5}


def test_brands_are_printed_under_the_names_of_the_design():
    figures = _of_a_city()
    laid = sites.laid_out({"brand_sites": {"chicago": figures}, "cells_per_second": {"cells_per_second": 7.0}})
    city = laid["brand_sites"]["chicago"]
    assert laid["cells_per_second"] == 7.0
    assert {"recall_20", "ndcg_20", "brand_knn_recall_20", "brand_knn_ndcg_20", "popularity_recall_20"} <= set(city)
    lead = city["recall_20"]["value"] - city["brand_knn_recall_20"]["value"]
    assert city["gain"]["recall_20"]["value"] == pytest.approx(lead)
    assert city["gain"]["recall_20"]["low"] > 0
    behind = city["ndcg_20"]["value"] / city["popularity_ndcg_20"]["value"] - 1
    assert city["gain_over_popularity"]["ndcg_20_share"]["value"] == pytest.approx(behind)


def test_what_was_not_measured_keeps_its_keys():
    laid = sites.laid_out({"brand_sites": None, "cells_per_second": None})
    assert laid == {"brand_sites": None, "cells_per_second": None, "city": None}


def test_errors_of_worlds_add_up_as_squares_and_lone_numbers_by_student():
    nan = float("nan")
    worlds = [
        {"mape": Interval(0.1, 0.08, 0.12), "plan_share": Interval(0.9, nan, nan)},
        {"mape": Interval(0.2, 0.18, 0.22), "plan_share": Interval(1.0, nan, nan)},
    ]
    mape, share = (site_worlds.over(worlds, name) for name in ("mape", "plan_share"))
    assert (mape.value, mape.high) == pytest.approx((0.15, 0.15 + 0.02 / np.sqrt(2)))
    assert share.value == pytest.approx(0.95)
    assert share.high - share.value == pytest.approx(12.706 * 0.05, rel=1e-3)
    alone = site_worlds.over(worlds[:1], "plan_share")
    assert alone.value == 0.9
    assert np.isnan([alone.low, alone.high]).all()


def test_the_cities_of_a_world_are_drawn_again_from_its_record(tmp_path):
    (tmp_path / RECORD).write_text(json.dumps({"request": {"preset": "world/v1", "seed": 3}}), encoding="utf-8")
    found = site_worlds.city_of(tmp_path)
    assert np.array_equal(found.site_lat, City(PRESETS["world/v1"].city, 3).site_lat)
    assert found.seed == 3


def test_the_city_that_is_timed_is_one_and_has_its_cells(tmp_path):
    whole_city.drawn(tmp_path / "tables", 120)
    cells = pq.read_table(tmp_path / "tables" / "cells.parquet")
    assert cells.num_rows == 120
    assert len(set(cells["city"].to_pylist())) == 1
    assert pq.read_table(tmp_path / "tables" / "store_sales.parquet").num_rows > 1_000


def test_variance_between_places_is_told_from_that_within():
    draw = np.random.default_rng(5)
    place = np.repeat(np.arange(400), draw.integers(1, 9, 400))
    kind = draw.integers(0, 3, len(place))
    target = kind + 0.5 * draw.normal(size=400)[place] + draw.normal(size=len(place))
    found = footfall.of_places(target, kind, place)
    assert found["within_places"] == pytest.approx(1.0, rel=0.1)
    assert found["between_places"] == pytest.approx(0.25, rel=0.3)
    assert found["rmse_at_best"] == pytest.approx(1.0, rel=0.05)
    assert footfall.of_places(target - target, kind, place)["between_places"] == 0.0
