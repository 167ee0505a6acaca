"""A survey from tables to files, with a scorer whose arithmetic can be done by hand."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import DataError, UsageError
from serving.site_contracts import Cannibalisation, Difference, Loss, PayBack, Range, SiteAnswer, Twin
from serving.siting.desk import cell_areas, site_card
from serving.siting.errand import Errand
from serving.siting.plan import Limits
from serving.siting.tables import Sites, surroundings_of

SIDE = 10


class Town:
    """Two towns of ten by ten cells: a store sells more to the east, and takes a tenth of its sales from store s1."""

    def __init__(self):
        north, east = (steps.ravel() for steps in np.meshgrid(np.arange(SIDE), np.arange(2 * SIDE), indexing="ij"))
        lat, lon = 30 + 0.0045 * north, 104 + 0.0052 * east
        self.cells = SimpleNamespace(lat=lat, lon=lon)
        self.cell_ids = tuple(f"c{place}" for place in range(lat.size))
        self.city = ["West" if one < SIDE else "East" for one in east]
        self.stores = SimpleNamespace(
            store_id=("s1", "s2"), lat=lat[[0, 5]], lon=lon[[0, 5]], revenue_fen=np.array([5e8, 6e8])
        )
        features = SimpleNamespace(name="people", meaning="`people` nearby", sentence_zh="附近{value}人。")
        self.manifest = SimpleNamespace(
            task="site", version="v1", feature_fingerprint="f" * 64, features=(features,), feature_names=("people",)
        )
        self.site = SimpleNamespace(place=SimpleNamespace(rivals=(("fruit_shop", 80.0),)), as_of="2025-03-01")
        self.learned = SimpleNamespace(
            store_id=("s1", "s2"), learned=SimpleNamespace(features=np.array([[7.0], [np.nan]], np.float32))
        )

    def forecast(self, candidates):
        sells = (candidates.lon - 103.9) * 1e9
        return SimpleNamespace(
            revenue_fen=sells, low_80=0.8 * sells, high_80=1.3 * sells, out_of_range=candidates.lon > 104.098
        )

    def network(self, candidates, opened, closed=(), forecast=None):
        sells = (forecast or self.forecast(candidates)).revenue_fen[list(opened)].sum()
        shut = {"s1": 5e8, "s2": 6e8}
        total = 1.1e9 - sum(shut[one] for one in closed) + 0.9 * sells
        return SimpleNamespace(before_fen=1.1e9, total_fen=float(total))

    def market(self):
        return SimpleNamespace(spent=np.ones(self.cells.lat.size))

    def catchment(self, candidates, number):
        return np.exp(-((self.cells.lon - candidates.lon[number]) ** 2) * 1e4) / 2


@pytest.fixture
def town():
    return Town()


@pytest.fixture
def tables(town):
    rows = range(4)
    return {
        "cells": pa.table({"cell_id": list(town.cell_ids), "city": town.city, "area_km2": [0.25] * len(town.city)}),
        "places": pa.table({"lat": [30.0, 30.0], "lon": [104.0, 104.0], "category": ["fruit_shop", "gym"]}),
        "stores": pa.table({"store_id": ["s1", "s2"], "rent_fen": [50_000_000, 1]}),
        "sites": pa.table(
            {
                "site_id": [f"n{row}" for row in rows],
                "lat": [30.02] * 4,
                "lon": [104.0 + 0.02 * row for row in rows],
                "rent_fen": [1_000_000] * 4,
                "opening_cost_fen": [10_000_000] * 4,
                "city": ["West", "West", "East", "East"],
            }
        ),
    }


def run(errand, town, tables, out):
    return errand.run(town, tables, out, "2025-06-01", lambda *_: None)


def test_a_grid_gives_each_city_a_page_and_two_files(town, tables, tmp_path):
    survey = run(Errand(grid=True, kind="express", area_m2=120.0), town, tables, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"{city}.{end}" for city in ("East", "West") for end in ("html", "geojson", "parquet")}
    table = pq.read_table(tmp_path / "out" / "East.parquet")
    assert table.num_rows == SIDE**2
    assert sum(table["out_of_range"].to_pylist()) == SIDE
    east = (tmp_path / "out" / "East.html").read_text(encoding="utf-8")
    assert "express, 120 m²" in east
    assert json.loads((tmp_path / "out" / "West.geojson").read_bytes())["features"]
    assert [one["cells"] for one in survey.said["cities"]] == [SIDE**2, SIDE**2]


def test_a_plan_by_sales_opens_the_best_under_its_cap(town, tables, tmp_path):
    survey = run(Errand(plan=Limits(3, city_cap=1)), town, tables, tmp_path)
    plan = survey.said["plan"]
    assert [move["name"] for move in plan["moves"]] == ["n3", "n1"]
    assert plan["gain_fen"] == pytest.approx(0.9 * (1.6e8 + 1.2e8))
    assert json.loads((tmp_path / "plan.json").read_text()) == plan


def test_a_plan_by_earnings_closes_the_store_whose_rent_eats_it(town, tables, tmp_path):
    survey = run(Errand(plan=Limits(0, closings=2), margin=0.25), town, tables, tmp_path)
    assert [(move["move"], move["name"]) for move in survey.said["plan"]["moves"]] == [("close", "s1")]
    assert survey.said["plan"]["gain_fen"] == pytest.approx(12 * 5e7 - 0.25 * 5e8)


def test_what_cannot_be_done_is_refused(town, tables, tmp_path):
    with pytest.raises(UsageError, match="nothing is asked"):
        Errand()
    with pytest.raises(UsageError, match=r"--close needs --margin"):
        Errand(plan=Limits(1, closings=1))
    with pytest.raises(DataError, match="missing is sites"):
        run(Errand(plan=Limits(1)), town, {"cells": tables["cells"]}, tmp_path)
    with pytest.raises(UsageError, match="found 'nowhere', expected a site"):
        run(Errand(card="nowhere"), town, tables, tmp_path)
    with pytest.raises(DataError, match=r"cells: the model knows 199 cells, c1 first"):
        run(Errand(grid=True), town, tables | {"cells": tables["cells"].slice(0, 1)}, tmp_path)


def test_a_card_takes_over_what_the_scorer_said(town, tables):
    sites = Sites.of(tables["sites"])
    loss = Loss(store_id="s1", revenue_fen=5e8, lost_fen=1e7, lost_share=0.02, distance_km=1.5)
    answer = SiteAnswer(
        site_id="n1",
        lat=30.02,
        lon=104.02,
        format=None,
        area_m2=None,
        revenue_fen=1.2e8,
        interval_80=Range(low_fen=1e8, high_fen=None),
        interval_90=Range(low_fen=None, high_fen=None),
        out_of_range=True,
        distance_ratio=1.5,
        twins=tuple(
            Twin(
                store_id=name,
                lat=30.0,
                lon=104.0,
                revenue_fen=5e8,
                similarity=0.9,
                differences=(Difference(feature="people", unit="people", site=9.0, store=7.0),),
            )
            for name in ("s1", "s2")
        ),
        reasons=(),
        cannibalisation=Cannibalisation(stores=(loss,), lost_fen=1.2e7, net_fen=1.08e8, rate=0.1),
        payback=PayBack(
            margin=0.25, margin_assumed=True, rent_fen=1.2e7, opening_cost_fen=1e7, profit_fen=1.5e7, months=8.0
        ),
        sensitivity=(),
    )
    card = site_card(town, answer, sites.candidates, 1, surroundings_of(town, tables, "2025-06-01"), "West")
    assert card.pay_back.months == pytest.approx(8.0)
    assert card.pay_back.months_at_high is None
    assert sum(cell.revenue_fen for cell in card.catchment) == pytest.approx(1.2e8, rel=0.02)
    assert [cell.revenue_fen for cell in card.catchment] == sorted(
        (cell.revenue_fen for cell in card.catchment), reverse=True
    )
    assert (card.losses[0].distance_m, card.losses[0].lat, card.taken_fen) == (1500.0, 30.0, 1.2e7)
    (row,) = card.differences
    assert (row.meaning, row.meaning_zh, row.site, row.twins) == ("people nearby", "附近…人", 9.0, (7.0, None))
    assert [one.name for one in card.rivals] == ["fruit_shop"]
    assert "1.5 times" in card.forecast.out_of_range[0]


def test_cells_without_areas_get_them_from_the_grid():
    north, east = np.meshgrid(np.arange(6), np.arange(6))
    assert cell_areas(30 + 0.0045 * north.ravel(), 104 + 0.0052 * east.ravel()) == pytest.approx(0.25, rel=0.01)
