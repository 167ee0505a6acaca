"""The batch evaluator of one group: from a history to its answers, one operation after the other."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import DataError
from features import kernel
from features.feature import Operator
from features.history import value_codes
from features.kernel import Answers, Codes, Flags, Int32, Int64, Prefixes, Seen, Values
from features.log import GAP, Where

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from features.history import Coded, Column, History
    from features.plan import Group, Measure, Operation

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
_COMPARISONS: Final = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def evaluate(group: Group, history: History, coded: Coded, exact: Container[str]) -> Iterator[tuple[str, Answers]]:
    """The group's outputs, each with its name and one number a row, null as NaN.

    They are float32; those named in ``exact``, from which something is derived, are float64.

    Raises:
        DataError: When the values of a column are too large to be added up exactly.
    """
    sight = _Sight(group, history)
    for number, measure in enumerate(group.measures):
        reading = _Reading(group, measure, coded, sight)
        for operation in group.operations:
            if operation.measure == number:
                answer = _unanswered(len(coded.questions.at), exact=operation.output in exact)
                _answer(operation, reading, sight, answer)
                yield operation.output, answer


def _unanswered(rows: int, *, exact: bool) -> Answers:
    return np.full(rows, np.nan, np.float64) if exact else np.full(rows, np.nan, np.float32)


def satisfies(where: Where, column: Column) -> Flags:
    """Which values satisfy a condition; a null never does."""
    held = column.cast(pa.int64()) if pa.types.is_boolean(column.type) else column
    if where.test == "in":
        flags = pc.is_in(held, value_set=pa.array(cast("tuple[Any, ...]", where.operand)), skip_nulls=True)
    else:
        flags = _COMPARISONS[where.test](held, pa.scalar(where.operand))
    known = cast("Any", flags).fill_null(False)  # noqa: FBT003 - pyarrow's signature
    return np.asarray(known.to_numpy(), dtype=np.bool_)


def _answer(operation: Operation, reading: _Reading, sight: _Sight, answer: Answers) -> None:
    seen, layout = sight.seen(operation.window), sight.history.layout
    match operation.operator:
        case Operator.COUNT | Operator.SUM | Operator.MEAN | Operator.STD:
            statistic = _STATISTICS[operation.operator]
            kernel.totals(statistic, layout, seen, reading.prefixes(operation.operator), answer)
        case Operator.SHARE:
            kernel.totals(kernel.MEAN, layout, seen, Prefixes(_NOTHING, reading.fitting_before, _NOTHING), answer)
        case Operator.DISTINCT:
            kernel.differing(operation.cap, layout, seen, reading.codes(), answer)
        case Operator.ENTROPY:
            most = int(np.diff(layout.event_start).max(initial=0))
            kernel.entropies(most, layout, seen, reading.codes(), answer)
        case Operator.MIN | Operator.MAX:
            kernel.extremes(operation.operator is Operator.MAX, layout, seen, reading.values, answer)
        case Operator.LAST:
            kernel.recall(kernel.LATEST_VALUE, layout, seen, reading.values, answer)
        case Operator.SINCE | Operator.SINCE_FIRST:
            presence = Values(_NOTHING, reading.present)
            kernel.recall(_MEMORIES[operation.operator], layout, seen, presence, answer)


class _Sight:
    """Which events each question sees: computed once a window, shared by all measures."""

    def __init__(self, group: Group, history: History) -> None:
        self.history = history
        self._windows = group.windows
        self._seen: dict[int, Seen] = {}
        self._high = kernel.bound(history.layout, 0)

    def seen(self, window: int) -> Seen:
        if window not in self._seen:
            length = self._windows[window]
            low = kernel.bound(self.history.layout, kernel.FOREVER if length is None else length)
            self._seen[window] = Seen(low, self._high)
        return self._seen[window]

    @cached_property
    def gap(self) -> Values:
        """Seconds from each event back to the one before, and whether there is one."""
        found = Values(np.zeros(self.history.length, np.int64), np.zeros(self.history.length, np.bool_))
        kernel.gaps(self.history.layout, found.value, found.present)
        return found


class _Reading:
    """One measure in the order of the history: only what its operations ask for is made."""

    def __init__(self, group: Group, measure: Measure, log: Coded, sight: _Sight) -> None:
        self._group = group
        self._measure = measure
        self._log = log
        self._events = log.events
        self._sight = sight
        self._row = sight.history.event_row
        flags = None if measure.column is None else self._known(measure.column)
        if measure.where is not None:
            fitting = self._fitting(measure.where)
            flags = fitting if flags is None else flags & fitting
        self._flags = flags

    @cached_property
    def present(self) -> Flags:
        """Which events count."""
        return np.ones(len(self._row), np.bool_) if self._flags is None else self._flags

    @cached_property
    def values(self) -> Values:
        """The integers, 0 where absent."""
        column = self._measure.column or ""
        if column == GAP:
            values = self._sight.gap.value
        else:
            integers = cast("Any", self._events.table[column].cast(pa.int64())).fill_null(0)
            values = integers.to_numpy()[self._row]
        return Values(values if self._flags is None else values * self._flags, self.present)

    @cached_property
    def fitting_before(self) -> Int64:
        """How many events that count stand before each place."""
        return _running(self.present)

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
        column = self._measure.column or ""
        if column == GAP:
            codes, number = value_codes(self._sight.gap.value)
        else:
            codes, number = self._log.value(column)
            codes = codes[self._row]
        return (codes if self._flags is None else np.where(self._flags, codes, np.int32(-1))), number

    @cached_property
    def _total_before(self) -> Int64:
        value = self.values.value
        self._hold(1, "values")
        return _running(value)

    @cached_property
    def _square_before(self) -> Int64:
        value = self.values.value
        self._hold(2, "squares")
        return _running(value * value)

    def _known(self, column: str) -> Flags | None:
        """Which events have the column; None when all do."""
        if column == GAP:
            return self._sight.gap.present
        held = self._events.table[column]
        return np.asarray(held.is_valid().to_numpy(), dtype=np.bool_)[self._row] if held.null_count else None

    def _fitting(self, where: Where) -> Flags:
        if where.column == GAP:
            seconds, present = self._sight.gap
            return satisfies(where, pa.chunked_array([pa.array(seconds, mask=~present)]))
        return satisfies(where, self._events.table[where.column])[self._row]

    def _hold(self, power: int, what: str) -> None:
        """Refuses a key whose whole history does not add up inside an int64; no window can then overflow."""
        value = self.values.value
        largest = max(float(value.max(initial=0)), -float(value.min(initial=0)))
        if largest**power * len(value) < _LARGEST_TOTAL:
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


def _running(values: Int64 | Flags) -> Int64:
    before = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=before[1:], dtype=np.int64)
    return before
