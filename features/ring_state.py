"""Rings online: the same union-find as in batch, fed one event at a time, to the same bits.

A network has a few words of the arena (`N_*`): where the events wait, because nothing may see its own instant, and
where the forest of each generation alive lies, the oldest first. A forest's block has a head (`F_*`), then the two
arrays of `features.union_find`, then a hash table from an id's code to its node. `features.ring_memory` makes room
between calls; the compiled functions trust that there is some.
"""

# mypy: disable-error-code="no-any-return, arg-type, return-value"
# To mypy an element of an array is a numpy scalar; to the compiler it is an integer like any other.

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from features import program as p
from features.blocks import free, taken
from features.condition import satisfied
from features.kernel import Doubles, Int32, Int64, compiled
from features.union_find import (
    BAD_MARK,
    CAPACITY,
    HELD,
    MARK,
    NULL,
    PAIRS,
    SLOTS,
    STRANGER,
    TOTALS,
    eldest,
    forest,
    joined,
    read,
    regrown,
    settle,
    wide_size,
)

if TYPE_CHECKING:
    from features.ring_plan import RingPlan

N_WAITING, N_INSTANT, N_ROWS, N_ROOM, N_NEWEST, N_GENERATIONS, N_FORESTS = range(7)
F_NODES, F_WIDE, F_HALVES, F_PLACES, F_SIZE, F_PARTS = range(6)
KINDS: Final = 16
"""The most kinds of nodes that keys of nodes tell apart."""

W_ROWS: Final = 5
"""Where the rows of a block of waiting events begin; its size stands before, as in every block."""

_NULL_WORD: Final = p.NULL


