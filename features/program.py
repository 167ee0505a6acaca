"""The plan as one flat array of integers: what the compiled live state is told to do for each log and each question.

Everything is an offset. A *group* has a description at the constants ``G_*``, each a length or the place of a list of
entries. A *key* has, for each group, a *record* that is never forgotten and, while a window can see something of it, a
*block* with its events. An event or question comes as *words*: its instant, then one integer a column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from features.feature import Operator
from features.log import GAP

if TYPE_CHECKING:
    from features.kernel import Int64
    from features.log import Where
    from features.plan import Plan

NULL: Final = -(1 << 63)
"""The word of a null; integers are smaller in size."""

_ADDING: Final = frozenset({Operator.SUM, Operator.MEAN, Operator.STD})

# The operators of a group's questions; the first four as in `kernel.totals`.
COUNT, SUM, MEAN, STD, SHARE, DISTINCT, ENTROPY, EXTREME, LAST, SINCE, SINCE_FIRST = range(11)
EQUAL, UNEQUAL, BELOW, AT_MOST, ABOVE, AT_LEAST, AMONG = range(7)
NUMBER, TOTAL, SQUARE = 1, 3, 7

# The program begins with the sizes of blocks that the arena hands out.
P_SIZES = 0
P_SIZES_AT = 1

# A pass: the work for an event of one log, or for a question. Then one entry of ENTITY_WORDS for each key.
PASS_INSERTS, PASS_ENTITIES, PASS_GROUPS, PASS_RINGS, PASS_RINGS_AT, PASS_ENTRIES = range(6)
E_NUMBER, E_KEYS, E_KEYS_AT, E_GROUPS, E_GROUPS_AT, E_PLACES, ENTITY_WORDS = range(7)

# A network in a pass: what an event of a log offers it, or what a question wants of it.
O_BASE, O_EDGES, O_EDGES_AT, O_MARKS, O_MARKS_AT, O_WORDS = range(6)
Q_BASE, Q_KEYS, Q_KEYS_AT, Q_OUTPUTS, Q_OUTPUTS_AT, Q_FIRST, Q_WORDS = range(7)

G_COLUMNS, G_COLUMNS_AT = 0, 1
G_MEASURES, G_MEASURES_AT = 2, 3
G_CONDITIONS, G_CONDITIONS_AT = 4, 5
G_WINDOWS, G_WINDOWS_AT = 6, 7
G_TALLIES, G_TALLIES_AT = 8, 9
G_LASTING_TALLIES, G_LASTING_TALLIES_AT = 10, 11
G_DIFFERENT, G_DIFFERENT_AT = 12, 13
G_SPREADS, G_SPREADS_AT = 14, 15
G_EXTREMES, G_EXTREMES_AT = 16, 17
G_LASTING_EXTREMES, G_LASTING_EXTREMES_AT = 18, 19
G_MOMENTS, G_MOMENTS_AT = 20, 21
G_CAPPED, G_CAPPED_AT = 22, 23
G_OPERATIONS, G_OPERATIONS_AT = 24, 25
G_ROW, G_FLAGS, G_HEAD, G_QUEUES, G_CHAINS, G_RECORD, G_HAND, G_INSERTS, G_PLACE, GROUP_WORDS = range(26, 36)

# The arena's own words. From A_FREE on one list of free blocks a size, then three words a group, the records of no key,
# what `features.ring_state` keeps of each network, and the rest.
A_TOP, A_USED, A_OWED, A_FAULT_GROUP, A_FAULT_COLUMN, A_BLOCKS, A_KEY, A_CODES, A_TURN = range(9)
A_FREE = 10
SIZES = 160
A_REST = A_FREE + SIZES

NETWORK_WORDS: Final = 6
"""What the arena keeps of a network, beside one word a generation."""

R_NEXT, R_BLOCK, R_LATEST, R_EVENTS, R_LASTING = range(5)
B_ROOM, B_FIRST, B_HIGH, B_NEXT, B_SIZE, B_LOW = range(6)

BITS: Final = 64
"""Flags in a word of them."""


@dataclass(frozen=True)
class Program:
    """A plan made flat.

    Attributes:
        code: The program.
        appends: Where the pass of each log's events begins.
        own: Where the pass of the questions begins that each log's events ask for their own keys.
        questions: Where the pass of a row's question begins.
        starts: Where the description of each group begins.
    """

    code: Int64
    appends: dict[str, int]
    own: dict[str, int]
    questions: int
    starts: tuple[int, ...]


class Word(NamedTuple):
    """A column of an event as a word: its number, or the code that stands for its value."""

    column: str
    coded: bool


def words_of(plan: Plan, log: str) -> tuple[Word, ...]:
    """The words of an event after its instant: keys first, then what its groups read."""
    groups = [group for group in plan.groups if group.log == log]
    words = [Word(column, coded=True) for group in groups for column in group.key]
    for group in groups:
        for measure in group.measures:
            words += [Word(measure.column, coded=measure.coded)] if measure.column not in (None, GAP) else []
            words += [tested(measure.where)] if measure.where is not None and measure.where.column != GAP else []
    for ring in plan.rings:
        words += [Word(column, coded=True) for edge in ring.edges if edge.log == log for column in edge.columns]
        if ring.marks is not None and ring.marks.log == log:
            words += [Word(ring.marks.column, coded=True), tested(ring.marks.bad)]
    return tuple(dict.fromkeys(words))


def asking_words(plan: Plan, log: str | None) -> tuple[Word, ...]:
    """The words of an event that asks for its own keys, those that only its own pass needs first; or of a row."""
    keys = [Word(column, coded=True) for column in plan.row_keys]
    return tuple(dict.fromkeys((*(() if log is None else words_of(plan, log)), *keys)))


def columns_by_log(plan: Plan) -> dict[str, tuple[str, ...]]:
    """For each log what an event of it must have: the columns that groups read, then those that only rings do."""
    found = plan.columns_by_log
    for ring in plan.rings:
        for log, columns in ring.columns_by_log.items():
            found[log] = tuple(dict.fromkeys((*found.get(log, ()), *columns)))
    return found


def added_up(plan: Plan) -> dict[str, dict[str, bool]]:
    """For each log the columns of its events whose values are added up, and whether their squares are, too."""
    found: dict[str, dict[str, bool]] = {}
    for group in plan.groups:
        for one in group.operations:
            column = group.measures[one.measure].column
            if one.operator in _ADDING and column is not None and column != GAP:
                columns = found.setdefault(group.log, {})
                columns[column] = columns.get(column, False) or one.operator is Operator.STD
    return found


def texts_of(plan: Plan) -> dict[str, tuple[str, ...]]:
    """The texts that conditions compare with, by column: codes for them have to exist before the first event."""
    found: dict[str, dict[str, None]] = {}
    conditions = [measure.where for group in plan.groups for measure in group.measures if measure.where is not None]
    for where in (*conditions, *(ring.marks.bad for ring in plan.rings if ring.marks is not None)):
        texts = [one for one in operands_of(where) if isinstance(one, str)]
        found.setdefault(where.column, {}).update(dict.fromkeys(texts))
    return {column: tuple(texts) for column, texts in found.items() if texts}


def network_places(plan: Plan) -> list[int]:
    """Where the arena keeps the words of each network, and the first word that is nobody's."""
    found = [A_REST + 3 * len(plan.groups) + sum(not group.key for group in plan.groups)]
    for ring in plan.rings:
        found.append(found[-1] + NETWORK_WORDS + ring.generations)
    return found


def tested(where: Where) -> Word:
    """The word that a condition looks at."""
    return Word(where.column, coded=isinstance(operands_of(where)[0], str))


def operands_of(where: Where) -> tuple[Any, ...]:
    """What a condition compares with, always as a tuple."""
    return where.operand if isinstance(where.operand, tuple) else (where.operand,)
