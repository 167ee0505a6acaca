"""Numbers for values: each different text or integer of a column gets the next number at its first sight.

Much of the cost of a build on text keys is here and not in the windows, so the table is our own: open addressing over
the marks of `features.hashing`, each beside its number. Where a text is longer than its mark, equal marks are settled
by comparing bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np

from features.hashing import MIDDLE, SHORT, Bytes, Marked, Marks, Texts, marked, marked_integers, same, word
from features.kernel import Flags, Int32, Int64, Values, compiled
from features.scratch import pooled

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    Column: TypeAlias = pa.ChunkedArray[Any]

_GROWTH: Final = 4


class _Table(NamedTuple):
    """What has been seen so far.

    Attributes:
        slot: The mark of the value that lives in each place, then its number plus 1, or 0 where none does. There is a
            power of two of places.
        size: How many different values, and how many bytes those take that are kept.
        rest: Of each text that is longer than `SHORT` the eight bytes after those.
        stop: Where the bytes of each value end: those of a text that is longer than `MIDDLE`, of others none.
        held: The bytes.
    """

    slot: Marks
    size: Int64
    rest: Marks
    stop: Int64
    held: Bytes


class Encoder:
    """Gives numbers to the values of columns of one kind, text or integers; null is -1.

    Equal values get equal numbers over all the columns it is given; numbers begin at 0 in the order of first sight.

    Args:
        expected: About how many different values there will be; the table grows beyond it.
    """

    def __init__(self, expected: int = 8_192) -> None:
        places = 1 << (2 * expected + 2).bit_length()
        self._table = _Table(
            slot=np.zeros(2 * places, np.uint64),
            size=np.zeros(2, np.int64),
            rest=np.empty(places // 2, np.uint64),
            stop=np.empty(places // 2, np.int64),
            held=np.empty(places, np.uint8),
        )

    def __len__(self) -> int:
        """How many different values it has seen."""
        return int(self._table.size[0])

    def column(self, column: Column) -> Int32:
        """The numbers of a column of text or integers."""
        return self._numbers(len(column), marked(column))

    def integers(self, values: Values) -> Int32:
        """The numbers of integers; -1 where one is absent."""
        return self._numbers(len(values.value), marked_integers(values))

    def _numbers(self, rows: int, pieces: Iterable[Marked]) -> Int32:
        codes = pooled(np.int32, rows)
        for first, marks, known, texts in pieces:
            of_piece = codes[first : first + len(marks)]
            _guess(marks, self._table.slot, of_piece)
            if len(texts.stops):
                _settle_guesses(texts, self._table, of_piece)
            row = _encode(0, marks, known, texts, of_piece, self._table)
            while row < len(marks):
                longest = int(texts.stops[row + 1] - texts.stops[row]) if len(texts.stops) else 0
                self._table = _with_room(self._table, longest)
                row = _encode(row, marks, known, texts, of_piece, self._table)
        return codes


def _with_room(table: _Table, length: int) -> _Table:
    """The same values in a table with room for more, one of them of so many bytes."""
    slot, size, rest, stop, held = table
    if int(size[0]) >= len(stop):
        slot = np.zeros(_GROWTH * len(slot), np.uint64)
        _settle(table.slot, slot)
        rest, stop = np.resize(rest, _GROWTH * len(rest)), np.resize(stop, _GROWTH * len(stop))
    if int(size[1]) + length > len(held):
        held = np.resize(held, 2 * (len(held) + length))
    return _Table(slot, size, rest, stop, held)


@compiled
def _settle(slot: Marks, wider: Marks) -> None:
    """Gives the values of some slots their places among more, which are empty."""
    mask = np.uint64(len(wider) // 2 - 1)
    for old in range(0, len(slot), 2):
        if slot[old + 1] == 0:
            continue
        place = slot[old] & mask
        while wider[2 * place + 1] != 0:
            place = (place + np.uint64(1)) & mask
        wider[2 * place], wider[2 * place + 1] = slot[old], slot[old + 1]


@compiled
def _guess(marks: Marks, slot: Marks, codes: Int32) -> None:
    """The number in the place where each mark belongs, if it is the mark's; else -1.

    Nothing here waits for anything, so the processor fetches many places at once, which is most of the work.
    """
    mask = np.uint64(len(slot) // 2 - 1)
    for row in range(len(codes)):
        place = np.uint64(2) * (marks[row] & mask)
        number = np.int32(slot[place + np.uint64(1)]) - np.int32(1)
        codes[row] = number if slot[place] == marks[row] else np.int32(-1)


@compiled
def _settle_guesses(texts: Texts, table: _Table, codes: Int32) -> None:
    """Takes back the guess where another text has the mark."""
    _, _, rest, stop, held = table
    stops, letters = texts
    for row in range(len(codes)):
        number = codes[row]
        begin, length = stops[row], stops[row + 1] - stops[row]
        if number < 0 or length <= SHORT:
            continue
        if length <= MIDDLE:
            if rest[number] != word(letters, begin + SHORT, length - SHORT):
                codes[row] = -1
        elif not _is(number, length, letters, begin, stop, held):
            codes[row] = -1


@compiled
def _encode(first: int, marks: Marks, known: Flags, texts: Texts, codes: Int32, table: _Table) -> int:
    """Encodes from a row on, where codes hold the guesses, until done or out of room; the row that is next."""
    slot, size, rest, stop, held = table
    stops, letters = texts
    mask = np.uint64(len(slot) // 2 - 1)
    for row in range(first, len(codes)):
        guess = codes[row]
        if not known[row]:
            codes[row] = -1
            continue
        if guess >= 0:
            continue
        begin = stops[row] if len(stops) else 0
        length = stops[row + 1] - begin if len(stops) else 0
        later = word(letters, begin + SHORT, length - SHORT) if length > SHORT else np.uint64(0)
        kept = length if length > MIDDLE else 0
        mark = marks[row]
        place = mark & mask
        while True:
            number = np.int64(slot[2 * place + 1]) - 1
            if number < 0:
                number, start = size[0], size[1]
                if number >= len(stop) or start + kept > len(held):
                    return row
                for letter in range(kept):
                    held[start + letter] = letters[begin + letter]
                slot[2 * place], slot[2 * place + 1] = mark, np.uint64(number + 1)
                rest[number], stop[number] = later, start + kept
                size[0], size[1] = number + 1, start + kept
                break
            if (
                slot[2 * place] == mark
                and rest[number] == later
                and (kept == 0 or _is(number, kept, letters, begin, stop, held))
            ):
                break
            place = (place + np.uint64(1)) & mask
        codes[row] = number
    return len(codes)


@compiled
def _is(number: np.int64, kept: int, letters: Bytes, begin: int, stop: Int64, held: Bytes) -> bool:
    """Whether a number of the right mark is that of a text of which so many bytes are kept."""
    start = stop[number - 1] if number > 0 else 0
    return stop[number] - start == kept and same(kept, held, start, letters, begin)
