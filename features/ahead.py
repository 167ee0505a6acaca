"""What a question will read of its keys, fetched ahead: all records, then all blocks, then the events that matter."""

# mypy: disable-error-code="no-any-return, arg-type, return-value"
# To mypy an element of an array is a numpy scalar; to the compiler it is an integer like any other.

from __future__ import annotations

from typing import Final

import numpy as np

from features import program as p
from features.blocks import home_of, row_of
from features.kernel import Int64, compiled
from features.prefetch import prefetch

_LINE: Final = 8
"""Words of a cache line."""


@compiled
def _lines(arena: Int64, start: int, words: int) -> None:
    for word in range(0, words + _LINE - 1, _LINE):
        prefetch(arena, start + word)


@compiled
def fetch_ahead(code: Int64, arena: Int64, table: Int64, walk: int, entities: Int64) -> None:
    """Starts to fetch all that a pass will read.

    Args:
        code: The program.
        arena: Of the state.
        table: Of the state.
        walk: The pass.
        entities: For each of its keys where the list of its records stands; 0 or less for none.
    """
    held = np.empty((code[walk + p.PASS_GROUPS], 2), np.int64)
    number = 0
    for key in range(code[walk + p.PASS_ENTITIES]):
        entry = walk + p.PASS_ENTRIES + key * p.ENTITY_WORDS
        at = code[entry + p.E_GROUPS_AT]
        for place in range(code[entry + p.E_GROUPS] if entities[key] > 0 else 0):
            record = arena[entities[key] + code[at + 2 * place + 1]]
            if record != 0:
                held[number, 0], held[number, 1] = code[at + 2 * place], record
                _lines(arena, record, code[held[number, 0] + p.G_RECORD])
                number += 1
    for one in range(number):
        block = arena[held[one, 1] + p.R_BLOCK]
        if block != 0:
            _lines(arena, block, code[held[one, 0] + p.G_HEAD])
    for one in range(number):
        _fetch_events(code, arena, held[one, 0], arena[held[one, 1] + p.R_BLOCK])
    for one in range(number):
        _fetch_values(code, arena, table, held[one, 0], held[one, 1])


@compiled
def _fetch_events(code: Int64, arena: Int64, group: int, block: int) -> None:
    """The events at which windows stand, and the one that waits to be seen."""
    if block != 0:
        for window in range(code[group + p.G_WINDOWS]):
            prefetch(arena, row_of(code, arena, group, block, arena[block + p.B_LOW + window]))
        _lines(arena, row_of(code, arena, group, block, arena[block + p.B_HIGH]), code[group + p.G_ROW])


@compiled
def _fetch_values(code: Int64, arena: Int64, table: Int64, group: int, record: int) -> None:
    """What the table knows of the values of the event that waits to be seen."""
    block = arena[record + p.R_BLOCK]
    if block == 0 or arena[block + p.B_HIGH] == arena[block + p.B_NEXT]:
        return
    row = row_of(code, arena, group, block, arena[block + p.B_HIGH])
    for number in range(code[group + p.G_DIFFERENT]):
        one = code[group + p.G_DIFFERENT_AT] + 6 * number
        prefetch(table, home_of(table, (record << 12) | code[one + 3], arena[row + code[one]]))
    for number in range(code[group + p.G_SPREADS]):
        one = code[group + p.G_SPREADS_AT] + 6 * number
        prefetch(table, home_of(table, (record << 12) | code[one + 2], arena[row + code[one]]))
