"""Numbers for values: each different text or integer of a column gets the next number at its first sight.

Most of the cost of a build on text keys is here and not in the windows, so the table is our own: open addressing over
32 bits of the hash beside the number, and the bytes of each different text one after the other. Equal hashes are always
settled by comparing the bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.kernel import Int32, Int64, Values, compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    Column: TypeAlias = pa.ChunkedArray[Any]

Bytes: TypeAlias = NDArray[np.uint8]

_HIGH: Final = np.uint64(0xFFFF_FFFF_0000_0000)
_LOW: Final = np.uint64(0xFFFF_FFFF)
_BASIS: Final = np.uint64(1_469_598_103_934_665_603)
_PRIME: Final = np.uint64(1_099_511_628_211)
_NO_BYTES: Final = np.empty(0, np.uint8)


class _Table(NamedTuple):
    """What has been seen so far.

    Attributes:
        slot: The upper half of the hash and, below it, the number plus 1 of the value that lives there; 0 where none
            does. There is a power of two of them.
        size: How many different values, and how many bytes they take.
        hashed: The hash of each value, to find its place again when the slots are doubled.
        stop: Where the bytes of each text end; for integers the integer itself.
        held: The bytes of all texts.
    """

    slot: NDArray[np.uint64]
    size: Int64
    hashed: NDArray[np.uint64]
    stop: Int64
    held: Bytes


class _Texts(NamedTuple):
    """Text as Arrow lays it out: where each row's bytes end, the bytes, and a bit a row for whether there is one."""

    stops: Int32
    letters: Bytes
    valid: Bytes
    offset: int


