"""The compiled live state: one call an event and one a question, on flat arrays of integers.

`features.program` says what lies where. Every loop trusts its indices. Before anything is written there is room for it:
otherwise a call answers how much more it needs, and is made again.
"""

# mypy: disable-error-code="no-any-return, arg-type, return-value"
# To mypy an element of an array is a numpy scalar; to the compiler it is an integer like any other.

from __future__ import annotations

from typing import Final

import numpy as np

from features import program as p
from features.ahead import fetch_ahead
from features.blocks import chain_of, find, flagged, home_of, lacks, put, queue_of, row_of
from features.condition import satisfied
from features.kernel import Doubles, Int64, compiled, deviation, spread
from features.prefetch import prefetch
from features.ring_state import answer_rings, offer
from features.sliding import advance, make_room, settle, sweep_next

ROOMY: Final = 0
TOO_LARGE: Final = -1

_LARGEST: Final = float(1 << 62)
_NULL: Final = p.NULL
_SECOND: Final = 1_000_000


@compiled
def _pair(code: Int64, entry: int, column: int, found: int) -> int:
    """The owner in the table of what follows a code in a key of several columns."""
    return -(((found << 12) | code[entry + p.E_NUMBER]) * 8 + column)


@compiled
def _entity(code: Int64, table: Int64, words: Int64, entry: int) -> int:
    """Where a key's list of records stands; 0 for a key never met, -1 for a null one."""
    keys, at = code[entry + p.E_KEYS], code[entry + p.E_KEYS_AT]
    if keys == 0:
        return code[entry + p.E_NUMBER]
    found = words[code[at]]
    unknown = found == 0
    for number in range(keys):
        unknown = unknown or words[code[at + number]] == 0
        if words[code[at + number]] == _NULL:
            return -1
    if unknown:
        return 0
    for number in range(1, keys):
        place = find(table, _pair(code, entry, number, found), words[code[at + number]])
        if table[place] == 0:
            return 0
        found = table[place + 2]
    return found


@compiled
def _new_entity(code: Int64, arena: Int64, table: Int64, words: Int64, entry: int) -> int:
    """Makes the list of records of a key of several columns; there is room in arena and table."""
    keys, at = code[entry + p.E_KEYS], code[entry + p.E_KEYS_AT]
    found = words[code[at]]
    for number in range(1, keys):
        owner, value = _pair(code, entry, number, found), words[code[at + number]]
        place = find(table, owner, value)
        if table[place] == 0:
            put(arena, table, place, owner, value, arena[p.A_TOP])
            arena[p.A_TOP] += code[entry + p.E_PLACES] if number == keys - 1 else 1
        found = table[place + 2]
    return found


@compiled
def _write(code: Int64, arena: Int64, words: Int64, group: int, record: int) -> None:
    """Writes an event behind the last of its key's block, where nobody sees it yet."""
    block = arena[record + p.R_BLOCK]
    row = row_of(code, arena, group, block, arena[block + p.B_NEXT])
    gap = _NULL
    if arena[record + p.R_EVENTS] > 0:
        gap = (words[0] - arena[record + p.R_LATEST]) // _SECOND
    arena[row] = words[0]
    flags = code[group + p.G_FLAGS]
    for number in range(flags):
        arena[row + 1 + number] = 0
    for number in range(code[group + p.G_COLUMNS]):
        source = code[code[group + p.G_COLUMNS_AT] + number]
        arena[row + 1 + flags + number] = words[source] if source >= 0 else gap
    for number in range(code[group + p.G_MEASURES]):
        measure = code[group + p.G_MEASURES_AT] + 2 * number
        column, condition = code[measure], code[measure + 1]
        present = column == 0 or arena[row + column] != _NULL
        if present and condition >= 0:
            entry = code[group + p.G_CONDITIONS_AT] + 4 * condition
            value = words[code[entry]] if code[entry] >= 0 else gap
            present = value != _NULL and satisfied(code, entry, value)
        if present:
            arena[row + 1 + (number >> 6)] |= np.int64(1) << (number & 63)


