"""A unit of work that one machine does alone: one group, for all rows and events of some of its keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pyarrow as pa

from features.coded import AskedKeys, Coded
from features.evaluation import evaluate
from features.history import moments
from features.scratch import Scratch
from features.source import INSTANT
from features.spool import POSITION

if TYPE_CHECKING:
    from pathlib import Path

    from features.history import Moments
    from features.kernel import Answers, Int64
    from features.plan import Group
    from features.spool import Dealt


@dataclass(frozen=True)
class Unit:
    """What to evaluate.

    Attributes:
        group: The windows and operations.
        exact: Outputs that are kept in double precision.
        questions: The rows that ask: their position, their instant in microseconds and the key's columns.
        events: Their instant and the columns that the group reads.
        folder: Where the answers go; it is seen by whoever evaluates and by whoever asked.
    """

    group: Group
    exact: frozenset[str]
    questions: Dealt
    events: Dealt
    folder: Path


@dataclass(frozen=True)
class UnitAnswers:
    """Where the answers of a unit are: the positions of its rows, then one array an output.

    Attributes:
        group: The group.
        path: The file.
        rows: How many rows it answers.
        starts: The byte at which each output begins, and whether it is in double precision.
    """

    group: Group
    path: Path
    rows: int
    starts: dict[str, tuple[int, bool]]

    def positions(self, start: int, stop: int) -> Int64:
        """Some of the positions."""
        return np.fromfile(self.path, np.int64, stop - start, offset=8 * start)

    def values(self, name: str, start: int, stop: int) -> Answers:
        """The values of an output at these places."""
        first, double = self.starts[name]
        if double:
            return np.fromfile(self.path, np.float64, stop - start, offset=first + 8 * start)
        return np.fromfile(self.path, np.float32, stop - start, offset=first + 4 * start)


def answer(unit: Unit) -> UnitAnswers:
    """Evaluates a unit and writes its answers to a file of their own, which is there whole or not at all.

    Raises:
        DataError: When the values of a column are too large to be added up exactly.
    """
    questions = unit.questions.read()
    asked = AskedKeys(_moments(questions, "rows"))
    coded = Coded(_moments(unit.events.read(), unit.group.log), asked, unit.group.key)
    path = unit.folder / f"{uuid4().hex}.answers"
    starts: dict[str, tuple[int, bool]] = {}
    scratch = Scratch()

    def room(exact: bool) -> Answers:  # noqa: FBT001 - the only thing to say
        return scratch.answers(f"column {exact}", questions.num_rows, exact=exact)

    with path.with_suffix(".part").open("wb") as file:
        questions[POSITION].to_numpy().tofile(file)
        for name, values in evaluate(unit.group, coded, unit.exact, scratch, room):
            starts[name] = (file.tell(), name in unit.exact)
            values.tofile(file)
    path.with_suffix(".part").replace(path)
    pa.default_memory_pool().release_unused()
    return UnitAnswers(unit.group, path, questions.num_rows, starts)


def _moments(table: pa.Table, what: str) -> Moments:
    at = np.ascontiguousarray(table[INSTANT].to_numpy(), dtype=np.int64)
    return moments(at, table, what)
