"""The history that rows ask about: events and questions laid side by side, key after key, each in time order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from data.errors import DataError, ShepherdError
from features.encoding import Encoder
from features.kernel import Int32, Int64, Layout, Values, order_by_key

if TYPE_CHECKING:
    from collections.abc import Container

    Column: TypeAlias = pa.ChunkedArray[Any]

_MOST_ROWS: Final = 2**31 - 2


@dataclass(frozen=True)
class Moments:
    """Rows that each happened, or ask, at an instant.

    Attributes:
        at: Instants in microseconds since 1970 UTC, in the order of the rows.
        by_time: The positions of the rows, earliest first.
        table: What else the rows hold.
    """

    at: Int64
    by_time: Int32
    table: pa.Table


@dataclass(frozen=True)
class History:
    """Events and questions of one key.

    Attributes:
        layout: As the compiled loops take it; rows with a null key ask nothing.
        event_row: Which row of the log each event is.
    """

    layout: Layout
    event_row: Int32

    @property
    def length(self) -> int:
        """How many events there are."""
        return len(self.event_row)


def moments(at: Int64, table: pa.Table, what: str) -> Moments:
    """Puts rows in time order; the order within one instant has no meaning.

    Raises:
        DataError: When there are more rows than 32-bit positions can name.
    """
    if len(at) > _MOST_ROWS:
        raise DataError(
            f"{what}: found {len(at):,} rows, expected at most {_MOST_ROWS:,} in one piece; "
            "split the rows by a hash of the key and build the parts one after the other"
        )
    in_order = bool(np.all(at[1:] >= at[:-1]))
    by_time = np.arange(len(at), dtype=np.int32) if in_order else np.argsort(at, kind="stable").astype(np.int32)
    return Moments(at=at, by_time=by_time, table=table)


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
            encoder = Encoder()
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
        self._known: dict[str, _Codes] = {}

    def key(self, column: str) -> _Codes:
        """The numbers of a key's column in the log and in the rows; the keys of rows come first."""
        if column not in self._known:
            asking, asked = self.questions.table[column], self.events.table[column]
            encoder, of_questions, number = self._asked.key(column)
            of_events = of_questions if asking.equals(asked) else encoder.column(asked)
            self._known[column] = _Codes(of_events, of_questions, number, len(encoder))
        return self._known[column]

    def value(self, column: str) -> tuple[Int32, int]:
        """A number for each different value of a column of the log, -1 for null, and how many there are."""
        if column in self._keys:
            self.key(column)
        elif column not in self._known:
            encoder = Encoder()
            codes = encoder.column(self.events.table[column])
            self._known[column] = _Codes(codes, codes[:0], 0, len(encoder))
        return self._known[column].of_events, self._known[column].number


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


def lay_out(key: tuple[str, ...], coded: Coded) -> History:
    """Groups events and questions by key; events of keys that nobody asks about fall away."""
    events, questions = coded.events, coded.questions
    event_codes, question_codes, number = _codes(key, coded)
    question_start, question_row = _by_key(question_codes, questions, number)
    question_at = questions.at[question_row]
    if event_codes is question_codes and np.array_equal(events.at, questions.at):
        layout = Layout(question_start, question_at, question_start, question_at, question_row)
        return History(layout=layout, event_row=question_row)
    event_start, event_row = _by_key(event_codes, events, number)
    layout = Layout(event_start, events.at[event_row], question_start, question_at, question_row)
    return History(layout=layout, event_row=event_row)


def value_codes(values: Int64) -> tuple[Int32, int]:
    """A number for each different integer, and how many there are."""
    encoder = Encoder()
    codes = encoder.integers(Values(values, np.ones(len(values), np.bool_)))
    return codes, len(encoder)


def plain(column: Column) -> Column:
    """Text of any layout as plain text and integers of any width as int64, so that keys of two tables can meet."""
    held = column.type
    if pa.types.is_dictionary(held):
        held = held.value_type
    if pa.types.is_large_string(held) or pa.types.is_string_view(held):
        held = pa.string()
    if pa.types.is_integer(held):
        held = pa.int64()
    return column if held == column.type else column.cast(held)


def _codes(key: tuple[str, ...], coded: Coded) -> tuple[Int32, Int32, int]:
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


def _by_key(codes: Int32, rows: Moments, number: int) -> tuple[Int64, Int32]:
    _hold("key", codes, number)
    _hold("position", rows.by_time, len(codes))
    start = np.zeros(number + 1, np.int64)
    np.cumsum(np.bincount(codes + 1, minlength=number + 1)[1:], out=start[1:])
    return start, order_by_key(codes, rows.by_time, start)


def _hold(what: str, codes: Int32, number: int) -> None:
    """Compiled loops do not look where they write; a code outside its range must never reach them."""
    if len(codes) and (int(codes.min()) < -1 or int(codes.max()) >= number):
        raise ShepherdError(f"a {what} code lies outside -1..{number - 1}; this is a fault of the feature engine")
