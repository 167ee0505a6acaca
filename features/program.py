"""The plan as one flat array of integers: what the compiled live state is told to do for each log and each question.

Everything is an offset. A *group* has a description at the constants ``G_*``, each a length or the place of a list of
entries. A *key* has, for each group, a *record* that is never forgotten and, while a window can see something of it, a
*block* with its events. An event or question comes as *words*: its instant, then one integer a column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from features.feature import Operator
from features.kernel import FOREVER, Int64
from features.log import GAP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.plan import Group, Measure, Operation, Plan

NULL: Final = -(1 << 63)
"""The word of a null; integers are smaller in size."""

# The operators of a group's questions; the first four as in `kernel.totals`.
COUNT, SUM, MEAN, STD, SHARE, DISTINCT, ENTROPY, EXTREME, LAST, SINCE, SINCE_FIRST = range(11)
EQUAL, UNEQUAL, BELOW, AT_MOST, ABOVE, AT_LEAST, AMONG = range(7)
NUMBER, TOTAL, SQUARE = 1, 3, 7

# The program begins with the sizes of blocks that the arena hands out.
P_SIZES = 0
P_SIZES_AT = 1

# A pass: the work for an event of one log, or for a question. Then one entry of ENTITY_WORDS for each key.
PASS_INSERTS = 0
PASS_ENTITIES = 1
PASS_ENTRIES = 2
E_NUMBER, E_KEYS, E_KEYS_AT, E_GROUPS, E_GROUPS_AT, E_PLACES, ENTITY_WORDS = range(7)

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

# The arena's own words. From A_FREE on one list of free blocks a size, then two words a group, then the rest.
A_TOP, A_USED, A_OWED, A_FAULT_GROUP, A_FAULT_COLUMN, A_BLOCKS = range(6)
A_FREE = 8
SIZES = 160
A_REST = A_FREE + SIZES

R_NEXT, R_BLOCK, R_LATEST, R_EVENTS, R_LASTING = range(5)
B_ROOM, B_FIRST, B_HIGH, B_NEXT, B_SIZE, B_LOW = range(6)

BITS: Final = 64
"""Flags in a word of them."""


@dataclass(frozen=True)
class Program:
    """A plan made flat.

    Attributes:
        code: The program.
        appends: Where the pass of each log begins.
        questions: Where the pass of a question begins.
        starts: Where the description of each group begins.
    """

    code: Int64
    appends: dict[str, int]
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
            words += [_tested(measure)] if measure.where is not None and measure.where.column != GAP else []
    return tuple(dict.fromkeys(words))


def texts_of(plan: Plan) -> dict[str, tuple[str, ...]]:
    """The texts that conditions compare with, by column: codes for them have to exist before the first event."""
    found: dict[str, dict[str, None]] = {}
    for group in plan.groups:
        for measure in group.measures:
            if measure.where is not None:
                texts = [one for one in _operands(measure) if isinstance(one, str)]
                found.setdefault(measure.where.column, {}).update(dict.fromkeys(texts))
    return {column: tuple(texts) for column, texts in found.items() if texts}


def start_of(plan: Plan) -> int:
    """The first word of the arena that is not its own: after the hands of its groups and the records of no key."""
    return A_REST + 3 * len(plan.groups) + sum(not group.key for group in plan.groups)


def flatten(plan: Plan, codes: dict[tuple[str, str], int]) -> Program:
    """Writes the program of a plan; `codes` stands for the texts of `texts_of`, by column and text."""
    writer = _Writer(codes)
    sizes = _sizes()
    writer.code += [len(sizes), 2, *sizes]
    entities: dict[tuple[str, ...], list[int]] = {}
    for number, group in enumerate(plan.groups):
        entities.setdefault(group.key, []).append(number)
    outputs = [operation.output for group in plan.groups for operation in group.operations]
    places = {name: place for place, name in enumerate(outputs)}
    starts = [
        writer.group(group, number, words_of(plan, group.log), places) for number, group in enumerate(plan.groups)
    ]
    appends = {log: writer.walk(plan, entities, starts, words_of(plan, log), log) for log in plan.columns_by_log}
    questions = writer.walk(plan, entities, starts, tuple(Word(column, coded=True) for column in plan.keys), None)
    return Program(
        code=np.array(writer.code, np.int64),
        appends=appends,
        questions=questions,
        starts=tuple(starts),
    )


def _sizes() -> list[int]:
    sizes = [8]
    while len(sizes) < SIZES and sizes[-1] < 1 << 40:
        sizes.append(max(sizes[-1] + 4, sizes[-1] * 5 // 4 // 4 * 4))
    return sizes


def _tested(measure: Measure) -> Word:
    where = measure.where
    if where is None:
        raise ValueError(measure)
    return Word(where.column, coded=isinstance(_operands(measure)[0], str))


def _operands(measure: Measure) -> tuple[Any, ...]:
    operand = measure.where.operand if measure.where is not None else ()
    return operand if isinstance(operand, tuple) else (operand,)


_TESTS: Final = {
    "==": EQUAL,
    "!=": UNEQUAL,
    "<": BELOW,
    "<=": AT_MOST,
    ">": ABOVE,
    ">=": AT_LEAST,
    "in": AMONG,
}
_SUMS: Final = {
    Operator.COUNT: (COUNT, NUMBER),
    Operator.SUM: (SUM, TOTAL),
    Operator.MEAN: (MEAN, TOTAL),
    Operator.STD: (STD, SQUARE),
    Operator.SHARE: (SHARE, NUMBER),
}
_MOMENTS: Final = {Operator.LAST: LAST, Operator.SINCE: SINCE, Operator.SINCE_FIRST: SINCE_FIRST}


class _Writer:
    """Appends descriptions to the code; lists are written before what points to them."""

    def __init__(self, codes: dict[tuple[str, str], int]) -> None:
        self.code: list[int] = []
        self._codes = codes
        self._fields = 0

    def entries(self, entries: Sequence[tuple[int, ...]]) -> int:
        """Writes a list and gives its place."""
        place = len(self.code)
        self.code += [word for entry in entries for word in entry]
        return place

    def walk(
        self,
        plan: Plan,
        entities: dict[tuple[str, ...], list[int]],
        starts: list[int],
        words: tuple[Word, ...],
        log: str | None,
    ) -> int:
        """Writes the pass of a log's events, or of questions where log is None."""
        inserts = 0
        entries: list[tuple[int, ...]] = []
        for number, (key, numbers) in enumerate(entities.items()):
            wanted = [one for one in numbers if log is None or plan.groups[one].log == log]
            if not wanted:
                continue
            keys = self.entries([(1 + words.index(Word(column, coded=True)),) for column in key])
            groups = self.entries([(starts[one], entities[key].index(one)) for one in wanted])
            inserts += len(key) + sum(self.code[starts[one] + G_INSERTS] for one in wanted)
            root = A_REST + 3 * len(plan.groups) if not key else number
            entries.append((root, len(key), keys, len(wanted), groups, len(numbers)))
        place = len(self.code)
        self.code += [inserts, len(entries)]
        self.entries(entries)
        return place

    def group(self, group: Group, number: int, words: tuple[Word, ...], outputs: dict[str, int]) -> int:
        """Writes a group and gives its place."""
        layout = _Layout(group, words, self._codes, self._fields)
        for operation in group.operations:
            layout.add(operation, outputs[operation.output])
        self._fields = layout.fields
        described = [0] * GROUP_WORDS
        for slot, entries in layout.lists(self).items():
            described[slot], described[slot + 1] = len(entries), self.entries(entries)
        described[G_ROW] = 1 + layout.flag_words + len(layout.columns)
        described[G_FLAGS] = layout.flag_words
        described[G_HEAD] = layout.head
        described[G_QUEUES] = len(layout.extremes)
        described[G_CHAINS] = len(layout.spreads)
        described[G_RECORD] = layout.record
        described[G_HAND] = A_REST + 3 * number
        described[G_INSERTS] = len(layout.different) + len(layout.spreads) + len(layout.capped)
        described[G_PLACE] = number
        return self.entries([tuple(described)])


