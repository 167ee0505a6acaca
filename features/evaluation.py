"""The batch evaluator of one group: from a history to its answers, one operation after the other."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from data.errors import DataError
from features import kernel, ordering
from features.coded import satisfies, value_codes
from features.feature import Operator
from features.history import lay_out
from features.kernel import Answers, Codes, Flags, Int32, Int64, Kind, Prefixes, Seen, Values
from features.log import GAP, Where

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from numpy.typing import NDArray

    from features.coded import Coded
    from features.history import History
    from features.plan import Group, Measure, Operation
    from features.scratch import Scratch

_NOTHING: Final = np.empty(0, np.int64)
_LARGEST_TOTAL: Final = float(1 << 62)  # half an int64, so that the rounding of the check itself cannot matter
_STATISTICS: Final = {
    Operator.COUNT: kernel.COUNT,
    Operator.SUM: kernel.SUM,
    Operator.MEAN: kernel.MEAN,
    Operator.STD: kernel.STD,
}
_MEMORIES: Final = {
    Operator.LAST: kernel.LATEST_VALUE,
    Operator.SINCE: kernel.SINCE_LATEST,
    Operator.SINCE_FIRST: kernel.SINCE_FIRST,
}


def evaluate(
    group: Group,
    coded: Coded,
    exact: Container[str],
    scratch: Scratch,
    room: Callable[[bool], Answers],
) -> Iterator[tuple[str, Answers]]:
    """The group's outputs, each with its name and one number a row, null as NaN.

    Args:
        group: What to answer.
        coded: The log and the rows.
        exact: Outputs from which something is derived.
        scratch: Room for what is needed in between.
        room: Gives an array for the next output: of doubles, if it is to be exact, else of float32.

    Raises:
        DataError: When the values of a column are too large to be added up exactly.
    """
    history = lay_out(group.key, coded, scratch)
    sight = _Sight(group, history, scratch)
    for number, measure in enumerate(group.measures):
        reading = _Reading(group, measure, coded, sight, scratch)
        for operation in group.operations:
            if operation.measure == number:
                double = operation.output in exact
                found = scratch.answers(f"answer {double}", len(history.layout.question_at), exact=double)
                _answer(operation, reading, sight, found)
                answer = room(double)
                ordering.to_rows(found, history.place, answer)
                yield operation.output, answer


def _answer(operation: Operation, reading: _Reading, sight: _Sight, answer: Answers) -> None:
    seen, layout = sight.seen(operation.window), sight.history.layout
    match operation.operator:
        case Operator.COUNT | Operator.SUM | Operator.MEAN | Operator.STD:
            kernel.totals(_STATISTICS[operation.operator], seen, reading.prefixes(operation.operator), answer)
        case Operator.SHARE:
            kernel.totals(kernel.MEAN, seen, Prefixes(_NOTHING, reading.fitting_before, _NOTHING), answer)
        case Operator.DISTINCT:
            kernel.differing(operation.cap, layout, seen, reading.codes(), answer)
        case Operator.ENTROPY:
            kernel.entropies(sight.most, layout, seen, reading.codes(), answer)
        case Operator.MIN | Operator.MAX:
            kernel.extremes(operation.operator is Operator.MAX, layout, seen, reading.values, answer)
        case Operator.LAST:
            kernel.recall(kernel.LATEST_VALUE, layout, seen, reading.values, answer)
        case Operator.SINCE | Operator.SINCE_FIRST:
            presence = Values(_NOTHING, reading.present)
            kernel.recall(_MEMORIES[operation.operator], layout, seen, presence, answer)


class _Sight:
    """Which events each question sees: computed once a window, shared by all measures."""

    def __init__(self, group: Group, history: History, scratch: Scratch) -> None:
        self.history = history
        self._windows = group.windows
        self._scratch = scratch
        self._seen: dict[int, Seen] = {}
        self._high = self._bound("high", 0)

    def seen(self, window: int) -> Seen:
        if window not in self._seen:
            length = self._windows[window]
            low = self._bound(f"low {window}", kernel.FOREVER if length is None else length)
            self._seen[window] = Seen(low, self._high)
        return self._seen[window]

    @cached_property
    def most(self) -> int:
        """The number of events of the busiest key."""
        return int(np.diff(self.history.layout.event_start).max(initial=0))

    @cached_property
    def gap(self) -> Values:
        """Seconds from each event back to the one before, and whether there is one; 0 where not."""
        found = Values(
            self._scratch.array("gap", np.int64, self.history.length),
            self._scratch.array("gap known", np.bool_, self.history.length),
        )
        kernel.gaps(self.history.layout, found.value, found.present)
        return found

    def _bound(self, name: str, length: int) -> Int32:
        found = self._scratch.array(name, np.int32, len(self.history.layout.question_at))
        kernel.bound(self.history.layout, length, found)
        return found


class _Reading:
    """One measure in the order of the history: only what its operations ask for is made."""

    def __init__(self, group: Group, measure: Measure, log: Coded, sight: _Sight, scratch: Scratch) -> None:
        self._group = group
        self._measure = measure
        self._column = measure.column or ""
        self._log = log
        self._sight = sight
        self._scratch = scratch
        self._row = sight.history.event_row
        self._flags = self._present()

    @cached_property
    def present(self) -> Flags:
        """Which events count."""
        return np.ones(len(self._row), np.bool_) if self._flags is None else self._flags

    @cached_property
    def values(self) -> Values:
        """The integers, 0 where absent."""
        if self._column == GAP:
            values = self._sight.gap.value
        else:
            values = self._ordered("value", self._log.integers(self._column))
        if self._measure.where is not None:
            values = values * self.present
        return Values(values, self.present)

    @cached_property
    def fitting_before(self) -> Int64:
        """How many events that count stand before each place."""
        return self._running("number", self.present, 1)

    def prefixes(self, operator: Operator) -> Prefixes:
        """The sums before each place that an operator needs."""
        return Prefixes(
            _NOTHING if self._flags is None else self.fitting_before,
            self._total_before if operator is not Operator.COUNT else _NOTHING,
            self._square_before if operator is Operator.STD else _NOTHING,
        )

    def codes(self) -> Codes:
        """A number for each different value, -1 where absent, and room to count them."""
        code, number = self._coded
        return Codes(code, np.zeros(number, np.int32))

    @cached_property
    def _coded(self) -> tuple[Int32, int]:
        if self._column == GAP:
            codes, number = value_codes(self._sight.gap.value)
        else:
            of_rows, number = self._log.value(self._column)
            codes = self._ordered("code", of_rows)
        absent = self._column == GAP or self._measure.where is not None
        return (np.where(self.present, codes, np.int32(-1)) if absent else codes), number

    @cached_property
    def _total_before(self) -> Int64:
        self._hold(1, "values")
        return self._running("total", self.values.value, 1)

    @cached_property
    def _square_before(self) -> Int64:
        self._hold(2, "squares")
        return self._running("square", self.values.value, 2)

    def _running(self, name: str, values: Int64 | Flags, power: int) -> Int64:
        before = self._scratch.array(f"{name} before", np.int64, len(values) + 1)
        ordering.running(values, power, before)
        return before

    def _ordered(self, name: str, values: NDArray[Kind]) -> NDArray[Kind]:
        found = self._scratch.array(name, values.dtype.type, len(self._row))
        ordering.gather(values, self._row, found)
        return found

    def _present(self) -> Flags | None:
        """Which events have the column and satisfy the condition; None when all do."""
        flags = None if self._measure.column is None else self._known(self._measure.column)
        if self._measure.where is None:
            return flags
        fitting = self._fitting(self._measure.where)
        return fitting if flags is None else flags & fitting

    def _known(self, column: str) -> Flags | None:
        if column == GAP:
            return self._sight.gap.present
        known = self._log.known(column)
        return None if known is None else self._ordered("known", known)

    def _fitting(self, where: Where) -> Flags:
        if where.column == GAP:
            seconds, present = self._sight.gap
            return satisfies(where, pa.chunked_array([pa.array(seconds, mask=~present)]))
        return self._ordered("fitting", self._log.fitting(where))

    def _hold(self, power: int, what: str) -> None:
        """Refuses a key whose whole history does not add up inside an int64; no window can then overflow."""
        if self._column != GAP and self._log.largest(self._column) ** power * self._sight.most < _LARGEST_TOTAL:
            return
        value = self.values.value
        largest = max(float(value.max(initial=0)), -float(value.min(initial=0)))
        if largest**power * self._sight.most < _LARGEST_TOTAL:
            return
        sizes = np.abs(value.astype(np.float64)) ** power
        event_start = self._sight.history.layout.event_start
        worst = float(np.add.reduceat(sizes, event_start[:-1][np.diff(event_start) > 0]).max())
        if worst >= _LARGEST_TOTAL:
            whose = " and ".join(self._group.key) or "log"
            raise DataError(
                f"log {self._group.log}, column {self._measure.column}: the {what} of one {whose} add up to "
                f"{worst:.3g} (largest value {largest:.3g}), expected less than {_LARGEST_TOTAL:.3g}; "
                "state the column in a larger unit or mend the values that are out of bounds"
            )
