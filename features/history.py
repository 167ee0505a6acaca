"""The history that rows ask about: events and questions laid side by side, key after key, each in time order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import DataError, ShepherdError
from features.kernel import Int32, Int64, Layout, order_by_key

if TYPE_CHECKING:
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


def lay_out(key: tuple[str, ...], events: Moments, questions: Moments) -> History:
    """Groups events and questions by key; events of keys that nobody asks about fall away."""
    event_codes, question_codes, number = _codes(key, events, questions)
    event_start, event_row = _by_key(event_codes, events, number)
    question_start, question_row = _by_key(question_codes, questions, number)
    layout = Layout(event_start, events.at[event_row], question_start, questions.at[question_row], question_row)
    return History(layout=layout, event_row=event_row)


def value_codes(column: Column) -> tuple[Int32, int]:
    """A number for each different value of a column, -1 for null, and how many there are."""
    values = _different(column)
    codes = _positions(column, values)
    _hold("value", codes, len(values))
    return codes, len(values)


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


def _codes(key: tuple[str, ...], events: Moments, questions: Moments) -> tuple[Int32, Int32, int]:
    """The number of each row's key among the keys asked about; -1 where it is null or nobody asks."""
    event_codes = np.zeros(len(events.at), np.int32)
    question_codes = np.zeros(len(questions.at), np.int32)
    number = 1
    for place, column in enumerate(key):
        values = _different(questions.table[column])
        event_part = _positions(events.table[column], values)
        question_part = _positions(questions.table[column], values)
        if place == 0:
            event_codes, question_codes, number = event_part, question_part, len(values)
            continue
        pairs = _paired(question_codes, question_part, len(values))
        asked = np.unique(pairs[pairs >= 0])
        event_codes = _found(_paired(event_codes, event_part, len(values)), asked)
        question_codes = _found(pairs, asked)
        number = len(asked)
    return event_codes, question_codes, number


def _different(column: Column) -> pa.Array[Any]:
    return cast("pa.Array[Any]", pc.unique(column)).drop_null()


def _positions(column: Column, values: pa.Array[Any]) -> Int32:
    positions = cast("Any", pc.index_in(column, value_set=values, skip_nulls=True))
    return np.ascontiguousarray(positions.fill_null(-1).to_numpy(), dtype=np.int32)


def _paired(codes: Int32, part: Int32, width: int) -> Int64:
    pairs = codes.astype(np.int64) * width + part
    pairs[(codes < 0) | (part < 0)] = -1
    return pairs


def _found(pairs: Int64, asked: Int64) -> Int32:
    if not len(asked):
        return np.full(len(pairs), -1, np.int32)
    spots = np.minimum(np.searchsorted(asked, pairs), len(asked) - 1).astype(np.int32)
    return np.where(asked[spots] == pairs, spots, np.int32(-1))


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
