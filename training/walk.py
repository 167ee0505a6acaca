"""The journeys of the command line: build, train, and the whole walk from raw tables to one answer over HTTP."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
from rich.table import Table

from data.checks import require
from data.errors import GateRefused, UsageError
from data.questions import OFFERED, SENDS
from data.steps import Steps
from training.answer_table import answer_table
from training.effect.study import MODEL
from training.journey import make
from training.pipeline import HOME, TRIALS, Fitted, features
from training.provenance import provenance
from training.reconcile import reconcile
from training.registry import challenge, promote
from training.report.words import spanned
from training.served import ask_offers, ask_rows, server
from training.sites.journey import served_site
from training.sites.pipeline import FittedSites
from training.sites.task import SiteTask
from training.task import require_tables
from training.tracking.stores import store
from training.tracking.tracked import track

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from data.sources import DataSet
    from training.dataset import Built
    from training.effect.study import FittedEffects
    from training.means import Means
    from training.ranking_pipeline import FittedOrder
    from training.record import Record
    from training.release import Released
    from training.task import AnyTask
    from training.tracking.tracked import Tracked

MOST_ROWS = 1_000
SHOWN = 3


@dataclass(frozen=True)
class Trained:
    """A task's model, judged, exported, tracked and waiting as challenger; of offers also what sending them changes."""

    fitted: Fitted | FittedOrder | FittedSites
    released: Released
    tracked: Tracked
    changes: FittedEffects | None = None

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        record = self.fitted.record.as_dict()
        manifest = self.released.bundle.manifest
        return {
            **{
                name: record[name] for name in ("metrics", "baselines", "money", "rates", "rows", "positives", "search")
            },
            "features": len(self.fitted.model.task.features),
            "parity": {
                "wrong_leaves": manifest.parity.wrong_leaves,
                "max_raw_difference": manifest.parity.max_raw_difference,
                "rows": manifest.parity.rows + manifest.parity.edge_rows,
            },
            "version": manifest.version,
            "run_id": self.tracked.run_id,
            **({} if self.changes is None else {"effects": self.changes.record.as_dict()}),
        }

    def table(self) -> Table:
        """The figures on the test beside every baseline's."""
        record, parity = self.fitted.record, self.released.bundle.manifest.parity
        table = Table(
            title=f"Task {record.task}: {len(self.fitted.model.task.features)} features", title_justify="left"
        )
        for column in ("on the test, scored once", "found [95 %]", "model ahead by"):
            table.add_column(column, overflow="fold")
        for name, found in record.metrics.items():
            table.add_row(name, spanned(found), style="bold")
            for baseline, figures in record.baselines.items():
                if name in figures:
                    gain = figures.get(f"gain_{name}")
                    table.add_row(f"  {baseline}", spanned(figures[name]), "" if gain is None else spanned(gain))
        table.caption = (
            f"{record.rows['train']:,} rows learned from, {record.rows['test']:,} tested, "
            f"{_open(record)}; intervals are 95 %\n"
            f"{_money(record) if self.changes is None else _policy(self.changes)}"
            f"parity: {parity.wrong_leaves} wrong leaves, raw difference {parity.max_raw_difference} "
            f"on {parity.rows:,} test rows and {parity.edge_rows:,} edge rows\n"
            f"bundle {self.released.bundle.manifest.version}, run {self.tracked.run_id}"
        )
        table.caption_justify = "left"
        return table


@dataclass(frozen=True)
class Arrived:
    """One task at the end of the walk.

    Attributes:
        trained: Its model.
        alias: What the model became: `champion`, or `challenger` where a gate refused more.
        verdict: Why.
        served: One answer, as it came over HTTP.
    """

    trained: Trained
    alias: str
    verdict: str
    served: Mapping[str, object]

    def as_dict(self) -> dict[str, object]:
        """What `shepherd run --json` prints of the task."""
        return {**self.trained.as_dict(), "alias": self.alias, "verdict": self.verdict, "served": self.served}


