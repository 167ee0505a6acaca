"""A policy's value comes out of another's log without bias, its intervals hold, and thin overlap is told."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from training.interval import Resampling
from training.off_policy import LoggedActions, always, gain_of, value_of
from training.studentised import effective_rows

ACTIONS = 4
NAMES = ("ips", "snips", "dr")
TASTES = np.random.default_rng(8).normal(size=(2, ACTIONS))


def _softmax(score):
    raised = np.exp(score - score.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


class Shoppers:
    """Who buys what when sent which offer, a shop's logging policy, and a new one."""

    def __init__(self, generator, rows=1_500):
        self.facts = generator.normal(size=(rows, 2))
        taste = self.facts @ TASTES
        self.chances = 0.8 * _softmax(0.5 * taste) + 0.2 / ACTIONS
        self.new = _softmax(-taste)
        self.buys = 1 / (1 + np.exp(1.0 - 0.6 * taste[:, ::-1]))
        self.foretold = 1 / (1 + np.exp(0.8 - 0.4 * taste[:, ::-1]))

    def log(self, generator):
        draw = generator.random((2, len(self.new)))
        action = (self.chances.cumsum(axis=1) < draw[0][:, None]).sum(axis=1)
        rows = np.arange(len(action))
        return LoggedActions(
            action=action,
            reward=(draw[1] < self.buys[rows, action]).astype(np.float64),
            propensity=self.chances[rows, action],
            unit=rows,
            chances=self.chances,
            foretold=self.foretold,
        )

    def worth(self, policy):
        return float((policy * self.buys).sum(axis=1).mean())


def _resampling(logged, seed=0, resamples=200):
    return Resampling(logged.unit, np.random.default_rng(seed), resamples)


def test_over_many_logs_the_mean_estimate_is_the_value():
    generator = np.random.default_rng(1)
    shoppers = Shoppers(generator)
    logs = [shoppers.log(generator) for _ in range(150)]
    found = [value_of(shoppers.new, logged, _resampling(logged, resamples=2)) for logged in logs]
    for name in NAMES:
        values = np.array([getattr(one, name).value for one in found])
        mean_error = values.std() / np.sqrt(len(values))
        assert values.mean() == pytest.approx(shoppers.worth(shoppers.new), abs=4 * mean_error), name
        assert mean_error < 0.01
    spread = [np.std([getattr(one, name).value for one in found]) for name in NAMES]
    assert max(spread[1:]) < spread[0]


def test_nineteen_of_twenty_intervals_hold_the_value_and_the_gain():
    truth = Shoppers(np.random.default_rng(99), 300_000)
    worth = truth.worth(truth.new)
    gained = worth - truth.worth(truth.chances)
    turns = 60
    held = np.zeros(6)
    for turn in range(turns):
        generator = np.random.default_rng(turn)
        shoppers = Shoppers(generator, 800)
        logged = shoppers.log(generator)
        value = value_of(shoppers.new, logged, _resampling(logged, turn))
        gain = gain_of(shoppers.new, shoppers.chances, logged, _resampling(logged, turn))
        figures = [getattr(value, name) for name in NAMES], [getattr(gain, name) for name in NAMES]
        held[:3] += [one.low <= worth <= one.high for one in figures[0]]
        held[3:] += [one.low <= gained <= one.high for one in figures[1]]
    assert (held >= 0.87 * turns).all(), held
    assert held.sum() < 6 * turns


def test_the_policy_that_was_logged_earned_what_it_earned():
    generator = np.random.default_rng(2)
    shoppers = Shoppers(generator)
    logged = shoppers.log(generator)
    found = value_of(shoppers.chances, logged, _resampling(logged))
    assert found.ips.value == found.snips.value == pytest.approx(logged.reward.mean())
    assert found.overlap["policy"].effective_rows == pytest.approx(1_500)
    assert found.overlap["policy"].warnings == ()
    nothing = gain_of(shoppers.new, shoppers.new, logged, _resampling(logged))
    assert (nothing.ips.low, nothing.snips.value, nothing.dr.high) == (0.0, 0.0, 0.0)


def test_two_policies_are_compared_on_the_same_draws():
    generator = np.random.default_rng(3)
    shoppers = Shoppers(generator)
    logged = shoppers.log(generator)
    near = 0.95 * shoppers.new + 0.05 * shoppers.chances
    value, other = (value_of(policy, logged, _resampling(logged)) for policy in (shoppers.new, near))
    gain = gain_of(shoppers.new, near, logged, _resampling(logged))
    for name in NAMES:
        one, two, both = (getattr(found, name) for found in (value, other, gain))
        assert both.value == pytest.approx(one.value - two.value)
        assert both.high - both.low < 0.2 * (one.high - one.low)
    assert set(gain.overlap) == {"policy", "over"}


@given(st.integers(0, 1_000), st.floats(0.5, 5.0), st.floats(-3.0, 3.0))
def test_another_currency_changes_the_value_alone(seed, rate, start):
    generator = np.random.default_rng(seed)
    shoppers = Shoppers(generator, 60)
    logged = shoppers.log(generator)
    dearer = replace(logged, reward=rate * logged.reward + start, foretold=rate * logged.foretold + start)
    one, two = (value_of(shoppers.new, log, _resampling(log, resamples=20)) for log in (logged, dearer))
    assert two.snips.value == pytest.approx(rate * one.snips.value + start)
    assert two.dr.value == pytest.approx(rate * one.dr.value + start)
    assert two.overlap["policy"].effective_rows == one.overlap["policy"].effective_rows


