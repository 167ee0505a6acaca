from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from training.interval import Resampling, compare
from training.metrics import Judged
from training.uplift_curves import budget_curve, calibration, qini_curve
from training.uplift_metrics import Arms, Ranked, aucc, auuc, qini, qini_of_perfect, uplift_at

# Eight rows by falling score, worked out by hand. Of the Qini curve the points are 0 0 0 1 1 2 1 2/3 1, of the gain
# curve 0 0 0 3/2 2 10/3 2 7/6 2.
TREATED = np.array([1.0, 0, 1, 0, 1, 0, 1, 0])
OUTCOME = np.array([0.0, 0, 1, 0, 1, 1, 0, 0])
SCORE = np.arange(8.0)[::-1]

# Unequal arms and ties: by score 2, 5 and 8 rows. Qini 1, 1/2, 4/3; gain 2, 5/6, 32/15.
TIED_TREATED = np.array([1.0, 0, 1, 1, 0, 0, 1, 1])
TIED_OUTCOME = np.array([1.0, 0, 0, 1, 1, 0, 0, 1])
TIED_SCORE = np.array([0.9, 0.9, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1])


def _one_by_one(rows, seed=0, resamples=200):
    return Resampling(np.arange(rows), np.random.default_rng(seed), resamples)


def _simulated(generator, rows, share=0.5):
    """Members whose effect is known: their chance to buy rises by it."""
    effect = generator.uniform(-0.1, 0.3, rows)
    chance = np.broadcast_to(share, rows)
    treated = (generator.random(rows) < chance).astype(float)
    outcome = (generator.random(rows) < 0.2 + effect * treated).astype(float)
    return effect, treated, outcome


def test_qini_is_what_two_libraries_say_of_the_worked_example():
    found = qini(Arms(TREATED)).of(OUTCOME, SCORE)
    assert found == pytest.approx(13 / 192)
    area = found * 4 * 8  # of 4 treated among 8 rows: scikit-uplift's area between the curves, before its division
    assert area == pytest.approx(13 / 6)
    assert area / (8 + 1) == pytest.approx(13 / 54)  # causalml: qini_score(normalize=False)
    assert qini_of_perfect(Arms(TREATED)).of(OUTCOME, SCORE) == pytest.approx(13 / 57)  # scikit-uplift: qini_auc_score


def test_auuc_is_what_two_libraries_say_of_the_worked_example():
    found = auuc(Arms(TREATED)).of(OUTCOME, SCORE)
    assert found * 8 * 8 == pytest.approx(11)  # scikit-uplift: auc(*uplift_curve)
    assert (found * 8 * 8 + 2 / 2) / (8 + 1) == pytest.approx(4 / 3)  # causalml: auuc_score(normalize=False)


def test_uplift_at_a_share_is_what_scikit_uplift_says_overall():
    assert uplift_at(Arms(TREATED), 0.5).of(OUTCOME, SCORE) == pytest.approx(1 / 2)
    assert uplift_at(Arms(TREATED), 0.75).of(OUTCOME, SCORE) == pytest.approx(2 / 3 - 1 / 3)
    assert uplift_at(Arms(TREATED), 1.0).of(OUTCOME, SCORE) == pytest.approx(1 / 4)


def test_ties_and_unequal_arms_are_what_scikit_uplift_says():
    arms = Arms(TIED_TREATED)
    assert qini(arms).of(TIED_OUTCOME, TIED_SCORE) * 5 * 8 == pytest.approx(2 / 3)
    assert qini_of_perfect(arms).of(TIED_OUTCOME, TIED_SCORE) == pytest.approx(0.05)
    assert auuc(arms).of(TIED_OUTCOME, TIED_SCORE) * 8 * 8 == pytest.approx(10.7)


def test_of_a_run_of_equal_scores_the_part_that_fits_counts():
    half = uplift_at(Arms(TIED_TREATED), 0.5)  # 4 of 8 rows: both of the first run and two thirds of the next
    treated, control = (1 + 2 / 3 * 1) / (1 + 2 / 3 * 2), (0 + 2 / 3 * 1) / (1 + 2 / 3 * 1)
    assert half.of(TIED_OUTCOME, TIED_SCORE) == pytest.approx(treated - control)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 4)), min_size=4, max_size=40), st.randoms())
