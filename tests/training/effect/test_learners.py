"""Simulated experiments of which the effect of every row is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from data.errors import DataError, UsageError
from training.effect.learners import ClassTransformation, DRLearner, SLearner, TLearner, XLearner
from training.effect.model import Trial
from training.effect.trees import Trees

FEATURES = ("pace", "taste", "noise", "face_value_fen")
PARAMETERS = {
    "learning_rate": 0.1,
    "num_iterations": 60,
    "num_leaves": 8,
    "min_data_in_leaf": 50,
    "lambda_l2": 10.0,
    "feature_fraction": 0.75,
}
TREES = Trees(PARAMETERS, bags=2)
RISING = Trees(PARAMETERS, bags=2, more_is_likelier=("face_value_fen",))
LEARNERS = {
    "s": SLearner(RISING, dose="face_value_fen"),
    "t": TLearner(RISING),
    "x": XLearner(RISING),
    "dr": DRLearner(RISING),
    "class_transformation": ClassTransformation(RISING),
}


def experiment(seed, size=12_000, *, amount=False):
    """Who shops often buys anyway; the coupon wins those with a taste for it and puts off the others."""
    draw = np.random.default_rng(seed)
    pace, taste, noise = draw.normal(size=(3, size))
    face = draw.choice([200.0, 400.0, 600.0], size)
    matrix = np.column_stack((pace, taste, noise, face)).astype(np.float32)
    matrix[draw.random(matrix.shape) < 0.02 * (np.arange(4) < 3)] = np.nan
    propensity = draw.choice([0.4, 0.7], size)
    treated = draw.random(size) < propensity
    base = 1 / (1 + np.exp(1.0 - pace))
    gained = np.clip(0.2 * np.tanh(2 * taste) + 0.08 * (face - 400) / 200, -base, 1 - base)
    chance = base + treated * gained
    outcome = (draw.random(size) < chance).astype(float)
    if amount:
        outcome, gained = 1_000 * outcome + draw.normal(0, 50, size), 1_000 * gained
    return SimpleNamespace(
        matrix=matrix, treated=treated, outcome=outcome, propensity=propensity, gained=gained, taste=taste
    )


def fitted(learner, told, seed=3, **changed):
    given = {"treated": told.treated, "outcome": told.outcome, "propensity": told.propensity, **changed}
    return learner.fit(FEATURES, told.matrix, **given, generator=np.random.default_rng(seed))


@pytest.fixture(scope="module", params=[False, True], ids=["purchase", "margin"])
def told(request):
    return experiment(1, amount=request.param)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_finds_who_is_won_and_who_is_put_off(name, told):
    unit = 1_000 if told.outcome.max() > 1 else 1
    later = experiment(2, amount=unit > 1)
    found = fitted(LEARNERS[name], told).effect(later.matrix)
    assert found.dtype == np.float64
    assert np.corrcoef(found, later.gained)[0, 1] > 0.65
    assert found[later.taste > 1].mean() > 0.05 * unit
    assert found[later.taste < -1].mean() < -0.03 * unit
    assert found.mean() == pytest.approx(later.gained.mean(), abs=0.03 * unit)


@pytest.mark.parametrize("name", LEARNERS)
def test_the_same_generator_gives_the_same_model(name):
    told = experiment(1, size=2_000)
    first, second = (fitted(LEARNERS[name], told).effect(told.matrix) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = fitted(LEARNERS[name], told, seed=4).effect(told.matrix)
    assert (other != first).any()


@pytest.mark.parametrize("name", LEARNERS)
def test_a_rows_effect_is_its_own(name):
    told = experiment(1, size=2_000)
    model = fitted(LEARNERS[name], told)
    np.testing.assert_array_equal(model.effect(told.matrix)[:50], model.effect(told.matrix[:50]))


@pytest.mark.parametrize("name", ["s", "t", "class_transformation", "x", "dr"])
def test_no_member_is_less_likely_to_buy_for_more_off(name):
    told = experiment(1, size=4_000)
    model = fitted(LEARNERS[name], told)
    levels = []
    for face in (200, 300, 400, 500, 600):
        rows = told.matrix.copy()
        rows[:, 3] = face
        levels.append(model.effect(rows))
    rises = np.diff(levels, axis=0)
    if name == "t":  # its forest of the withheld arm may see a face value that nobody was shown
        rises = np.diff(
            [model.heads["sent"].answer(_at(told.matrix, face), sent=True) for face in (200, 400, 600)], axis=0
        )
    assert rises.min() >= -1e-12
    assert rises.max() > 0


def _at(matrix, face):
    rows = matrix.copy()
    rows[:, 3] = face
    return rows


def test_the_offer_that_is_withheld_has_no_face_value():
    told = experiment(1, size=4_000)
    head = fitted(LEARNERS["s"], told).heads["outcome"]
    answers = [head.answer(_at(told.matrix, face), sent=False) for face in (200, 600)]
    np.testing.assert_array_equal(*answers)


def test_the_doubly_robust_score_is_unbiased_even_where_the_forests_are_blind():
    blind = DRLearner(Trees({"num_iterations": 1, "learning_rate": 0.001}, bags=1))
    gaps = []
    for seed in range(8):
        told = experiment(seed, size=4_000)
        trial = Trial.of(FEATURES, told.matrix, told.treated, told.outcome, told.propensity)
        gaps.append(np.mean(blind.scores(trial, np.random.default_rng(seed)) - told.gained))
    spread = np.std(gaps, ddof=1) / np.sqrt(len(gaps))
    assert abs(np.mean(gaps)) < 3 * spread
    assert spread < 0.01


def test_forests_that_see_make_the_doubly_robust_score_steadier():
    told = experiment(1)
    trial = Trial.of(FEATURES, told.matrix, told.treated, told.outcome, told.propensity)
    seeing = DRLearner(TREES).scores(trial, np.random.default_rng(1))
    plain = told.outcome * (told.treated / told.propensity - ~told.treated / (1 - told.propensity))
    assert seeing.std() < 0.8 * plain.std()


def test_a_weight_says_how_often_a_row_counts():
    told = experiment(1)
    keen = (told.taste > 0).astype(float)
    for name, learner in LEARNERS.items():
        of_keen = fitted(learner, told, weight=keen + 1e-6).effect(told.matrix).mean()
        assert of_keen > fitted(learner, told).effect(told.matrix).mean() + 0.02, name


def test_all_that_is_wrong_with_the_rows_is_said_at_once():
    told = experiment(1, size=200)
    with pytest.raises(DataError) as refusal:
        fitted(TLearner(), told, treated=np.ones(200, bool), propensity=np.ones(200), outcome=np.full(200, np.nan))
    for word in ("both arms", "200 outcomes", "200 chances"):
        assert word in str(refusal.value)


def test_a_column_that_is_not_there_is_named():
    told = experiment(1, size=200)
    with pytest.raises(UsageError, match="'price'"):
        fitted(SLearner(dose="price"), told)
    with pytest.raises(UsageError, match="more_is_likelier names columns that the rows have not: found price"):
        fitted(TLearner(Trees(more_is_likelier=("price",))), told)
    with pytest.raises(UsageError, match="found 1 folds"):
        fitted(DRLearner(folds=1), told)


def test_other_columns_are_refused():
    told = experiment(1, size=2_000)
    with pytest.raises(UsageError, match=r"expected float32 of shape \(rows, 4\)"):
        fitted(LEARNERS["s"], told).effect(told.matrix[:, :3])