@compiled
def _overflow(code: Int64, arena: Int64, group: int, record: int, base: int, one: int) -> bool:
    """Whether a tally, with all events not yet seen and the one just written, would leave the safe half of an int64."""
    block, mask = arena[record + p.R_BLOCK], code[one + 2]
    if not mask & 2:
        return False
    at = base + code[one + 3]
    total = abs(float(arena[at + 1]))
    squares = float(arena[at + 2]) if mask & 4 else 0.0
    for event in range(arena[block + p.B_HIGH], arena[block + p.B_NEXT] + 1):
        row = row_of(code, arena, group, block, event)
        if flagged(arena, row, code[one + 1]):
            value = abs(float(arena[row + code[one]]))
            total += value
            squares += value * value
    return total >= _LARGEST or (mask & 4 != 0 and squares >= _LARGEST)


@compiled
def _faulty(code: Int64, arena: Int64, group: int, record: int) -> bool:
    block = arena[record + p.R_BLOCK]
    for number in range(code[group + p.G_TALLIES]):
        one = code[group + p.G_TALLIES_AT] + 5 * number
        if _overflow(code, arena, group, record, block, one):
            arena[p.A_FAULT_COLUMN] = code[one + 1]
            return True
    for number in range(code[group + p.G_LASTING_TALLIES]):
        one = code[group + p.G_LASTING_TALLIES_AT] + 5 * number
        if _overflow(code, arena, group, record, record, one):
            arena[p.A_FAULT_COLUMN] = code[one + 1]
            return True
    return False


@compiled
def _ready(code: Int64, arena: Int64, table: Int64, words: Int64, group: int, records: int) -> int:
    """Brings a key up to an event's instant and writes the event unseen; answers like `append`."""
    at, record = words[0], arena[records]
    if record == 0:
        lacking = lacks(arena, code[group + p.G_RECORD])
        if lacking > 0:
            return lacking
        record = arena[p.A_TOP]
        arena[p.A_TOP] += code[group + p.G_RECORD]
        hand = code[group + p.G_HAND]
        arena[record + p.R_NEXT] = arena[hand]
        arena[hand] = record
        arena[records] = record
    if arena[record + p.R_BLOCK] != 0:
        settle(code, arena, table, group, record, at)
        advance(code, arena, table, group, record, at)
    lacking = make_room(code, arena, group, record)
    if lacking > 0:
        return lacking
    _write(code, arena, words, group, record)
    arena[code[group + p.G_HAND] + 2] = record
    if _faulty(code, arena, group, record):
        arena[p.A_FAULT_GROUP] = code[group + p.G_PLACE]
        return TOO_LARGE
    return ROOMY


@compiled
def _enter(code: Int64, arena: Int64, table: Int64, words: Int64, entry: int) -> int:
    """Writes an event unseen for all groups of one key; answers like `append`."""
    groups, at = code[entry + p.E_GROUPS], code[entry + p.E_GROUPS_AT]
    for place in range(groups):
        arena[code[code[at + 2 * place] + p.G_HAND] + 2] = 0
    entity = _entity(code, table, words, entry)
    if entity < 0:
        return ROOMY
    if entity == 0:
        lacking = lacks(arena, code[entry + p.E_KEYS] + code[entry + p.E_PLACES])
        if lacking > 0:
            return lacking
        entity = _new_entity(code, arena, table, words, entry)
    outcome = ROOMY
    for place in range(groups):
        if outcome == ROOMY:
            outcome = _ready(code, arena, table, words, code[at + 2 * place], entity + code[at + 2 * place + 1])
    return outcome


