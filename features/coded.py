"""A log and the rows that ask it as arrays: numbers for keys and values, integers, and which events count."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.encoding import Encoder
from features.kernel import Flags, Int32, Int64, Values

if TYPE_CHECKING:
    from collections.abc import Container

    from features.history import Moments
    from features.log import Where

    Column: TypeAlias = pa.ChunkedArray[Any]

_ROWS_A_VALUE: Final = 16
_FEWEST_VALUES: Final = 1_024
_COMPARISONS: Final = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


class AskedKeys:
    """The keys of the rows that ask, numbered once for all logs.

    Attributes:
        questions: The rows.
    """

    def __init__(self, questions: Moments) -> None:
        self.questions = questions
        self._known: dict[str, tuple[Encoder, Int32, int]] = {}

    def key(self, column: str) -> tuple[Encoder, Int32, int]:
        """An encoder that has seen the rows' column first, the rows' numbers, and how many different ones they are."""
        if column not in self._known:
            encoder = _encoder(self.questions.table[column])
            codes = encoder.column(self.questions.table[column])
            self._known[column] = (encoder, codes, len(encoder))
        return self._known[column]


class Coded:
    """A log, the rows that ask it, and numbers for what they hold: each column is encoded once, whoever reads it.

    Attributes:
        events: The log.
        questions: The rows.
    """

    def __init__(self, events: Moments, asked: AskedKeys, keys: Container[str]) -> None:
        self.events = events
        self.questions = asked.questions
        self._asked = asked
        self._keys = keys
        self._codes: dict[str, _Codes] = {}
        self._flags: dict[str | Where, Flags | None] = {}
        self._integers: dict[str, Int64] = {}
        self._largest: dict[str, float] = {}

    @cached_property
    def simultaneous(self) -> bool:
        """Whether each row asks at the instant of the event in the same place."""
        return np.array_equal(self.events.at, self.questions.at)

    def key(self, column: str) -> _Codes:
        """The numbers of a key's column in the log and in the rows; the keys of rows come first."""
        if column not in self._codes:
            asking, asked = self.questions.table[column], self.events.table[column]
            encoder, of_questions, number = self._asked.key(column)
            of_events = of_questions if asking.equals(asked) else encoder.column(asked)
            self._codes[column] = _Codes(of_events, of_questions, number, len(encoder))
        return self._codes[column]

    def value(self, column: str) -> tuple[Int32, int]:
        """A number for each different value of a column of the log, -1 for null, and how many there are."""
        if column in self._keys:
            self.key(column)
        elif column not in self._codes:
            encoder = _encoder(self.events.table[column])
            codes = encoder.column(self.events.table[column])
            self._codes[column] = _Codes(codes, codes[:0], 0, len(encoder))
        return self._codes[column].of_events, self._codes[column].number

    def known(self, column: str) -> Flags | None:
        """Which events have a column; None when all do."""
        if column not in self._flags:
            held = self.events.table[column]
            self._flags[column] = np.asarray(held.is_valid().to_numpy(), dtype=np.bool_) if held.null_count else None
        return self._flags[column]

    def fitting(self, where: Where) -> Flags:
        """Which events satisfy a condition on their columns."""
        if where not in self._flags:
            self._flags[where] = satisfies(where, self.events.table[where.column])
        return cast("Flags", self._flags[where])

    def integers(self, column: str) -> Int64:
        """A column of integers, 0 where it is null."""
        if column not in self._integers:
            held = cast("Any", self.events.table[column].cast(pa.int64())).fill_null(0)
            self._integers[column] = np.asarray(held.to_numpy(), dtype=np.int64)
        return self._integers[column]

    def largest(self, column: str) -> float:
        """The largest size of an integer of a column."""
        if column not in self._largest:
            values = self.integers(column)
            self._largest[column] = max(float(values.max(initial=0)), -float(values.min(initial=0)))
        return self._largest[column]


class _Codes(NamedTuple):
    """Numbers of a column, -1 for null.

    Attributes:
        of_events: Of each event.
        of_questions: Of each row that asks; none where rows have no such column.
        asked: How many different ones the rows ask about: those below it.
        number: How many there are.
    """

    of_events: Int32
    of_questions: Int32
    asked: int
    number: int


def key_codes(key: tuple[str, ...], coded: Coded) -> tuple[Int32, Int32, int]:
    """The number of each row's key among the keys asked about; -1 where it is null or nobody asks."""
    if not key:
        return np.zeros(len(coded.events.at), np.int32), np.zeros(len(coded.questions.at), np.int32), 1
    known = coded.key(key[0])
    for column in key[1:]:
        known = _paired(known, coded.key(column))
    if known.of_events is known.of_questions:
        return known.of_events, known.of_questions, known.asked
    asked = np.where(known.of_events < known.asked, known.of_events, np.int32(-1))
    return asked, known.of_questions, known.asked


def _paired(first: _Codes, second: _Codes) -> _Codes:
    """The numbers of pairs, by the numbers of their parts."""
    encoder = Encoder()
    of_questions = encoder.integers(_pairs(first.of_questions, second.of_questions, second.number))
    asked = len(encoder)
    if first.of_events is first.of_questions and second.of_events is second.of_questions:
        return _Codes(of_questions, of_questions, asked, asked)
    of_events = encoder.integers(_pairs(first.of_events, second.of_events, second.number))
    return _Codes(of_events, of_questions, asked, len(encoder))


def _pairs(first: Int32, second: Int32, width: int) -> Values:
    return Values(first.astype(np.int64) * width + second, (first >= 0) & (second >= 0))


def satisfies(where: Where, column: Column) -> Flags:
    """Which values satisfy a condition; a null never does."""
    held = column.cast(pa.int64()) if pa.types.is_boolean(column.type) else column
    if where.test == "in":
        flags = pc.is_in(held, value_set=pa.array(cast("tuple[Any, ...]", where.operand)), skip_nulls=True)
    else:
        flags = _COMPARISONS[where.test](held, pa.scalar(where.operand))
    known = cast("Any", flags).fill_null(False)  # noqa: FBT003 - pyarrow's signature
    return np.asarray(known.to_numpy(), dtype=np.bool_)


def value_codes(values: Int64) -> tuple[Int32, int]:
    """A number for each different integer, and how many there are."""
    encoder = Encoder()
    codes = encoder.integers(Values(values, np.ones(len(values), np.bool_)))
    return codes, len(encoder)


def _encoder(column: Column) -> Encoder:
    return Encoder(max(len(column) // _ROWS_A_VALUE, _FEWEST_VALUES))
