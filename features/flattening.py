"""Writes the program of a plan: the passes of logs and questions, and the description of every group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from features.layout import Layout
from features.log import GAP
from features.program import (
    A_REST,
    ABOVE,
    AMONG,
    AT_LEAST,
    AT_MOST,
    BELOW,
    EQUAL,
    G_CHAINS,
    G_FLAGS,
    G_HAND,
    G_HEAD,
    G_INSERTS,
    G_PLACE,
    G_QUEUES,
    G_RECORD,
    G_ROW,
    GROUP_WORDS,
    SIZES,
    UNEQUAL,
    Program,
    Word,
    asking_words,
    columns_by_log,
    network_places,
    operands_of,
    tested,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.log import Where
    from features.plan import Group, Plan

_TESTS: Final = {
    "==": EQUAL,
    "!=": UNEQUAL,
    "<": BELOW,
    "<=": AT_MOST,
    ">": ABOVE,
    ">=": AT_LEAST,
    "in": AMONG,
}


def flatten(plan: Plan, codes: dict[tuple[str, str], int]) -> Program:
    """Writes the program of a plan; `codes` stands for the texts of `texts_of`, by column and text."""
    writer = Writer(codes)
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
    logs = columns_by_log(plan)
    appends = {log: writer.walk(plan, entities, starts, words_of(plan, log), log) for log in logs}
    own = {log: writer.walk(plan, entities, starts, asking_words(plan, log), None) for log in logs}
    questions = writer.walk(plan, entities, starts, asking_words(plan, None), None)
    return Program(
        code=np.array(writer.code, np.int64),
        appends=appends,
        own=own,
        questions=questions,
        starts=tuple(starts),
    )


def _sizes() -> list[int]:
    sizes = [8]
    while len(sizes) < SIZES and sizes[-1] < 1 << 40:
        sizes.append(max(sizes[-1] + 4, sizes[-1] * 5 // 4 // 4 * 4))
    return sizes


class Writer:
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
        networks = self._asked(plan, words) if log is None else self._offered(plan, words, log)
        networks_at = self.entries(networks)
        place = len(self.code)
        self.code += [inserts, len(entries), sum(entry[3] for entry in entries), len(networks), networks_at]
        self.entries(entries)
        return place

    def _offered(self, plan: Plan, words: tuple[Word, ...], log: str) -> list[tuple[int, ...]]:
        """What an event of a log offers each network."""
        found: list[tuple[int, ...]] = []
        for place, ring in zip(network_places(plan), plan.rings, strict=False):
            edges = [
                tuple(
                    word
                    for kind, column in zip(edge.kinds, edge.columns, strict=True)
                    for word in (kind, 1 + words.index(Word(column, coded=True)))
                )
                for edge in ring.edges
                if edge.log == log
            ]
            marks: list[tuple[int, ...]] = []
            if ring.marks is not None and ring.marks.log == log:
                about = 1 + words.index(Word(ring.marks.column, coded=True))
                marks = [(ring.marks.kind, about, *self.test(ring.marks.bad, words))]
            found.append((place, len(edges), self.entries(edges), len(marks), self.entries(marks)))
        return found

    def _asked(self, plan: Plan, words: tuple[Word, ...]) -> list[tuple[int, ...]]:
        """What a question wants of each network."""
        found: list[tuple[int, ...]] = []
        first = sum(len(group.operations) for group in plan.groups)
        for place, ring in zip(network_places(plan), plan.rings, strict=False):
            keys = [(ring.kinds.index(key), 1 + words.index(Word(key, coded=True))) for key in ring.keys]
            outputs = [(one.key, one.slot) for one in ring.outputs]
            found.append((place, len(keys), self.entries(keys), len(outputs), self.entries(outputs), first))
            first += len(outputs)
        return found

    def test(self, where: Where, words: tuple[Word, ...]) -> tuple[int, ...]:
        """A condition: the word it looks at or -1 for the gap, the test, and what it compares with."""
        operands = [
            (self._codes[where.column, one] if isinstance(one, str) else int(one),) for one in operands_of(where)
        ]
        source = -1 if where.column == GAP else 1 + words.index(tested(where))
        return (source, _TESTS[where.test], len(operands), self.entries(operands))

    def group(self, group: Group, number: int, words: tuple[Word, ...], outputs: dict[str, int]) -> int:
        """Writes a group and gives its place."""
        layout = Layout(group, words, self._fields)
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
