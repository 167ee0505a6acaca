"""Where a group keeps what: the words of a block's head, of a record, of an event's row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from features.feature import Operator
from features.kernel import FOREVER
from features.log import GAP
from features.program import (
    B_LOW,
    BITS,
    COUNT,
    DISTINCT,
    ENTROPY,
    EXTREME,
    G_CAPPED,
    G_COLUMNS,
    G_CONDITIONS,
    G_DIFFERENT,
    G_EXTREMES,
    G_LASTING_EXTREMES,
    G_LASTING_TALLIES,
    G_MEASURES,
    G_MOMENTS,
    G_OPERATIONS,
    G_SPREADS,
    G_TALLIES,
    G_WINDOWS,
    LAST,
    MEAN,
    NUMBER,
    R_LASTING,
    SHARE,
    SINCE,
    SINCE_FIRST,
    SQUARE,
    STD,
    SUM,
    TOTAL,
    Word,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.flattening import Writer
    from features.log import Where
    from features.plan import Group, Operation

_SUMS: Final = {
    Operator.COUNT: (COUNT, NUMBER),
    Operator.SUM: (SUM, TOTAL),
    Operator.MEAN: (MEAN, TOTAL),
    Operator.STD: (STD, SQUARE),
    Operator.SHARE: (SHARE, NUMBER),
}
_MOMENTS: Final = {Operator.LAST: LAST, Operator.SINCE: SINCE, Operator.SINCE_FIRST: SINCE_FIRST}


class Layout:
    """Where a group keeps what: the words of a block's head, of a record, of an event's row."""

    def __init__(self, group: Group, words: tuple[Word, ...], fields: int) -> None:
        self.fields = fields
        self.lengths = [length for length in group.windows if length is not None]
        self.head = B_LOW + len(self.lengths)
        self.record = R_LASTING
        self._group = group
        self._words = words
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

    def lists(self, writer: Writer) -> dict[int, Sequence[tuple[int, ...]]]:
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
            G_CONDITIONS: [writer.test(where, self._words) for where in self._conditions()],
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
        writer: Writer,
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

    def _conditions(self) -> list[Where]:
        """The different conditions."""
        return list(dict.fromkeys(one.where for one in self._group.measures if one.where is not None))

    def _condition(self, measure: int) -> int:
        where = self._group.measures[measure].where
        return -1 if where is None else self._conditions().index(where)
