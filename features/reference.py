"""The judge of the live state: what is remembered of every key, in plain Python, slowly and plainly.

It keeps the events that a window can still see as they came and adds them up anew at every question; of what must be
remembered for ever it keeps a few numbers. Python's integers do not overflow, so it has no limit of its own.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from features.feature import Operator
from features.kernel import deviation
from features.log import GAP

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from features.kernel import Doubles
    from features.log import Where
    from features.plan import Group, Measure, Operation, Plan

Value: TypeAlias = int | str | None
"""A value of an event as the evaluators take it: true and false as 1 and 0."""

_TESTS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": lambda value, operand: value == operand,
    "!=": lambda value, operand: value != operand,
    "<": lambda value, operand: value < operand,
    "<=": lambda value, operand: value <= operand,
    ">": lambda value, operand: value > operand,
    ">=": lambda value, operand: value >= operand,
    "in": lambda value, operand: value in operand,
}
_SECOND: Final = 1_000_000
_ZERO_WITHOUT_HISTORY: Final = frozenset({Operator.COUNT, Operator.SUM, Operator.DISTINCT})


class ReferenceEvaluator:
    """The plain evaluator of a plan: `append` events in the order of their instants, ask for `answers` in between."""

    def __init__(self, plan: Plan) -> None:
        """Nothing is known yet."""
        self._columns = plan.columns_by_log
        self._keys = plan.keys
        self._histories = [(group, dict[tuple[Value, ...], _History]()) for group in plan.groups]

    def append(self, log: str, at: int, values: Sequence[Value]) -> None:
        """Takes in an event; questions of its own instant will not see it."""
        event = dict(zip(self._columns[log], values, strict=True))
        for group, histories in self._histories:
            key = tuple(event[column] for column in group.key)
            if group.log == log and None not in key:
                histories.setdefault(key, _History(group)).append(at, event)

    def answers(self, at: int, keys: Sequence[Value], answer: Doubles) -> None:
        """The aggregates of one row as of an instant, before rounding; null as NaN."""
        row = dict(zip(self._keys, keys, strict=True))
        answer[:] = [value for group, histories in self._histories for value in _answers(group, histories, at, row)]


def _answers(
    group: Group, histories: Mapping[tuple[Value, ...], _History], at: int, row: Mapping[str, Value]
) -> list[float]:
    key = tuple(row[column] for column in group.key)
    if None in key:
        return [math.nan] * len(group.operations)
    history = histories.get(key)
    if history is not None:
        history.settle(at)
    values = []
    for operation in group.operations:
        value = None if history is None else history.answer(operation, at)
        without = 0.0 if operation.operator in _ZERO_WITHOUT_HISTORY else math.nan
        values.append(without if value is None else float(value))
    return values


@dataclass
class _Memory:
    """What is remembered for ever of one measure, whatever the windows forget."""

    number: int = 0
    total: int = 0
    square: int = 0
    first: int = 0
    latest: int = 0
    value: int = 0
    smallest: int = 0
    largest: int = 0
    different: set[Value] = field(default_factory=set)

    def take(self, at: int, value: Value, cap: int) -> None:
        """Adds an event that counts."""
        if len(self.different) < cap:
            self.different.add(value)
        if not isinstance(value, int):
            return
        known = self.number > 0
        self.first = self.first if known else at
        self.value = max(self.value, value) if known and at == self.latest else value
        self.latest = at
        self.smallest = min(self.smallest, value) if known else value
        self.largest = max(self.largest, value) if known else value
        self.number += 1
        self.total += value
        self.square += value * value


class _History:
    """One key of one group: the events that a window can still see, and a `_Memory` a measure."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._longest = max((window for window in group.windows if window is not None), default=0)
        self._caps = [_cap(group, number) for number in range(len(group.measures))]
        self._events = 0
        self._latest: int | None = None
        self._instants: list[int] = []
        self._values: list[tuple[Value, ...]] = []
        self._memories = [_Memory() for _ in group.measures]
        self._pending: list[tuple[Value, ...]] = []
        self._pending_at = 0

    def append(self, at: int, event: Mapping[str, Value]) -> None:
        self.settle(at)
        gap = None if self._latest is None else (at - self._latest) // _SECOND
        self._pending.append(tuple(_read(measure, event, gap) for measure in self._group.measures))
        self._pending_at = at

    def settle(self, at: int) -> None:
        """Lets the events of an earlier instant be seen, and forgets those that no window sees any more."""
        if self._pending and self._pending_at < at:
            for values in self._pending:
                self._instants.append(self._pending_at)
                self._values.append(values)
                for memory, value, cap in zip(self._memories, values, self._caps, strict=True):
                    if value is not None:
                        memory.take(self._pending_at, value, cap)
            self._events += len(self._pending)
            self._latest = self._pending_at
            self._pending = []
        dead = bisect_left(self._instants, at - self._longest)
        del self._instants[:dead]
        del self._values[:dead]

    def answer(self, operation: Operation, at: int) -> float | None:
        length = self._group.windows[operation.window]
        if length is None:
            return _remembered(operation, self._memories[operation.measure], self._events, at)
        low = bisect_left(self._instants, at - length)
        values = [row[operation.measure] for row in self._values[low:]]
        return _windowed(operation, [value for value in values if value is not None], len(values))