def test_no_figure_hangs_on_the_order_of_rows_or_the_scale_of_scores(rows, random):
    rows = [(0, True, 1), (0, False, 0), *rows]
    shuffled = random.sample(rows, len(rows))
    figures = []
    for score, treated, outcome in (np.array(rows, float).T, np.array(shuffled, float).T):
        arms = Arms(treated)
        metrics = (qini(arms), auuc(arms), uplift_at(arms, 0.3), aucc(arms, outcome))
        figures.append([metric.of(outcome, score) for metric in metrics])
        figures.append([metric.of(outcome, np.exp(2 * score)) for metric in metrics])
    for other in figures[1:]:
        np.testing.assert_allclose(other, figures[0], atol=1e-9)


@given(st.floats(0.05, 0.95))
def test_one_propensity_for_all_changes_nothing(chance):
    with_it, without = Arms(TREATED, np.full(8, chance)), Arms(TREATED)
    for metric in (qini, auuc, qini_of_perfect):
        assert metric(with_it).of(OUTCOME, SCORE) == pytest.approx(metric(without).of(OUTCOME, SCORE))


def test_propensities_mend_a_lot_that_favoured_buyers():
    generator = np.random.default_rng(3)
    loyal = generator.random(40_000) < 0.5
    chance = np.where(loyal, 0.8, 0.2)
    treated = (generator.random(40_000) < chance).astype(float)
    outcome = (generator.random(40_000) < np.where(loyal, 0.6, 0.1) + 0.05 * treated).astype(float)
    everyone = np.zeros(40_000)
    assert uplift_at(Arms(treated), 1.0).of(outcome, everyone) > 0.3
    assert uplift_at(Arms(treated, chance), 1.0).of(outcome, everyone) == pytest.approx(0.05, abs=0.02)


def test_a_better_ranking_has_more_of_everything_and_the_gain_is_paired():
    effect, treated, outcome = _simulated(np.random.default_rng(1), 3_000, share=0.3)
    arms = Arms(treated)
    metrics = [qini(arms), auuc(arms), uplift_at(arms, 0.1), qini_of_perfect(arms)]
    figures = compare(outcome, {"truth": effect, "upside down": -effect}, metrics, _one_by_one(3_000))
    for metric in metrics:
        assert figures["upside down"][f"gain_{metric.name}"].low > 0
    assert figures["truth"]["qini"].low > 0 > figures["upside down"]["qini"].high


def test_by_lot_the_qini_coefficient_is_nothing_and_auuc_half_the_effect():
    _, treated, outcome = _simulated(np.random.default_rng(2), 3_000)
    everyone = np.zeros(3_000)
    arms = Arms(treated)
    effect = outcome[treated == 1].mean() - outcome[treated == 0].mean()
    assert qini(arms).of(outcome, everyone) == pytest.approx(0, abs=1e-12)
    assert auuc(arms).of(outcome, everyone) == pytest.approx(effect / 2)
    assert aucc(arms, 3 * outcome).of(outcome, everyone) == pytest.approx(0.5)


def test_the_area_under_the_cost_curve_of_a_worked_example():
    # The first half of the rows earns everything and costs a quarter: value 0 4 4, cost 0 1 4 down the two halves.
    treated = np.array([1.0, 0, 1, 0])
    value, cost, score = np.array([2.0, 0, 0, 0]), np.array([0.5, 0, 1.5, 0]), np.array([2.0, 2, 1, 1])
    assert aucc(Arms(treated), cost).of(value, score) == pytest.approx((1 * 4 / 2 + 3 * 4) / (4 * 4))


def test_while_an_arm_is_missing_the_curve_goes_straight():
    treated, outcome = np.array([1.0, 1, 0, 0]), np.array([1.0, 1, 0, 1])
    ranked = Ranked.of(Judged(outcome, np.array([4.0, 3, 2, 1])), np.ones((1, 4)), Arms(treated))
    np.testing.assert_allclose(ranked.qini, [[0, 2 / 3, 4 / 3, 2, 1]])
    np.testing.assert_allclose(ranked.gain, [[0, 1, 2, 3, 2]])


