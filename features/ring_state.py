"""Rings online: the same union-find as in batch, fed one event at a time, to the same bits.

Memory is that of the generations alive: each keeps its own nodes and is let go of whole when it ends.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from data.errors import DataError
from features.intake import microseconds
from features.union_find import (
    BAD_MARK,
    CAPACITY,
    HELD,
    MARK,
    NULL,
    PAIRS,
    STRANGER,
    forest,
    joined,
    read,
    regrown,
    set_kinds,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from features.kernel import Int32, Int64
    from features.log import Where
    from features.ring_plan import RingPlan

Value: TypeAlias = int | str
Arrays: TypeAlias = dict[str, NDArray[Any]]
Ends: TypeAlias = tuple[int, Value, int, Value]
"""Kind and id of both ends of an edge; for a verdict `MARK` or `BAD_MARK` as the second kind."""

_BEGINNING: Final = -(1 << 62)
_ROOM: Final = 64
_TESTS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, operand: value in operand,
}


class RingState:
    """The rings of one network as of now.

    An event waits until a later instant is asked about or told, so nothing sees its own instant. Repeated ids are the
    caller's to leave out.

    Attributes:
        plan: What it answers.
        clock: The latest instant it was told or asked about, in microseconds.
    """

    def __init__(self, plan: RingPlan) -> None:
        self.plan = plan
        self.clock = _BEGINNING
        self._waiting: list[Ends] = []
        self._generations: dict[int, _Generation] = {}
        self._nothing = _Generation(plan)
        self._kinds: dict[str, type] = {}
        self._names = tuple(one.output for one in plan.outputs)
        self._wanted = np.array([(one.key, one.slot) for one in plan.outputs], np.int32)
        self._answer = np.empty(len(plan.outputs), np.int32)
        self._asked = np.empty(len(plan.keys), np.int32)
        self._key_kinds = [plan.kinds.index(key) for key in plan.keys]

    def append(self, log: str, event: Mapping[str, object]) -> None:
        """Takes in an event of a log at its ``seen_at``; a log that the network does not read is passed over.

        Raises:
            DataError: When its time lies before what the state has seen, or columns are missing or hold what they
                cannot; nothing of it is taken in.
        """
        plan = self.plan
        what = f"an event of log {log}"
        at = self._forward(event.get("seen_at"), f"{what}, seen_at")
        found: list[Ends] = []
        for edge in plan.edges:
            if edge.log == log:
                left, right = (self._value(event, column, what) for column in edge.columns)
                if left is not None and right is not None:
                    found.append((edge.kinds[0], left, edge.kinds[1], right))
        marks = plan.marks
        if marks is not None and marks.log == log:
            about = self._value(event, marks.column, what)
            verdict = BAD_MARK if _satisfies(marks.bad, self._value(event, marks.bad.column, what)) else MARK
            if about is not None:
                found.append((marks.kind, about, verdict, 0))
        self._settle(at)
        self._waiting += found

    def read(self, row: Mapping[str, object]) -> dict[str, float]:
        """The features of one row as of its ``as_of``, exact, null as NaN.

        Raises:
            DataError: When its time lies before what the state has seen, or a key is missing.
        """
        plan = self.plan
        at = self._forward(row.get("as_of"), "the row, as_of")
        keys = [self._value(row, key, "the row") for key in plan.keys]
        self._settle(at)
        generation = self._generations.get(plan.oldest(at), self._nothing)
        for place, (kind, key) in enumerate(zip(self._key_kinds, keys, strict=True)):
            self._asked[place] = NULL if key is None else generation.known(kind, key)
        return dict(zip(self._names, self._counts(generation, at), strict=True))

    def arrays(self) -> Arrays:
        """All that it knows, as flat arrays by name; `restore` takes them back."""
        found: Arrays = {"clock": np.array([self.clock], np.int64)}
        found |= _packed("waiting.left", [one[1] for one in self._waiting])
        found |= _packed("waiting.right", [one[3] for one in self._waiting])
        found["waiting.kinds"] = np.array([(one[0], one[2]) for one in self._waiting], np.int32).reshape(-1, 2)
        found["generations"] = np.array(sorted(self._generations), np.int64)
        for number, generation in self._generations.items():
            found |= {f"{number}.{name}": array for name, array in generation.arrays().items()}
        return found

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes back what `arrays` gave, in place of all that it knew."""
        kinds = arrays["waiting.kinds"].tolist()
        left, right = _unpacked("waiting.left", arrays), _unpacked("waiting.right", arrays)
        self.clock = int(arrays["clock"][0])
        self._waiting = [(a, one, b, other) for (a, b), one, other in zip(kinds, left, right, strict=True)]
        self._generations = {}
        for number in arrays["generations"].tolist():
            prefix = f"{number}."
            own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            self._generations[number] = _Generation(self.plan, own)

    def _settle(self, at: int) -> None:
        """Lets the events of an earlier instant be seen, and ended generations go."""
        plan = self.plan
        if at > self.clock:
            if self._waiting:
                self._take(self._waiting)
                self._waiting = []
            if self._generations and min(self._generations) < plan.oldest(at):
                self._generations = {
                    number: one for number, one in self._generations.items() if number >= plan.oldest(at)
                }
        self.clock = at

    def _take(self, waiting: list[Ends]) -> None:
        """Gives the events of the clock's instant to every generation alive.

        A pair that the newest has taken was offered to the older ones too, and what they made of it stands for as long
        as they live; so for the pair of every day nothing is to be done.
        """
        plan = self.plan
        newest = self._generations.get(plan.newest(self.clock))
        if newest is not None:
            waiting = [one for one in waiting if not newest.has_joined(one)]
        if waiting:
            for number in range(plan.oldest(self.clock), plan.newest(self.clock) + 1):
                if number not in self._generations:
                    self._generations[number] = _Generation(plan)
                self._generations[number].take(self.clock, waiting)

    def _counts(self, generation: _Generation, at: int) -> list[float]:
        read(generation.small, generation.wide, at, self._asked, self._wanted, self._answer)
        return [math.nan if count == NULL else count for count in self._answer.tolist()]

    def _forward(self, instant: object, what: str) -> int:
        at = microseconds(instant, what)
        if at < self.clock:
            raise DataError(f"{what}: found {at}, before {self.clock}, which the rings have already seen")
        return at

    def _value(self, mapping: Mapping[str, object], column: str, what: str) -> Value | None:
        if column not in mapping:
            raise DataError(f"{what}: column {column!r} is missing; give None where it has none")
        value = mapping[column]
        if type(value) is self._kinds.get(column):
            return cast("Value", value)
        if isinstance(value, bool | np.bool_ | np.integer):
            value = int(value)
        if value is None:
            return None
        if not isinstance(value, int | str) or self._kinds.setdefault(column, type(value)) is not type(value):
            wanted = "a whole number" if self._kinds.get(column) is int else "text or a whole number, always the same"
            raise DataError(f"{what}, column {column!r}: found {value!r}, expected {wanted}")
        return value


