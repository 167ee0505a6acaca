"""From a task and its data to a model that has been judged: the same few steps for every task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError
from data.steps import Steps
from training.calibrate import CALIBRATIONS
from training.dataset import build, examples
from training.drift import drift
from training.interval import Resampling, compare, of_mean
from training.learner import raw_scores
from training.payoff import chosen_actions, earnings, find_prices, money, rates
from training.record import Record, Search, calibration
from training.tune import out_of_fold, rejudged, search
from training.unlabelled import Past

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lightgbm
    from numpy.typing import NDArray

    from data.sources import DataSet
    from training.calibrate import Calibrator
    from training.dataset import Built, Examples
    from training.interval import Interval
    from training.means import Means
    from training.payoff import Prices, Stakes
    from training.split import Division, Fold
    from training.task import LabelledTask, Task
    from training.tune import Trial, Tuned

HOME = Path("var")
TRIALS = 20
SMALLEST_SLICE = 30
_OPEN = {True: "unlabelled", False: "dropped"}
"""What becomes of rows before the cut whose label had not closed: learned from as such, or not at all."""


@dataclass(frozen=True)
class Model:
    """A fitted task: trees, how their score becomes a probability, and what keeping the pay-off's cap costs.

    Attributes:
        task: What was learned.
        booster: The trees.
        calibrator: From raw score to probability.
        prices: Of the pay-off's cap, found on rows that the trees had not seen.
        usual: Median of each feature over the rows learned from that came out as a no, NaN where all are null.
    """

    task: Task
    booster: lightgbm.Booster
    calibrator: Calibrator
    prices: Prices
    usual: NDArray[np.float64]

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
        stakes: What the pay-off asks of them besides their chance.
        by_lot: Whether the row stands for all rows; money, rates and calibration are of such rows alone.
        unit: Code of the unit of each row, which intervals resample.
    """

    row_id: NDArray[np.object_]
    as_of: NDArray[np.int64]
    label: NDArray[np.float64]
    probability: NDArray[np.float64]
    matrix: NDArray[np.float32]
    stakes: Stakes
    by_lot: NDArray[np.bool_]
    unit: NDArray[np.int64]

    @property
    def output(self) -> NDArray[np.float64]:
        """What the model says of each row."""
        return self.probability


@dataclass(frozen=True)
class Fitted:
    """What a fit returns: the model, what it said of the test, and the record of how it came about.

    Attributes:
        model: The fitted task.
        predictions: The test rows, scored once.
        record: How it came about.
        built: Where the features lie.
        tried: What the search tried.
    """

    model: Model
    predictions: Predictions
    record: Record
    built: Built
    tried: tuple[Trial, ...] = ()


def fit(
    task: Task,
    data_set: DataSet,
    *,
    home: Path = HOME,
    trials: int = TRIALS,
    seed: int = 0,
    steps: Steps | None = None,
    earlier: Tuned | None = None,
) -> Fitted:
    """Build the features, search on past folds, fit, calibrate, and judge once on the test.

    Args:
        task: What to learn.
        data_set: Tables that keep their contracts.
        home: Where features and search journals are kept, to go on from.
        trials: How many sets of parameters are tried in all; 1 keeps the task's own.
        seed: Where chance starts.
        steps: Collects how long each step took, and draws bars if it has a console.
        earlier: What an earlier search found: its parameters are taken and judged anew, and nothing is searched.
    """
    steps = Steps() if steps is None else steps
    built = features(task, data_set, home, steps)
    table = examples(task, data_set, built)
    division = task.split.divide(table.as_of, table.closes_at)
    folds = _telling(task, table, division)
    with steps.step("search parameters" if earlier is None else "judge the recorded parameters", total=trials) as step:
        step.rows = len(division.train)
        tuned = (
            search(task, table, folds, trials=trials, seed=seed, folder=home / "studies", advance=step.advance)
            if earlier is None
            else rejudged(task, table, folds, earlier, seed, step.advance)
        )
    study = _Study(task, table, division, folds, tuned, seed)
    with steps.step("fit and calibrate") as step:
        step.rows = len(division.train)
        model = _model(study)
    with steps.step("judge on the test") as step:
        step.rows = len(division.test)
        predictions = _predict(model, table, division.test)
        record = _judge(study, model, predictions, data_set.content_hash())
    return Fitted(model, predictions, record, built, tuned.tried)


