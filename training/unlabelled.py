"""What is learned from rows that nobody has judged: most of them are a no, and which are not has to be guessed.

The recipe is the two-step one of learning from positive and unlabelled examples (Bekker and Davis, "Learning from
positive and unlabeled data: a survey", Machine Learning 109, 2020, section 5.1). Why it was taken, and what else was
measured: docs/decisions/0010.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError, UsageError
from training.learner import raw_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lightgbm
    from numpy.typing import NDArray

    from training.dataset import Examples
    from training.learner import Binary
    from training.task import Parameters, Task

SCORED_AT_ONCE = 100_000


@dataclass(frozen=True)
class Unlabelled:
    """Learn from unlabelled rows as from a weak no, without those that are likeliest a yes.

    A first model of the labelled rows alone ranks the unlabelled ones. The rows drawn by lot say how many of these may
    be a yes; so many are left out from the top, and the rest are learned from beside the labelled rows.

    Attributes:
        weight: What such a row counts, where a labelled one counts 1.
        most: At most so many are learned from, drawn at random, each then counting for those left out as well.
        most_searched: The same while parameters are searched for.
    """

    weight: float = 0.3
    most: int = 200_000
    most_searched: int = 40_000

    def __post_init__(self) -> None:
        """Refuse a weight or a number that would leave nothing."""
        if not (self.weight > 0 and min(self.most, self.most_searched) >= 1):
            raise UsageError(
                f"Unlabelled: found weight {self.weight}, most {self.most} and most_searched {self.most_searched}, "
                "expected a weight above 0 and at least one row; a task that learns from labelled rows alone has "
                "unlabelled=None"
            )

    def searched(self) -> Unlabelled:
        """The same with as many rows as a search learns from."""
        return replace(self, most=self.most_searched)


@dataclass(frozen=True)
class Lesson:
    """What a model is taught.

    Attributes:
        rows: Row numbers.
        label: 0 or 1 for each.
        weight: What each counts; None where all count 1.
    """

    rows: NDArray[np.intp]
    label: NDArray[np.float64]
    weight: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Past:
    """All that may be learned from at a moment.

    Attributes:
        task: What is learned.
        table: Its rows.
        labelled: Numbers of the rows whose label had closed.
        unlabelled: Of those before the moment whose label had not; empty where the task does not learn from them.
    """

    task: Task
    table: Examples
    labelled: NDArray[np.intp]
    unlabelled: NDArray[np.intp]

    @staticmethod
    def of(task: Task, table: Examples, labelled: NDArray[np.intp], unlabelled: NDArray[np.intp]) -> Past:
        """What there is, without unlabelled rows where the task does not ask for them."""
        return Past(task, table, labelled, unlabelled if task.unlabelled else unlabelled[:0])

    def taught(
        self, parameters: Parameters, generator: np.random.Generator, features: Sequence[str] | None = None
    ) -> lightgbm.Booster:
        """The task's learner on all of this.

        Args:
            parameters: What rules over the learner's own.
            generator: Where chance comes from.
            features: Columns to learn from; all if not given.
        """
        names = self.table.features if features is None else tuple(features)
        learner = self.task.learner if features is None else self.task.learner.asking(names)
        lesson = self.lesson(learner, names, parameters, generator)
        matrix = columns(self.table, lesson.rows, names)
        return learner.fit(names, matrix, lesson.label, parameters, generator, lesson.weight)

    def lesson(
        self, learner: Binary, features: Sequence[str], parameters: Parameters, generator: np.random.Generator
    ) -> Lesson:
        """The labelled rows, and the unlabelled ones that are presumed to be a no."""
        label = self.table.label[self.labelled]
        asked = self.task.unlabelled
        if asked is None or not len(self.unlabelled):
            return Lesson(self.labelled, label)
        matrix = columns(self.table, self.labelled, features)
        first = replace(learner, bags=1).fit(features, matrix, label, parameters, generator)
        order = np.argsort(scored(first, self.table, self.unlabelled, features), kind="stable")
        no = self.unlabelled[order[: len(order) - round(self.possible_yes())]]
        weight = asked.weight
        if len(no) > asked.most:
            weight *= len(no) / asked.most
            no = generator.choice(no, asked.most, replace=False)
        return Lesson(
            np.concatenate((self.labelled, np.sort(no))),
            np.concatenate((label, np.zeros(len(no)))),
            np.concatenate((np.ones(len(label)), np.full(len(no), weight))),
        )

    def possible_yes(self) -> float:
        """How many of the unlabelled rows may be a yes, by the share among the rows that were drawn by lot.

        A standard error is added to that share: a yes that is learned from as a no costs much more than a no that is
        left out.

        Raises:
            DataError: No row was drawn by lot.
        """
        label = self.table.label[self.labelled]
        by_lot = label[self.table.by_lot[self.labelled]]
        if not len(by_lot):
            raise DataError(
                f"task {self.task.name!r}: found no label by lot among {len(label)} to learn from; expected some, "
                "because they alone say what share of the unlabelled rows is a yes; give a longer history, or let an "
                "audit draw scans at random"
            )
        share = float(by_lot.mean())
        share += float(np.sqrt(share * (1 - share) / len(by_lot)))
        everyone = len(self.labelled) + len(self.unlabelled)
        return float(np.clip(share * everyone - label.sum(), 0, len(self.unlabelled)))


def columns(table: Examples, rows: NDArray[np.intp], features: Sequence[str]) -> NDArray[np.float32]:
    """Some rows of some columns, shape (rows, features)."""
    if tuple(features) == table.features:
        return table.matrix[rows]
    places = np.array([table.features.index(name) for name in features])
    return np.ascontiguousarray(table.matrix[np.ix_(rows, places)])


def scored(
    booster: lightgbm.Booster, table: Examples, rows: NDArray[np.intp], features: Sequence[str] | None = None
) -> NDArray[np.float64]:
    """Raw scores of some rows, some at a time so that memory stays bounded; shape (rows,)."""
    names = table.features if features is None else features
    parts = [
        raw_scores(booster, columns(table, rows[start : start + SCORED_AT_ONCE], names))
        for start in range(0, len(rows), SCORED_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.empty(0)
