"""Many events at once from columns: the same compiled step an event, without Python in between.

The events of several logs are laid out as one tape in the order of their instants; a compiled loop puts each in its
log's buffer, as `features.door` would, and takes the step. What the step wants enlarged is enlarged, and it goes on.
"""

# mypy: disable-error-code="no-any-return, arg-type, return-value"
# To mypy an element of an array is a numpy scalar; to the compiler it is an integer like any other.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.errors import DataError
from features.door import D_GIVEN
from features.kernel import Doubles, Int64, compiled
from features.program import NULL
from features.step import REPEATED, step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.door import Door

Bytes = NDArray[np.uint8]
Column = Any
"""A column of an Arrow table."""

SEEN_AT: Final = "seen_at"
_SEPARATOR: Final = "\x1f"


class Tape(NamedTuple):
    """Events in the order of their instants.

    Attributes:
        order: For each event the number of its log and where its integers begin in `given`.
        given: For each event its instant, its numbers, the length of each text and of its id, and where each begins.
        content: All texts, end to end.
    """

    order: Int64
    given: Int64
    content: Bytes


def tape(doors: Mapping[str, Door], identities: Mapping[str, tuple[str, ...]], tables: Mapping[str, pa.Table]) -> Tape:
    """Lays tables of events out as a tape; at one instant the logs come in the order of the doors.

    The doors learn what the columns hold, and get room for the longest texts.

    Raises:
        DataError: When columns are missing or hold what they cannot.
    """
    parts, orders, instants, contents = [], [], [], [np.zeros(1, np.uint8)]
    top, start = 0, 1
    for number, (log, door) in enumerate(doors.items()):
        if log in tables and len(tables[log]):
            table = tables[log]
            door.learn({name: _kind(table, name, log) for name in door.columns})
            texts = [*(_text(table[name]) for name in door.texts), _mark(table, identities.get(log, ()), log)]
            given = np.empty((len(table), 1 + len(door.numbers) + 2 * len(texts)), np.int64)
            given[:, 0] = _whole(table[SEEN_AT].cast(pa.timestamp("us", "UTC")).cast(pa.int64()))
            for place, name in enumerate(door.numbers):
                given[:, 1 + place] = _whole(table[name])
            first, letters = 1 + len(door.numbers), np.zeros(len(table), np.int64)
            for place, text in enumerate(texts):
                starts, lengths, content = _laid_out(text)
                given[:, first + place], given[:, first + len(texts) + place] = lengths, starts + start
                contents.append(content)
                start += len(content)
                letters += np.maximum(lengths, 0)
            door.make_room(int(letters.max()))
            parts.append(given.reshape(-1))
            places = top + np.arange(len(table)) * given.shape[1]
            orders.append(np.stack([np.full(len(table), number), places], axis=1))
            instants.append(given[:, 0])
            top += given.size
    if not parts:
        return Tape(np.empty((0, 2), np.int64), np.empty(0, np.int64), contents[0])
    by_time = np.argsort(np.concatenate(instants), kind="stable")
    return Tape(np.concatenate(orders)[by_time], np.concatenate(parts), np.concatenate(contents))


@compiled
def run(  # noqa: PLR0913, PLR0917 - arrays one by one: a tuple of them costs more than the work
    code: Int64,
    arena: Int64,
    table: Int64,
    repeats: Int64,
    buffers: Int64,
    bounds: Int64,
    events: tuple[Int64, Int64, Bytes],
    first: int,
    counted: Int64,
    answer: Doubles,
) -> tuple[int, int]:
    """Takes in a tape from an event on; answers how far it came, and what stopped it as `step` does.

    Args:
        code: The program.
        arena: Of the state.
        table: Of the state.
        repeats: Of the state.
        buffers: Of the doors, end to end.
        bounds: For each door where its buffer begins and ends, where its pass begins, its numbers and its texts.
        events: The tape.
        first: The event to begin with.
        counted: One number, to which the events that count are added.
        answer: Not used, as nothing is asked.
    """
    order, given, content = events
    for event in range(first, len(order)):
        log, place = order[event, 0], order[event, 1]
        buffer = buffers[bounds[log, 0] : bounds[log, 1]]
        numbers, texts = bounds[log, 3], bounds[log, 4]
        target = buffer[D_GIVEN]
        for word in range(1 + numbers + texts):
            buffer[target + word] = given[place + word]
        letters = buffer.view(np.uint8)
        to = np.int64(8 * (target + 1 + numbers + texts))
        for text in range(texts):
            length = given[place + 1 + numbers + text]
            at = given[place + 1 + numbers + texts + text]
            for letter in range(length):
                letters[to + letter] = content[at + letter]
            to += max(length, 0)
        outcome = step(code, arena, table, repeats, buffer, 0, bounds[log, 2], answer)
        if outcome != 0 and outcome != REPEATED:  # noqa: PLR1714 - compiled
            return event, outcome
        if outcome == 0:
            counted[0] += 1
    return len(order), 0


def _kind(table: pa.Table, name: str, log: str) -> type | None:
    if name not in table.column_names:
        raise DataError(f"an event of log {log}: column {name!r} is missing; found {', '.join(table.column_names)}")
    held = table[name].type
    held = held.value_type if pa.types.is_dictionary(held) else held
    if pa.types.is_integer(held) or pa.types.is_boolean(held):
        return int
    if pa.types.is_string(held) or pa.types.is_large_string(held):
        return str
    if pa.types.is_null(held):
        return None
    raise DataError(f"an event of log {log}: column {name!r} holds {held}, expected whole numbers or text")


def _whole(column: Column) -> Int64:
    """Integers, null as the word of a null."""
    values = pc.fill_null(column.cast(pa.int64()), NULL)
    return np.ascontiguousarray(values.to_numpy(), np.int64)


def _text(column: Column) -> Column:
    return column.cast(pa.large_string())


def _mark(table: pa.Table, columns: tuple[str, ...], log: str) -> Column:
    """The ids of events as `repeats.mark` writes them."""
    missing = ", ".join(column for column in columns if column not in table.column_names)
    if missing:
        raise DataError(f"an event of log {log}: its id, column {missing}, is missing")
    texts: list[Column] = [_text(table[column]) for column in columns]
    if not texts:
        return pa.chunked_array([pa.nulls(len(table), pa.large_string())])
    if len(texts) == 1:
        return texts[0]
    joined: Column = pc.binary_join_element_wise(*texts, pa.scalar(_SEPARATOR, pa.large_string()))
    return joined


def _laid_out(column: Column) -> tuple[Int64, Int64, Bytes]:
    """Where each text begins, how long it is in bytes (-1 for null), and all bytes."""
    whole: Any = pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)
    _, offsets, content = whole.buffers()
    ends: Int64 = np.frombuffer(offsets, np.int64)[whole.offset : whole.offset + len(whole) + 1]
    lengths = np.where(whole.is_null().to_numpy(zero_copy_only=False), -1, np.diff(ends))
    return ends[:-1] - ends[0], lengths, _between(content, int(ends[0]), int(ends[-1]))


def _between(content: Any, start: int, stop: int) -> Bytes:  # noqa: ANN401 - a buffer of Arrow's
    return np.zeros(0, np.uint8) if content is None else np.frombuffer(content, np.uint8)[start:stop]
