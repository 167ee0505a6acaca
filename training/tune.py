"""The search for parameters: forward-chained folds judge, the test is never looked at, and a stopped search goes on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from data.errors import DataError
from training.learner import raw_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from training.dataset import Examples
    from training.split import Fold
    from training.task import Parameters, Task


@dataclass(frozen=True)
class Tuned:
    """What the search chose.

    Attributes:
        parameters: The best parameters found.
        value: The task's first metric over the validation rows of all folds, pooled within a fold and averaged over folds.
        default_value: The same for the learner's own parameters, which are always tried first.
        trials: Trials finished, those of earlier runs included.
        journal: Where the trials are kept.
    """

    parameters: Parameters
    value: float
    default_value: float
    trials: int
    journal: Path


def search(
    task: Task,
    examples: Examples,
    folds: Sequence[Fold],
    *,
    trials: int,
    seed: int,
    folder: Path,
    advance: Callable[[], None],
) -> Tuned:
    """Try parameters until `trials` have been finished in all, counting those of a search that was stopped.

    Args:
        task: Whose learner, search space and first metric are used.
        examples: The training table.
        folds: Rows to fit and to judge on.
        trials: How many trials there should be in the end; the first is the learner's own parameters.
        seed: Where chance starts.
        folder: Where the journal of trials lies; a journal is only gone on with for the same rows, features and folds.
        advance: Called after each trial.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / f"{task.name}-{_question(task, examples, folds, seed)}.journal"
    metric = task.metrics[0]
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal))),
        study_name=task.name,
        load_if_exists=True,
        direction="maximize" if metric.greater_is_better else "minimize",
        sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, warn_independent_sampling=False),
    )
    done = len(_finished(study))
    study.sampler = optuna.samplers.TPESampler(seed=seed + done, multivariate=True, warn_independent_sampling=False)

    def objective(trial: optuna.Trial) -> float:
        parameters = {} if trial.number == 0 else task.search(trial)
        trial.set_user_attr("parameters", dict(parameters))
        value = fold_value(task, examples, folds, parameters, seed)
        if np.isnan(value):
            raise DataError(
                f"{metric.name} has no meaning on the validation folds of task {task.name!r}: found folds in which all labels "
                "are alike, expected both outcomes in each; use fewer folds or a longer history"
            )
        advance()
        return value

    study.optimize(objective, n_trials=max(0, trials - done))
    first = next(trial for trial in _finished(study) if trial.number == 0)
    return Tuned(
        dict(study.best_trial.user_attrs["parameters"]),
        float(study.best_value),
        float(first.value if first.value is not None else np.nan),
        len(_finished(study)),
        journal,
    )


def fold_value(task: Task, examples: Examples, folds: Sequence[Fold], parameters: Parameters, seed: int) -> float:
    """The task's first metric, averaged over the validation rows of the folds weighted by their positives."""
    scores = out_of_fold(task, examples, folds, parameters, seed)
    values = [task.metrics[0].of(examples.label[fold.validate], scores[fold.validate]) for fold in folds]
    weights = [float(examples.label[fold.validate].sum()) for fold in folds]
    return float(np.average(values, weights=weights))


def out_of_fold(
    task: Task, examples: Examples, folds: Sequence[Fold], parameters: Parameters, seed: int
) -> NDArray[np.float64]:
    """Raw scores of the validation rows, each by a model of its past alone; NaN elsewhere. Shape (rows,)."""
    scores = np.full(len(examples.label), np.nan)
    for number, fold in enumerate(folds):
        booster = task.learner.fit(
            examples.features,
            examples.matrix[fold.fit],
            examples.label[fold.fit],
            parameters,
            np.random.default_rng([seed, number]),
        )
        scores[fold.validate] = raw_scores(booster, examples.matrix[fold.validate])
    return scores


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def _question(task: Task, examples: Examples, folds: Sequence[Fold], seed: int) -> str:
    """What the trials of a journal answer: the same rows, labels, folds, learner, space and seed."""
    digest = hashlib.sha256()
    digest.update(examples.matrix.tobytes())
    digest.update(examples.label.tobytes())
    for fold in folds:
        digest.update(fold.fit.tobytes())
        digest.update(fold.validate.tobytes())
    space = task.search.__code__.co_code + repr(task.search.__code__.co_consts).encode()
    digest.update(space)
    digest.update(repr((examples.features, task.learner, task.metrics[0].name, seed)).encode())
    return digest.hexdigest()[:16]
