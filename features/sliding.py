"""What the live state knows of one key: running integer sums that take events in and give them back.

A key's block holds the events that a window can still see, a cursor a window, and the sums; its record holds what is
remembered for ever. An event settles once a later instant is asked about, leaves each window in its turn, and the block
goes when no window sees anything of it.
"""

# mypy: disable-error-code="no-any-return, arg-type, return-value"
# To mypy an element of an array is a numpy scalar; to the compiler it is an integer like any other.

from __future__ import annotations

import numpy as np

from features import program as p
from features.blocks import (
    chain_of,
    find,
    flagged,
    free,
    lacks,
    new_block,
    oldest_of,
    put,
    queue_of,
    remove,
    row_of,
    words_for,
)
from features.kernel import Int64, compiled, move, outdone
from features.prefetch import prefetch


@compiled
def _tally(arena: Int64, at: int, mask: int, value: int, sign: int) -> None:
    arena[at] += sign
    if mask & 2:
        arena[at + 1] += sign * value
    if mask & 4:
        arena[at + 2] += sign * value * value


@compiled
def _leave(code: Int64, arena: Int64, table: Int64, group: int, record: int, window: int, event: int) -> None:
    """Gives back what an event brought to a window."""
    block = arena[record + p.R_BLOCK]
    row = row_of(code, arena, group, block, event)
    entry = code[group + p.G_WINDOWS_AT] + 7 * window
    for number in range(code[entry + 1]):
        tally = code[entry + 2] + 5 * number
        if flagged(arena, row, code[tally + 1]):
            _tally(arena, block + code[tally + 3], code[tally + 2], arena[row + code[tally]], -1)
    for number in range(code[entry + 3]):
        one = code[entry + 4] + 6 * number
        if flagged(arena, row, code[one + 1]) and not flagged(arena, row, code[one + 2]):
            arena[block + code[one + 4]] -= 1
            if code[one + 5]:
                owner = (record << 12) | code[one + 3]
                remove(arena, table, find(table, owner, arena[row + code[one]]))
    for number in range(code[entry + 5]):
        one = code[entry + 6] + 6 * number
        if flagged(arena, row, code[one + 1]):
            place = find(table, (record << 12) | code[one + 2], arena[row + code[one]])
            move(table[place + 2], -1, chain_of(code, arena, group, block, code[one + 4]))
            arena[block + code[one + 3]] -= 1
            table[place + 2] -= 1
            if table[place + 2] == 0:
                remove(arena, table, place)


@compiled
def advance(code: Int64, arena: Int64, table: Int64, group: int, record: int, at: int) -> None:
    """Moves every window up to an instant."""
    block = arena[record + p.R_BLOCK]
    for window in range(code[group + p.G_WINDOWS]):
        edge = at - code[code[group + p.G_WINDOWS_AT] + 7 * window]
        event = arena[block + p.B_LOW + window]
        while event < arena[block + p.B_HIGH] and arena[row_of(code, arena, group, block, event)] < edge:
            _leave(code, arena, table, group, record, window, event)
            event += 1
        arena[block + p.B_LOW + window] = event


@compiled
def _take_different(code: Int64, arena: Int64, table: Int64, group: int, record: int, event: int, one: int) -> None:
    """Counts an event's value in every window that did not hold it, and marks the event before with that value."""
    block = arena[record + p.R_BLOCK]
    row = row_of(code, arena, group, block, event)
    owner, value = (record << 12) | code[one + 3], arena[row + code[one]]
    place = find(table, owner, value)
    before = table[place + 2] if table[place] != 0 else np.int64(-1)
    if before >= 0:
        flag = code[one + 2]
        arena[row_of(code, arena, group, block, before) + 1 + (flag >> 6)] |= np.int64(1) << (flag & 63)
    for number in range(code[one + 4]):
        counter = code[one + 5] + 2 * number
        if before < arena[block + p.B_LOW + code[counter]]:
            arena[block + code[counter + 1]] += 1
    put(arena, table, place, owner, value, event)


@compiled
def _take_extreme(code: Int64, arena: Int64, group: int, block: int, event: int, one: int) -> None:
    """Queues an event behind those that it does not outdo."""
    row = row_of(code, arena, group, block, event)
    value, head = arena[row + code[one]], block + code[one + 3]
    queue = queue_of(code, arena, group, block, code[one + 4])
    first, end = arena[head], arena[head] + arena[head + 1]
    oldest = oldest_of(code, arena, group, block)
    while first < end and arena[queue + first] < oldest:
        first += 1
    while first < end and outdone(
        arena[row_of(code, arena, group, block, arena[queue + end - 1]) + code[one]], value, code[one + 2] == 1
    ):
        end -= 1
    if end == arena[block + p.B_ROOM]:
        for number in range(end - first):
            arena[queue + number] = arena[queue + first + number]
        first, end = 0, end - first
    arena[queue + end] = event
    arena[head] = first
    arena[head + 1] = end + 1 - first


