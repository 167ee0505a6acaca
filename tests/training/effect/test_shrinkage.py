from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from training.effect.learners import DRLearner, TLearner
from training.effect.model import Trial
from training.effect.shrinkage import Division, Halves, Segment, Shrinkage, believed, segments_of
from training.effect.trees import Trees

TREES = Trees({"num_iterations": 60, "num_leaves": 15, "min_data_in_leaf": 20, "lambda_l2": 1.0}, bags=1)
PACE = (Division("pace", (-0.5, 0.5)),)


def experiment(seed, size, steepness):
    """Purchases of which the offer changes the chance by what the member's taste says, times the steepness."""
    draw = np.random.default_rng(seed)
    matrix = draw.normal(size=(size, 4)).astype(np.float32)
    gained = steepness * (0.05 * matrix[:, 1] + 0.04 * (matrix[:, 0] > 0.5))
    base = 0.2 + 0.15 * (matrix[:, 0] > 0.5)
    treated = draw.random(size) < 0.6
    outcome = (draw.random(size) < base + treated * gained).astype(float)
    trial = Trial.of(("pace", "taste", "a", "b"), matrix, treated, outcome, np.full(size, 0.6))
    return trial, gained


def shrunk(trial, later, seed=0):
    """Raw and shrunk effects of later rows, the constants found on the rows learned from."""
    draw = np.random.default_rng(seed)
    learner = TLearner(TREES)
    unit = np.arange(len(trial.outcome))
    halves = Halves.of(learner, trial, unit, draw)
    score = DRLearner(TREES).scores(trial, draw)
    shrinkage = believed(halves, score, segments_of(PACE, trial.features, trial.matrix), unit, PACE)
    raw = learner.learned(trial, draw).effect(later.matrix)
    return raw, shrinkage.apply(raw, segments_of(PACE, later.features, later.matrix)), shrinkage


def test_of_noise_alone_hardly_anything_is_left():
    raws, means = [], []
    for seed in range(4):
        trial, _ = experiment(seed, 6_000, steepness=0.0)
        raw, found, _ = shrunk(trial, experiment(seed + 50, 3_000, steepness=0.0)[0])
        raws.append(np.sqrt(np.mean(raw**2)))
        means.append(np.sqrt(np.mean(found.mean**2)))
    assert np.mean(raws) > 0.05
    assert np.mean(means) < 0.25 * np.mean(raws)


def test_shrunk_effects_are_nearer_to_the_truth_and_earn_more():
    cost = 0.015
    errors, earned, cautious = [], [], []
    for seed in range(4):
        trial, _ = experiment(seed, 20_000, steepness=0.6)
        later, gained = experiment(seed + 50, 6_000, steepness=0.6)
        raw, found, _ = shrunk(trial, later)
        errors.append([np.mean((one - gained) ** 2) for one in (raw, found.mean)])
        earned.append([np.mean((one > cost) * (gained - cost)) for one in (raw, found.mean)])
        cautious.append(np.mean(gained[found.lower(0.5) > cost]) - np.mean(gained[found.mean > cost]))
    raw_error, shrunk_error = np.mean(errors, axis=0)
    assert shrunk_error < 0.5 * raw_error
    raw_earned, shrunk_earned = np.mean(earned, axis=0)
    assert shrunk_earned > 1.1 * raw_earned
    assert np.mean(cautious) > 0  # those that even caution sends to gain more each


