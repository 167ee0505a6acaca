"""The compiled core of rings: a union-find that keeps sums for each component, in two flat arrays.

One *forest* is one generation of one network. It is two arrays, because passing a dozen to a compiled function costs
more than what the function does:

* ``small`` (int32), for each of `capacity` nodes: its parent, or minus the size of its tree for a root; its degree; its
  kind and whether it is marked bad; who stands at a place in the queue of people; the first place there of a person of
  its tree, and its totals, which only a root's are true.
* ``wide`` (int64): the header, the windows and how far each has moved along the queue, the first appearance of each
  node, and a hash table of the pairs that are joined.

People stand in the queue in the order in which they appeared. A window forgets those at its front, so that the number
of recent ones of each component is exact at every moment. All answers are counts, so no numbering of nodes and no order
of events within an instant can change a bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from features.kernel import compiled
from features.network import BESIDE_KINDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.kernel import Int32, Int64

NEVER: Final = -(1 << 62)
MARK: Final = -1
BAD_MARK: Final = -2
"""In the place of an edge's second end: no edge, but a verdict on the first."""

NULL: Final = -1
"""As a node asked about: the key is null. As an answer: null."""

STRANGER: Final = -2
"""As a node asked about: not seen, so all counts are 0."""

CAPACITY: Final = 0
SLOTS: Final = 1
KINDS: Final = 2
WINDOWS: Final = 3
CAP: Final = 4
PAIRS: Final = 5
HELD: Final = 6
QUEUED: Final = 7
HEADER: Final = 8

TOTALS: Final = 5
"""So many parts of ``small``, of a word a node, stand before the totals."""

_NO_PLACE: Final = 2**31 - 1


def forest(capacity: int, pairs: int, kinds: int, windows: tuple[int, ...], cap: int) -> tuple[Int32, Int64]:
    """An empty forest.

    Args:
        capacity: How many nodes it has room for.
        pairs: How many slots its hash table has: a power of two, at least twice the edges to come.
        kinds: How many kinds of nodes there are; kind 0 is people.
        windows: Of recent appearances, in microseconds.
        cap: The most neighbours of a node.
    """
    slots = kinds + len(windows) + BESIDE_KINDS
    small = np.zeros(capacity * (TOTALS + slots), np.int32)
    small[:capacity] = -1
    small[4 * capacity : TOTALS * capacity] = _NO_PLACE
    wide = np.zeros(wide_size(len(windows), capacity, pairs), np.int64)
    wide[:HEADER] = (capacity, slots, kinds, len(windows), cap, pairs, 0, 0)
    wide[HEADER : HEADER + len(windows)] = windows
    first = HEADER + 2 * len(windows)
    wide[first : first + capacity] = NEVER
    return small, wide


def wide_size(windows: int, capacity: int, pairs: int) -> int:
    """How many words `wide` has."""
    return HEADER + 2 * windows + capacity + pairs


def regrown(small: Int32, wide: Int64, capacity: int, pairs: int) -> tuple[Int32, Int64]:
    """The same forest with more room."""
    old, slots, kinds, number, cap = (int(one) for one in wide[:PAIRS])
    windows = tuple(int(one) for one in wide[HEADER : HEADER + number])
    new_small, new_wide = forest(capacity, pairs, kinds, windows, cap)
    for part in range(TOTALS):
        new_small[part * capacity : part * capacity + old] = small[part * old : (part + 1) * old]
    new_small[TOTALS * capacity : TOTALS * capacity + old * slots] = small[TOTALS * old :]
    new_wide[HELD:HEADER] = wide[HELD:HEADER]
    first = HEADER + 2 * number
    new_wide[HEADER:first] = wide[HEADER:first]
    new_wide[first : first + old] = wide[first : first + old]
    _rehash(wide, new_wide)
    return new_small, new_wide


def set_kinds(small: Int32, wide: Int64, kinds: NDArray[np.int8], first: int = 0) -> None:
    """Says of what kind new nodes are, beginning with the node ``first``."""
    start = 2 * int(wide[CAPACITY]) + first
    small[start : start + len(kinds)] = 2 * kinds.astype(np.int32)