@compiled
def _remember(code: Int64, arena: Int64, table: Int64, group: int, record: int, row: int) -> None:
    """Adds an event to what is never forgotten."""
    for number in range(code[group + p.G_LASTING_TALLIES]):
        one = code[group + p.G_LASTING_TALLIES_AT] + 5 * number
        if flagged(arena, row, code[one + 1]):
            _tally(arena, record + code[one + 3], code[one + 2], arena[row + code[one]], 1)
    for number in range(code[group + p.G_LASTING_EXTREMES]):
        one = code[group + p.G_LASTING_EXTREMES_AT] + 4 * number
        if flagged(arena, row, code[one + 1]):
            value, kept = arena[row + code[one]], record + code[one + 3]
            if arena[kept] == 0 or outdone(arena[kept + 1], value, code[one + 2] == 1):
                arena[kept + 1] = value
            arena[kept] = 1
    _remember_moments(code, arena, group, record, row)
    for number in range(code[group + p.G_CAPPED]):
        one = code[group + p.G_CAPPED_AT] + 5 * number
        if flagged(arena, row, code[one + 1]) and arena[record + code[one + 3]] < code[one + 4]:
            owner, value = (record << 12) | code[one + 2], arena[row + code[one]]
            place = find(table, owner, value)
            if table[place] == 0:
                put(arena, table, place, owner, value, 1)
                arena[record + code[one + 3]] += 1


@compiled
def _remember_moments(code: Int64, arena: Int64, group: int, record: int, row: int) -> None:
    """Keeps the first and latest instant of a measure and its latest value, the largest of one instant."""
    at = arena[row]
    for number in range(code[group + p.G_MOMENTS]):
        one = code[group + p.G_MOMENTS_AT] + 3 * number
        if flagged(arena, row, code[one + 1]):
            value, kept = arena[row + code[one]], record + code[one + 2]
            if arena[kept] == 0:
                arena[kept + 1] = at
            if arena[kept] == 0 or at > arena[kept + 2] or value > arena[kept + 3]:
                arena[kept + 3] = value
            arena[kept] = 1
            arena[kept + 2] = at


@compiled
def _show(code: Int64, arena: Int64, table: Int64, group: int, record: int, event: int) -> None:
    """Adds an event to every window and to what is never forgotten."""
    block = arena[record + p.R_BLOCK]
    row = row_of(code, arena, group, block, event)
    for number in range(code[group + p.G_TALLIES]):
        one = code[group + p.G_TALLIES_AT] + 5 * number
        if flagged(arena, row, code[one + 1]):
            _tally(arena, block + code[one + 3], code[one + 2], arena[row + code[one]], 1)
    for number in range(code[group + p.G_DIFFERENT]):
        one = code[group + p.G_DIFFERENT_AT] + 6 * number
        if flagged(arena, row, code[one + 1]):
            _take_different(code, arena, table, group, record, event, one)
    for number in range(code[group + p.G_SPREADS]):
        one = code[group + p.G_SPREADS_AT] + 6 * number
        if flagged(arena, row, code[one + 1]):
            owner, value = (record << 12) | code[one + 2], arena[row + code[one]]
            place = find(table, owner, value)
            count = table[place + 2] if table[place] != 0 else np.int64(0)
            move(count, 1, chain_of(code, arena, group, block, code[one + 4]))
            put(arena, table, place, owner, value, count + 1)
            arena[block + code[one + 3]] += 1
    for number in range(code[group + p.G_EXTREMES]):
        one = code[group + p.G_EXTREMES_AT] + 5 * number
        if flagged(arena, row, code[one + 1]):
            _take_extreme(code, arena, group, block, event, one)
    _remember(code, arena, table, group, record, row)


@compiled
def settle(code: Int64, arena: Int64, table: Int64, group: int, record: int, at: int) -> None:
    """Lets the events of an earlier instant be seen."""
    block = arena[record + p.R_BLOCK]
    high, end = arena[block + p.B_HIGH], arena[block + p.B_NEXT]
    if high == end or arena[row_of(code, arena, group, block, high)] >= at:
        return
    for event in range(high, end):
        _show(code, arena, table, group, record, event)
    arena[block + p.B_HIGH] = end
    arena[record + p.R_EVENTS] += end - high
    arena[record + p.R_LATEST] = arena[row_of(code, arena, group, block, high)]
    arena[p.A_OWED] -= (end - high) * code[group + p.G_INSERTS]


