"""The memory of the live state: a hash table and an arena of blocks, both flat arrays of integers.

The table has three words a place: an owner, a value, and what is known of the two; owner 0 is a free place. It finds
pairs of keys, the last event with a value, and how often a window holds a value. The arena is a rising top and a list
of free blocks for each size. Every loop trusts its indices.
"""

# mypy: disable-error-code="no-any-return, arg-type, return-value, assignment"
# To mypy an element of an array is a numpy scalar; to the compiler it is an integer like any other.

from __future__ import annotations

from typing import Final

import numpy as np

from features import program as p
from features.kernel import Chain, Int64, compiled

_LARGER: Final = 2
"""How many sizes larger a free block may be to be taken before new memory is."""


@compiled
def _home(owner: int, value: int, places: int) -> int:
    """The place where an entry would stand in an empty table of so many, which need be no power of two."""
    mixed = np.uint64(owner) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(value) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.int64(((mixed >> np.uint64(32)) * np.uint64(places)) >> np.uint64(32))


@compiled
def find(table: Int64, owner: int, value: int) -> int:
    """Where an entry stands, or the free place where it belongs; in words."""
    place = 3 * _home(owner, value, len(table) // 3)
    while table[place] != 0 and (table[place] != owner or table[place + 1] != value):
        place += 3
        if place == len(table):
            place = np.int64(0)
    return place


@compiled
def home_of(table: Int64, owner: int, value: int) -> int:
    """Where an entry would stand if no other were in its way; in words."""
    return 3 * _home(owner, value, len(table) // 3)


@compiled
def put(arena: Int64, table: Int64, place: int, owner: int, value: int, payload: int) -> None:
    """Writes what is known of an owner and a value."""
    if table[place] == 0:
        table[place] = owner
        table[place + 1] = value
        arena[p.A_USED] += 1
    table[place + 2] = payload


@compiled
def _steps(start: int, end: int, places: int) -> int:
    """How many places on from one is another, round the end of the table."""
    return end - start if end >= start else end - start + places


@compiled
def _carry(old: Int64, entry: int, new: Int64, place: int) -> None:
    for word in range(3):
        new[place + word] = old[entry + word]


@compiled
def remove(arena: Int64, table: Int64, place: int) -> None:
    """Frees a place and moves up what would no longer be found."""
    places = len(table) // 3
    hole = place // 3
    other = hole + 1 if hole + 1 < places else np.int64(0)
    while table[3 * other] != 0:
        home = _home(table[3 * other], table[3 * other + 1], places)
        if _steps(home, other, places) >= _steps(hole, other, places):
            _carry(table, 3 * other, table, 3 * hole)
            hole = other
        other = other + 1 if other + 1 < places else np.int64(0)
    table[3 * hole] = 0
    arena[p.A_USED] -= 1


@compiled
def rehash(old: Int64, new: Int64) -> None:
    """Carries the entries of a table over to an empty larger one."""
    for entry in range(0, len(old), 3):
        if old[entry] != 0:
            _carry(old, entry, new, find(new, old[entry], old[entry + 1]))


@compiled
def _size(code: Int64, words: int) -> int:
    """The number of the smallest size that holds so many words."""
    low, high = 0, code[p.P_SIZES] - 1
    while low < high:
        middle = (low + high) // 2
        if code[code[p.P_SIZES_AT] + middle] < words:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def lacks(arena: Int64, words: int) -> int:
    """How many words more the arena needs before so many can be taken from it; 0 when they are there."""
    return max(0, arena[p.A_TOP] + words - len(arena))


@compiled
def _chain_words(room: int) -> int:
    """Three lists of half words, each two longer than the block has room for events."""
    return (3 * (room + 2) + 1) // 2


@compiled
def _needed(code: Int64, group: int, events: int) -> int:
    """How many words a block for so many events has to have."""
    return _fixed(code, group) + (_halves(code, group) * events + 1) // 2


@compiled
def _fixed(code: Int64, group: int) -> int:
    """The words of a block that do not depend on its room; 4 cover what a chain has beside its events."""
    return code[group + p.G_HEAD] + 4 * code[group + p.G_CHAINS]


@compiled
def _halves(code: Int64, group: int) -> int:
    """The half words that an event takes."""
    return 2 * (code[group + p.G_ROW] + code[group + p.G_QUEUES]) + 3 * code[group + p.G_CHAINS]


@compiled
def taken(code: Int64, arena: Int64, words: int) -> int:
    """A block of at least so many words, with whatever stands in it but its size; the room was seen to before."""
    size = _size(code, words)
    larger = size
    while larger < min(size + _LARGER, p.SIZES - 1) and arena[p.A_FREE + larger] == 0:
        larger += 1
    block = arena[p.A_FREE + larger]
    if block != 0:
        size = larger
        arena[p.A_FREE + size] = arena[block]
    else:
        block = arena[p.A_TOP]
        arena[p.A_TOP] += code[code[p.P_SIZES_AT] + size]
    arena[block + p.B_SIZE] = size
    arena[p.A_BLOCKS] += 1
    return block


@compiled
def rounded_up(code: Int64, words: int) -> int:
    """The words of the block that is taken for so many."""
    return code[code[p.P_SIZES_AT] + _size(code, words)]


@compiled
def new_block(code: Int64, arena: Int64, group: int, events: int) -> int:
    """An empty block for at least so many events; the room was seen to before."""
    block = taken(code, arena, _needed(code, group, events))
    size = arena[block + p.B_SIZE]
    words = code[code[p.P_SIZES_AT] + size]
    arena[block : block + words] = 0
    arena[block + p.B_ROOM] = 2 * (words - _fixed(code, group)) // _halves(code, group)
    arena[block + p.B_SIZE] = size
    return block


@compiled
def words_for(code: Int64, group: int, events: int) -> int:
    """How many words `new_block` takes."""
    return rounded_up(code, _needed(code, group, events))


@compiled
def free(arena: Int64, block: int) -> None:
    """Gives a block back."""
    size = arena[block + p.B_SIZE]
    arena[block] = arena[p.A_FREE + size]
    arena[p.A_FREE + size] = block
    arena[p.A_BLOCKS] -= 1


@compiled
def row_of(code: Int64, arena: Int64, group: int, block: int, event: int) -> int:
    """Where an event of a block stands."""
    return block + code[group + p.G_HEAD] + (event - arena[block + p.B_FIRST]) * code[group + p.G_ROW]


@compiled
def queue_of(code: Int64, arena: Int64, group: int, block: int, queue: int) -> int:
    """Where a queue of a block begins."""
    room = arena[block + p.B_ROOM]
    return block + code[group + p.G_HEAD] + room * code[group + p.G_ROW] + queue * room


@compiled
def chain_of(code: Int64, arena: Int64, group: int, block: int, chain: int) -> Chain:
    """Which counts occur among the values of a window."""
    room = arena[block + p.B_ROOM]
    words = _chain_words(room)
    start = queue_of(code, arena, group, block, code[group + p.G_QUEUES]) + chain * words
    halves = arena[start : start + words].view(np.int32)
    return Chain(halves[: room + 2], halves[room + 2 : 2 * room + 4], halves[2 * room + 4 : 3 * room + 6])


@compiled
def flagged(arena: Int64, row: int, flag: int) -> bool:
    """Whether an event has a flag."""
    return (arena[row + 1 + (flag >> 6)] >> (flag & 63)) & 1 == 1


@compiled
def oldest_of(code: Int64, arena: Int64, group: int, block: int) -> int:
    """The first event that a window still sees or that is yet to be seen."""
    windows = code[group + p.G_WINDOWS]
    return arena[block + p.B_LOW + windows - 1] if windows else arena[block + p.B_HIGH]
