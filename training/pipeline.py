"""From a task and its data to a model that has been judged: the same few steps for every task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError
from training.calibrate import fit_isotonic, fit_sigmoid
from training.dataset import build, examples
from training.interval import Resampling, compare
from training.learner import raw_scores
from training.payoff import money
from training.record import Record, Search, calibration
from training.steps import Steps
from training.tune import out_of_fold, search

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lightgbm
    from numpy.typing import NDArray

    from data.sources import DataSet
    from training.calibrate import Calibrator
    from training.dataset import Built, Examples
    from training.interval import Interval
    from training.means import Means
    from training.split import Division, Fold
    from training.task import Task
    from training.tune import Tuned

HOME = Path("var")
TRIALS = 20
SMALLEST_SLICE = 30


@dataclass(frozen=True)
class Model:
    """A fitted task: trees, and how their score becomes a probability."""

    task: Task
    booster: lightgbm.Booster
    calibrator: Calibrator

    def probability(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated chance of a yes, shape (rows,), of feature rows (rows, features)."""
        return self.calibrator.apply(raw_scores(self.booster, matrix))


@dataclass(frozen=True)
class Predictions:
    """The test rows, scored once.

    Attributes:
        row_id: Key of each row.
        as_of: The moment of each row, microseconds since 1970 in UTC.
        label: What came true.
        probability: What was said.
        matrix: Their features, as served.
    """

    row_id: NDArray[np.object_]
    as_of: NDArray[np.int64]
    label: NDArray[np.float64]
    probability: NDArray[np.float64]
    matrix: NDArray[np.float32]


@dataclass(frozen=True)
class Fitted:
    """What a fit returns: the model, what it said of the test, and the record of how it came about."""

    model: Model
    predictions: Predictions
    record: Record
    built: Built


def fit(
    task: Task,
    data_set: DataSet,
    *,
    home: Path = HOME,
    trials: int = TRIALS,
    seed: int = 0,
    steps: Steps | None = None,
) -> Fitted:
    """Build the features, search on past folds, fit, calibrate, and judge once on the test.

    Args:
        task: What to learn.
        data_set: Tables that keep their contracts.
        home: Where features and search journals are kept, to go on from.
        trials: How many sets of parameters are tried in all; 1 keeps the task's own.
        seed: Where chance starts.
        steps: Collects how long each step took, and draws bars if it has a console.
    """
    steps = Steps() if steps is None else steps
    built = features(task, data_set, home, steps)
    table = examples(task, data_set, built)
    division = task.split.divide(table.as_of, table.closes_at)
    folds = _telling(task, table, division)
    with steps.step("search parameters", total=trials) as step:
        step.rows = len(division.train)
        tuned = search(task, table, folds, trials=trials, seed=seed, folder=home / "studies", advance=step.advance)
    study = _Study(task, table, division, folds, tuned, seed)
    with steps.step("fit and calibrate") as step:
        step.rows = len(division.train)
        model = _model(study)
    with steps.step("judge on the test") as step:
        step.rows = len(division.test)
        predictions = _predict(model, table, division.test)
        record = _judge(study, model, predictions, data_set.content_hash())
    return Fitted(model, predictions, record, built)


def features(task: Task, data_set: DataSet, home: Path, steps: Steps, means: Means | None = None) -> Built:
    """What was known of every row of the task at its moment, under `home`, as one step of a journey."""
    with steps.step("build features") as step:
        built = build(task, data_set, home / "features", step.reach, means)
        step.rows = built.rows
    return built


def _telling(task: Task, table: Examples, division: Division) -> tuple[Fold, ...]:
    """The folds in which both outcomes are learned from and judged on; others say nothing of parameters.

    Raises:
        DataError: There is none, or the rows before or after the cut are all alike.
    """
    label = table.label
    sides = {"to learn from": division.train, "to test on": division.test}
    alike = [name for name, rows in sides.items() if len(np.unique(label[rows])) < 2]
    folds = tuple(
        fold
        for fold in task.split.chain(table.as_of, table.closes_at, table.group, division.train)
        if len(np.unique(label[fold.fit])) == len(np.unique(label[fold.validate])) == 2
    )
    if alike or not folds:
        where = f"the rows {' and '.join(alike)}" if alike else "every fold, in what is learned from or judged on"
        raise DataError(
            f"task {task.name!r}: found one outcome alone in {where}; expected both, or nothing can be learned or "
            "judged; give a longer history, or another cut with --test-from"
        )
    return folds


