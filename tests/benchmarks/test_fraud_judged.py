"""The benchmark of the fraud task: its keys, its averages, and what real data say where they are there."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.bots import FOLDS, bot_bidders_auc, mean_area
from benchmarks.clicks import clicks, mapped
from benchmarks.fraud import FULL, QUICK, as_json, over_worlds, real_proxies, without_a_figure
from benchmarks.unseen import WOOL
from data.checks import check
from training.interval import Interval, Resampling

ROOT = Path(__file__).parents[2]
ONE = Interval(0.5, 0.4, 0.6)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Bidders and clicks in the form of the real sets; machines bid quickly and win little."""
    folder = tmp_path_factory.mktemp("real")
    generator = np.random.default_rng(1)
    machine = generator.random(400) < 0.2
    names = [f"bidder-{number}" for number in range(400)]
    (folder / "bot_bidders").mkdir()
    labels = {"bidder_id": names, "outcome": machine.astype(float), "total_bids": generator.poisson(20, 400)}
    features = {
        "bidder_id": names[::-1],
        "response_min": np.where(machine, generator.random(400), 3 * generator.random(400))[::-1],
        "price_std": pa.array(generator.random(400), mask=generator.random(400) < 0.3),
    }
    pq.write_table(pa.table(labels), folder / "bot_bidders" / "labels.parquet")
    pq.write_table(pa.table(features), folder / "bot_bidders" / "complex_features.parquet")
    (folder / "clicks").mkdir()
    pq.write_table(pa.table(_clicks(generator)), folder / "clicks" / "slice_a.parquet")
    return folder


def _clicks(generator, size=600):
    instant = np.datetime64("2017-11-07T11:30:00") + np.sort(generator.integers(0, 1_200, size)).astype("m8[s]")
    made = [str(one).replace("T", " ") for one in instant]
    columns = {"ip": (1, 60), "app": (1, 9), "device": (1, 4), "os": (1, 5), "channel": (100, 112)}
    drawn = {name: generator.integers(*bounds, size) for name, bounds in columns.items()}
    return {**drawn, "click_time": made, "attributed_time": [None] * size, "is_attributed": np.zeros(size, np.int64)}


def test_machines_are_told_from_people_out_of_fold(real):
    found = bot_bidders_auc(real, np.random.default_rng(2), resamples=100)
    assert 0.7 < found.low < found.value < found.high < 0.99


def test_columns_that_say_nothing_find_nobody(real, tmp_path):
    (tmp_path / "bot_bidders").mkdir()
    for name in ("labels", "complex_features"):
        table = pq.read_table(real / "bot_bidders" / f"{name}.parquet")
        shuffled = np.random.default_rng(3).permutation(table.num_rows)
        if name == "labels":
            table = table.set_column(1, "outcome", table["outcome"].take(pa.array(shuffled)))
        pq.write_table(table, tmp_path / "bot_bidders" / f"{name}.parquet")
    found = bot_bidders_auc(tmp_path, np.random.default_rng(2), resamples=100)
    assert found.low < 0.5 < found.high


def test_each_fold_is_judged_by_itself():
    # Within each fold the order is perfect, across folds it is not.
    label = np.tile([0.0, 0.0, 1.0], 10 * FOLDS)
    fold = np.repeat(np.arange(FOLDS), 30)
    found = mean_area(label, label + 10 * fold, fold, Resampling(np.arange(len(label)), np.random.default_rng(1), 50))
    assert found == Interval(1.0, 1.0, 1.0)


def test_clicks_keep_the_contracts_of_a_brand(real, tmp_path):
    brand = mapped(real / "clicks" / "slice_a.parquet", tmp_path)
    # Nothing is found but that clicks have no payouts and no verdicts.
    found = check(brand, datetime(2018, 1, 1, tzinfo=UTC)).findings
    assert sorted((one.table, one.found) for one in found) == [("payouts", "no row"), ("scan_labels", "no row")]
    with brand.connect() as connection:
        assert connection.sql("SELECT count(DISTINCT scan_id), count(DISTINCT ip) FROM scans").fetchall() == [(600, 59)]
        assert connection.sql("SELECT count(*) FROM scans WHERE ip NOT SIMILAR TO '0[.]0[.]0[.][0-9]+'").fetchall() == [
            (0,)
        ]


def test_clicks_run_through_the_scan_features(real):
    found = clicks(real)
    assert (found["clicks"], found["mismatches"]) == (600, 0)
    assert found["values"] == 600 * found["features"]
    assert 20 < found["vary"] <= found["filled"] < found["features"]
    assert found["busiest"]["ip_scan_count_5m"] >= found["busiest"]["member_scan_count_5m"] > 0


def test_real_data_that_are_not_there_are_skipped_with_a_reason(tmp_path):
    skipped = {}
    assert real_proxies(tmp_path, skipped) == {"bot_bidders_auc": None, "clicks": None}
    assert set(skipped) == {"bot_bidders_auc", "clicks"}


def test_figures_are_averaged_over_the_worlds_that_have_them():
    unknown = Interval(float("nan"), float("nan"), float("nan"))
    worlds = [{"a": ONE, "b": {"x": ONE, "y": unknown}}, {"a": Interval(0.7, 0.6, 0.8), "b": {"x": unknown}}]
    found = as_json(over_worlds(worlds))
    assert found["a"] == {"value": 0.6, "low": 0.5293, "high": 0.6707}
    assert found["b"] == {"x": {"value": 0.5, "low": 0.4, "high": 0.6}, "y": None}
    assert as_json({"unknown": unknown}) == {"unknown": {"value": None, "low": None, "high": None}}
    json.dumps(found, allow_nan=False)


def test_what_was_not_measured_is_null_with_its_reason():
    skipped = {}
    found = without_a_figure({"baselines": {"analyst_rules": {"a": ONE}}}, skipped)
    assert found["flash_sale_stock_share"] is None
    assert found["baselines"] == {"analyst_rules": {"a": ONE}, "month_old": None}
    stock = {"flash_sale_stock_share", "queued_stock_share", "rate_limit_stock_share"}
    assert set(skipped) == {*stock, "baselines.month_old"}
    assert without_a_figure({"baselines": {"month_old": {"a": ONE}}}, {})["baselines"] == {"month_old": {"a": ONE}}


def test_the_stock_of_flash_sales_is_told_where_it_was_measured():
    skipped = {}
    stock = dict.fromkeys(("flash_sale_stock_share", "queued_stock_share", "rate_limit_stock_share"), ONE)
    found = without_a_figure({"baselines": {}, **stock}, skipped)
    assert {name: found[name] for name in stock} == stock
    assert set(skipped) == {"baselines.month_old"}


def test_the_quick_plan_is_a_part_of_the_full_one():
    assert set(QUICK.unseen) < set(WOOL)
    assert QUICK.adapting.members < FULL.adapting.members
    assert len(WOOL) == 9


def test_its_help_is_short():
    command = [sys.executable, "-m", "benchmarks.fraud", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)  # noqa: S603
    assert "--quick" in done.stdout
    assert "--json" in done.stdout