class _Layout:
    """Where a group keeps what: the words of a block's head, of a record, of an event's row."""

    def __init__(self, group: Group, words: tuple[Word, ...], codes: dict[tuple[str, str], int], fields: int) -> None:
        self.fields = fields
        self.lengths = [length for length in group.windows if length is not None]
        self.head = B_LOW + len(self.lengths)
        self.record = R_LASTING
        self._group = group
        self._words = words
        self._codes = codes
        self.columns: list[tuple[str, bool]] = list(
            dict.fromkeys((one.column, one.coded) for one in group.measures if one.column is not None)
        )
        self.tallies: dict[tuple[int, int], list[int]] = {}
        self.different: dict[int, dict[int, int]] = {}
        self.different_field: dict[int, int] = {}
        self.spreads: dict[tuple[int, int], tuple[int, ...]] = {}
        self.extremes: dict[tuple[int, bool], tuple[int, int]] = {}
        self.lasting_extremes: dict[tuple[int, bool], int] = {}
        self.moments: dict[int, int] = {}
        self.capped: dict[int, list[int]] = {}
        self.operations: list[tuple[int, ...]] = []
        self._masks()

    def _masks(self) -> None:
        """Room for the tallies, each as large as the most demanding operation over it."""
        masks: dict[tuple[int, int], int] = {}
        for one in self._group.operations:
            if one.operator in _SUMS and not self._plain(one):
                spot = (one.measure, self._window(one))
                masks[spot] = masks.get(spot, 0) | _SUMS[one.operator][1]
        for (measure, window), mask in masks.items():
            self.tallies[measure, window] = [mask, self._take(window, mask.bit_count())]

    @property
    def flag_words(self) -> int:
        """Words for one flag a measure, and one for each whose different values are counted."""
        different = {one.measure for one in self._group.operations if one.operator is Operator.DISTINCT}
        return -(-(len(self._group.measures) + len(different)) // BITS)

    def _plain(self, operation: Operation) -> bool:
        """Whether all events count, so that the events themselves are the tally."""
        measure = self._group.measures[operation.measure]
        return operation.operator is Operator.COUNT and measure.column is None and measure.where is None

    def _window(self, operation: Operation) -> int:
        return -1 if self._group.windows[operation.window] is None else operation.window

    def _take(self, window: int, number: int) -> int:
        if window < 0:
            self.record += number
            return self.record - number
        self.head += number
        return self.head - number

    def _field(self) -> int:
        self.fields += 1
        return self.fields

    def column(self, measure: int) -> int:
        """The word of a row, after its instant, that holds a measure's value; 0 where it has none."""
        one = self._group.measures[measure]
        return 0 if one.column is None else 1 + self.flag_words + self.columns.index((one.column, one.coded))

    def add(self, operation: Operation, output: int) -> None:
        """Finds room for what an operation needs and writes down how it is answered."""
        measure, window = operation.measure, self._window(operation)
        head: tuple[int, ...]
        match operation.operator:
            case Operator.COUNT | Operator.SUM | Operator.MEAN | Operator.STD | Operator.SHARE:
                offset = -1 if self._plain(operation) else self.tallies[measure, window][1]
                head = (_SUMS[operation.operator][0], offset, 0)
            case Operator.DISTINCT if window < 0:
                if measure not in self.capped:
                    self.capped[measure] = [self._field(), self._take(window, 1), 0]
                self.capped[measure][2] = max(self.capped[measure][2], operation.cap)
                head = (DISTINCT, self.capped[measure][1], 0)
            case Operator.DISTINCT:
                counters = self.different.setdefault(measure, {})
                self.different_field.setdefault(measure, self._field())
                if window not in counters:
                    counters[window] = self._take(window, 1)
                head = (DISTINCT, counters[window], 0)
            case Operator.ENTROPY:
                if (measure, window) not in self.spreads:
                    self.spreads[measure, window] = (self._field(), self._take(window, 1), len(self.spreads))
                _, offset, chain = self.spreads[measure, window]
                head = (ENTROPY, offset, chain)
            case Operator.MIN | Operator.MAX:
                head = (EXTREME, *self._extreme(measure, window, largest=operation.operator is Operator.MAX))
            case _:
                if measure not in self.moments:
                    self.moments[measure] = self._take(-1, 4)
                head = (_MOMENTS[operation.operator], self.moments[measure], 0)
        kind, offset, other = head
        lasting = -1 if kind in (LAST, SINCE, SINCE_FIRST) else window
        self.operations.append((kind, output, lasting, offset, other, operation.cap, self.column(measure)))

    def _extreme(self, measure: int, window: int, *, largest: bool) -> tuple[int, int]:
        spot = (measure, largest)
        if window < 0:
            if spot not in self.lasting_extremes:
                self.lasting_extremes[spot] = self._take(-1, 2)
            return self.lasting_extremes[spot], 0
        if spot not in self.extremes:
            self.extremes[spot] = (self._take(0, 2), len(self.extremes))
        return self.extremes[spot]

    def lists(self, writer: _Writer) -> dict[int, Sequence[tuple[int, ...]]]:
        """Everything that is done to a row, as entries."""
        tallies = [(self.column(m), m, mask, at, w) for (m, w), (mask, at) in self.tallies.items()]
        superseded = {m: len(self._group.measures) + number for number, m in enumerate(self.different)}
        different = [
            (
                self.column(m),
                m,
                superseded[m],
                self.different_field[m],
                len(counters),
                writer.entries(sorted(counters.items())),
            )
            for m, counters in self.different.items()
        ]
        spreads = [(self.column(m), m, field, at, chain, w) for (m, w), (field, at, chain) in self.spreads.items()]
        return {
            G_COLUMNS: [self._source(column, coded=coded) for column, coded in self.columns],
            G_MEASURES: [(self.column(m), self._condition(m)) for m in range(len(self._group.measures))],
            G_CONDITIONS: [self._test(measure, writer) for measure in self._conditions()],
            G_WINDOWS: [self._leaving(w, tallies, different, spreads, writer) for w in range(len(self.lengths))],
            G_TALLIES: [entry for entry in tallies if entry[4] >= 0],
            G_LASTING_TALLIES: [entry for entry in tallies if entry[4] < 0],
            G_DIFFERENT: different,
            G_SPREADS: spreads,
            G_EXTREMES: [(self.column(m), m, int(top), at, queue) for (m, top), (at, queue) in self.extremes.items()],
            G_LASTING_EXTREMES: [(self.column(m), m, int(top), at) for (m, top), at in self.lasting_extremes.items()],
            G_MOMENTS: [(self.column(m), m, at) for m, at in self.moments.items()],
            G_CAPPED: [(self.column(m), m, field, at, cap) for m, (field, at, cap) in self.capped.items()],
            G_OPERATIONS: self.operations,
        }

    def _leaving(
        self,
        window: int,
        tallies: Sequence[tuple[int, ...]],
        different: Sequence[tuple[int, ...]],
        spreads: Sequence[tuple[int, ...]],
        writer: _Writer,
    ) -> tuple[int, ...]:
        """A window's length and what an event that leaves it takes along."""
        mine = [entry for entry in tallies if entry[4] == window]
        values = [
            (entry[0], entry[1], entry[2], entry[3], counters[window], int(window == max(counters)))
            for entry, counters in zip(different, self.different.values(), strict=True)
            if window in counters
        ]
        spread = [entry for entry in spreads if entry[5] == window]
        taken: tuple[Sequence[tuple[int, ...]], ...] = (mine, values, spread)
        lists = [word for entries in taken for word in (len(entries), writer.entries(entries))]
        return (min(self.lengths[window], FOREVER), *lists)

    def _source(self, column: str, *, coded: bool) -> tuple[int, ...]:
        return (-1,) if column == GAP else (1 + self._words.index(Word(column, coded=coded)),)

    def _conditions(self) -> list[Measure]:
        """One measure for each different condition."""
        return list({one.where: one for one in self._group.measures if one.where is not None}.values())

    def _condition(self, measure: int) -> int:
        where = self._group.measures[measure].where
        return -1 if where is None else [one.where for one in self._conditions()].index(where)

    def _test(self, measure: Measure, writer: _Writer) -> tuple[int, ...]:
        where = measure.where
        if where is None:
            raise ValueError(measure)
        operands = [
            (self._codes[where.column, one] if isinstance(one, str) else int(one),) for one in _operands(measure)
        ]
        word = _tested(measure)
        source = -1 if where.column == GAP else 1 + self._words.index(word)
        return (source, _TESTS[where.test], len(operands), writer.entries(operands))