def features(task: LabelledTask, data_set: DataSet, home: Path, steps: Steps, means: Means | None = None) -> Built:
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
        if len(np.unique(label[fold.fit])) == len(np.unique(label[fold.validate])) == 2 and table.by_lot[fold.fit].any()
    )
    if alike or not folds:
        where = f"the rows {' and '.join(alike)}" if alike else "every fold, in what is learned from or judged on"
        raise DataError(
            f"task {task.name!r}: found one outcome alone in {where}; expected both, or nothing can be learned or "
            "judged; give a longer history, or another cut with --test-from"
        )
    if not table.by_lot[division.test].any():
        raise DataError(
            f"task {task.name!r}: found no label by lot among {len(division.test)} rows to test on; expected some, "
            "because they alone stand for all rows in money and calibration; move the cut back with --test-from"
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

    def resampling_by_lot(self) -> Resampling:
        """Likewise, of the rows that stand for all."""
        whole = self.resampling()
        return replace(whole, units=whole.units[self.table.by_lot[self.division.test]])

    def past(self) -> Past:
        """What the model may learn from, by the parameters that the search chose."""
        learner = replace(self.task.learner, parameters={**self.task.learner.parameters, **self.tuned.parameters})
        task = replace(self.task, learner=learner)
        return Past.of(task, self.table, self.division.train, self.division.dropped)


def _model(study: _Study) -> Model:
    """Trees of all rows to learn from; their calibration from rows that each model had not seen."""
    task, table, tuned = study.task, study.table, study.tuned
    rows = study.division.train
    booster = study.past().taught({}, np.random.default_rng(study.seed))
    everyone = task.unlabelled is not None
    unseen = out_of_fold(task, table, study.folds, tuned.parameters, study.seed, everyone=everyone)
    scored = ~np.isnan(unseen)
    known = scored & table.by_lot & ~np.isnan(table.label)
    calibrator = CALIBRATIONS[task.learner.calibration](unseen[known], table.label[known])
    # Labelled or not, the scored rows are all there were in their time, so none stands for others.
    prices = find_prices(task.payoff, calibrator.apply(unseen[scored]), table.stakes.at(scored))
    usual = usual_of(table.matrix[rows[(table.label[rows] == 0) & table.by_lot[rows]]])
    return Model(task, booster, calibrator, prices, usual)


def usual_of(matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """The median of each column over its known values, shape (columns,); NaN where nothing is known."""
    known = [column[~np.isnan(column)] for column in matrix.T]
    return np.array([np.median(column) if len(column) else np.nan for column in known], dtype=np.float64)


def _predict(model: Model, table: Examples, rows: NDArray[np.intp]) -> Predictions:
    matrix = table.matrix[rows]
    return Predictions(
        table.row_id[rows],
        table.as_of[rows],
        table.label[rows],
        model.probability(matrix),
        matrix,
        table.stakes.at(rows),
        table.by_lot[rows],
        table.unit[rows],
    )


def _judge(study: _Study, model: Model, predictions: Predictions, data_hash: str) -> Record:
    task, table, division, tuned = study.task, study.table, study.division, study.tuned
    baselines = {
        baseline.name: baseline.score(study.past(), study.folds, division.test, np.random.default_rng([study.seed, 4]))
        for baseline in task.baselines
    }
    scores = {"model": predictions.probability, **baselines}
    figures = compare(predictions.label, scores, task.metrics, study.resampling())
    parts = {"train": division.train, "test": division.test, _OPEN[bool(task.unlabelled)]: division.dropped}
    by_lot = predictions.by_lot
    if not by_lot.all():
        parts["test_by_lot"] = division.test[by_lot]
    probability, label = predictions.probability[by_lot], predictions.label[by_lot]
    decided = (
        task.payoff,
        probability,
        label,
        study.resampling_by_lot,
        predictions.stakes.at(by_lot),
        model.prices,
    )
    return Record(
        task=task.name,
        seed=study.seed,
        data_hash=data_hash,
        fingerprint=task.features.fingerprint(),
        rows={name: len(rows) for name, rows in parts.items()},
        positives={name: int(np.nansum(table.label[rows])) for name, rows in parts.items()},
        test_from=division.test_from,
        search=Search.of(tuned, study.folds, task.learner.parameters),
        metrics=figures.pop("model"),
        baselines=figures,
        money=money(*decided),
        rates=rates(*decided),
        calibration=calibration(label, probability),
        slices=_slices(study, model, predictions),
        attributions=attributions(model.booster, predictions.matrix, task.features.names),
        drift=drift(table.matrix[division.train], predictions.matrix, task.features.names),
    )


def attributions(booster: lightgbm.Booster, matrix: NDArray[np.float32], names: Sequence[str]) -> dict[str, float]:
    """Mean size of each feature's contribution to the raw score over some rows (TreeSHAP), largest first."""
    contributions = np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=1))
    mean = np.abs(contributions[:, :-1]).mean(axis=0)
    return {names[number]: float(mean[number]) for number in np.argsort(-mean, kind="stable")}


def _slices(study: _Study, model: Model, predictions: Predictions) -> dict[str, dict[str, dict[str, Interval]]]:
    """The model's metrics and money within each value of each slice column that has enough rows to say anything."""
    task, resampling = study.task, study.resampling()
    columns = {name: study.table.slices[name][study.division.test] for name in task.slices}
    if not predictions.by_lot.all():
        columns["judged"] = np.where(predictions.by_lot, "by lot", "on suspicion").astype(object)
    figures: dict[str, dict[str, dict[str, Interval]]] = {}
    for name, values in columns.items():
        figures[name] = {}
        for value in sorted(set(values.tolist())):
            inside = values == value
            if inside.sum() < SMALLEST_SLICE:
                continue
            part = replace(resampling, units=resampling.units[inside])
            scores = {"model": predictions.probability[inside]}
            figures[name][value] = {
                **compare(predictions.label[inside], scores, task.metrics, part)["model"],
                **_money_within(study, model, predictions, inside),
            }
    return figures


def _money_within(
    study: _Study, model: Model, predictions: Predictions, inside: NDArray[np.bool_]
) -> dict[str, Interval]:
    """What the model's actions earn in a slice beyond the best single action for all, over rows that stand for all."""
    by_lot, task = predictions.by_lot, study.task
    rows = by_lot & inside
    if rows.sum() < SMALLEST_SLICE:
        return {}
    worth = earnings(task.payoff, predictions.label, predictions.stakes)
    chosen = chosen_actions(task.payoff, predictions.probability[rows], predictions.stakes.at(rows), model.prices)
    best = int(worth[by_lot].mean(axis=0).argmax())
    earned = np.take_along_axis(worth[rows], chosen[:, None], axis=1)[:, 0]
    resampling = study.resampling()
    units = replace(resampling, units=resampling.units[rows])
    return {"gain_over_best_constant": of_mean(earned - worth[rows, best], units)}