@dataclass(frozen=True)
class _Study:
    """All that is known before the model is made."""

    task: Task
    table: Examples
    division: Division
    folds: Sequence[Fold]
    tuned: Tuned
    seed: int

    def resampling(self) -> Resampling:
        """The draws of the test's units: the same at every call, so that all comparisons are paired."""
        return Resampling(self.table.unit[self.division.test], np.random.default_rng([self.seed, 1]))


def _model(study: _Study) -> Model:
    """Trees of all rows to learn from; their calibration from rows that each model had not seen."""
    task, table, tuned = study.task, study.table, study.tuned
    rows = study.division.train
    generator = np.random.default_rng(study.seed)
    booster = task.learner.fit(table.features, table.matrix[rows], table.label[rows], tuned.parameters, generator)
    unseen = out_of_fold(task, table, study.folds, tuned.parameters, study.seed)
    known = ~np.isnan(unseen)
    fit_calibrator = fit_sigmoid if task.learner.calibration == "sigmoid" else fit_isotonic
    return Model(task, booster, fit_calibrator(unseen[known], table.label[known]))


def _predict(model: Model, table: Examples, rows: NDArray[np.intp]) -> Predictions:
    matrix = table.matrix[rows]
    return Predictions(table.row_id[rows], table.as_of[rows], table.label[rows], model.probability(matrix), matrix)


def _judge(study: _Study, model: Model, predictions: Predictions, data_hash: str) -> Record:
    task, table, division, tuned = study.task, study.table, study.division, study.tuned
    baselines = {
        baseline.name: baseline.score(table, division.train, study.folds, task.metrics[0])[division.test]
        for baseline in task.baselines
    }
    scores = {"model": predictions.probability, **baselines}
    figures = compare(predictions.label, scores, task.metrics, study.resampling())
    parts = {"train": division.train, "test": division.test, "dropped": division.dropped}
    return Record(
        task=task.name,
        seed=study.seed,
        data_hash=data_hash,
        fingerprint=task.features.fingerprint(),
        rows={name: len(rows) for name, rows in parts.items()},
        positives={name: int(table.label[rows].sum()) for name, rows in parts.items()},
        test_from=division.test_from,
        search=Search(
            tuned.trials,
            tuple((len(fold.fit), len(fold.validate)) for fold in study.folds),
            tuned.default_folds,
            tuned.folds,
            {**task.learner.parameters, **tuned.parameters},
        ),
        metrics=figures.pop("model"),
        baselines=figures,
        money=money(task.payoff, predictions.probability, predictions.label, study.resampling),
        calibration=calibration(predictions.label, predictions.probability),
        slices=_slices(study, predictions),
        attributions=_attributions(model, predictions),
    )


def _attributions(model: Model, predictions: Predictions) -> dict[str, float]:
    """Mean size of each feature's contribution to the raw score over the test (TreeSHAP), largest first."""
    contributions = np.asarray(model.booster.predict(predictions.matrix, pred_contrib=True, num_threads=1))
    mean = np.abs(contributions[:, :-1]).mean(axis=0)
    names = model.task.features.names
    return {names[number]: float(mean[number]) for number in np.argsort(-mean, kind="stable")}


def _slices(study: _Study, predictions: Predictions) -> dict[str, dict[str, dict[str, Interval]]]:
    """The model's metrics within each value of each slice column that has enough rows to say anything."""
    task, resampling = study.task, study.resampling()
    figures: dict[str, dict[str, dict[str, Interval]]] = {}
    for name in task.slices:
        values = study.table.slices[name][study.division.test]
        figures[name] = {}
        for value in sorted(set(values.tolist())):
            inside = values == value
            if inside.sum() < SMALLEST_SLICE:
                continue
            part = replace(resampling, units=resampling.units[inside])
            scores = {"model": predictions.probability[inside]}
            figures[name][value] = compare(predictions.label[inside], scores, task.metrics, part)["model"]
    return figures
