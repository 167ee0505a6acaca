"""A simulated lot of which it is known who was won and who was put off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import check_grad

from data.errors import DataError, UsageError
from serving.response import Changed, Fact, Response, Score
from training.effect.model import Trial
from training.effect.response import ANYWAY, ResponseLearner
from training.effect.trees import Trees

FEATURES = ("pace", "taste", "orders")
TASTE = Fact("taste", centre=0.0, scale=1.0, low=-3.0, high=3.0)
TREES = Trees({"num_iterations": 60, "num_leaves": 8, "min_data_in_leaf": 50, "learning_rate": 0.1}, bags=1)
LEARNER = ResponseLearner(gain=(TASTE,), loss=(TASTE,), redeem=(), trees=TREES)


def lot(seed, size=40_000):
    """Members with a taste for coupons are won, those without are put off."""
    draw = np.random.default_rng(seed)
    pace, taste = draw.normal(size=(2, size))
    matrix = np.column_stack((pace, taste, draw.integers(0, 9, size))).astype(np.float32)
    anyway = 1 / (1 + np.exp(2.5 - 1.5 * pace))
    gain, loss = 1 / (1 + np.exp(3 - taste)), 1 / (1 + np.exp(2 + taste))
    treated, buys = draw.random(size) < 0.6, draw.random(size) < anyway
    lost, won = treated & buys & (draw.random(size) < loss), treated & ~buys & (draw.random(size) < gain)
    redeemed = (treated & buys & ~lost & (draw.random(size) < 0.6)) | (won & (draw.random(size) < 0.9))
    trial = Trial.of(FEATURES, matrix, treated, ((buys & ~lost) | won).astype(float), np.full(size, 0.6))
    return replace(trial, redeemed=redeemed.astype(float)), (1 - anyway) * gain, anyway * loss


@pytest.fixture(scope="module")
def learned():
    trial, won, lost = lot(1)
    return LEARNER.learned(trial, np.random.default_rng(0)), trial, won, lost


def test_it_tells_whom_an_offer_wins_from_whom_it_puts_off(learned):
    model, trial, won, lost = learned
    said = model.effect(trial.matrix)
    assert np.corrcoef(said, won - lost)[0, 1] > 0.9
    assert np.corrcoef(model.lost(trial.matrix), lost)[0, 1] > 0.8
    assert said.mean() == pytest.approx((won - lost).mean(), abs=0.01)
    assert model.response.gain.weights[0] > 0.4
    assert model.response.loss.weights[0] < -0.2


def test_a_rows_answer_is_its_own(learned):
    model, trial, _, _ = learned
    assert model.effect(trial.matrix[5:6])[0] == model.effect(trial.matrix)[5]
    assert model.lost(trial.matrix[5:6])[0] == model.lost(trial.matrix)[5]


def test_the_slope_of_the_likelihood_is_its_slope():
    trial, _, _ = lot(2, 400)
    sent = trial.at(trial.treated)
    likelihood = LEARNER._likelihood(sent, np.full(len(sent.outcome), 0.1))
    point = likelihood.centre + np.random.default_rng(3).normal(0, 0.3, len(likelihood.centre))
    gap = check_grad(lambda at: likelihood(at)[0], lambda at: likelihood(at)[1], point)
    assert gap < 1e-3 * np.linalg.norm(likelihood(point)[1])


def test_without_redemptions_it_cannot_tell():
    trial, _, _ = lot(4, 400)
    with pytest.raises(DataError, match="no redemptions"):
        LEARNER.learned(replace(trial, redeemed=None), np.random.default_rng(0))


def test_what_orders_show_counts_little_while_they_are_few():
    fact = Fact("taste", centre=0.0, scale=2.0, low=-1.0, high=1.0, seen="orders")
    rows = np.array([[0, 9, 4], [0, -9, 0], [0, np.nan, 4], [0, 1, np.nan]], np.float32)
    assert fact.read(FEATURES, rows).tolist() == [0.25, 0.0, 0.0, 0.0]


def test_who_buys_anyway_cannot_be_won_and_who_does_not_cannot_be_put_off():
    sure = Score((), (), base=50.0, inclination=0.0)
    found = Response(ANYWAY, sure, sure).apply(FEATURES, np.zeros((2, 3), np.float32), np.array([0.0, 1.0]))
    assert isinstance(found, Changed)
    np.testing.assert_allclose((found.won, found.lost), ([1.0, 0.0], [0.0, 1.0]))


def test_facts_and_scores_that_are_none_are_refused():
    with pytest.raises(UsageError, match="a scale other than 0"):
        Fact("taste", 0.0, 0.0, 0.0, 1.0)
    with pytest.raises(UsageError, match="found 1 weights of 0 facts"):
        Score((), (1.0,), 0.0, 0.0)
    with pytest.raises(UsageError, match="found facts of price"):
        Fact("price", 0.0, 1.0, 0.0, 1.0).read(FEATURES, np.zeros((1, 3), np.float32))
