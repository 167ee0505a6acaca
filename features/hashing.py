"""Marks of values: 64 bits for a text or an integer, by which it is found again and dealt out.

A text of at most `SHORT` bytes is its own mark, and so is an integer: their marks are equal only where they are. Texts
of at most `MIDDLE` bytes are equal where their marks and the bytes after the first `SHORT` are. Of longer ones with
equal marks all bytes have to be compared.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.kernel import Flags, Int32, Int64, Values, compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

    Column: TypeAlias = pa.ChunkedArray[Any]

Bytes: TypeAlias = NDArray[np.uint8]
Marks: TypeAlias = NDArray[np.uint64]

SHORT: Final = 7
MIDDLE: Final = 15

_ROWS_AT_ONCE: Final = 16_384
_WORD: Final = 8
_LENGTH_AT: Final = np.uint64(56)
_BELOW_LENGTH: Final = np.uint64((1 << 56) - 1)
_LONG: Final = np.uint64(0xFF << 56)
_BASIS: Final = np.uint64(1_469_598_103_934_665_603)
_PRIME: Final = np.uint64(1_099_511_628_211)
_NO_BYTES: Final = np.empty(0, np.uint8)
_NO_STOPS: Final = np.empty(0, np.int32)


class Texts(NamedTuple):
    """Text as Arrow lays it out: where each row's bytes begin and end, and the bytes; no places at all for integers."""

    stops: Int32
    letters: Bytes


class Marked(NamedTuple):
    """Some rows of a column.

    Attributes:
        first: The row of the column with which they begin.
        mark: The mark of each; of a null any.
        known: Which are not null.
        texts: Their text.
    """

    first: int
    mark: Marks
    known: Flags
    texts: Texts


def marked(column: Column) -> Iterator[Marked]:
    """A column of text or integers with its marks, some rows at a time so that they stay near the processor."""
    start = 0
    for chunk in column.chunks:
        for first in range(0, len(chunk), _ROWS_AT_ONCE):
            piece = chunk.slice(first, _ROWS_AT_ONCE)
            if pa.types.is_string(piece.type):
                texts = _texts(piece)
                yield Marked(start + first, _text_marks(texts, len(piece)), _known(piece), texts)
            else:
                plain = cast("Any", piece.cast(pa.int64())).fill_null(0)
                values = plain.to_numpy(zero_copy_only=False)
                yield Marked(start + first, integer_marks(values), _known(piece), Texts(_NO_STOPS, _NO_BYTES))
        start += len(chunk)


def marked_integers(values: Values) -> Iterator[Marked]:
    """Integers with their marks."""
    for first in range(0, len(values.value), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        marks = integer_marks(values.value[rows])
        yield Marked(first, marks, values.present[rows], Texts(_NO_STOPS, _NO_BYTES))


def _texts(chunk: pa.Array[Any]) -> Texts:
    _, offsets, letters = cast("Any", chunk.buffers())
    return Texts(
        stops=np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1],
        letters=_NO_BYTES if letters is None else np.frombuffer(letters, np.uint8),
    )


def _known(chunk: pa.Array[Any]) -> Flags:
    if not chunk.null_count:
        return np.ones(len(chunk), np.bool_)
    return np.asarray(chunk.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)