class _Generation:
    """A forest and the numbers of its nodes; grows as nodes come."""

    def __init__(self, plan: RingPlan, arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
        self.small: Int32
        self.wide: Int64
        self._ids: list[dict[Value, int]] = [{} for _ in plan.kinds]
        self._one = np.empty((1, 2), np.int32)
        self._room = 0  # edges that certainly still fit the hash table
        if arrays is None:
            self.small, self.wide = forest(_ROOM, 2 * _ROOM, len(plan.kinds), plan.windows, plan.cap)
            self._nodes = 0
            return
        self.small = arrays["small"].copy()
        self.wide = arrays["wide"].copy()
        for kind, ids in enumerate(self._ids):
            ids.update(zip(_unpacked(f"{kind}", arrays), arrays[f"{kind}.node"].tolist(), strict=True))
        self._nodes = sum(len(ids) for ids in self._ids)

    def known(self, kind: int, key: Value) -> int:
        """The number of a node; `STRANGER` for one never seen, who is not kept for being asked about."""
        return self._ids[kind].get(key, STRANGER)

    def has_joined(self, ends: Ends) -> bool:
        """Whether it has taken an edge between the two; never of a verdict."""
        kind, key, other_kind, other = ends
        if other_kind < 0:
            return False
        left, right = self._ids[kind].get(key), self._ids[other_kind].get(other)
        return left is not None and right is not None and joined(self.wide, left, right)

    def take(self, at: int, waiting: Sequence[Ends]) -> None:
        """Settles all events of one instant."""
        ends = self._one if len(waiting) == 1 else np.empty((len(waiting), 2), np.int32)
        for place, (kind, key, other_kind, other) in enumerate(waiting):
            ends[place, 0] = self._node(kind, key)
            ends[place, 1] = self._node(other_kind, other) if other_kind >= 0 else other_kind
        if self._room < len(waiting):
            self._make_room(len(waiting))
        self._room -= len(waiting)
        settle(self.small, self.wide, at, ends)

    def arrays(self) -> Arrays:
        found: Arrays = {"small": self.small.copy(), "wide": self.wide.copy()}
        for kind, ids in enumerate(self._ids):
            found |= _packed(f"{kind}", ids)
            found[f"{kind}.node"] = np.fromiter(ids.values(), np.int32, len(ids))
        return found

    def _node(self, kind: int, key: Value) -> int:
        """The number of a node; a stranger gets one, and is alone at first."""
        found = self._ids[kind].get(key)
        if found is not None:
            return found
        if self._nodes == self.wide[CAPACITY]:
            self.small, self.wide = regrown(self.small, self.wide, 2 * self._nodes, int(self.wide[PAIRS]))
        number = self._nodes
        self._nodes += 1
        self._ids[kind][key] = number
        set_kinds(self.small, self.wide, np.array([kind], np.int8), number)
        return number

    def _make_room(self, edges: int) -> None:
        """Sees that the hash table, at most half full, takes so many edges more."""
        needed, pairs = 2 * (int(self.wide[HELD]) + edges), int(self.wide[PAIRS])
        if needed > pairs:
            pairs = 2 * (1 << (needed - 1).bit_length())
            self.small, self.wide = regrown(self.small, self.wide, int(self.wide[CAPACITY]), pairs)
        self._room = pairs // 2 - int(self.wide[HELD])


def _satisfies(where: Where, value: Value | None) -> bool:
    return value is not None and _TESTS[where.test](value, where.operand)


def _packed(name: str, ids: Iterable[Value]) -> Arrays:
    """Ids as one run of UTF-8, where each ends, and which of them are whole numbers."""
    listed = list(ids)
    texts = [str(one).encode() for one in listed]
    return {
        f"{name}.text": np.frombuffer(b"".join(texts), np.uint8),
        f"{name}.end": np.cumsum([len(one) for one in texts], dtype=np.int64),
        f"{name}.whole": np.array([isinstance(one, int) for one in listed], np.bool_),
    }


def _unpacked(name: str, arrays: Mapping[str, NDArray[Any]]) -> list[Value]:
    text, start, found = arrays[f"{name}.text"].tobytes(), 0, cast("list[Value]", [])
    for end, whole in zip(arrays[f"{name}.end"].tolist(), arrays[f"{name}.whole"].tolist(), strict=True):
        one = text[start:end].decode()
        found.append(int(one) if whole else one)
        start = end
    return found