@compiled
def _commit(code: Int64, arena: Int64, table: Int64, at: int, walk: int) -> None:
    """Counts in what was written for every group, and lets two idle keys of each go."""
    for number in range(code[walk + p.PASS_ENTITIES]):
        entry = walk + p.PASS_ENTRIES + number * p.ENTITY_WORDS
        for place in range(code[entry + p.E_GROUPS]):
            group = code[code[entry + p.E_GROUPS_AT] + 2 * place]
            record = arena[code[group + p.G_HAND] + 2]
            if record != 0:
                arena[arena[record + p.R_BLOCK] + p.B_NEXT] += 1
                arena[p.A_OWED] += code[group + p.G_INSERTS]
            sweep_next(code, arena, table, group, at)
            sweep_next(code, arena, table, group, at)


@compiled
def unseen(code: Int64, arena: Int64, table: Int64, words: Int64, walk: int) -> int:
    """Writes an event where nobody sees it and the next one is written over it; answers like `append`."""
    outcome = ROOMY
    for number in range(code[walk + p.PASS_ENTITIES]):
        if outcome == ROOMY:
            outcome = _enter(code, arena, table, words, walk + p.PASS_ENTRIES + number * p.ENTITY_WORDS)
    return outcome


@compiled
def append(code: Int64, arena: Int64, table: Int64, words: Int64, walk: int) -> int:
    """Takes in an event, unseen until a later instant; there is room for it in the table.

    Answers ROOMY when done; how many words the arena lacks, when the call has to be made again with more room;
    TOO_LARGE when sums would overflow, with the group and measure in the arena. Unless done, the event is not in.
    """
    outcome = unseen(code, arena, table, words, walk)
    if outcome == ROOMY:
        _commit(code, arena, table, words[0], walk)
        for number in range(code[walk + p.PASS_RINGS]):
            offer(code, arena, words, code[walk + p.PASS_RINGS_AT] + p.O_WORDS * number)
    return outcome


@compiled
def _statistic(arena: Int64, kind: int, at: int) -> float:
    """Count, sum, mean or deviation of a tally."""
    number = arena[at]
    if kind == p.COUNT:
        return float(number)
    if kind == p.SUM:
        return float(arena[at + 1])
    if kind == p.MEAN:
        return float(arena[at + 1]) / float(number) if number > 0 else np.nan
    if number > 1:
        return deviation(float(number), float(arena[at + 1]), float(arena[at + 2]))
    return np.nan


@compiled
def _extreme(code: Int64, arena: Int64, group: int, block: int, one: int) -> float:
    """The value at the head of a queue, past the events that the window does not see."""
    low, head = arena[block + p.B_LOW + code[one + 2]], block + code[one + 3]
    queue = queue_of(code, arena, group, block, code[one + 4])
    left, right = arena[head], arena[head] + arena[head + 1]
    end = right
    while left < right:
        middle = (left + right) // 2
        if arena[queue + middle] < low:
            left = middle + 1
        else:
            right = middle
    if left == end:
        return np.nan
    return float(arena[row_of(code, arena, group, block, arena[queue + left]) + code[one + 6]])


@compiled
def _part(part: int, whole: int) -> float:
    return float(part) / float(whole) if whole > 0 else np.nan