def _cap(group: Group, measure: int) -> int:
    """How many different values a lifetime ``distinct`` of the measure needs to be told apart."""
    return max((one.cap for one in group.operations if one.measure == measure), default=0)


def _read(measure: Measure, event: Mapping[str, Value], gap: int | None) -> Value:
    """What an event brings to a measure: None when it does not count, 1 when it only counts."""

    def value(column: str) -> Value:
        return gap if column == GAP else event[column]

    if measure.where is not None and not _satisfies(measure.where, value(measure.where.column)):
        return None
    return 1 if measure.column is None else value(measure.column)


def _satisfies(where: Where, value: Value) -> bool:
    return value is not None and _TESTS[where.test](value, where.operand)


def _remembered(  # noqa: PLR0911 - one line an operator
    operation: Operation, memory: _Memory, events: int, at: int
) -> float | None:
    """The answer over all time."""
    if operation.operator is Operator.DISTINCT:
        return min(len(memory.different), operation.cap)
    if operation.operator is Operator.SHARE:
        return memory.number / events if events else None
    if not memory.number and operation.operator not in _ZERO_WITHOUT_HISTORY:
        return None
    match operation.operator:
        case Operator.MIN:
            return memory.smallest
        case Operator.MAX:
            return memory.largest
        case Operator.LAST:
            return memory.value
        case Operator.SINCE:
            return (at - memory.latest) // _SECOND
        case Operator.SINCE_FIRST:
            return (at - memory.first) // _SECOND
        case _:
            return _statistic(operation.operator, memory.number, memory.total, memory.square)


def _windowed(operation: Operation, values: Sequence[int | str], events: int) -> float | None:
    """The answer over the values that a window holds, out of so many events."""
    match operation.operator:
        case Operator.DISTINCT:
            different = len(set(values))
            return min(different, operation.cap) if operation.cap else different
        case Operator.SHARE:
            return len(values) / events if events else None
        case Operator.ENTROPY:
            return _entropy(values) if values else None
    numbers = cast("Sequence[int]", values)
    match operation.operator:
        case Operator.MIN:
            return min(numbers, default=None)
        case Operator.MAX:
            return max(numbers, default=None)
        case _:
            squares = sum(value * value for value in numbers) if operation.operator is Operator.STD else 0
            return _statistic(operation.operator, len(numbers), sum(numbers), squares)


def _statistic(operator: Operator, number: int, total: int, square: int) -> float | None:
    match operator:
        case Operator.COUNT:
            return number
        case Operator.SUM:
            return total
        case Operator.MEAN:
            return float(total) / float(number) if number else None
        case _:
            return deviation(float(number), float(total), float(square)) if number > 1 else None


def _entropy(values: Sequence[int | str]) -> float:
    counts = Counter(Counter(values).values())
    if sum(counts.values()) == 1:
        return 0.0
    total = 0.0
    for count in sorted(counts):
        total += float(counts[count]) * (float(count) * math.log(float(count)))
    return math.log(float(len(values))) - total / float(len(values))