def flat(size):
    return Halves(np.zeros(size), np.zeros(size), np.arange(size) < size // 2)


def test_the_slope_is_what_part_of_the_differences_is_real():
    draw = np.random.default_rng(1)
    real, first, second = draw.normal(size=(3, 40_000))
    halves = Halves(5.0 + real + first, 5.0 + real + second, np.arange(40_000) < 20_000)
    score = 1.0 + real + draw.normal(0, 3, 40_000)
    found = believed(halves, score, np.zeros(40_000, int), np.arange(40_000))
    assert found.segments[0].slope == pytest.approx(1 / 1.5, abs=0.02)  # a model of all has half of the noise
    assert found.segments[0].mean == pytest.approx(1.0, abs=0.06)
    assert found.segments[0].centre == pytest.approx(5.0, abs=0.05)
    said = 5.0 + real + (first + second) / 2
    applied = found.apply(said, np.zeros(40_000, int))
    assert np.mean((applied.mean - 1.0 - real) ** 2) == pytest.approx(1 / 3, abs=0.02)
    assert applied.sd[0] == pytest.approx(np.sqrt(1 / 3), abs=0.02)


def test_segments_that_differ_keep_their_means_and_the_others_share_one():
    draw = np.random.default_rng(2)
    segment = np.repeat([0, 1, 2], 4_000)
    unit = np.arange(12_000)
    apart = believed(flat(12_000), draw.normal(size=12_000) + 2.0 * segment, segment, unit, PACE)
    np.testing.assert_allclose([one.mean for one in apart.segments], [0, 2, 4], atol=0.06)
    alike = believed(flat(12_000), draw.normal(size=12_000) + 1.0, segment, unit, PACE)
    means = np.array([one.mean for one in alike.segments])
    assert np.ptp(means) < 0.02
    assert alike.segments[0].mean_sd < apart.segments[0].mean_sd


def test_rows_of_one_member_are_one_measurement():
    draw = np.random.default_rng(3)
    score = np.repeat(draw.normal(size=300), 10)
    alone, together = (
        believed(flat(3_000), score, np.zeros(3_000, int), unit).segments[0].mean_sd
        for unit in (np.arange(3_000), np.repeat(np.arange(300), 10))
    )
    assert together == pytest.approx(alone * np.sqrt(10), rel=0.05)


def test_members_are_never_in_both_halves():
    trial, _ = experiment(1, 2_000, steepness=1.0)
    unit = np.arange(2_000) // 4
    halves = Halves.of(TLearner(TREES), trial, unit, np.random.default_rng(1))
    assert not set(unit[halves.in_first]) & set(unit[~halves.in_first])
    assert halves.in_first.mean() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(halves.unseen[halves.in_first], halves.second[halves.in_first])


def test_a_segment_of_which_nothing_was_seen_has_the_common_mean():
    draw = np.random.default_rng(4)
    segment = np.repeat([0, 2], 2_000)
    found = believed(flat(4_000), 1.0 + draw.normal(size=4_000), segment, np.arange(4_000), PACE)
    assert found.segments[1].mean == pytest.approx(1.0, abs=0.1)
    assert np.isfinite(found.segments[1].mean_sd)


def test_a_segment_of_which_nothing_was_seen_has_the_word_of_a_model_that_is_right_elsewhere():
    draw = np.random.default_rng(6)
    segment = np.repeat([0, 2], 2_000)
    effect = np.where(segment == 0, 0.4, 0.0) + 0.05 * draw.normal(size=4_000)
    halves = Halves(effect, effect, draw.random(4_000) < 0.5)
    score = effect + 0.1 + draw.normal(size=4_000)
    found = believed(halves, score, segment, np.arange(4_000), PACE).apply(np.array([0.3, -0.2]), np.array([1, 1]))
    np.testing.assert_allclose(found.mean, [0.4, -0.1], atol=0.05)
    assert (found.sd < 0.1).all()  # effects differ by 0.4 between segments, what the model misses does not


def test_a_segment_of_which_nothing_was_seen_is_unsure_where_the_model_is_wrong_elsewhere():
    draw = np.random.default_rng(7)
    segment = np.repeat([0, 2], 2_000)
    score = np.where(segment == 0, 0.4, -0.4) + draw.normal(size=4_000)
    found = believed(flat(4_000), score, segment, np.arange(4_000), PACE).apply(np.array([0.3]), np.array([1]))
    assert found.sd[0] > 0.3


@given(
    st.lists(st.floats(-50, 50, width=32) | st.just(float("nan")), min_size=1, max_size=20),
    st.lists(st.floats(-40, 40), min_size=1, max_size=4, unique=True).map(sorted),
)
def test_kinds_rise_with_the_value_and_the_unknown_come_first(values, borders):
    kinds = Division("x", tuple(borders)).kinds(np.array(values, np.float32))
    expected = [0 if np.isnan(value) else sum(value > border for border in borders) for value in values]
    assert kinds.tolist() == expected


def test_segments_are_the_kinds_of_all_divisions_together():
    divisions = (Division("a", (0.0,)), Division("b", (0.0, 1.0)))
    matrix = np.array([[-1, -1], [-1, 0.5], [1, 2], [np.nan, np.nan]], np.float32)
    assert segments_of(divisions, ("a", "b"), matrix).tolist() == [0, 1, 5, 0]


def test_caution_lowers_by_what_is_unsure():
    shrinkage = Shrinkage((), (Segment(mean=1.0, mean_sd=0.3, centre=2.0, spread=1.0, slope=0.5),))
    found = shrinkage.apply(np.array([2.0, 6.0]), np.zeros(2, int))
    assert found.mean.tolist() == [1.0, 3.0]
    np.testing.assert_allclose(found.sd, np.sqrt(0.09 + 0.25))
    np.testing.assert_allclose(found.lower(2.0), found.mean - 2 * found.sd)


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(UsageError, match="expected finite rising numbers"):
        Division("x", (1.0, 0.0))
    with pytest.raises(UsageError, match="found 1 segments"):
        Shrinkage(PACE, (Segment(0, 0, 0, 0, 0.5),))
    with pytest.raises(UsageError, match="slopes from 0 to 1"):
        Shrinkage((), (Segment(0, 0, 0, 0, 1.5),))
    with pytest.raises(UsageError, match="divisions by pace"):
        segments_of(PACE, ("taste",), np.zeros((1, 1), np.float32))
    with pytest.raises(DataError, match="expected one length"):
        believed(flat(3), np.zeros(2), np.zeros(3, int), np.arange(3))