@compiled
def mixed(value: np.uint64) -> np.uint64:
    """The bits of a number spread over all of them; different numbers stay different."""
    turned = (value ^ (value >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return turned ^ (turned >> np.uint64(29))


@compiled
def integer_marks(values: Int64) -> Marks:
    """The mark of each integer."""
    marks = np.empty(len(values), np.uint64)
    for row in range(len(values)):
        marks[row] = mixed(mixed(np.uint64(values[row])))
    return marks


@compiled
def word(letters: Bytes, begin: int, length: int) -> np.uint64:
    """Up to eight bytes as one number, the first the lowest."""
    found = np.uint64(0)
    if begin + _WORD <= len(letters):
        first = np.uint64(begin)
        for letter in range(_WORD):  # the compiler makes one load of it
            found |= np.uint64(letters[first + np.uint64(letter)]) << np.uint64(8 * letter)
        return found if length >= _WORD else found & ((np.uint64(1) << np.uint64(8 * length)) - np.uint64(1))
    for letter in range(min(length, _WORD)):
        found |= np.uint64(letters[begin + letter]) << np.uint64(8 * letter)
    return found


@compiled
def _hash(letters: Bytes, begin: int, length: int) -> np.uint64:
    found = _BASIS ^ np.uint64(length)
    for first in range(0, length, _WORD):
        found = (found ^ word(letters, begin + first, length - first)) * _PRIME
        found ^= found >> np.uint64(32)
    return found


@compiled
def same(length: int, some: Bytes, start: int, others: Bytes, begin: int) -> bool:
    """Whether two texts of one length are equal."""
    first = 0
    while first < length and word(some, start + first, length - first) == word(others, begin + first, length - first):
        first += _WORD
    return first >= length


@compiled
def _text_marks(texts: Texts, rows: int) -> Marks:
    """The mark of each text: its length and first bytes, among which later ones are mixed; where it is long a hash."""
    stops, letters = texts
    marks = np.empty(rows, np.uint64)
    for row in range(rows):
        begin, length = stops[row], stops[row + 1] - stops[row]
        if length > MIDDLE:
            marks[row] = mixed(_hash(letters, begin, length) | _LONG)
            continue
        found = word(letters, begin, length)
        if length > SHORT:
            found = (found ^ mixed(word(letters, begin + SHORT, length - SHORT))) & _BELOW_LENGTH
        marks[row] = mixed(found | (np.uint64(length) << _LENGTH_AT))
    return marks


def ascending(column: Column) -> bool:
    """Whether no two values can be equal because they rise: integers, or text by its length and then its letters."""
    if not (pa.types.is_integer(column.type) or pa.types.is_string(column.type)):
        return False
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    seams = [pa.concat_arrays([one.slice(len(one) - 1), other.slice(0, 1)]) for one, other in pairwise(chunks)]
    return column.null_count == 0 and all(_rising(chunk) for chunk in (*seams, *chunks))


def _rising(chunk: pa.Array[Any]) -> bool:
    if pa.types.is_string(chunk.type):
        return _rising_texts(_texts(chunk), len(chunk))
    values = chunk.to_numpy()
    return bool(np.all(values[1:] > values[:-1]))


@compiled
def _rising_texts(texts: Texts, rows: int) -> bool:
    stops, letters = texts
    for row in range(1, rows):
        before, begin, length = stops[row - 1], stops[row], stops[row + 1] - stops[row]
        longer = length - (begin - before)
        if longer == 0:
            letter = 0
            while letter < length and letters[before + letter] == letters[begin + letter]:
                letter += 1
            longer = 0 if letter == length else np.int32(letters[begin + letter]) - np.int32(letters[before + letter])
        if longer <= 0:
            return False
    return True


def buckets(columns: list[Column], number: int) -> Int32:
    """To which of so many buckets each row belongs by the values of its columns; -1 where one of them is null.

    Equal text goes to the same bucket wherever it is read, and so do equal integers.
    """
    bucket = np.zeros(len(columns[0]), np.int32)
    together = np.zeros(len(bucket), np.uint64)
    for column in columns:
        for piece in marked(column):
            rows = slice(piece.first, piece.first + len(piece.mark))
            _deal(piece.mark, piece.known, number, together[rows], bucket[rows])
    return bucket


@compiled
def _deal(marks: Marks, known: Flags, number: int, together: Marks, bucket: Int32) -> None:
    """Takes one more column into the buckets of some rows."""
    for row in range(len(marks)):
        together[row] = mixed(together[row] ^ marks[row])
        dealt = np.int32((together[row] >> np.uint64(40)) % np.uint64(number))
        bucket[row] = dealt if known[row] and bucket[row] >= 0 else -1