@compiled
def find(small: Int32, node: int) -> int:
    """The root of a node's component; halves the path on the way."""
    here = node
    while small[here] >= 0:
        parent = int(small[here])
        if small[parent] >= 0:
            small[here] = small[parent]
        here = parent
    return here


@compiled
def _pair_slot(wide: Int64, left: int, right: int) -> int:
    """Where the pair stands in the hash table, or the free place where it would."""
    first = HEADER + 2 * wide[WINDOWS] + wide[CAPACITY]
    mask = wide[PAIRS] - 1
    key = _pair_key(left, right)
    mixed = key * 0x1E3779B97F4A7C15
    mixed ^= mixed >> 29
    slot = mixed & mask
    while wide[first + slot] != 0 and wide[first + slot] != key:
        slot = (slot + 1) & mask
    return int(first + slot)


@compiled
def joined(wide: Int64, left: int, right: int) -> bool:
    """Whether a pair is among the edges taken."""
    return bool(wide[_pair_slot(wide, left, right)] != 0)


@compiled
def _pair_key(left: int, right: int) -> int:
    low, high = min(left, right), max(left, right)
    return ((low + 1) << 32) | high


@compiled
def _rehash(wide: Int64, new_wide: Int64) -> None:
    first = HEADER + 2 * wide[WINDOWS] + wide[CAPACITY]
    for slot in range(first, first + wide[PAIRS]):
        key = wide[slot]
        if key != 0:
            new_wide[_pair_slot(new_wide, (key >> 32) - 1, key & 0xFFFFFFFF)] = key


@compiled
def _appear(small: Int32, wide: Int64, node: int, at: int) -> None:
    """Counts a node in at its first edge; people also join the queue."""
    capacity, slots, kinds, windows = wide[CAPACITY], wide[SLOTS], wide[KINDS], wide[WINDOWS]
    first = HEADER + 2 * windows
    if wide[first + node] != NEVER:
        return
    wide[first + node] = at
    kind = small[2 * capacity + node] >> 1
    root = find(small, node)
    total = TOTALS * capacity + root * slots
    small[total + kind] += 1
    if kind == 0:
        small[4 * capacity + root] = min(small[4 * capacity + root], wide[QUEUED])
        small[3 * capacity + wide[QUEUED]] = node
        wide[QUEUED] += 1
        for window in range(windows):
            small[total + kinds + window] += 1


@compiled
def _unite(small: Int32, wide: Int64, left: int, right: int) -> int:
    """Joins two components, the smaller to the larger, and adds up their totals; answers the root."""
    capacity, slots = wide[CAPACITY], wide[SLOTS]
    upper, lower = find(small, left), find(small, right)
    if upper == lower:
        return upper
    if small[upper] > small[lower]:
        upper, lower = lower, upper
    small[upper] += small[lower]
    small[lower] = upper
    small[4 * capacity + upper] = min(small[4 * capacity + upper], small[4 * capacity + lower])
    for slot in range(slots):
        small[TOTALS * capacity + upper * slots + slot] += small[TOTALS * capacity + lower * slots + slot]
    return upper


@compiled
def advance(small: Int32, wide: Int64, at: int) -> None:
    """Lets every window forget the people who appeared before it begins."""
    capacity, slots, kinds, windows = wide[CAPACITY], wide[SLOTS], wide[KINDS], wide[WINDOWS]
    first = HEADER + 2 * windows
    for window in range(windows):
        edge = at - wide[HEADER + window]
        head = wide[HEADER + windows + window]
        while head < wide[QUEUED] and wide[first + small[3 * capacity + head]] < edge:
            root = find(small, small[3 * capacity + head])
            small[TOTALS * capacity + root * slots + kinds + window] -= 1
            head += 1
        wide[HEADER + windows + window] = head


