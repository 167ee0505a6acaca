"""What the off-policy and lifetime benchmarks measure, and CDNOW's published figures where the data are there."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import lifetime
from benchmarks.estimators import SHOPS, Shop, estimators
from benchmarks.lifetime import SAMPLE, SUMMARY, cdnow, cdnow_folder, judged, published
from benchmarks.logged_bandit import Shown, compared, logged_bandit
from benchmarks.margins import real_data
from data.errors import UsageError
from training.interval import Resampling


def test_the_benchmark_tells_bias_and_coverage_of_each_estimator(monkeypatch):
    monkeypatch.setattr("benchmarks.estimators.SHOPS", {"small": Shop(300, 3, 0.0, 0.3)})
    monkeypatch.setattr("benchmarks.estimators._TRUTH_ROWS", 100_000)
    found = estimators(logs=40, resamples=100)["small"]
    for what in ("value", "gain"):
        for name in ("ips", "snips", "dr"):
            one = found[what][name]
            assert abs(one["bias"]["value"]) < 5 * one["spread"] / np.sqrt(40)
            assert one["coverage_95"]["value"] > 0.75
            assert one["width"] > one["spread"]
    assert found["value"]["dr"]["spread"] < found["value"]["ips"]["spread"]
    assert set(SHOPS) == {"plain", "households", "rare", "far"}


def _shown(generator, chances, rates, rows=4_000):
    position = generator.integers(0, len(chances), rows)
    item = (chances[position].cumsum(axis=1) < generator.random(rows)[:, None]).sum(axis=1)
    click = (generator.random(rows) < rates[position, item]).astype(np.float64)
    return Shown(item, position, click, chances[position, item])


def test_one_policy_is_foretold_from_the_log_of_another():
    generator = np.random.default_rng(1)
    rates = np.array([[0.05, 0.1, 0.3], [0.2, 0.1, 0.05]])
    theirs, ours = np.full((2, 3), 1 / 3), np.array([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    log, itself = _shown(generator, theirs, rates), _shown(generator, ours, rates)
    assert itself.policy((2, 3)) == pytest.approx(ours)
    found = compared(log, itself, ours, generator, resamples=200)
    truth = (ours * rates).sum(axis=1).mean()
    for name in ("on_policy", "ips", "snips", "dr"):
        assert found[name]["value"] == pytest.approx(truth, abs=found[name]["width"])
    assert found["log_rate"]["value"] < 0.8 * truth
    assert found["overlap"]["warnings"] == []
    assert 1_000 < found["overlap"]["effective_rows"] < 4_000


def test_a_policys_chances_lean_to_no_row():
    shown = Shown(np.array([0, 0, 1]), np.zeros(3, np.int64), np.zeros(3), np.array([0.6, 0.8, 0.3]))
    assert shown.policy((1, 3)) == pytest.approx(np.array([[0.7, 0.3, 0.0]]))


def test_without_the_data_nothing_is_said(tmp_path):
    assert logged_bandit(tmp_path, np.random.default_rng(0)) is None
    with pytest.raises(UsageError, match=f"found no {SUMMARY} and no {SAMPLE}"):
        cdnow_folder(tmp_path)


def test_the_real_log_is_read_and_its_thin_overlap_told():
    found = logged_bandit(real_data(), np.random.default_rng(0), resamples=50)
    if found is None:
        pytest.skip(f"no logged_bandit in {real_data()}")
    for shop in ("men", "women"):
        forth, back = found[shop]["bts_from_random"], found[shop]["random_from_bts"]
        assert forth["overlap"]["warnings"] == []
        assert back["overlap"]["warnings"]
        assert back["overlap"]["effective_rows"] < forth["overlap"]["effective_rows"]


def test_the_published_figures_of_cdnow_come_out():
    folder = cdnow_folder(None)
    if folder is None:
        pytest.skip("no package lifetimes, which holds the data")
    for name, pair in published(folder).items():
        assert pair["ours"] == pytest.approx(pair["published"], rel=1e-5 if name == "log_likelihood" else 2e-3), name


def test_forecasts_are_judged_beside_each_other():
    actual = np.array([0.0, 1.0, 2.0, 5.0])
    found = judged(
        actual, {"model": actual, "flat": np.full(4, 2.0)}, Resampling(np.arange(4), np.random.default_rng(0), 100)
    )
    assert found["model"]["mean_absolute_error"]["value"] == found["model"]["root_mean_squared_error"] == 0
    assert found["model"]["foretold_over_actual"]["value"] == pytest.approx(1.0)
    assert found["flat"]["model_lead"]["value"] == pytest.approx(1.5)
    assert "model_lead" not in found["model"]


def test_shoppers_of_cdnow_and_a_season_are_foretold(tmp_path):
    """A made-up file in the format of the real one, some of it after the season's begin."""
    generator = np.random.default_rng(2)
    lines = []
    for number in range(150):
        rate, day = generator.gamma(1.0, 0.05), float(generator.integers(0, 80))
        while day < 540:
            bought = np.datetime64("1997-01-01") + int(day)
            lines.append(f" {number:05d} {number:04d} {str(bought).replace('-', '')}  1  {generator.gamma(4, 5):6.2f}")
            day += 1 + generator.exponential(1 / rate)
            if generator.random() < 0.1:
                break
    (tmp_path / SAMPLE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "tables").mkdir()
    data_set = cdnow(tmp_path, tmp_path / "tables")
    orders = pq.read_table(tmp_path / "tables" / "orders.parquet")
    assert orders.num_rows == len(lines)
    assert orders["amount_fen"].type == pa.int64()
    assert orders["ts"][0].value == _day(lines[0]).timestamp() * 1e6
    found = lifetime.foretold(data_set, lifetime.CDNOW, resamples=50)
    assert found["members"] == 150
    assert 0.5 < found["purchases"]["model"]["foretold_over_actual"]["value"] < 2
    assert set(found["spending_fen"]) == {"model", "past_rate", "mean_of_all"}


def _day(line):
    return datetime.strptime(line.split()[2], "%Y%m%d").replace(tzinfo=UTC)
