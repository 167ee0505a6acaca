"""From a task that orders lists and its data to a model that has been judged: the steps of `pipeline`, for an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError
from data.steps import Steps
from training.dataset import examples
from training.drift import drift
from training.interval import Resampling
from training.pipeline import HOME, TRIALS, attributions, features, usual_of
from training.ranking_folds import lists_of, scored_order, taught
from training.ranking_metrics import Lists, compare_lists
from training.record import Record, Search
from training.tune import rejudged, search

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import lightgbm
    from numpy.typing import NDArray

    from data.sources import DataSet
    from training.dataset import Built, Examples
    from training.split import Division, Fold
    from training.task import RankingTask
    from training.tune import Trial, Tuned

EXPLAINED_ROWS = 2_000


@dataclass(frozen=True)
class Order:
    """A fitted order: trees whose score puts the rows of one list in order, and says nothing else.

    Attributes:
        task: What was learned.
        booster: The trees.
        usual: Median of each feature over the rows learned from that did not come true, NaN where all are null.
    """

    task: RankingTask
    booster: lightgbm.Booster
    usual: NDArray[np.float64]

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score of feature rows (rows, features), shape (rows,): of the rows of one list the higher comes first."""
        return scored_order(self.booster, matrix)


@dataclass(frozen=True)
class Ordered:
    """The test rows, scored once.

    Attributes:
        row_id: Key of each row.
        as_of: The moment of each row, microseconds since 1970 in UTC.
        lists: What came true of their lists.
        score: Where the model puts them, the higher the further up.
        matrix: Their features, as served.
    """

    row_id: NDArray[np.object_]
    as_of: NDArray[np.int64]
    lists: Lists
    score: NDArray[np.float64]
    matrix: NDArray[np.float32]

    @property
    def output(self) -> NDArray[np.float64]:
        """What the model says of each row."""
        return self.score


@dataclass(frozen=True)
class FittedOrder:
    """What a fit returns: the model, what it said of the test, the record of how it came about, and what was tried."""

    model: Order
    predictions: Ordered
    record: Record
    built: Built
    tried: tuple[Trial, ...] = ()


def fit_order(
    task: RankingTask,
    data_set: DataSet,
    *,
    home: Path = HOME,
    trials: int = TRIALS,
    seed: int = 0,
    steps: Steps | None = None,
    earlier: Tuned | None = None,
) -> FittedOrder:
    """Build the features, search on past folds, fit, and judge once on the test.

    Args:
        task: What to learn.
        data_set: Tables that keep their contracts.
        home: Where features and search journals are kept, to go on from.
        trials: How many sets of parameters are tried in all; 1 keeps the task's own.
        seed: Where chance starts.
        steps: Collects how long each step took, and draws bars if it has a console.
        earlier: What an earlier search found: its parameters are taken and judged anew, and nothing is searched.

    Raises:
        DataError: Nothing came true of any list to learn from or to test on.
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
    with steps.step("fit") as step:
        step.rows = len(division.train)
        booster = taught(task, table, division.train, tuned.parameters, np.random.default_rng(seed))
        no = division.train[table.label[division.train] == 0]
        model = Order(task, booster, usual_of(table.matrix[no]))
    with steps.step("judge on the test") as step:
        step.rows = len(division.test)
        predictions = _predict(model, table, division.test)
        record = _judge(model, predictions, table, division, folds, tuned, seed, data_set.content_hash())
    return FittedOrder(model, predictions, record, built, tuned.tried)


def _telling(task: RankingTask, table: Examples, division: Division) -> tuple[Fold, ...]:
    """The folds in which something came true, in what is learned from and in what is judged on."""
    sides = {"to learn from": division.train, "to test on": division.test}
    empty = [name for name, rows in sides.items() if not table.label[rows].any()]
    chain = task.split.chain(table.as_of, table.closes_at, table.group, division.train)
    folds = tuple(fold for fold in chain if table.label[fold.fit].any() and table.label[fold.validate].any())
    if empty or not folds:
        where = f"the lists {' and '.join(empty)}" if empty else "every fold, in what is learned from or judged on"
        raise DataError(
            f"task {task.name!r}: found nothing that came true in {where}; expected some, or no order can be learned "
            "or judged; give a longer history, or another cut with --test-from"
        )
    return folds


def _predict(model: Order, table: Examples, rows: NDArray[np.intp]) -> Ordered:
    matrix = table.matrix[rows]
    return Ordered(table.row_id[rows], table.as_of[rows], lists_of(table, rows), model.score(matrix), matrix)


def _judge(  # noqa: PLR0913, PLR0917 - a record is made of exactly these
    model: Order,
    predictions: Ordered,
    table: Examples,
    division: Division,
    folds: Sequence[Fold],
    tuned: Tuned,
    seed: int,
    data_hash: str,
) -> Record:
    task = model.task
    baselines = {one.name: one.score(table, division.test) for one in task.baselines}
    figures = compare_lists(
        predictions.lists,
        {"model": predictions.score, **baselines},
        task.metrics,
        lambda units: Resampling(units, np.random.default_rng([seed, 1])),
    )
    parts = {"train": division.train, "test": division.test, "dropped": division.dropped}
    return Record(
        task=task.name,
        seed=seed,
        data_hash=data_hash,
        fingerprint=task.features.fingerprint(),
        rows={name: len(rows) for name, rows in parts.items()},
        positives={name: int(np.nansum(table.label[rows])) for name, rows in parts.items()},
        test_from=division.test_from,
        search=Search.of(tuned, folds, task.learner.parameters),
        metrics=figures.pop("model"),
        baselines=figures,
        money={},
        rates={},
        calibration=(),
        slices={},
        attributions=attributions(model.booster, _sample(predictions.matrix), task.features.names),
        drift=drift(table.matrix[division.train], predictions.matrix, task.features.names),
    )


def _sample(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Some of the rows, evenly spaced: those that are explained."""
    return matrix[np.unique(np.linspace(0, len(matrix) - 1, EXPLAINED_ROWS).astype(np.intp))]