@compiled
def _rehouse(code: Int64, arena: Int64, group: int, record: int, events: int) -> None:
    """Moves a key to a block for at least so many events, leaving behind what no window sees; there is room."""
    old = arena[record + p.R_BLOCK]
    first, end = oldest_of(code, arena, group, old), arena[old + p.B_NEXT]
    block = new_block(code, arena, group, events)
    for word in range(p.B_LOW, code[group + p.G_HEAD]):
        arena[block + word] = arena[old + word]
    arena[block + p.B_FIRST] = first
    arena[block + p.B_HIGH] = arena[old + p.B_HIGH]
    arena[block + p.B_NEXT] = end
    source, target = row_of(code, arena, group, old, first), row_of(code, arena, group, block, first)
    for word in range((end - first) * code[group + p.G_ROW]):
        arena[target + word] = arena[source + word]
    for number in range(code[group + p.G_EXTREMES]):
        one = code[group + p.G_EXTREMES_AT] + 5 * number
        head, kept = old + code[one + 3], 0
        source = queue_of(code, arena, group, old, code[one + 4]) + arena[head]
        target = queue_of(code, arena, group, block, code[one + 4])
        for place in range(arena[head + 1]):
            if arena[source + place] >= first:
                arena[target + kept] = arena[source + place]
                kept += 1
        arena[block + code[one + 3]] = 0
        arena[block + code[one + 3] + 1] = kept
    for number in range(code[group + p.G_CHAINS]):
        before, after = chain_of(code, arena, group, old, number), chain_of(code, arena, group, block, number)
        for count in range(min(len(before.many), len(after.many))):
            after.many[count] = before.many[count]
            after.above[count] = before.above[count]
            after.below[count] = before.below[count]
    arena[record + p.R_BLOCK] = block
    free(arena, old)


@compiled
def make_room(code: Int64, arena: Int64, group: int, record: int) -> int:
    """Room in a key's block for one more event; answers how many words the arena lacks for it."""
    block = arena[record + p.R_BLOCK]
    if block == 0:
        lacking = lacks(arena, words_for(code, group, 1))
        if lacking == 0:
            arena[record + p.R_BLOCK] = new_block(code, arena, group, 1)
        return lacking
    first, end, room = arena[block + p.B_FIRST], arena[block + p.B_NEXT], arena[block + p.B_ROOM]
    if end - first < room:
        return 0
    alive = end - oldest_of(code, arena, group, block)
    if 5 * alive <= 4 * room and 4 * alive >= room:
        _close_up(code, arena, group, block)
        return 0
    events = alive + 1 + alive // 4
    lacking = lacks(arena, words_for(code, group, events))
    if lacking == 0:
        _rehouse(code, arena, group, record, events)
    return lacking


@compiled
def _close_up(code: Int64, arena: Int64, group: int, block: int) -> None:
    """Moves the events that a window sees to the front of their block."""
    first, end = oldest_of(code, arena, group, block), arena[block + p.B_NEXT]
    source = row_of(code, arena, group, block, first)
    arena[block + p.B_FIRST] = first
    target = row_of(code, arena, group, block, first)
    for word in range((end - first) * code[group + p.G_ROW]):
        arena[target + word] = arena[source + word]


@compiled
def sweep_next(code: Int64, arena: Int64, table: Int64, group: int, at: int) -> None:
    """Looks at the next key of a group and takes its block away if no window sees anything of it any more."""
    hand = code[group + p.G_HAND]
    record = arena[hand + 1] if arena[hand + 1] != 0 else arena[hand]
    if record == 0:
        return
    arena[hand + 1] = arena[record + p.R_NEXT]
    prefetch(arena, arena[hand + 1])
    block = arena[record + p.R_BLOCK]
    windows = code[group + p.G_WINDOWS]
    longest = code[code[group + p.G_WINDOWS_AT] + 7 * (windows - 1)] if windows else 0
    if block == 0 or (arena[record + p.R_EVENTS] > 0 and arena[record + p.R_LATEST] >= at - longest):
        return
    end = arena[block + p.B_NEXT]
    latest = arena[row_of(code, arena, group, block, end - 1)] if end > arena[block + p.B_FIRST] else at
    if end == arena[block + p.B_FIRST] or latest < at - longest:
        settle(code, arena, table, group, record, at)
        advance(code, arena, table, group, record, at)
        free(arena, block)
        arena[record + p.R_BLOCK] = 0


@compiled
def sweep(code: Int64, arena: Int64, table: Int64, group: int, at: int) -> None:
    """Looks at every key of a group once."""
    hand = code[group + p.G_HAND]
    arena[hand + 1] = arena[hand]
    sweep_next(code, arena, table, group, at)
    while arena[hand + 1] != 0:
        sweep_next(code, arena, table, group, at)
