"""One compiled call for an event, for a question, or for an event that asks for its own keys and is then taken in."""

# mypy: disable-error-code="no-any-return, arg-type, return-value"
# To mypy an element of an array is a numpy scalar; to the compiler it is an integer like any other.

from __future__ import annotations

from typing import Final

from features import program as p
from features.arena import ROOMY, TOO_LARGE, answers, append, entities_of, unseen
from features.blocks import lacks
from features.door import D_GIVEN, D_NEW, D_WORDS
from features.kernel import Doubles, Int64, compiled
from features.lookup import encode, fits, identity
from features.repeats import crowded, known, note
from features.ring_state import lacks_rows

DONE: Final = ROOMY
OVERFLOW: Final = TOO_LARGE
TABLE_FULL: Final = -2
REPEATS_FULL: Final = -3
MISFIT: Final = -4
REPEATED: Final = -5
TURN: Final = -6
RING_FULL: Final = -16
"""And less by `RING_PARTS` times the number of the network and by the part of it that `ring_state.lacks_rows` names."""

RING_PARTS: Final = 1 << 8


@compiled
def _room(code: Int64, arena: Int64, table: Int64, repeats: Int64, buffer: Int64, walk: int) -> int:
    """What has to be made larger before an event is taken in; DONE when nothing."""
    places = len(table) // 3
    used = arena[p.A_USED] + code[walk + p.PASS_INSERTS] + buffer[D_WORDS]
    if 100 * used > 75 * places or 100 * (used + arena[p.A_OWED]) > 98 * places:
        return TABLE_FULL
    if crowded(repeats, 1):
        return REPEATS_FULL
    for number in range(code[walk + p.PASS_RINGS]):
        part = lacks_rows(code, arena, code[walk + p.PASS_RINGS_AT] + p.O_WORDS * number)
        if part > 0:
            return RING_FULL - RING_PARTS * number - part
    return lacks(arena, buffer[D_NEW])


@compiled
def step(  # noqa: PLR0913, PLR0917 - arrays one by one: a tuple of them costs more than the work
    code: Int64, arena: Int64, table: Int64, repeats: Int64, buffer: Int64, ask: int, take: int, answer: Doubles
) -> int:
    """Answers what a door laid in its buffer asks, then takes it in.

    Args:
        code: The program.
        arena: Of the state.
        table: Of the state.
        repeats: Of the state.
        buffer: Of the door.
        ask: Where the pass of the question begins; 0 for none.
        take: Where the pass of the event begins; 0 for none.
        answer: Filled with every output.

    Returns:
        DONE; REPEATED for an id that counted before, which is not taken in again; OVERFLOW and MISFIT when it cannot
        be; TURN when a generation of a ring ends before the instant; how many words the arena lacks, or what else is
        full. The call is made again when that was seen to.
    """
    if not fits(buffer):
        return MISFIT
    if buffer[buffer[D_GIVEN]] >= arena[p.A_TURN]:
        return TURN
    high = low = 0
    fresh = take > 0
    if take > 0:
        outcome = _room(code, arena, table, repeats, buffer, take)
        if outcome != DONE:
            return outcome
        high, low = identity(arena, buffer)
        fresh = high == 0 or not known(repeats, high, low, buffer[buffer[D_GIVEN]])
    words = encode(arena, table, buffer, fresh)
    if ask > 0:
        answers(code, arena, table, words, ask, answer)
    if not fresh:
        return REPEATED if take > 0 else DONE
    if ask == 0:
        entities_of(code, arena, table, words, take)
    outcome = append(code, arena, table, words, take)
    if outcome == DONE and high != 0:
        note(repeats, high, low, words[0])
    return outcome


@compiled
def attempt(code: Int64, arena: Int64, table: Int64, repeats: Int64, buffer: Int64, take: int) -> int:
    """Answers as `step` would on taking in an event whose id is new, and takes nothing in."""
    if not fits(buffer):
        return MISFIT
    if buffer[buffer[D_GIVEN]] >= arena[p.A_TURN]:
        return TURN
    outcome = _room(code, arena, table, repeats, buffer, take)
    if outcome != DONE:
        return outcome
    words = encode(arena, table, buffer, True)  # noqa: FBT003 - compiled
    entities_of(code, arena, table, words, take)
    return unseen(code, arena, table, words, take)
