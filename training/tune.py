"""The search for parameters: forward-chained folds judge, the test is never looked at, and a stopped search goes on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError, UsageError
from training.ranking_folds import order_values
from training.task import Parameters, RankingTask
from training.unlabelled import Past, scored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import optuna
    from numpy.typing import NDArray
    from optuna.trial import FrozenTrial

    from training.dataset import Examples
    from training.split import Fold
    from training.task import LabelledTask, Task

_DRAWS = 8


@dataclass(frozen=True)
class Trial:
    """One set of parameters that a search tried.

    Attributes:
        number: Which of the search it was.
        parameters: Those that differ from the task's own; none for the task's own.
        folds: The task's first metric on each fold.
        value: Their mean.
        started: UTC instant; like `seconds` no part of what was found, so two trials are equal without them.
        seconds: How long it took.
    """

    number: int
    parameters: Parameters
    folds: tuple[float, ...]
    value: float
    started: datetime = field(compare=False)
    seconds: float = field(compare=False)


@dataclass(frozen=True)
class Tuned:
    """What the search chose.

    Attributes:
        parameters: What was found to be better than the task's own parameters on every fold, and best on average; empty
            where nothing was. With few positives the best average alone is mostly luck.
        folds: The task's first metric on each fold, for these parameters.
        default_folds: The same for the task's own parameters, which are always tried first.
        trials: Trials that were chosen among, those of earlier runs included.
        journal: Where the trials are kept; None where an earlier search's choice was taken.
        tried: The trials that were chosen among, in order; those of the earlier search where its choice was taken.
    """

    parameters: Parameters
    folds: tuple[float, ...]
    default_folds: tuple[float, ...]
    trials: int
    journal: Path | None
    tried: tuple[Trial, ...] = ()


def search(
    task: LabelledTask,
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

    Raises:
        UsageError: No trial is asked for.
        DataError: The first metric has no meaning on a fold.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if trials < 1:
        raise UsageError(f"a search needs at least one trial, the task's own parameters: found trials={trials}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / f"{task.name}-{_question(task, examples, folds, seed)}.journal"
    metric = task.metrics[0]
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal))),
        study_name=task.name,
        load_if_exists=True,
        direction="maximize" if metric.greater_is_better else "minimize",
    )
    done = len(_finished(study))
    # Gone on with under the same seed, the sampler would draw again what it drew before it was stopped.
    study.sampler = optuna.samplers.TPESampler(seed=seed + done)

    def objective(trial: optuna.Trial) -> float:
        parameters = task.search(trial) if _own(_finished(study)) else {}
        trial.set_user_attr("parameters", dict(parameters))
        values = fold_values(task, examples, folds, parameters, seed)
        if np.isnan(values).any():
            raise DataError(
                f"{metric.name} has no meaning on a validation fold of task {task.name!r}: found folds in which all "
                "labels are alike, expected both outcomes in each; use fewer folds or a longer history"
            )
        trial.set_user_attr("folds", values)
        advance()
        return float(np.mean(values))

    study.optimize(objective, n_trials=max(0, trials - done))
    finished = _finished(study)
    default = _own(finished)[0]
    considered = finished[:trials]
    chosen = _chosen(considered, default, 1 if metric.greater_is_better else -1)
    return Tuned(
        dict(chosen.user_attrs["parameters"]),
        tuple(chosen.user_attrs["folds"]),
        tuple(default.user_attrs["folds"]),
        len(considered),
        journal,
        tuple(map(_told, considered)),
    )


def rejudged(
    task: LabelledTask,
    examples: Examples,
    folds: Sequence[Fold],
    earlier: Tuned,
    seed: int,
    advance: Callable[[], None],
) -> Tuned:
    """What an earlier search chose, judged anew on every fold beside the task's own parameters; nothing is searched."""
    own = tuple(fold_values(task, examples, folds, {}, seed))
    advance()
    chosen = tuple(fold_values(task, examples, folds, earlier.parameters, seed)) if earlier.parameters else own
    return Tuned(earlier.parameters, chosen, own, earlier.trials, None, earlier.tried)