@dataclass(frozen=True)
class Walked:
    """The journey's end: every step with its time, every task with its figures."""

    steps: Steps
    seconds: float
    tasks: Mapping[str, Arrived]
    mlflow: str

    def as_dict(self) -> dict[str, object]:
        """The object of `shepherd run --json`."""
        return {
            "seconds": round(self.seconds, 3),
            "steps": [step.as_dict() for step in self.steps.done],
            "tasks": {name: arrived.as_dict() for name, arrived in self.tasks.items()},
            "mlflow": self.mlflow,
        }

    def tables(self) -> list[Table]:
        """The same for a person: steps, figures, the answer."""
        tables = [_steps_table(self)]
        for arrived in self.tasks.values():
            tables += [arrived.trained.table(), answer_table(arrived.served, f"{arrived.alias}: {arrived.verdict}")]
        return tables


def build(
    task: AnyTask,
    data_set: DataSet,
    *,
    now: datetime,
    home: Path = HOME,
    steps: Steps | None = None,
    means: Means | None = None,
) -> Built:
    """Check the data, and compute what was known of every row of a task at its moment.

    Raises:
        UsageError: The task looks around stores instead of back in time: nothing of it is built ahead.
    """
    if isinstance(task, SiteTask):
        raise UsageError(f"task {task.name!r} builds no features ahead: found `build`, expected `train`")
    steps = Steps() if steps is None else steps
    _check(data_set, now, steps)
    return features(task, data_set, home, steps, means)


def train(
    task: AnyTask,
    data_set: DataSet,
    *,
    now: datetime,
    home: Path = HOME,
    trials: int = TRIALS,
    seed: int = 0,
    steps: Steps | None = None,
) -> Trained:
    """Check the data; then fit, judge, export and track a model, and leave it as challenger.

    Raises:
        DataError: The data break their contracts; nothing was written.
        DependencyDown: The tracking store does not answer, which is found before the search begins.
        GateRefused: A feature saw what came later, serving would see other values, or the export could not be proven
            exact; nothing was exported.
    """
    steps = Steps() if steps is None else steps
    checked = _check(data_set, now, steps)
    require_tables(task, data_set)
    with steps.step("reach the MLflow store"):
        reconcile(home)
    trained = learn(task, data_set, checked, home=home, trials=trials, seed=seed, steps=steps)
    challenge(task.name, trained.released.bundle.manifest.version, home)
    return trained


def learn(  # noqa: PLR0913 - what the commands say
    task: AnyTask,
    data_set: DataSet,
    checked: int,
    *,
    home: Path,
    trials: int,
    seed: int,
    steps: Steps,
    moment: datetime | None = None,
) -> Trained:
    """Fit, judge, export, track and register a model of data of which `checked` rows keep their contracts.

    It is no challenger yet; `moment` is what its version names, that of the export if not given.
    """
    made = make(task, data_set, checked, home=home, trials=trials, seed=seed, steps=steps, moment=moment)
    with steps.step("track in MLflow"):
        manifest = made.released.bundle.manifest
        record, tried = made.fitted.record, made.fitted.tried
        origin = provenance(task, data_set, home, record=record, manifest=manifest, tried=tried)
        tracked = track(made.fitted, made.released.folder, store(home), made.figures, origin, made.changes)
    return Trained(made.fitted, made.released, tracked, made.changes)


def walk(
    journeys: Sequence[tuple[AnyTask, DataSet]], *, now: datetime, home: Path, trials: int, seed: int, steps: Steps
) -> Walked:
    """Train tasks on their data, promote each model that no gate refuses, and serve one answer from each."""
    arrived = {}
    for task, data_set in journeys:
        steps.chapter = task.name if len(journeys) > 1 else ""
        arrived[task.name] = _arrived(task, data_set, now=now, home=home, trials=trials, seed=seed, steps=steps)
    steps.chapter = ""
    return Walked(steps, time.perf_counter() - steps.started, arrived, store(home).command)


def _arrived(
    task: AnyTask, data_set: DataSet, *, now: datetime, home: Path, trials: int, seed: int, steps: Steps
) -> Arrived:
    trained = train(task, data_set, now=now, home=home, trials=trials, seed=seed, steps=steps)
    with steps.step("promote"):
        alias, verdict = _promoted(task, home)
    with steps.step("serve one answer over HTTP") as step:
        if isinstance(trained.fitted, FittedSites):
            served = served_site(trained.fitted, data_set, home, alias)
        else:
            served = _served(trained.fitted, home, alias)
        step.rows = 1
    return Arrived(trained, alias, verdict, served)


