"""From what a door laid in its buffer to words: every id is looked up in the state's table, and new ones written there.

A text is looked up by its digest, so the state holds no ids, and looking up a dozen is one compiled pass. What stands
for an id that is a key by itself is the place of its records in the arena; any other gets the next free number.
"""

# mypy: disable-error-code="no-any-return, arg-type, return-value"
# To mypy an element of an array is a numpy scalar; to the compiler it is an integer like any other.

from __future__ import annotations

import numpy as np

from features import program as p
from features.blocks import find, home_of, put
from features.digests import digest
from features.door import (
    CODED_NUMBER,
    CODED_TEXT,
    D_ENTRIES,
    D_FIRST_WORD,
    D_GIVEN,
    D_IDENTITY,
    D_NUMBERS,
    D_TEXTS,
    D_WORDS,
    NUMBER,
)
from features.kernel import Int64, compiled
from features.prefetch import prefetch

_LARGEST = 1 << 62
_NULL = p.NULL


@compiled
def fits(buffer: Int64) -> bool:
    """Whether all numbers given are below 2**62 in size."""
    given = buffer[D_GIVEN]
    for number in range(buffer[D_NUMBERS]):
        value = buffer[given + 1 + number]
        if value != _NULL and (value >= _LARGEST or value <= -_LARGEST):
            return False
    return True


@compiled
def identity(arena: Int64, buffer: Int64) -> tuple[int, int]:
    """The digest of an event's id; 0 twice where it has none."""
    lengths = buffer[D_GIVEN] + 1 + buffer[D_NUMBERS]
    texts = buffer[D_TEXTS]
    length = buffer[lengths + texts]
    if buffer[D_IDENTITY] == 0 or length < 0:
        return np.int64(0), np.int64(0)
    start = _start_of_texts(buffer)
    for number in range(texts):
        start += max(buffer[lengths + number], 0)
    return digest(buffer.view(np.uint8), start, start + length, arena[p.A_KEY], buffer[D_IDENTITY])


@compiled
def code_of(arena: Int64, table: Int64, owner: int, value: int, places: int, new: bool) -> int:  # noqa: FBT001 - compiled
    """What stands for an id; a new one is written down if wanted, else it is 0. There is room for it."""
    place = find(table, owner, value)
    if table[place] != 0:
        return table[place + 2]
    if not new:
        return np.int64(0)
    if places > 0:
        code = arena[p.A_TOP]
        arena[p.A_TOP] += places
    else:
        arena[p.A_CODES] += 1
        code = arena[p.A_CODES]
    put(arena, table, place, owner, value, code)
    return code


@compiled
def number_owner(tag: int) -> int:
    """The owner in the table of a column's whole numbers."""
    return np.int64(-8 * tag)


@compiled
def _start_of_texts(buffer: Int64) -> int:
    """The byte where the texts begin."""
    return np.int64(8 * (buffer[D_GIVEN] + 2 + buffer[D_NUMBERS] + buffer[D_TEXTS]))


@compiled
def _wanted(arena: Int64, table: Int64, buffer: Int64) -> Int64:
    """Under what each word's id stands in the table, two integers a word, 0 for what is no id; all are on their way."""
    lengths = buffer[D_GIVEN] + 1 + buffer[D_NUMBERS]
    content = buffer.view(np.uint8)
    text, start = np.int64(0), _start_of_texts(buffer)
    wanted = np.zeros((buffer[D_WORDS], 2), np.int64)
    for number in range(buffer[D_WORDS]):
        entry = D_ENTRIES + 4 * number
        mode, source, tag = buffer[entry], buffer[entry + 1], buffer[entry + 2]
        if mode == CODED_NUMBER:
            wanted[number, 1] = buffer[buffer[D_GIVEN] + 1 + source]
            wanted[number, 0] = number_owner(tag) if wanted[number, 1] != _NULL else np.int64(0)
        elif mode == CODED_TEXT:
            if source < text:
                text, start = np.int64(0), _start_of_texts(buffer)
            while text < source:
                start += max(buffer[lengths + text], 0)
                text += 1
            length = buffer[lengths + source]
            if length >= 0:
                wanted[number, 0], wanted[number, 1] = digest(content, start, start + length, arena[p.A_KEY], tag)
        if wanted[number, 0] != 0:
            prefetch(table, home_of(table, wanted[number, 0], wanted[number, 1]))
    return wanted


@compiled
def encode(arena: Int64, table: Int64, buffer: Int64, new: bool) -> Int64:  # noqa: FBT001 - compiled
    """Makes the words: the instant, then one for each column; ids never met are 0 unless they are written down now."""
    words = buffer[buffer[D_FIRST_WORD] : buffer[D_GIVEN]]
    given = buffer[D_GIVEN]
    words[0] = buffer[given]
    wanted = _wanted(arena, table, buffer)
    for number in range(buffer[D_WORDS]):
        entry = D_ENTRIES + 4 * number
        words[1 + number] = buffer[given + 1 + buffer[entry + 1]] if buffer[entry] == NUMBER else _NULL
        if wanted[number, 0] != 0:
            words[1 + number] = code_of(arena, table, wanted[number, 0], wanted[number, 1], buffer[entry + 3], new)
    return words