def test_the_points_of_the_qini_curve_are_those_of_the_coefficient():
    points = qini_curve(Arms(TREATED), OUTCOME, SCORE, _one_by_one(8), shares=tuple(np.arange(1, 9) / 8))
    added = [0.0, *(point.added.value for point in points)]
    np.testing.assert_allclose(np.array(added) * 4, [0, 0, 0, 1, 1, 2, 1, 2 / 3, 1])
    lead = np.array(added) - [0.0, *(point.by_lot for point in points)]
    assert np.trapezoid(lead, dx=1 / 8) == pytest.approx(13 / 192)


def test_the_budget_curve_ends_at_what_offers_to_everybody_cost_and_add():
    effect, treated, outcome = _simulated(np.random.default_rng(5), 4_000)
    cost = 0.5 * outcome * treated
    points = budget_curve(Arms(treated), outcome, cost, effect, _one_by_one(4_000))
    first, last = points[0], points[-1]
    assert last.value.value == pytest.approx(outcome[treated == 1].mean() - outcome[treated == 0].mean())
    assert last.cost.value == pytest.approx(cost[treated == 1].mean())
    assert first.roi.value > last.roi.value
    assert last.roi.value == pytest.approx(last.value.value / last.cost.value)
    assert all(point.cost.low <= point.cost.value <= point.cost.high for point in points)


def test_tenths_hold_what_was_said_if_it_is_true_and_not_if_it_is_doubled():
    effect, treated, outcome = _simulated(np.random.default_rng(6), 12_000, share=0.4)
    said = calibration(Arms(treated), outcome, effect, _one_by_one(12_000, resamples=80))
    inside = [tenth.observed.low <= tenth.predicted <= tenth.observed.high for tenth in said]
    assert sum(inside) >= 8
    assert [tenth.predicted for tenth in said] == sorted((tenth.predicted for tenth in said), reverse=True)
    assert np.mean([tenth.predicted for tenth in said]) == pytest.approx(effect.mean())
    doubled = calibration(Arms(treated), outcome, 2 * effect, _one_by_one(12_000, resamples=80))
    assert sum(tenth.observed.low <= tenth.predicted <= tenth.observed.high for tenth in doubled) <= 5


def test_an_interval_holds_the_true_effect_of_the_top_as_often_as_it_says():
    truth, held = 0.2 + 0.1 * 0.5, 0
    for seed in range(40):
        effect, treated, outcome = _simulated(np.random.default_rng(seed), 1_000)
        arms = Arms(treated)
        found = compare(outcome, {"truth": effect}, [uplift_at(arms, 0.25)], _one_by_one(1_000, seed))["truth"]
        held += found["uplift_at_0.25"].low <= truth <= found["uplift_at_0.25"].high
    assert held >= 34


def test_units_are_drawn_whole():
    effect, treated, outcome = _simulated(np.random.default_rng(7), 600)
    rows = [np.tile(column, 10) for column in (effect, treated, outcome)]
    metric = uplift_at(Arms(rows[1]), 0.3)
    alone = compare(rows[2], {"x": rows[0]}, [metric], _one_by_one(6_000))["x"]["uplift_at_0.3"]
    units = Resampling(np.tile(np.arange(600), 10), np.random.default_rng(0), 200)
    whole = compare(rows[2], {"x": rows[0]}, [metric], units)["x"]["uplift_at_0.3"]
    assert whole.high - whole.low > 2 * (alone.high - alone.low)


def test_arms_that_cannot_be_compared_are_refused_with_every_reason():
    with pytest.raises(DataError, match=r"one arm.*not between 0 and 1.*no lot was drawn"):
        Arms(np.ones(2), np.array([1.0, 0.5]))
    with pytest.raises(DataError, match="treated other than 0 and 1"):
        Arms(np.array([0.0, 2.0]))
    with pytest.raises(DataError, match="use qini for amounts"):
        qini_of_perfect(Arms(TREATED)).of(2 * OUTCOME, SCORE)
    with pytest.raises(UsageError, match=r"found the share 30"):
        uplift_at(Arms(TREATED), 30)