def test_a_policy_that_does_not_draw_is_one_that_draws_for_certain():
    generator = np.random.default_rng(4)
    shoppers = Shoppers(generator)
    logged = shoppers.log(generator)
    best = shoppers.buys.argmax(axis=1)
    found = value_of(always(best, ACTIONS), logged, _resampling(logged))
    same = logged.action == best
    assert found.ips.value == pytest.approx((logged.reward / logged.propensity)[same].sum() / len(best))
    assert found.dr.low <= shoppers.worth(always(best, ACTIONS)) <= found.dr.high


def test_what_the_log_never_did_is_told():
    generator = np.random.default_rng(5)
    rows = np.arange(2_000)
    action = generator.integers(0, 2, 2_000)
    chances = np.tile([0.5, 0.5, 0.0], (2_000, 1))
    logged = LoggedActions(action, generator.random(2_000), np.full(2_000, 0.5), rows, chances)
    policy = np.tile([0.4, 0.3, 0.3], (2_000, 1))
    overlap = value_of(policy, logged, _resampling(logged)).overlap["policy"]
    assert overlap.never_done == pytest.approx(0.3)
    assert overlap.mean_weight.value == pytest.approx(0.7, abs=0.02)
    assert len(overlap.warnings) == 2
    assert re.search(r"30\.0% .* no chance.*\n.*mean of 0\.\d+ .* where 1", "\n".join(overlap.warnings))
    blind = value_of(policy, replace(logged, chances=None), _resampling(logged)).overlap["policy"]
    assert blind.never_done is None
    assert len(blind.warnings) == 1


def test_few_heavy_and_tiny_chances_are_told():
    generator = np.random.default_rng(6)
    rows = np.arange(3_000)
    rare = rows % 1_000 == 0
    propensity = np.where(rare, 0.0005, 0.9)
    logged = LoggedActions(np.where(rare, 1, 0), generator.random(3_000), propensity, rows)
    policy = np.tile([0.9, 0.1], (3_000, 1))
    found = value_of(policy, logged, _resampling(logged))
    overlap = found.overlap["policy"]
    assert overlap.effective_rows == pytest.approx(effective_rows(np.where(rare, 200.0, 1.0)), rel=1e-9)
    assert overlap.tiny == pytest.approx(600 / 3_597)
    assert overlap.largest_weight_share == pytest.approx(200 / 3_597)
    said = "\n".join(overlap.warnings)
    assert all(each in said for each in ("chance below 0.001", "fewer than 200", "one row has 5.6%")), said
    cut = value_of(policy, logged, _resampling(logged), clip=10.0)
    assert cut.clip == 10.0
    assert cut.overlap["policy"].clipped == pytest.approx(0.001)
    assert cut.ips.value < found.ips.value
    assert cut.overlap["policy"].effective_rows > 2_000
    assert found.dr is None


def test_a_log_in_which_nobody_bought_is_told():
    logged = LoggedActions(np.zeros(500, np.int64), np.zeros(500), np.ones(500), np.arange(500))
    found = value_of(np.ones((500, 1)), logged, _resampling(logged))
    assert found.ips.value == 0
    assert "how sure the figures are cannot be told" in found.overlap["policy"].warnings[0]
    assert found.as_dict()["overlap"]["policy"]["warnings"]


def test_a_log_that_cannot_be_weighed_is_refused_with_all_its_faults():
    action, ones = np.array([0, 1, 0]), np.ones(3)
    with pytest.raises(DataError, match=r"1 rows whose propensity.*; 1 rows whose reward is no number"):
        LoggedActions(action, np.array([1, np.nan, 0]), np.array([0.5, 0.5, 0.0]), action)
    with pytest.raises(DataError, match=r"2 rows of reward; foretold of the shape \(3,\) beside 3 actions"):
        LoggedActions(action, ones[:2], ones, action, foretold=ones)
    with pytest.raises(DataError, match="no row"):
        LoggedActions(action[:0], ones[:0], ones[:0], action[:0])
    chances = np.array([[0.5, 0.5], [0.2, 0.9], [0.5, 0.4]])
    with pytest.raises(DataError, match=r"2 rows whose chances do not sum to 1; 1 rows whose propensity is not"):
        LoggedActions(action, ones, np.array([0.5, 0.5, 0.5]), action, chances)


def test_a_policy_that_is_none_is_refused():
    action = np.array([0, 1, 2])
    logged = LoggedActions(action, np.ones(3), np.full(3, 0.5), action)
    resampling = _resampling(logged)
    with pytest.raises(UsageError, match=r"shape \(3, 2\), expected \(3, 3 or more\)"):
        value_of(np.full((3, 2), 0.5), logged, resampling)
    with pytest.raises(UsageError, match=r"3 rows that are no chances.*; a clip of 0.0"):
        value_of(np.full((3, 3), 0.5), logged, resampling, clip=0.0)
    with pytest.raises(UsageError, match="expected that of the log's chances and forecasts"):
        value_of(np.full((3, 4), 0.25), replace(logged, foretold=np.ones((3, 3))), resampling)
