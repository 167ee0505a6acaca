"""Ratios carry their own error, whole units are drawn, and intervals hold what they promise where the mean is rare."""

import numpy as np
import pytest

from training.interval import Resampling, of_mean
from training.studentised import studentised


def _mean(sums):
    return sums[1] / sums[0]


def _columns(values):
    return np.column_stack((np.ones(len(values)), values))


def _resampling(units, seed=0, resamples=300):
    return Resampling(units, np.random.default_rng(seed), resamples)


def test_the_error_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).normal(3.0, 2.0, 4_000)
    (found,) = studentised(_columns(values), [_mean], _resampling(np.arange(4_000), resamples=2_000))
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(4_000), rel=0.06)


def test_the_mean_of_rare_purchases_is_held_more_often_than_by_percentiles():
    generator = np.random.default_rng(1)
    held = np.zeros(2)
    turns, truth = 120, 0.02 * np.exp(0.5)
    for _ in range(turns):
        values = (generator.random(500) < 0.02) * generator.lognormal(0.0, 1.0, 500)
        (ours,) = studentised(_columns(values), [_mean], Resampling(np.arange(500), generator, 200))
        theirs = of_mean(values, Resampling(np.arange(500), generator, 200))
        held += [one.low <= truth <= one.high for one in (ours, theirs)]
    assert held[0] >= 0.9 * turns
    assert held[1] < held[0]


def test_rows_of_one_unit_are_drawn_together():
    values = np.repeat(np.random.default_rng(2).normal(size=300), 9)
    (together,) = studentised(_columns(values), [_mean], _resampling(np.repeat(np.arange(300), 9)))
    (apart,) = studentised(_columns(values), [_mean], _resampling(np.arange(2_700)))
    assert together.value == apart.value
    assert (together.high - together.low) / (apart.high - apart.low) == pytest.approx(3.0, rel=0.2)


def test_sums_differences_and_products_carry_their_slopes():
    """By hand: the slope of each figure in each sum, against a small step."""
    generator = np.random.default_rng(3)
    rows = generator.random((50, 3)) + 0.5
    measures = [
        lambda sums: sums[0] / sums[2] + sums[1] / sums[2],
        lambda sums: sums[0] / sums[2] - sums[1] / sums[2],
        lambda sums: sums[0] / sums[2] * (sums[1] / sums[2]),
    ]
    plain = [lambda s: (s[0] + s[1]) / s[2], lambda s: (s[0] - s[1]) / s[2], lambda s: s[0] * s[1] / s[2] ** 2]
    found = studentised(rows, measures, _resampling(np.arange(50), resamples=4_000))
    total = rows.sum(axis=0)
    for interval, formula in zip(found, plain, strict=True):
        slope = [(formula(total + step) - formula(total - step)) / 2e-4 for step in 1e-4 * np.eye(3)]
        error = np.sqrt(((rows @ slope) ** 2).sum())
        assert interval.value == pytest.approx(formula(total))
        assert (interval.high - interval.low) / (2 * error) == pytest.approx(2.0, rel=0.12)


def test_what_no_row_changes_is_certain_and_what_is_not_defined_is_unknown():
    flat, empty = studentised(
        np.column_stack((np.ones(40), np.full(40, 2.0), np.zeros(40))),
        [_mean, lambda sums: sums[1] / sums[2]],
        _resampling(np.arange(40)),
    )
    assert (flat.low, flat.value, flat.high) == pytest.approx((2.0, 2.0, 2.0))
    assert np.isnan([empty.low, empty.value, empty.high]).all()
