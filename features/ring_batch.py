"""Rings in batch: the events and questions of each generation replayed in order, every answer before its instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import DataError, ShepherdError
from features.coded import satisfies
from features.columns import rounded
from features.source import read_events
from features.union_find import BAD_MARK, MARK, NULL, forest, replay, set_kinds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from features.history import Column, Moments
    from features.kernel import Doubles, Int32, Int64
    from features.plan import Plan
    from features.ring_plan import RingPlan
    from features.source import Logs

_LEAST_PAIRS: Final = 16


def ring_answers(plan: Plan, logs: Logs, questions: Moments) -> Iterator[tuple[str, Doubles | NDArray[np.float32]]]:
    """The outputs of a plan's rings, each with its name and one number a row, null as NaN.

    What a derived feature still reads is double, the rest is rounded.

    Raises:
        DataError: When rows and logs name nodes by different kinds of value.
    """
    for ring in plan.rings:
        answers = _Replay(ring, logs, questions).answers()
        for number, output in enumerate(ring.outputs):
            values = np.where(answers[number] == NULL, np.nan, answers[number].astype(np.float64))
            yield output.output, values if output.output in plan.exact else rounded(values)


class _Replay:
    """One network over all its events, nodes numbered kind after kind."""

    def __init__(self, ring: RingPlan, source: Logs, questions: Moments) -> None:
        self._ring = ring
        self._questions = questions
        logs = {log: read_events(source, log, columns) for log, columns in ring.columns_by_log.items()}
        self._nodes = _Nodes(ring, logs, questions)
        self._event_at, self._ends = self._events(logs)

    def answers(self) -> Int32:
        """A row an output, a column a row of the question."""
        ring = self._ring
        rows = self._questions.by_time.astype(np.int64)
        at = self._questions.at[rows]
        nodes = np.stack([self._nodes.asked[key][rows] for key in ring.keys], axis=1)
        wanted = np.array([(one.key, one.slot) for one in ring.outputs], np.int32)
        answers = np.full((len(ring.outputs), len(rows)), NULL, np.int32)
        newest = at // ring.period
        for number in np.unique(newest):
            first, stop = np.searchsorted(newest, [number, number + 1])
            begins = ring.oldest(int(at[first])) * ring.period
            some, end = np.searchsorted(self._event_at, [begins, at[stop - 1]])
            small, wide = self._forest(end - some)
            events = (self._event_at[some:end], self._ends[some:end])
            replay(small, wide, events, (at[first:stop], nodes[first:stop], rows[first:stop]), wanted, answers)
        return answers

    def _forest(self, events: int) -> tuple[Int32, Int64]:
        ring = self._ring
        pairs = _LEAST_PAIRS
        while pairs < 2 * events:
            pairs *= 2
        small, wide = forest(len(self._nodes.kind), pairs, len(ring.kinds), ring.windows, ring.cap)
        set_kinds(small, wide, self._nodes.kind)
        return small, wide

    def _events(self, logs: Mapping[str, Moments]) -> tuple[Int64, Int32]:
        """Instants and ends of all events, in order of time."""
        at: list[Int64] = []
        ends: list[Int32] = []
        for edge in self._ring.edges:
            left, right = (self._nodes.told[edge.log, column] for column in edge.columns)
            whole = (left >= 0) & (right >= 0)
            at.append(logs[edge.log].at[whole])
            ends.append(np.stack([left[whole], right[whole]], axis=1))
        marks = self._ring.marks
        if marks is not None:
            about = self._nodes.told[marks.log, marks.column]
            bad = satisfies(marks.bad, logs[marks.log].table[marks.bad.column])
            known = about >= 0
            at.append(logs[marks.log].at[known])
            verdict = np.where(bad[known], np.int32(BAD_MARK), np.int32(MARK))
            ends.append(np.stack([about[known], verdict], axis=1))
        joined, both = np.concatenate(at), np.concatenate(ends)
        order = np.argsort(joined, kind="stable")
        return joined[order], np.ascontiguousarray(both[order], dtype=np.int32)


class _Nodes:
    """A number for every node that events or questions name.

    Attributes:
        kind: Of each node.
        told: By log and column the node of each event, `NULL` where it has none.
        asked: By column the node of each question.
    """

    def __init__(self, ring: RingPlan, logs: Mapping[str, Moments], questions: Moments) -> None:
        self.told: dict[tuple[str, str], Int32] = {}
        self.asked: dict[str, Int32] = {}
        kinds: list[NDArray[np.int8]] = []
        number = 0
        for kind, column in enumerate(ring.kinds):
            values = _different(column, self._columns(ring, kind, logs, questions))
            for log, named in self._named(ring, kind):
                self.told[log, named] = _numbered(logs[log].table[named], values, number)
            if column in ring.keys:
                self.asked[column] = _numbered(questions.table[column], values, number)
            kinds.append(np.full(len(values), kind, np.int8))
            number += len(values)
        if number >= 2**31:
            raise ShepherdError(f"network {ring.name}: {number:,} nodes, more than 32-bit numbers can name")
        self.kind = np.concatenate(kinds)

    def _columns(
        self, ring: RingPlan, kind: int, logs: Mapping[str, Moments], questions: Moments
    ) -> Iterator[tuple[str, Column]]:
        for log, column in self._named(ring, kind):
            yield f"log {log}", logs[log].table[column]
        if ring.kinds[kind] in ring.keys:
            yield "the rows", questions.table[ring.kinds[kind]]

    def _named(self, ring: RingPlan, kind: int) -> list[tuple[str, str]]:
        ends = [(edge.log, edge.columns[end]) for edge in ring.edges for end in (0, 1) if edge.kinds[end] == kind]
        about = [(ring.marks.log, ring.marks.column)] if ring.marks and ring.marks.kind == kind else []
        return list(dict.fromkeys([*ends, *about]))


def _different(column: str, named: Iterator[tuple[str, Column]]) -> pa.Array[Any]:
    columns = list(named)
    kinds = {where: pa.types.is_integer(values.type) for where, values in columns if len(values)}
    if len(set(kinds.values())) > 1:
        described = ", ".join(f"{where} whole numbers" if whole else f"{where} text" for where, whole in kinds.items())
        raise DataError(f"key {column}: {described}; give all of them values of one kind")
    filled = [values for _, values in columns if len(values)]
    if not filled:
        return cast("pa.Array[Any]", pa.array([], columns[0][1].type))
    chunks = [chunk for values in filled for chunk in values.chunks]
    return cast("pa.Array[Any]", pc.unique(pa.chunked_array(chunks))).drop_null()


def _numbered(column: Column, values: pa.Array[Any], first: int) -> Int32:
    if not len(column):
        return np.empty(0, np.int32)
    places = cast("Any", pc.index_in(column, value_set=values, skip_nulls=True))
    found = np.asarray(places.fill_null(NULL).to_numpy(), dtype=np.int32)
    return np.where(found >= 0, found + np.int32(first), np.int32(NULL))