def _check(data_set: DataSet, now: datetime, steps: Steps) -> int:
    """How many rows keep their contracts."""
    with steps.step("check the tables") as step:
        step.rows = rows = sum(require(data_set, now).tables.values())
    return rows


def _money(record: Record) -> str:
    """What the actions earn; nothing where there are none, as of an order."""
    if not record.money:
        return ""
    return (
        f"money: {record.money['model']} fen a row; "
        f"{record.money['gain_over_best_constant']} more than the best single action for all\n"
    )


def _policy(changes: FittedEffects) -> str:
    """What the policy of offers earns, beside what would be done for the same money."""
    record = changes.record
    told = record.budgeted
    return (
        f"effects by the learner {record.learner}; within the budget its policy earns {told[MODEL]['value']} fen a "
        f"row, {told['propensity']['gain']} more than sending to the likeliest to redeem\n"
    )


def _open(record: Record) -> str:
    """What became of the rows before the cut whose label had not closed."""
    if "unlabelled" in record.rows:
        return f"{record.rows['unlabelled']:,} more looked at without a label"
    return f"{record.rows['dropped']:,} across the cut dropped"


def _promoted(task: AnyTask, home: Path) -> tuple[str, str]:
    try:
        gates = promote(task.name, home)
    except GateRefused as refusal:
        return "challenger", str(refusal)
    return "champion", "; ".join(map(str, gates))


def _served(fitted: Fitted | FittedOrder, home: Path, alias: str) -> dict[str, object]:
    """Ask a server of its own: about a member's offers where the task ranks offers, else about one row or one list.

    The row is the likeliest of the test; of a member's offers, at the moment that row was for.
    """
    if not isinstance(fitted, Fitted):
        return _served_list(fitted, home, alias)
    said, task = fitted.predictions, fitted.model.task
    row = int(said.probability.argmax())
    offers = task.rows in {SENDS, OFFERED}
    with server(home, "--pointer", alias, ranking=task.name if offers else None) as url:
        if offers:
            member, at = _asked(fitted, str(said.row_id[row]))
            return ask_offers(url, member, at)
        values = (None if math.isnan(value) else value for value in said.matrix[row].tolist())
        asked = {**dict(zip(task.features.names, values, strict=True)), **said.stakes.of_row(task.payoff, row)}
        return {"answers": ask_rows(url, task.name, [asked])}


def _served_list(fitted: FittedOrder, home: Path, alias: str) -> dict[str, object]:
    """Ask a server of its own to put one list of the test in order: that of the highest score; gives its first place.

    The answers stand in the order of their places.
    """
    said, task = fitted.predictions, fitted.model.task
    rows = np.flatnonzero(said.lists.code == said.lists.code[said.score.argmax()])[:MOST_ROWS]
    asked = [
        {task.lists: "list"}
        | {
            name: None if math.isnan(value) else value
            for name, value in zip(task.features.names, said.matrix[row].tolist(), strict=True)
        }
        for row in rows
    ]
    with server(home, "--pointer", alias) as url:
        answers = ask_rows(url, task.name, asked)
    named = [{"row_id": str(said.row_id[row]), **answer} for row, answer in zip(rows, answers, strict=True)]
    return {"answers": sorted(named, key=_place)[:SHOWN]}


def _place(answer: Mapping[str, object]) -> int:
    return int(str(answer["place"]))


def _asked(fitted: Fitted, row_id: str) -> tuple[str, datetime]:
    """Whose row it is, and its moment."""
    rows = pq.read_table(fitted.built.path, columns=["row_id", "member_id", "as_of"], filters=[("row_id", "=", row_id)])
    (row,) = rows.to_pylist()
    return str(row["member_id"]), row["as_of"]


def _steps_table(walked: Walked) -> Table:
    table = Table(title="The journey", title_justify="left")
    table.add_column("step")
    table.add_column("rows", justify="right")
    table.add_column("seconds", justify="right")
    for step in walked.steps.done:
        table.add_row(step.name, "" if step.rows is None else f"{step.rows:,}", f"{step.seconds:.1f}")
    table.add_row("all", "", f"{walked.seconds:.1f}", style="bold")
    return table
