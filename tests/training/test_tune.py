"""The search: a journal is gone on with where the question is the same; own parameters yield only to proof."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from training.dataset import Examples
from training.metrics import Metric
from training.split import Fold
from training.tune import _chosen, search

FOLDS = (
    Fold(np.array([0, 1]), np.array([2, 3])),
    Fold(np.array([0, 1, 2, 3]), np.array([4, 5])),
)
MEAN = Metric("mean_score", lambda judged, weights: weights @ judged.score / weights.sum(axis=1))


@dataclass(frozen=True)
class Constant:
    """A booster that says one number."""

    value: float

    def predict(self, matrix, **_options):
        return np.full(len(matrix), self.value)


@dataclass(frozen=True)
class Shelf:
    """A learner whose model is worth what its parameters say: `first` on the first fold, `later` on the others."""

    first: float = 0.5
    later: float = 0.5
    dies_at: int = -1
    fits: list = field(default_factory=list, compare=False, repr=False)

    def fit(self, _features, matrix, _label, parameters, _generator, _weight=None):
        if len(self.fits) == self.dies_at:
            raise KeyboardInterrupt
        self.fits.append(dict(parameters))
        name = "first" if len(matrix) == 2 else "later"
        return Constant(parameters.get(name, getattr(self, name)))


def _space(trial):
    return {"first": trial.suggest_float("first", 0, 1), "later": trial.suggest_float("later", 0, 1)}


def _wider(trial):
    return {"first": trial.suggest_float("first", 0, 2), "later": trial.suggest_float("later", 0, 1)}


def _whole(trial):
    return {"first": trial.suggest_int("first", 0, 1), "later": trial.suggest_float("later", 0, 1)}


def _squared(trial):
    return {"first": trial.suggest_float("first", 0, 1) ** 2, "later": trial.suggest_float("later", 0, 1)}


def _written_otherwise(trial):
    return {name: trial.suggest_float(name, 0, 1) for name in ("first", "later")}


@pytest.fixture
def task(renewal):
    return replace(renewal, learner=Shelf(), search=_space, metrics=(MEAN,))


@pytest.fixture
def table():
    zeros = np.zeros(6, np.int64)
    matrix = np.arange(6, dtype=np.float32)[:, None]
    return Examples(zeros.astype(object), zeros, zeros, zeros.astype(np.float64), zeros, zeros, {}, ("x",), matrix)


def _search(task, table, folder, trials, seed=0, folds=FOLDS):
    advanced = []
    tuned = search(task, table, folds, trials=trials, seed=seed, folder=folder, advance=lambda: advanced.append(1))
    return tuned, len(advanced)


def test_the_tasks_own_parameters_are_tried_first(task, table, tmp_path):
    tuned, advanced = _search(task, table, tmp_path, 1)

    assert (tuned.parameters, tuned.folds, tuned.default_folds) == ({}, (0.5, 0.5), (0.5, 0.5))
    assert (tuned.trials, advanced) == (1, 1)
    assert task.learner.fits == [{}, {}]


def test_a_stopped_search_goes_on_and_counts_what_was_done(task, table, tmp_path):
    first, _ = _search(task, table, tmp_path, 4)
    done = len(task.learner.fits)
    again, advanced = _search(task, table, tmp_path, 6)

    assert (again.trials, advanced, again.journal) == (6, 2, first.journal)
    assert len(task.learner.fits) == done + 2 * len(FOLDS)
    assert again.default_folds == first.default_folds
    tried = [tuple(sorted(parameters.items())) for parameters in task.learner.fits[:: len(FOLDS)]]
    assert len(set(tried)) == 6


def test_a_search_that_is_done_tries_nothing_more(task, table, tmp_path):
    first, _ = _search(task, table, tmp_path, 3)

    assert _search(task, table, tmp_path, 3) == (first, 0)
    own, advanced = _search(task, table, tmp_path, 1)
    assert (own.parameters, own.trials, advanced) == ({}, 1, 0)


@pytest.mark.parametrize("dies_at", [0, 1, 2, 5])
def test_a_search_that_was_killed_in_a_trial_goes_on(task, table, tmp_path, dies_at):
    mortal = replace(task, learner=_Mortal(dies_at=dies_at))
    with pytest.raises(KeyboardInterrupt):
        _search(mortal, table, tmp_path, 4)

    tuned, _ = _search(replace(task, learner=_Mortal()), table, tmp_path, 4)

    assert tuned.trials == 4
    assert tuned.default_folds == (0.5, 0.5)


class _Mortal(Shelf):
    """The same learner to the journal, whether it will die or not."""

    def __repr__(self):
        return "Mortal()"


@pytest.mark.parametrize(
    "change",
    [
        lambda task, table: (task, replace(table, matrix=table.matrix + 1), FOLDS, 0),
        lambda task, table: (task, replace(table, label=1 - table.label), FOLDS, 0),
        lambda task, table: (task, replace(table, features=("y",)), FOLDS, 0),
        lambda task, table: (task, table, FOLDS[1:], 0),
        lambda task, table: (task, table, FOLDS, 1),
        lambda task, table: (replace(task, search=_wider), table, FOLDS, 0),
        lambda task, table: (replace(task, search=_whole), table, FOLDS, 0),
        lambda task, table: (replace(task, search=_squared), table, FOLDS, 0),
        lambda task, table: (replace(task, learner=Shelf(first=0.4)), table, FOLDS, 0),
        lambda task, table: (replace(task, metrics=(replace(MEAN, name="other"),)), table, FOLDS, 0),
    ],
    ids=["data", "labels", "features", "folds", "seed", "bounds", "kind", "use of a draw", "learner", "metric"],
)
def test_another_question_starts_anew(task, table, tmp_path, change):
    first, _ = _search(task, table, tmp_path, 2)
    other_task, other_table, folds, seed = change(task, table)

    other, advanced = _search(other_task, other_table, tmp_path, 2, seed, folds)

    assert advanced == 2
    assert other.journal != first.journal
    assert sorted(tmp_path.glob("*.journal")) == sorted([first.journal, other.journal])


def test_the_same_space_written_otherwise_is_the_same_question(task, table, tmp_path):
    _search(task, table, tmp_path, 2)

    assert _search(replace(task, search=_written_otherwise), table, tmp_path, 2)[1] == 0


def test_the_same_seed_finds_the_same(task, table, tmp_path):
    one, _ = _search(task, table, tmp_path / "one", 8)
    other, _ = _search(task, table, tmp_path / "other", 8)

    assert replace(one, journal=Path()) == replace(other, journal=Path())


def test_a_better_set_of_parameters_is_better_on_every_fold(task, table, tmp_path):
    tuned, _ = _search(task, table, tmp_path, 15)

    ahead = [
        (one["first"], one["later"])
        for one in task.learner.fits[2 :: len(FOLDS)]
        if one["first"] > 0.5 and one["later"] > 0.5
    ]
    assert ahead
    assert tuned.folds == pytest.approx(max(ahead, key=sum))
    assert (tuned.parameters["first"], tuned.parameters["later"]) == tuned.folds


def test_a_set_that_is_far_better_on_one_fold_alone_is_not_taken(task, table, tmp_path):
    luck = replace(task, search=lambda trial: {"first": trial.suggest_float("first", 0.9, 1.0), "later": 0.5})

    tuned, _ = _search(luck, table, tmp_path, 5)

    assert tuned.parameters == {}
    assert tuned.folds == tuned.default_folds


def test_where_less_is_better_less_is_taken(task, table, tmp_path):
    less = replace(task, metrics=(replace(MEAN, greater_is_better=False),))

    tuned, _ = _search(less, table, tmp_path, 15)

    assert tuned.parameters
    assert max(tuned.folds) < 0.5


folds_of_a_trial = st.lists(st.floats(0, 1), min_size=3, max_size=3)


@given(own=folds_of_a_trial, others=st.lists(folds_of_a_trial, max_size=6), sign=st.sampled_from([1, -1]))
@example(own=[0.5, 0.5, 0.5], others=[[0.5, 1.0, 1.0]], sign=1)
def test_the_chosen_trial_is_ahead_on_every_fold_and_best_on_average(own, others, sign):
    finished = [
        optuna.trial.create_trial(value=0.0, user_attrs={"folds": values, "number": number})
        for number, values in enumerate([own, *others])
    ]

    chosen = _chosen(finished, finished[0], sign)

    ahead = [values for values in others if all(sign * a > sign * b for a, b in zip(values, own, strict=True))]
    if not ahead:
        assert chosen is finished[0]
    else:
        assert chosen.user_attrs["folds"] in ahead
        assert sign * np.mean(chosen.user_attrs["folds"]) == max(sign * np.mean(values) for values in ahead)


def test_a_fold_on_which_the_metric_has_no_meaning_is_refused(task, table, tmp_path):
    blind = replace(task, metrics=(Metric("roc_auc", lambda _judged, weights: np.full(len(weights), np.nan)),))

    with pytest.raises(DataError, match="roc_auc has no meaning on a validation fold of task 'renewal'"):
        _search(blind, table, tmp_path, 2)


@pytest.mark.parametrize("trials", [0, -1])
def test_a_search_of_no_trials_is_refused(task, table, tmp_path, trials):
    with pytest.raises(UsageError, match=f"at least one trial.*trials={trials}"):
        _search(task, table, tmp_path, trials)

    assert list(tmp_path.iterdir()) == []