@compiled
def settle(small: Int32, wide: Int64, at: int, ends: Int32) -> None:
    """Takes in all events of one instant.

    Whether an edge is taken is decided for all of them first, from the degrees before the instant.

    Args:
        small: Of the forest.
        wide: Of the forest.
        at: The instant, not earlier than any before.
        ends: Two nodes a row; a verdict has `MARK` or `BAD_MARK` in the place of the second.
    """
    capacity, slots, kinds, windows = wide[CAPACITY], wide[SLOTS], wide[KINDS], wide[WINDOWS]
    advance(small, wide, at)
    taken = np.zeros(len(ends), np.bool_)
    for event in range(len(ends)):
        left, right = ends[event, 0], ends[event, 1]
        if right >= 0:
            free = wide[_pair_slot(wide, left, right)] == 0
            taken[event] = free and small[capacity + left] < wide[CAP] and small[capacity + right] < wide[CAP]
    edges = kinds + windows
    for event in range(len(ends)):
        left, right = ends[event, 0], ends[event, 1]
        if right < 0:
            total = TOTALS * capacity + find(small, left) * slots + edges
            small[total + 1] += 1
            if right == BAD_MARK:
                small[total + 2] += 1
                if small[2 * capacity + left] & 1 == 0:
                    small[2 * capacity + left] |= 1
                    small[total + 3] += 1
            continue
        _appear(small, wide, left, at)
        _appear(small, wide, right, at)
        slot = _pair_slot(wide, left, right)
        if taken[event] and wide[slot] == 0:
            wide[slot] = _pair_key(left, right)
            wide[HELD] += 1
            small[capacity + left] += 1
            small[capacity + right] += 1
            root = _unite(small, wide, left, right)
            small[TOTALS * capacity + root * slots + edges] += 1


@compiled
def read(small: Int32, wide: Int64, at: int, nodes: Int32, wanted: Int32, answer: Int32) -> None:
    """The totals of the components of some nodes, as of an instant later than all that was settled.

    Args:
        small: Of the forest.
        wide: Of the forest.
        at: The instant.
        nodes: The nodes asked about; `NULL` for a null key, `STRANGER` for one that was never seen.
        wanted: For each answer the place of its node in ``nodes``, and the slot.
        answer: Filled with the counts, `NULL` where the key is null.
    """
    capacity, slots = wide[CAPACITY], wide[SLOTS]
    advance(small, wide, at)
    for output in range(len(wanted)):
        node = nodes[wanted[output, 0]]
        answer[output] = 0 if node == STRANGER else NULL
        if node >= 0:
            answer[output] = small[TOTALS * capacity + find(small, node) * slots + wanted[output, 1]]


@compiled
def eldest(small: Int32, wide: Int64, node: int) -> tuple[int, int]:
    """Who of a node's component appeared first, as a place in the queue of people, and how many people it has.

    -1 where there are fewer than two people.
    """
    capacity, root = wide[CAPACITY], find(small, node)
    people = small[TOTALS * capacity + root * wide[SLOTS]]
    return int(small[4 * capacity + root]) if people > 1 else -1, people


@compiled
def replay(
    small: Int32,
    wide: Int64,
    events: tuple[Int64, Int32],
    questions: tuple[Int64, Int32, Int64],
    wanted: Int32,
    answers: Int32,
) -> None:
    """Reads for every question in turn, each after all that happened strictly before it.

    Args:
        small: Of an empty forest.
        wide: Of it.
        events: Instants in ascending order, and ends.
        questions: Instants in ascending order, the nodes each asks about, and the row it answers.
        wanted: As `read` takes it.
        answers: A row an output, a column a row.
    """
    event_at, ends = events
    question_at, nodes, rows = questions
    answer = np.empty(len(wanted), np.int32)
    done = 0
    for question in range(len(question_at)):
        while done < len(event_at) and event_at[done] < question_at[question]:
            stop = done + 1
            while stop < len(event_at) and event_at[stop] == event_at[done]:
                stop += 1
            settle(small, wide, event_at[done], ends[done:stop])
            done = stop
        read(small, wide, question_at[question], nodes[question], wanted, answer)
        for output in range(len(wanted)):
            answers[output, rows[question]] = answer[output]
