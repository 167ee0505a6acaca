"""What the shipped fraud task says of the scans of a world after a moment, and what it would say had it been told all.

The task learns from what its tables held before the moment, as `shepherd train` does; here it is only asked about every
scan from then on, where the report of training judges those that got a verdict.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.flash import matrix_of
from benchmarks.judged import MODEL, Said
from benchmarks.truth import HONEST, truth_table
from training.dataset import examples
from training.learner import raw_scores
from training.payoff import chosen_actions
from training.pipeline import fit
from training.tasks.fraud import TASK
from training.unlabelled import Past, scored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.flash import Requests
    from data.sources import DataSet
    from training.baseline import Baseline
    from training.dataset import Examples
    from training.pipeline import Fitted, Model
    from training.task import Task

TRIALS: Final = 1
_BASELINES_SEED: Final = 4


@dataclass(frozen=True)
class AtSales:
    """The task's model as the judge of requests to buy, in a world that it was not taught on.

    It is not told of prizes: those of a simulated sale went to whoever came first, not to whom the judge let through.

    Attributes:
        model: What was learned of scans.
    """

    model: Model

    def score(self, requests: Requests) -> NDArray[np.float64]:
        """The raw score of each request when it comes."""
        return raw_scores(self.model.booster, matrix_of(requests, self.model.task.features.names).astype(np.float32))


@dataclass(frozen=True)
class Learned:
    """The task after its fit, with every scan of the world.

    Attributes:
        task: With its cut at the moment.
        fitted: What it learned.
        table: Every scan with its features.
        rows: Numbers of those from the moment on.
    """

    task: Task
    fitted: Fitted
    table: Examples
    rows: NDArray[np.intp]

    def said(self, seed: int, baselines: Sequence[Baseline] = TASK.baselines) -> Said:
        """What the model and its baselines say of the scans since the moment, and what the model does."""
        model = self.fitted.model
        probability = self.score()
        action = chosen_actions(self.task.payoff, probability, self.table.stakes.at(self.rows), model.prices)
        return Said(self.scan_id, {MODEL: probability, **self._scores(baselines, seed)}, action)

    def told(self, truth: Path, seed: int) -> NDArray[np.float64]:
        """The score of the same learner, taught the truth about every scan before the moment."""
        before = np.setdiff1d(np.arange(len(self.table.as_of)), self.rows)
        everything = replace(self.table, label=_truth(truth, self.table.row_id))
        past = Past.of(replace(self.task, unlabelled=None), everything, before, before[:0])
        return scored(past.taught({}, np.random.default_rng(seed)), self.table, self.rows)

    def since(self, moment: datetime) -> Learned:
        """The same model asked about later scans alone, to see how it ages."""
        return replace(self, rows=np.flatnonzero(self.table.as_of >= _microseconds(moment)))

    def score(self) -> NDArray[np.float64]:
        """What the model says of the scans since the moment: calibrated chances."""
        return self.fitted.model.calibrator.apply(scored(self.fitted.model.booster, self.table, self.rows))

    @property
    def scan_id(self) -> pa.Array[Any]:
        """The scans since the moment."""
        return pa.array(self.table.row_id[self.rows], pa.string())

    def _scores(self, baselines: Sequence[Baseline], seed: int) -> dict[str, NDArray[np.float64]]:
        split, table = self.task.split, self.table
        division = split.divide(table.as_of, table.closes_at)
        folds = split.chain(table.as_of, table.closes_at, table.group, division.train)
        past = Past.of(self.task, table, division.train, division.dropped)
        generator = np.random.default_rng([seed, _BASELINES_SEED])
        return {one.name: one.score(past, folds, self.rows, generator) for one in baselines}


def learn(world: DataSet, since: datetime, home: Path, seed: int = 0, trials: int = TRIALS) -> Learned:
    """Fit the fraud task on a world with its cut at a moment; its baselines wait until they are asked about all scans.

    Args:
        world: The tables.
        since: The moment.
        home: Where features are kept.
        seed: Where chance starts.
        trials: Sets of parameters to try; 1 keeps the task's own.
    """
    task = replace(TASK, baselines=()).cut_at(since)
    fitted = fit(task, world, home=home, trials=trials, seed=seed)
    table = examples(task, world, fitted.built)
    return Learned(task, fitted, table, np.flatnonzero(table.as_of >= _microseconds(since)))


def fitted(world: DataSet, since: datetime) -> Said:
    """What the fraud task says, as the benchmarks ask for it, without its baselines."""
    with tempfile.TemporaryDirectory(prefix="shepherd-learned-") as home:
        return learn(world, since, Path(home)).said(0, baselines=())


def _microseconds(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def _truth(truth: Path, scan_id: NDArray[np.object_]) -> NDArray[np.float64]:
    with duckdb.connect() as connection:
        known = connection.sql(f"SELECT scan_id, family FROM {truth_table(truth, 'scans')}").to_arrow_table()
    place = pc.index_in(pa.array(scan_id, pa.string()), known["scan_id"].combine_chunks())
    family = known["family"].take(place).cast(pa.string())
    return np.asarray(pc.not_equal(family, pa.scalar(HONEST)).cast(pa.float64()).to_numpy(), np.float64)