class Encoder:
    """Gives numbers to the values of columns of one kind, text or integers; null is -1.

    Equal values get equal numbers over all the columns it is given; numbers begin at 0 in the order of first sight.

    Args:
        expected: About how many different values there will be; the table grows beyond it.
    """

    def __init__(self, expected: int = 8_192) -> None:
        slots = 1 << (2 * expected + 2).bit_length()
        self._table = _Table(
            slot=np.zeros(slots, np.uint64),
            size=np.zeros(2, np.int64),
            hashed=np.empty(slots // 2, np.uint64),
            stop=np.empty(slots // 2, np.int64),
            held=np.empty(slots * 4, np.uint8),
        )

    def __len__(self) -> int:
        """How many different values it has seen."""
        return int(self._table.size[0])

    def column(self, column: Column) -> Int32:
        """The numbers of a column of text or integers."""
        codes = np.empty(len(column), np.int32)
        start = 0
        for chunk in column.chunks:
            if len(chunk):
                self._chunk(chunk, codes[start : start + len(chunk)])
            start += len(chunk)
        return codes

    def integers(self, values: Values) -> Int32:
        """The numbers of integers; -1 where one is absent."""
        codes = np.empty(len(values.value), np.int32)
        self._encode(_encode_integers, values, codes)
        return codes

    def _chunk(self, chunk: pa.Array[Any], codes: Int32) -> None:
        if pa.types.is_string(chunk.type):
            self._encode(_encode_texts, _texts(chunk), codes)
            return
        self._encode(_encode_integers, _integers(chunk), codes)

    def _encode(self, encode: Callable[..., int], values: Values | _Texts, codes: Int32) -> None:
        row = encode(0, values, codes, self._table)
        while row < len(codes):
            longest = int(values.stops[row + 1] - values.stops[row]) if isinstance(values, _Texts) else 0
            self._table = _with_room(self._table, longest)
            row = encode(row, values, codes, self._table)


def _texts(chunk: pa.Array[Any]) -> _Texts:
    validity, offsets, letters = cast("Any", chunk.buffers())
    return _Texts(
        stops=np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1],
        letters=_NO_BYTES if letters is None else np.frombuffer(letters, np.uint8),
        valid=_NO_BYTES if validity is None else np.frombuffer(validity, np.uint8),
        offset=chunk.offset,
    )


def _integers(chunk: pa.Array[Any]) -> Values:
    plain = cast("Any", chunk.cast(pa.int64()))
    known = np.asarray(plain.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    return Values(plain.fill_null(0).to_numpy(zero_copy_only=False), known)


def _with_room(table: _Table, length: int) -> _Table:
    """The same values in a table with room for more, one of them of so many bytes."""
    slot, size, hashed, stop, held = table
    if 2 * int(size[0]) >= len(slot):
        slot = np.zeros(4 * len(slot), np.uint64)
        hashed, stop = np.resize(hashed, len(slot) // 2), np.resize(stop, len(slot) // 2)
    if int(size[1]) + length > len(held):
        held = np.resize(held, 2 * (len(held) + length))
    grown = _Table(slot, size, hashed, stop, held)
    if slot is not table.slot:
        _settle(grown)
    return grown


@compiled
def _mixed(value: np.uint64) -> np.uint64:
    mixed = value
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return mixed ^ (mixed >> np.uint64(29))


@compiled
def _settle(table: _Table) -> None:
    """Gives the values their places again, in slots that are empty."""
    mask = np.uint64(len(table.slot) - 1)
    for number in range(table.size[0]):
        mixed = table.hashed[number]
        place = mixed & mask
        while table.slot[place] != 0:
            place = (place + np.uint64(1)) & mask
        table.slot[place] = (mixed & _HIGH) | np.uint64(number + 1)


@compiled
def _equal(length: int, some: Bytes, start: int, others: Bytes, begin: int) -> bool:
    letter = 0
    while letter < length and some[start + letter] == others[begin + letter]:
        letter += 1
    return letter == length


@compiled
def _encode_texts(first: int, texts: _Texts, codes: Int32, table: _Table) -> int:
    """Encodes from a row on, until done or out of room; the row that is next."""
    slot, size, hashed, stop, held = table
    stops, letters, valid, offset = texts
    mask = np.uint64(len(slot) - 1)
    for row in range(first, len(codes)):
        if len(valid) > 0 and not (valid[(offset + row) >> 3] >> ((offset + row) & 7)) & 1:
            codes[row] = -1
            continue
        begin, length = stops[row], stops[row + 1] - stops[row]
        mixed: np.uint64 = _BASIS
        for letter in range(length):
            mixed = (mixed ^ np.uint64(letters[begin + letter])) * _PRIME
        mixed = _mixed(mixed)
        place = mixed & mask
        while True:
            found = slot[place]
            if found == 0:
                number, start = size[0], size[1]
                if 2 * number >= len(slot) or start + length > len(held):
                    return row
                for letter in range(length):
                    held[start + letter] = letters[begin + letter]
                slot[place] = (mixed & _HIGH) | np.uint64(number + 1)
                hashed[number] = mixed
                stop[number] = start + length
                size[0] = number + 1
                size[1] = start + length
                codes[row] = number
                break
            if (found ^ mixed) & _HIGH == 0:
                number = np.int64(found & _LOW) - 1
                start = stop[number - 1] if number > 0 else 0
                if stop[number] - start == length and _equal(length, held, start, letters, begin):
                    codes[row] = number
                    break
            place = (place + np.uint64(1)) & mask
    return len(codes)


@compiled
def _encode_integers(first: int, values: Values, codes: Int32, table: _Table) -> int:
    """Encodes from a row on, until done or out of room; the row that is next."""
    slot, size, hashed, stop, _ = table
    value, present = values
    mask = np.uint64(len(slot) - 1)
    for row in range(first, len(codes)):
        if not present[row]:
            codes[row] = -1
            continue
        mixed = _mixed(_mixed(np.uint64(value[row])))
        place = mixed & mask
        while True:
            found = slot[place]
            if found == 0:
                number = size[0]
                if 2 * number >= len(slot):
                    return row
                slot[place] = (mixed & _HIGH) | np.uint64(number + 1)
                hashed[number] = mixed
                stop[number] = value[row]
                size[0] = number + 1
                codes[row] = number
                break
            if (found ^ mixed) & _HIGH == 0:
                number = np.int64(found & _LOW) - 1
                if stop[number] == value[row]:
                    codes[row] = number
                    break
            place = (place + np.uint64(1)) & mask
    return len(codes)


def buckets(columns: list[Column], number: int) -> Int32:
    """To which of so many buckets each row belongs by the values of its columns; -1 where one of them is null.

    Equal text goes to the same bucket wherever it is read, and so do equal integers.
    """
    mixed = np.zeros(len(columns[0]), np.uint64)
    known = np.ones(len(mixed), np.bool_)
    for column in columns:
        start = 0
        for chunk in column.chunks:
            stop = start + len(chunk)
            if pa.types.is_string(chunk.type):
                _mix_texts(_texts(chunk), mixed[start:stop], known[start:stop])
            elif len(chunk):
                _mix_integers(_integers(chunk), mixed[start:stop], known[start:stop])
            start = stop
    return np.where(known, ((mixed >> np.uint64(40)) % np.uint64(number)).astype(np.int32), np.int32(-1))


@compiled
def _mix_texts(texts: _Texts, mixed: NDArray[np.uint64], known: NDArray[np.bool_]) -> None:
    stops, letters, valid, offset = texts
    for row in range(len(mixed)):
        if len(valid) > 0 and not (valid[(offset + row) >> 3] >> ((offset + row) & 7)) & 1:
            known[row] = False
            continue
        one = mixed[row] ^ _BASIS
        for letter in range(stops[row], stops[row + 1]):
            one = (one ^ np.uint64(letters[letter])) * _PRIME
        mixed[row] = _mixed(one)


@compiled
def _mix_integers(values: Values, mixed: NDArray[np.uint64], known: NDArray[np.bool_]) -> None:
    value, present = values
    for row in range(len(mixed)):
        known[row] = known[row] and present[row]
        mixed[row] = _mixed(_mixed(mixed[row] ^ np.uint64(value[row])))