@compiled
def _remembered(arena: Int64, kind: int, at: int, kept: int) -> float:
    """The lasting extreme or moment at a place of a record."""
    if arena[kept] == 0:
        return np.nan
    if kind == p.EXTREME:
        return float(arena[kept + 1])
    if kind == p.LAST:
        return float(arena[kept + 3])
    return float((at - arena[kept + (2 if kind == p.SINCE else 1)]) // _SECOND)


@compiled
def _lasting(code: Int64, arena: Int64, record: int, at: int, one: int) -> float:
    """An answer from what is never forgotten."""
    kind, kept, events = code[one], record + code[one + 3], arena[record + p.R_EVENTS]
    if kind == p.COUNT and code[one + 3] < 0:
        return float(events)
    if kind <= p.STD:
        return _statistic(arena, kind, kept)
    if kind == p.SHARE:
        return _part(arena[kept], events)
    if kind == p.DISTINCT:
        return float(min(arena[kept], code[one + 5]))
    return _remembered(arena, kind, at, kept)


@compiled
def _spread(code: Int64, arena: Int64, group: int, block: int, one: int) -> float:
    number = arena[block + code[one + 3]]
    return spread(number, chain_of(code, arena, group, block, code[one + 4])) if number > 0 else np.nan


@compiled
def _windowed(code: Int64, arena: Int64, group: int, block: int, one: int) -> float:
    """An answer from what a window sees."""
    kind, kept = code[one], block + code[one + 3]
    events = arena[block + p.B_HIGH] - arena[block + p.B_LOW + code[one + 2]]
    if kind == p.COUNT and code[one + 3] < 0:
        return float(events)
    if kind <= p.STD:
        return _statistic(arena, kind, kept)
    if kind == p.SHARE:
        return _part(arena[kept], events)
    if kind == p.DISTINCT:
        return float(min(arena[kept], code[one + 5]) if code[one + 5] > 0 else arena[kept])
    return _spread(code, arena, group, block, one) if kind == p.ENTROPY else _extreme(code, arena, group, block, one)


@compiled
def entities_of(code: Int64, arena: Int64, table: Int64, words: Int64, walk: int) -> Int64:
    """Where the lists of records of all keys stand, as `_entity` says; all that will be read of them is on its way."""
    number = code[walk + p.PASS_ENTITIES]
    found = np.empty(number, np.int64)
    for place in range(number):
        entry = walk + p.PASS_ENTRIES + place * p.ENTITY_WORDS
        first = words[code[code[entry + p.E_KEYS_AT]]] if code[entry + p.E_KEYS] > 0 else np.int64(0)
        if first > 0 and code[entry + p.E_KEYS] == 1:
            prefetch(arena, first)
        elif first > 0:
            second = words[code[code[entry + p.E_KEYS_AT] + 1]]
            prefetch(table, home_of(table, _pair(code, entry, 1, first), second))
    for place in range(number):
        found[place] = _entity(code, table, words, walk + p.PASS_ENTRIES + place * p.ENTITY_WORDS)
    fetch_ahead(code, arena, table, walk, found)
    return found


@compiled
def answers(code: Int64, arena: Int64, table: Int64, words: Int64, walk: int, answer: Doubles) -> None:
    """Writes every operation's output as of an instant, null as NaN."""
    at = words[0]
    entities = entities_of(code, arena, table, words, walk)
    for number in range(code[walk + p.PASS_ENTITIES]):
        entry = walk + p.PASS_ENTRIES + number * p.ENTITY_WORDS
        entity = entities[number]
        for place in range(code[entry + p.E_GROUPS]):
            group = code[code[entry + p.E_GROUPS_AT] + 2 * place]
            record = arena[entity + code[code[entry + p.E_GROUPS_AT] + 2 * place + 1]] if entity > 0 else np.int64(0)
            block = arena[record + p.R_BLOCK] if record != 0 else np.int64(0)
            if block != 0:
                settle(code, arena, table, group, record, at)
                advance(code, arena, table, group, record, at)
            for operation in range(code[group + p.G_OPERATIONS]):
                one = code[group + p.G_OPERATIONS_AT] + 7 * operation
                kind, output = code[one], code[one + 1]
                if record != 0 and code[one + 2] < 0:
                    answer[output] = _lasting(code, arena, record, at, one)
                elif block != 0 and code[one + 2] >= 0:
                    answer[output] = _windowed(code, arena, group, block, one)
                else:
                    zero = entity >= 0 and (kind == p.COUNT or kind == p.SUM or kind == p.DISTINCT)  # noqa: PLR1714
                    answer[output] = 0.0 if zero else np.nan
    for number in range(code[walk + p.PASS_RINGS]):
        answer_rings(code, arena, words, code[walk + p.PASS_RINGS_AT] + p.Q_WORDS * number, answer)