def fold_values(
    task: LabelledTask, examples: Examples, folds: Sequence[Fold], parameters: Parameters, seed: int
) -> list[float]:
    """The task's first metric over the validation rows of each fold."""
    if isinstance(task, RankingTask):
        return order_values(task, examples, folds, parameters, seed)
    light = replace(task, unlabelled=task.unlabelled.searched()) if task.unlabelled else task
    scores = out_of_fold(light, examples, folds, parameters, seed)
    return [task.metrics[0].of(examples.label[fold.validate], scores[fold.validate]) for fold in folds]


def _chosen(finished: Sequence[FrozenTrial], default: FrozenTrial, sign: int) -> FrozenTrial:
    """The best trial among those that beat the task's own parameters on every fold, else the task's own."""
    own = np.array(default.user_attrs["folds"])
    ahead = [trial for trial in finished if (sign * (np.array(trial.user_attrs["folds"]) - own) > 0).all()]
    return max(ahead, key=lambda trial: sign * float(np.mean(trial.user_attrs["folds"])), default=default)


def out_of_fold(
    task: Task, examples: Examples, folds: Sequence[Fold], parameters: Parameters, seed: int, *, everyone: bool = False
) -> NDArray[np.float64]:
    """Raw scores of the rows of each fold to be judged on, by a model of their past alone; NaN elsewhere.

    With `everyone` the rows of their time that have no label are scored as well. Shape (rows,).
    """
    scores = np.full(len(examples.label), np.nan)
    for number, fold in enumerate(folds):
        past = Past.of(task, examples, fold.fit, fold.unlabelled)
        booster = past.taught(parameters, np.random.default_rng([seed, number]))
        asked = np.concatenate((fold.validate, fold.unjudged)) if everyone else fold.validate
        scores[asked] = scored(booster, examples, asked)
    return scores


def _own(finished: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials of the task's own parameters; not known by their number, because the first may have been killed."""
    return [trial for trial in finished if not trial.user_attrs["parameters"]]


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    import optuna

    return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def _told(trial: FrozenTrial) -> Trial:
    """A finished trial; the journal notes the time of this machine."""
    started, took = trial.datetime_start, trial.duration
    if started is None or took is None or trial.value is None:
        raise DataError(f"trial {trial.number}: found no time or value, expected both of a finished trial")
    folds, parameters = trial.user_attrs["folds"], dict(trial.user_attrs["parameters"])
    return Trial(trial.number, parameters, tuple(folds), trial.value, started.astimezone(UTC), took.total_seconds())


def _question(task: LabelledTask, examples: Examples, folds: Sequence[Fold], seed: int) -> str:
    """What the trials of a journal answer: the same rows, labels, folds, learner, space and seed."""
    digest = hashlib.sha256()
    digest.update(examples.matrix.tobytes())
    digest.update(examples.label.tobytes())
    for fold in folds:
        digest.update(fold.fit.tobytes())
        digest.update(fold.validate.tobytes())
        if task.unlabelled:
            digest.update(fold.unlabelled.tobytes())
    digest.update(repr(_space(task)).encode())
    digest.update(repr((examples.features, task.learner, task.metrics[0].name, seed)).encode())
    if task.unlabelled:
        digest.update(repr(task.unlabelled).encode())
    return digest.hexdigest()[:16]


def _space(task: LabelledTask) -> list[tuple[object, ...]]:
    """What the search asks of a few seeded trials and makes of them: the same however its function is written."""
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    draws: list[tuple[object, ...]] = []
    for _ in range(_DRAWS):
        trial = study.ask()
        parameters = task.search(trial)
        draws.append((sorted(trial.distributions.items()), sorted(parameters.items())))
    return draws
