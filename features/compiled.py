"""The evaluator that serves: ids become codes, events become words, and `features.arena` does the rest."""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.errors import DataError
from features import arena as machine
from features.blocks import rehash
from features.program import A_FAULT_COLUMN, A_FAULT_GROUP, A_TOP, NULL, Word, flatten, start_of, texts_of, words_of
from features.sliding import sweep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from features.kernel import Doubles
    from features.plan import Plan
    from features.reference import Value

_ARENA: Final = 1 << 14
_TABLE: Final = 3 * (1 << 10)


class CompiledEvaluator:
    """Flat arrays and one compiled call an event or question; ids are looked up in plain dictionaries.

    Attributes:
        arena: Blocks and records; see `features.program`.
        table: The hash table beside it.
        codes: For each column whose values are only compared, a code for each value met. The code of what is a key by
            itself is the place of its records in the arena.
    """

    def __init__(self, plan: Plan) -> None:
        """Nothing is known yet."""
        self._plan = plan
        self.arena = np.zeros(_ARENA, np.int64)
        self.table = np.zeros(_TABLE, np.int64)
        self.arena[A_TOP] = start_of(plan)
        self._places = Counter(group.key[0] for group in plan.groups if len(group.key) == 1)
        words = {log: words_of(plan, log) for log in plan.columns_by_log}
        coded = [word.column for one in words.values() for word in one if word.coded]
        self.codes: dict[str, dict[Value, int]] = {column: {} for column in (*plan.keys, *coded)}
        texts = {(column, text): self._new(column, text) for column, all_ in texts_of(plan).items() for text in all_}
        self._program = flatten(plan, texts)
        self._events = {log: self._packing(words[log], plan.columns_by_log[log]) for log in words}
        self._question = self._packing(tuple(Word(column, coded=True) for column in plan.keys), plan.keys)
        longest = max(len(packing) for packing in (*self._events.values(), self._question))
        self._buffer = np.zeros(1 + longest, np.int64)
        self._bytes = memoryview(self._buffer).cast("B")  # type: ignore[arg-type] # an array is a buffer
        self._layouts = [struct.Struct(f"{1 + words}q") for words in range(longest + 1)]

    def append(self, log: str, at: int, values: Sequence[Value]) -> None:
        """Takes in an event; questions of its own instant will not see it.

        Raises:
            DataError: When what is added up would overflow; the event is not taken in.
        """
        words = [at]
        for place, codes, column in self._events[log]:
            value = values[place]
            if value is None:
                words.append(NULL)
            elif codes is None:
                words.append(value)  # type: ignore[arg-type] # the intake let only integers pass
            else:
                code = codes.get(value)
                words.append(self._new(column, value) if code is None else code)
        self._layouts[len(words) - 1].pack_into(self._bytes, 0, *words)
        walk, code_ = self._program.appends[log], self._program.code
        while outcome := machine.append(code_, self.arena, self.table, self._buffer, walk):
            if outcome == machine.TOO_LARGE:
                raise DataError(self._overflow(log))
            if outcome == machine.TABLE_FULL:
                larger = np.zeros(2 * len(self.table), np.int64)
                rehash(self.table, larger)
                self.table = larger
            else:
                self._widen(outcome)

    def answers(self, at: int, keys: Sequence[Value], answer: Doubles) -> None:
        """Writes every operation's output as of an instant, before rounding; null as NaN."""
        words = [at]
        for place, codes, _ in self._question:
            value = keys[place]
            words.append(NULL if value is None else codes.get(value, 0) if codes else 0)
        self._layouts[len(words) - 1].pack_into(self._bytes, 0, *words)
        machine.answers(self._program.code, self.arena, self.table, self._buffer, self._program.questions, answer)

    def sweep(self, at: int) -> None:
        """Takes the blocks of all keys away of which no window sees anything; their records stay."""
        for group in self._program.starts:
            sweep(self._program.code, self.arena, self.table, group, at)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All it knows, as flat arrays."""
        found: dict[str, NDArray[Any]] = {
            "program": self._program.code,
            "arena": self.arena[: int(self.arena[A_TOP])],
            "table": self.table,
        }
        for column, codes in self.codes.items():
            found |= _listed(column, codes)
        return found

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes over what `arrays` gave.

        Raises:
            DataError: When it was written by an engine that lays its memory out differently.
        """
        if not np.array_equal(arrays["program"], self._program.code):
            raise DataError("the snapshot's memory is laid out differently; rebuild the state from the event log")
        self.arena = np.zeros(max(_ARENA, len(arrays["arena"]) * 5 // 4), np.int64)
        self.arena[: len(arrays["arena"])] = arrays["arena"]
        self.table = np.array(arrays["table"])
        for column, codes in self.codes.items():
            codes.clear()
            codes.update(_unlisted(column, arrays))

    def _packing(
        self, words: tuple[Word, ...], columns: tuple[str, ...]
    ) -> list[tuple[int, dict[Value, int] | None, str]]:
        """Where each word comes from, and the codes of its column if it is one."""
        return [(columns.index(one.column), self.codes[one.column] if one.coded else None, one.column) for one in words]

    def _new(self, column: str, value: Value) -> int:
        """A code for a value met for the first time."""
        places = self._places[column]
        known = self.codes[column]
        if not places:
            known[value] = len(known) + 1
        else:
            lacking = int(self.arena[A_TOP]) + places - len(self.arena)
            if lacking > 0:
                self._widen(lacking)
            known[value] = int(self.arena[A_TOP])
            self.arena[A_TOP] += places
        return known[value]

    def _widen(self, lacking: int) -> None:
        wider = np.zeros(max(2 * len(self.arena), len(self.arena) + lacking), np.int64)
        wider[: len(self.arena)] = self.arena
        self.arena = wider

    def _overflow(self, log: str) -> str:
        group = self._plan.groups[int(self.arena[A_FAULT_GROUP])]
        column = group.measures[int(self.arena[A_FAULT_COLUMN])].column
        return (
            f"an event of log {log}, column {column}: the values or squares of one {' and '.join(group.key) or 'log'} "
            f"add up to {float(1 << 62):.3g} or more, expected less; "
            "state the column in a larger unit or mend the values that are out of bounds"
        )


def _listed(column: str, codes: Mapping[Value, int]) -> dict[str, NDArray[Any]]:
    """The values of a column end to end, where each ends, and their codes."""
    found: dict[str, NDArray[Any]] = {f"{column} codes": np.fromiter(codes.values(), np.int64, len(codes))}
    if all(isinstance(value, int) for value in codes):
        return found | {f"{column} numbers": np.array(list(codes), np.int64)}
    texts = [str(value) for value in codes]
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    return found | {f"{column} texts": np.frombuffer("".join(texts).encode(), np.uint8), f"{column} ends": ends}


def _unlisted(column: str, arrays: Mapping[str, NDArray[Any]]) -> Iterator[tuple[Value, int]]:
    codes = arrays[f"{column} codes"].tolist()
    if f"{column} numbers" in arrays:
        return zip(arrays[f"{column} numbers"].tolist(), codes, strict=True)
    whole, ends = arrays[f"{column} texts"].tobytes().decode(), arrays[f"{column} ends"].tolist()
    texts = [whole[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return zip(texts, codes, strict=True)
