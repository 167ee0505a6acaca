"""What a task is: which rows are scored, what counts as the truth, and what an action is worth.

A task is one value, `TASK = Task(...)`, in one file. Everything else (the training table, the search, the report, the
bundle, the command line) follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import optuna

    from data.questions import Label, Rows
    from data.sources import DataSet
    from features.spec import FeatureSet
    from training.baseline import Baseline
    from training.learner import Binary
    from training.metrics import Metric
    from training.payoff import Holdout, Payoff
    from training.ranking import Ranking
    from training.ranking_baseline import RankedBy
    from training.ranking_metrics import ListMetric
    from training.sites.task import SiteTask
    from training.split import Temporal
    from training.unlabelled import Unlabelled

Parameters = Mapping[str, float | int | str | bool]
Search = Callable[["optuna.Trial"], Parameters]


@dataclass(frozen=True)
class Example:
    """Data that show what a task does, for whoever has none of their own.

    Attributes:
        folder: Name of the folder that they are put in, once.
        title: What is done to have them, as a step of a journey.
        made: Puts them into a folder, or finds them there.
    """

    folder: str
    title: str
    made: Callable[[Path], DataSet]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One question about money, from its rows to its actions.

    Attributes:
        name: How the command line, the bundle folder and the tracked runs call it.
        rows: What is scored: one row an entity at a moment.
        label: What turned out to be true, and from when it could be known.
        unit: The column whose values are independent of each other; intervals resample it. It may be the one that the
            rows are linked by.
        features: What is known about a row at its moment.
        split: How time divides the rows; nothing of the test is seen before the last step.
        learner: The model and its parameters before the search.
        search: Parameters that the search may try, drawn from an Optuna trial.
        metrics: How well it ranks; the search looks at the first.
        payoff: What each action earns in fen for each outcome.
        baselines: What a sensible person would use instead, and ablations of the model; all are reported beside it.
        first_metric_decides: Whether a model is promoted by the first metric alone, the others being reported; by all
            of them if not. Needed where labels err so often that some metrics judge their errors instead of the model.
        slices: Columns of the rows by whose values the report is repeated.
        unlabelled: What is learned from rows whose label has not closed by the cut, or that never get one; None where
            they are left out.
        holdout: How many decisions a lot lets through whatever the score, so that labels and money saved stay
            unbiased; drawn for scans and rows where the service has a key. None where no lot is wanted.
        example: Data that show what it does; None where there are none.
        walked: Whether `shepherd run` walks it without being asked for it by name.
        file: The Python file outside this repository that declares it; empty for those that ship.
    """

    name: str
    rows: Rows
    label: Label
    unit: str
    features: FeatureSet
    split: Temporal
    learner: Binary
    search: Search
    metrics: tuple[Metric, ...]
    payoff: Payoff
    baselines: tuple[Baseline, ...] = ()
    first_metric_decides: bool = False
    slices: tuple[str, ...] = ()
    unlabelled: Unlabelled | None = None
    holdout: Holdout | None = None
    example: Example | None = None
    walked: bool = True
    file: str = ""

    @property
    def lists(self) -> str:
        """No list: rows are decided one by one."""
        return ""

    def cut_at(self, test_from: datetime) -> Task:
        """The same task with its test beginning at another moment, and its folds cut anew."""
        return replace(self, split=replace(self.split, test_from=test_from, test=None, validate_from=None))

    def grown_on(self, cluster: str | None) -> Task:
        """The same task with its trees grown by the workers of a Dask cluster; in this process where that is none."""
        return replace(self, learner=replace(self.learner, cluster=cluster))


@dataclass(frozen=True, kw_only=True)
class RankingTask:
    """One question about an order: which rows of a list come first. Its score is an order and no probability.

    So there is no calibrator and no pay-off: what an action is worth is asked of a `Task`.

    Attributes:
        name: How the command line, the bundle folder and the tracked runs call it.
        rows: What is put in order: one row a candidate of a list at a moment.
        label: What came true, and from when it could be known; it may say how many things of the row's list came true
            in all (`relevant`), where some of them are no candidates.
        lists: The column that names the row's list: what is compared with each other, and with nothing else.
        unit: The column whose values are independent of each other; intervals resample it. It is one for a list.
        features: What is known about a row at its moment.
        split: How time divides the rows; nothing of the test is seen before the last step.
        learner: The model and its parameters before the search.
        search: Parameters that the search may try, drawn from an Optuna trial.
        metrics: How well lists are ordered; the search looks at the first.
        baselines: Orders that a sensible person would use instead; all are reported beside it.
        first_metric_decides: Whether a model is promoted by the first metric alone.
        example: Data that show what it does; None where there are none.
        walked: Whether `shepherd run` walks it without being asked for it by name.
        file: The Python file outside this repository that declares it; empty for those that ship.
    """

    name: str
    rows: Rows
    label: Label
    lists: str
    unit: str
    features: FeatureSet
    split: Temporal
    learner: Ranking
    search: Search
    metrics: tuple[ListMetric, ...]
    baselines: tuple[RankedBy, ...] = ()
    first_metric_decides: bool = False
    example: Example | None = None
    walked: bool = False
    file: str = ""

    @property
    def slices(self) -> tuple[str, ...]:
        """No columns that the report is repeated by."""
        return ()

    @property
    def payoff(self) -> None:
        """None: an order is worth nothing by itself."""

    @property
    def holdout(self) -> None:
        """None: an order takes no action that a lot could let through."""

    @property
    def unlabelled(self) -> None:
        """None: a row without a label says nothing of an order."""

    def cut_at(self, test_from: datetime) -> RankingTask:
        """The same task with its test beginning at another moment, and its folds cut anew."""
        return replace(self, split=replace(self.split, test_from=test_from, test=None, validate_from=None))

    def grown_on(self, cluster: str | None) -> RankingTask:
        """The same task; lists are learned in this process.

        Raises:
            UsageError: A cluster is named.
        """
        if cluster is None:
            return self
        raise UsageError(
            f"task {self.name!r} puts lists in order, which is learned in one process: found the cluster {cluster!r}, "
            "expected none; leave --cluster out"
        )


LabelledTask: TypeAlias = Task | RankingTask
"""Asked of rows at their moments, each with a label that closes later."""
AnyTask: TypeAlias = "LabelledTask | SiteTask"


def missing_tables(task: AnyTask, data_set: DataSet) -> tuple[str, ...]:
    """The tables that rows, their links and labels are read from and that the data set has not."""
    links = task.rows.linked.shared if task.rows.linked else ()
    needed = dict.fromkeys((*task.rows.tables, *task.label.tables, *(table for table, _ in links)))
    return tuple(name for name in needed if name not in data_set.files)


def require_tables(task: AnyTask, data_set: DataSet) -> None:
    """See that the data set has what rows and label are read from.

    Raises:
        DataError: Tables are missing; all of them are named.
    """
    missing = missing_tables(task, data_set)
    if missing:
        raise DataError(
            f"task {task.name!r} needs tables that {data_set.root} has not: missing {', '.join(missing)}; "
            f"found {', '.join(sorted(data_set.files))}"
        )
