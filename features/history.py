"""The history that rows ask about: events and questions laid side by side, key after key, each in time order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from data.errors import DataError, ShepherdError
from features.coded import key_codes
from features.kernel import Int32, Int64, Layout, order_by_key, starts_by_key
from features.ordering import gather, in_time_order

if TYPE_CHECKING:
    from features.coded import Coded
    from features.scratch import Scratch

    Column: TypeAlias = pa.ChunkedArray[Any]

_MOST_ROWS: Final = 2**31 - 2


@dataclass(frozen=True)
class Moments:
    """Rows that each happened, or ask, at an instant.

    Attributes:
        at: Instants in microseconds since 1970 UTC, in the order of the rows.
        table: What else the rows hold.
    """

    at: Int64
    table: pa.Table

    @cached_property
    def as_given(self) -> Int32:
        """The positions of the rows, the first first."""
        return np.arange(len(self.at), dtype=np.int32)

    @cached_property
    def by_time(self) -> Int32:
        """The positions of the rows, earliest first; the order within one instant has no meaning."""
        if np.all(self.at[1:] >= self.at[:-1]):
            return self.as_given
        return np.argsort(self.at, kind="stable").astype(np.int32)


@dataclass(frozen=True)
class History:
    """Events and questions of one key.

    Attributes:
        layout: As the compiled loops take it; rows with a null key ask nothing.
        event_row: Which row of the log each event is.
        place: Which question of the layout each row asks; -1 for none.
    """

    layout: Layout
    event_row: Int32
    place: Int32

    @property
    def length(self) -> int:
        """How many events there are."""
        return len(self.event_row)


def moments(at: Int64, table: pa.Table, what: str) -> Moments:
    """Rows with their instants.

    Raises:
        DataError: When there are more rows than 32-bit positions can name.
    """
    if len(at) > _MOST_ROWS:
        raise DataError(
            f"{what}: found {len(at):,} rows, expected at most {_MOST_ROWS:,} in one piece; "
            "split the rows by a hash of the key and build the parts one after the other"
        )
    return Moments(at=at, table=table)


def lay_out(key: tuple[str, ...], coded: Coded, scratch: Scratch) -> History:
    """Groups events and questions by key; events of keys that nobody asks about fall away."""
    event_codes, question_codes, number = key_codes(key, coded)
    questions = _by_key(question_codes, coded.questions, number, "question", scratch)
    events = questions
    if event_codes is not question_codes or not coded.simultaneous:
        events = _by_key(event_codes, coded.events, number, "event", scratch)
    layout = Layout(events.start, events.at, questions.start, questions.at)
    return History(layout=layout, event_row=events.row, place=questions.place)


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


class _Sorted(NamedTuple):
    """Rows by key and time.

    Attributes:
        start: Where each key's rows begin, and their total.
        at: The instant of each, in that order.
        row: Which row each is.
        place: Where each row is; -1 for nowhere.
    """

    start: Int64
    at: Int64
    row: Int32
    place: Int32


def _by_key(codes: Int32, rows: Moments, number: int, what: str, scratch: Scratch) -> _Sorted:
    """Sorts by key; by time only where the rows of some key are not in time order already."""
    _hold("key", codes, number)
    start = np.empty(number + 1, np.int64)
    starts_by_key(codes, start)
    row = scratch.array(f"{what} row", np.int32, int(start[-1]))
    place = scratch.array(f"{what} place", np.int32, len(codes))
    at = scratch.array(f"{what} instant", np.int64, len(row))
    order_by_key(codes, rows.as_given, start, row, place)
    gather(rows.at, row, at)
    if not in_time_order(start, at):
        _hold("position", rows.by_time, len(codes))
        order_by_key(codes, rows.by_time, start, row, place)
        gather(rows.at, row, at)
    return _Sorted(start, at, row, place)


def _hold(what: str, codes: Int32, number: int) -> None:
    """Compiled loops do not look where they write; a code outside its range must never reach them."""
    if len(codes) and (int(codes.min()) < -1 or int(codes.max()) >= number):
        raise ShepherdError(f"a {what} code lies outside -1..{number - 1}; this is a fault of the feature engine")
