from __future__ import annotations

import numpy as np
import pytest

from training import interval
from training.interval import Resampling, compare, of_mean, of_means
from training.metrics import average_precision, log_loss, roc_auc


def _resampling(units, seed=0, resamples=400):
    return Resampling(units, np.random.default_rng(seed), resamples)


def test_the_interval_of_a_mean_has_the_width_that_theory_gives():
    generator = np.random.default_rng(1)
    values = generator.normal(3, 2, size=2_000)
    found = of_mean(values, _resampling(np.arange(2_000), resamples=2_000))
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.value == pytest.approx(half, rel=0.1)
    assert found.value - found.low == pytest.approx(half, rel=0.1)


def test_rows_of_one_unit_are_drawn_together():
    values = np.repeat(np.random.default_rng(1).normal(size=100), 20)
    alone = of_mean(values, _resampling(np.arange(2_000)))
    together = of_mean(values, _resampling(np.repeat(np.arange(100), 20)))
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_a_comparison_is_paired():
    generator = np.random.default_rng(2)
    label = (generator.random(1_000) < 0.2).astype(float)
    score = label + generator.normal(size=1_000)
    figures = compare(
        label,
        {"model": score, "twin": 2 * score + 1, "worse": -score},
        [roc_auc, average_precision],
        _resampling(np.arange(1_000)),
    )
    twin = figures["twin"]["gain_roc_auc"]
    assert (twin.value, twin.low, twin.high) == (0.0, 0.0, 0.0)
    assert figures["worse"]["gain_roc_auc"].low > 0
    assert "gain_roc_auc" not in figures["model"]


def test_a_gain_is_positive_where_less_is_better():
    label = np.array([0.0, 1.0] * 50)
    figures = compare(
        label,
        {"model": np.where(label > 0, 0.9, 0.1), "worse": np.full(100, 0.5)},
        [log_loss],
        _resampling(np.arange(100)),
    )
    assert figures["worse"]["gain_log_loss"].low > 0


def test_blocks_of_draws_do_not_change_the_figures(monkeypatch):
    label = np.array([0.0, 1.0, 0.0, 1.0, 1.0] * 20)
    score = np.linspace(0, 1, 100)
    whole = compare(label, {"model": score}, [roc_auc], _resampling(np.arange(100)))
    monkeypatch.setattr(interval, "CELLS_AT_ONCE", 700)
    assert compare(label, {"model": score}, [roc_auc], _resampling(np.arange(100))) == whole


def test_several_means_are_drawn_together_as_each_would_be_alone():
    generator = np.random.default_rng(4)
    values, units = generator.normal(size=(500, 3)), generator.integers(0, 60, 500)

    together = of_means(values, _resampling(units))

    drawn = np.concatenate(
        [weights @ values / weights.sum(axis=1)[:, None] for weights in _resampling(units).weights()]
    )
    for column, found in enumerate(together):
        alone = of_mean(values[:, column], _resampling(units))
        low, high = np.percentile(drawn[:, column], [2.5, 97.5])
        assert (found.value, found.low, found.high) == pytest.approx((alone.value, alone.low, alone.high))
        assert (found.low, found.high) == pytest.approx((low, high))