def forest_words(plan: RingPlan, capacity: int) -> int:
    """How many words a forest with room for so many nodes takes; it has room for twice as many edges."""
    slots = len(plan.kinds) + len(plan.windows) + 4
    wide = wide_size(len(plan.windows), capacity, 4 * capacity)
    return F_PARTS + wide + -(-capacity * (TOTALS + slots) // 2) + 4 * capacity


@compiled
def _wide(arena: Int64, place: int) -> Int64:
    start = place + F_PARTS
    return arena[start : start + arena[place + F_WIDE]]


@compiled
def _small(arena: Int64, place: int) -> Int32:
    start = place + F_PARTS + arena[place + F_WIDE]
    wide = _wide(arena, place)
    return arena[start : start + arena[place + F_HALVES]].view(np.int32)[: wide[CAPACITY] * (TOTALS + wide[SLOTS])]


@compiled
def _place_of(arena: Int64, place: int, key: int) -> int:
    """Where a node's key stands in the table of its forest, or the free place where it belongs."""
    start = place + F_PARTS + arena[place + F_WIDE] + arena[place + F_HALVES]
    mask = arena[place + F_PLACES] - 1
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    slot = np.int64(mixed >> np.uint64(32)) & mask
    while arena[start + 2 * slot] != 0 and arena[start + 2 * slot] != key:
        slot = (slot + 1) & mask
    return start + 2 * slot


@compiled
def _known(arena: Int64, place: int, key: int) -> int:
    """The number of a node; `STRANGER` for one never seen, who is not kept for being asked about."""
    found = _place_of(arena, place, key)
    return arena[found + 1] if arena[found] != 0 else np.int64(STRANGER)


@compiled
def _node(arena: Int64, place: int, key: int) -> int:
    """The number of a node; a stranger gets one, and is alone at first."""
    found = _place_of(arena, place, key)
    if arena[found] == 0:
        arena[found] = key
        arena[found + 1] = arena[place + F_NODES]
        arena[place + F_NODES] += 1
        _small(arena, place)[2 * _wide(arena, place)[CAPACITY] + arena[found + 1]] = 2 * (key % KINDS)
    return arena[found + 1]


@compiled
def _key(code: int, kind: int) -> int:
    """What stands for a node: its id's code and its kind; never 0."""
    return code * KINDS + kind


@compiled
def _settle_forest(arena: Int64, place: int, at: int, rows: Int64) -> None:
    ends = np.empty((len(rows), 2), np.int32)
    for event in range(len(rows)):
        ends[event, 0] = _node(arena, place, rows[event, 0])
        ends[event, 1] = _node(arena, place, rows[event, 1]) if rows[event, 1] >= 0 else rows[event, 1]
    settle(_small(arena, place), _wide(arena, place), at, ends)


@compiled
def settle_waiting(arena: Int64, base: int, at: int) -> None:
    """Lets the events of an earlier instant be seen.

    A pair that the newest generation has taken was offered to the older ones too, and what they made of it stands for
    as long as they live; so for the pair of every day nothing is to be done.
    """
    waiting, generations = arena[base + N_WAITING], arena[base + N_GENERATIONS]
    if waiting == 0 or arena[base + N_INSTANT] >= at:
        return
    start = arena[base + N_ROWS] + W_ROWS
    rows = arena[start : start + 2 * waiting].reshape((waiting, 2))
    newest = arena[base + N_FORESTS + generations - 1]
    kept = np.int64(0)
    for event in range(waiting):
        left, right = rows[event, 0], rows[event, 1]
        taken_before = False
        if right >= 0:
            one, other = _known(arena, newest, left), _known(arena, newest, right)
            taken_before = one >= 0 and other >= 0 and joined(_wide(arena, newest), one, other)
        if not taken_before:
            rows[kept, 0] = left
            rows[kept, 1] = right
            kept += 1
    if kept > 0:
        for generation in range(generations):
            _settle_forest(arena, arena[base + N_FORESTS + generation], arena[base + N_INSTANT], rows[:kept])
    arena[base + N_WAITING] = 0


@compiled
def lacks_rows(code: Int64, arena: Int64, entry: int) -> int:
    """Which part of a network has no room for one more event: 0 none, 1 its rows, 2 and more a forest."""
    base = code[entry + p.O_BASE]
    more = arena[base + N_WAITING] + code[entry + p.O_EDGES] + code[entry + p.O_MARKS]
    if more > arena[base + N_ROOM]:
        return np.int64(1)
    for generation in range(arena[base + N_GENERATIONS]):
        place = arena[base + N_FORESTS + generation]
        wide = _wide(arena, place)
        if arena[place + F_NODES] + 2 * more > wide[CAPACITY] or 2 * (wide[HELD] + more) > wide[PAIRS]:
            return np.int64(2 + generation)
    return np.int64(0)


@compiled
def offer(code: Int64, arena: Int64, words: Int64, entry: int) -> None:
    """Lets an event wait for a later instant; there is room for it."""
    base = code[entry + p.O_BASE]
    settle_waiting(arena, base, words[0])
    rows = arena[base + N_ROWS] + W_ROWS
    arena[base + N_INSTANT] = words[0]
    for number in range(code[entry + p.O_EDGES]):
        edge = code[entry + p.O_EDGES_AT] + 4 * number
        left, right = words[code[edge + 1]], words[code[edge + 3]]
        if left != _NULL_WORD and right != _NULL_WORD:  # noqa: PLR1714 - compiled
            row = rows + 2 * arena[base + N_WAITING]
            arena[row] = _key(left, code[edge])
            arena[row + 1] = _key(right, code[edge + 2])
            arena[base + N_WAITING] += 1
    for number in range(code[entry + p.O_MARKS]):
        mark = code[entry + p.O_MARKS_AT] + 6 * number
        about, verdict = words[code[mark + 1]], words[code[mark + 2]]
        if about != _NULL_WORD:
            row = rows + 2 * arena[base + N_WAITING]
            bad = verdict != _NULL_WORD and satisfied(code, mark + 2, verdict)
            arena[row] = _key(about, code[mark])
            arena[row + 1] = BAD_MARK if bad else MARK
            arena[base + N_WAITING] += 1


@compiled
def answer_rings(code: Int64, arena: Int64, words: Int64, entry: int, answer: Doubles) -> None:
    """Writes the outputs of a network as of an instant, null as NaN."""
    base = code[entry + p.Q_BASE]
    settle_waiting(arena, base, words[0])
    place = arena[base + N_FORESTS]
    nodes = np.empty(code[entry + p.Q_KEYS], np.int32)
    for number in range(len(nodes)):
        key = code[entry + p.Q_KEYS_AT] + 2 * number
        word = words[code[key + 1]]
        nodes[number] = NULL if word == _NULL_WORD else _known(arena, place, _key(word, code[key]))
    outputs = code[entry + p.Q_OUTPUTS]
    start = code[entry + p.Q_OUTPUTS_AT]
    counts = np.empty(outputs, np.int32)
    wanted = code[start : start + 2 * outputs].reshape((outputs, 2))
    read(_small(arena, place), _wide(arena, place), words[0], nodes, wanted, counts)
    for output in range(outputs):
        number = counts[output]
        answer[code[entry + p.Q_FIRST] + output] = np.nan if number == NULL else float(number)


@compiled
def eldest_around(arena: Int64, base: int, at: int, kind: int, code: int) -> tuple[int, int]:
    """The first person of the ring of an id, as of an instant, by order of appearance; and how many people it has."""
    settle_waiting(arena, base, at)
    place = arena[base + N_FORESTS]
    node = _known(arena, place, _key(code, kind))
    return eldest(_small(arena, place), _wide(arena, place), node) if node >= 0 else (np.int64(-1), np.int64(0))


def written(arena: Int64, place: int, small: Int32, wide: Int64, nodes: int) -> None:
    """Writes a forest into a block that was taken for it; nodes are put in their table by `_renumber`."""
    halves = -(-len(small) // 2)
    arena[place + F_NODES], arena[place + F_WIDE] = nodes, len(wide)
    arena[place + F_HALVES], arena[place + F_PLACES] = halves, 2 * int(wide[CAPACITY])
    start = place + F_PARTS
    arena[start : start + len(wide)] = wide
    arena[start + len(wide) : start + len(wide) + halves].view(np.int32)[: len(small)] = small
    table = start + len(wide) + halves
    arena[table : table + 4 * int(wide[CAPACITY])] = 0


def begun(code: Int64, arena: Int64, plan: RingPlan, capacity: int) -> int:
    """The place of a new empty forest; there is room for it."""
    place = int(taken(code, arena, forest_words(plan, capacity)))
    written(arena, place, *forest(capacity, 4 * capacity, len(plan.kinds), plan.windows, plan.cap), nodes=0)
    return place


def doubled(code: Int64, arena: Int64, plan: RingPlan, old: int) -> int:
    """The place of the same forest with twice the room; the old one's is given back."""
    small, wide = _small(arena, old), _wide(arena, old)
    capacity = 2 * int(wide[CAPACITY])
    place = int(taken(code, arena, forest_words(plan, capacity)))
    written(arena, place, *regrown(small, wide, capacity, 4 * capacity), nodes=int(arena[old + F_NODES]))
    _renumber(arena, old, place)
    free(arena, old)
    return place


def capacity_of(arena: Int64, place: int) -> int:
    """For how many nodes a forest has room."""
    return int(_wide(arena, place)[CAPACITY])


@compiled
def _renumber(arena: Int64, old: int, new: int) -> None:
    """Carries the numbers of nodes over to a forest with more room."""
    start = old + F_PARTS + arena[old + F_WIDE] + arena[old + F_HALVES]
    for slot in range(arena[old + F_PLACES]):
        key = arena[start + 2 * slot]
        if key != 0:
            found = _place_of(arena, new, key)
            arena[found] = key
            arena[found + 1] = arena[start + 2 * slot + 1]
