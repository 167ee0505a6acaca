"""The evaluator that serves: a door packs what comes, and one compiled call does the rest on flat arrays."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.errors import DataError
from features.blocks import lacks, rehash, rounded_up
from features.bulk import run, tape
from features.digests import digest
from features.door import D_GIVEN, Door
from features.flattening import flatten
from features.intake import Intake
from features.lookup import code_of, number_owner
from features.program import (
    A_FAULT_COLUMN,
    A_FAULT_GROUP,
    A_KEY,
    A_TOP,
    asking_words,
    columns_by_log,
    network_places,
    texts_of,
    words_of,
)
from features.repeats import Repeats, mark
from features.reservation import reserved
from features.ring_memory import RingMemory
from features.sliding import sweep
from features.step import (
    MISFIT,
    OVERFLOW,
    REPEATED,
    REPEATS_FULL,
    RING_FULL,
    RING_PARTS,
    TABLE_FULL,
    TURN,
    attempt,
    step,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from features.intake import Kinds
    from features.kernel import Doubles, Int64
    from features.plan import Plan
    from features.ring_memory import RingFound

_ARENA: Final = 1 << 14
_TABLE: Final = 3 * (1 << 10)


class TooLarge(DataError):
    """What an event adds to would leave the safe half of a 64-bit integer.

    Attributes:
        column: Whose values.
        key: Of what they are added up, such as `member_id`.
    """

    def __init__(self, message: str, column: str, key: str) -> None:
        super().__init__(message)
        self.column, self.key = column, key


class CompiledEvaluator:
    """Flat arrays and one compiled call an event, question, or both.

    Attributes:
        arena: Blocks, records and rings; see `features.program`.
        table: The hash table beside it, in which ids are looked up, too.
        repeats: The ids of events that counted.
    """

    def __init__(self, plan: Plan, kinds: Kinds, identities: Mapping[str, tuple[str, ...]]) -> None:
        """Nothing is known yet.

        Args:
            plan: What to answer.
            kinds: What columns are known to hold; learned from events.
            identities: For each log the columns of an event's id; none where every event counts.
        """
        self._plan = plan
        self.arena = reserved(_ARENA)
        self.table = np.zeros(_TABLE, np.int64)
        self.repeats = Repeats()
        self._identities = identities
        networks = network_places(plan)
        self.arena[A_TOP] = networks[-1]
        self.arena[A_KEY] = secrets.randbits(62)
        self._tags = _tags(plan)
        texts = {(column, text): self._text(column, text) for column, all_ in texts_of(plan).items() for text in all_}
        self._program = flatten(plan, texts)
        self._rings = RingMemory(plan.rings, networks[:-1], self._roomy)
        self._rings.begin()
        logs = columns_by_log(plan)
        marks = {log: number + 1 if identities.get(log) else 0 for number, log in enumerate(sorted(logs))}
        self._events = {
            log: Door(Intake(f"an event of log {log}", columns, kinds), words_of(plan, log), self._tags, marks[log])
            for log, columns in logs.items()
        }
        self._asking = {
            log: Door(
                Intake(f"an event of log {log}", tuple(dict.fromkeys((*columns, *plan.row_keys))), kinds),
                asking_words(plan, log),
                self._tags,
                marks[log],
            )
            for log, columns in logs.items()
        }
        self._optional = {log: [one for one in plan.row_keys if one not in columns] for log, columns in logs.items()}
        self._rows = Door(Intake("the row", plan.row_keys, kinds), asking_words(plan, None), self._tags, 0)
        self._nothing = np.empty(len(plan.outputs), np.float64)

    def append(self, log: str, at: int, event: Mapping[str, object]) -> bool:
        """Takes in an event; questions of its own instant will not see it.

        Returns:
            Whether it counted; False for an id that had come before.

        Raises:
            DataError: When columns are missing or hold what they cannot, or what is added up would overflow; the event
                is not taken in.
        """
        door, text = self._events[log], mark(log, self._identities.get(log, ()), event)
        door.pack(at, event, text)
        return self._run(door, event, 0, self._program.appends[log], self._nothing)

    def attempt(self, log: str, at: int, event: Mapping[str, object]) -> None:
        """Finds out whether `append` would take in an event; refuses it as that does, and takes nothing in."""
        door = self._events[log]
        door.pack(at, event, mark(log, self._identities.get(log, ()), event))
        code, take = self._program.code, self._program.appends[log]
        while outcome := attempt(code, self.arena, self.table, self.repeats.table, door.buffer, take):
            if outcome == MISFIT:
                door.pack_slowly(at, event)
            self._mend(outcome, at)

    def answers(self, at: int, row: Mapping[str, object], answer: Doubles) -> None:
        """Writes every output as of an instant, before rounding; null as NaN."""
        self._rows.pack(at, row)
        self._run(self._rows, row, self._program.questions, 0, answer)

    def observe(self, log: str, at: int, event: Mapping[str, object], answer: Doubles) -> bool:
        """Answers what an event asks for its own keys, null where it has none; then takes it in as `append` does."""
        door, text = self._asking[log], mark(log, self._identities.get(log, ()), event)
        lacking = {column: None for column in self._optional[log] if column not in event}
        event = {**event, **lacking} if lacking else event
        door.pack(at, event, text)
        return self._run(door, event, self._program.own[log], self._program.appends[log], answer)

    def replay(self, tables: Mapping[str, pa.Table]) -> tuple[int, int, int]:
        """Takes in the events of tables of logs, merged by instant.

        Returns:
            How many there were, how many of them counted, and the latest instant.

        Raises:
            DataError: When columns are missing or hold what they cannot, or sums would overflow. What came before is
                in, so that the state is of no use any more.
        """
        events = tape(self._events, self._identities, tables)
        doors = list(self._events.values())
        buffers = np.concatenate([door.buffer for door in doors])
        ends = np.cumsum([len(door.buffer) for door in doors])
        bounds = np.array(
            [
                (end - len(door.buffer), end, self._program.appends[log], len(door.numbers), len(door.texts) + 1)
                for end, (log, door) in zip(ends, self._events.items(), strict=True)
            ]
        )
        counted, done, outcome = np.zeros(1, np.int64), 0, 0
        while done < len(events.order):
            state = (self._program.code, self.arena, self.table, self.repeats.table)
            done, outcome = run(*state, buffers, bounds, events, done, counted, self._nothing)
            if outcome:
                at = int(events.given[events.order[done, 1]])
                self._mend(outcome, at)
        latest = int(events.given[events.order[-1, 1]]) if done else 0
        return done, int(counted[0]), latest

    def ring(self, network: str, at: int, column: str, value: object) -> RingFound | None:
        """The ring of a node as of an instant that it has been told or asked about; None where it is alone."""
        number = [plan.name for plan in self._plan.rings].index(network)
        code = self._known(column, value)
        return self._rings.around(number, at, column, code) if code else None

    def sweep(self, at: int) -> None:
        """Takes the blocks of all keys away of which no window sees anything; their records stay."""
        for group in self._program.starts:
            sweep(self._program.code, self.arena, self.table, group, at)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All it knows, as flat arrays."""
        return {
            "program": self._program.code,
            "arena": self.arena[: int(self.arena[A_TOP])],
            "table": self.table,
            "repeats": self.repeats.table,
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes over what `arrays` gave, which is its own from now on; an arena with room to spare is used in place.

        Raises:
            DataError: When it was written by an engine that lays its memory out differently.
        """
        if not np.array_equal(arrays["program"], self._program.code):
            raise DataError("the snapshot's memory is laid out differently; rebuild the state from the event log")
        self.arena = arrays["arena"]
        if len(self.arena) == self.arena[A_TOP]:
            self._widen(_ARENA)
        self.table = arrays["table"]
        self.repeats = Repeats(arrays["repeats"])

    def _run(self, door: Door, mapping: Mapping[str, object], ask: int, take: int, answer: Doubles) -> bool:
        """Calls the compiled step, again where it wants something larger first; answers whether the event counted."""
        code = self._program.code
        while outcome := step(code, self.arena, self.table, self.repeats.table, door.buffer, ask, take, answer):
            if outcome == REPEATED:
                return False
            at = int(door.buffer[door.buffer[D_GIVEN]])
            if outcome == MISFIT:
                door.pack_slowly(at, mapping)
            self._mend(outcome, at)
        return True

    def _mend(self, outcome: int, at: int) -> None:
        """Sees to what kept the step from being taken."""
        if outcome > 0:
            self._widen(outcome)
        elif outcome == TABLE_FULL:
            larger = np.zeros(len(self.table) // 6 * 9, np.int64)
            rehash(self.table, larger)
            self.table = larger
        elif outcome == REPEATS_FULL:
            self.repeats.make_room(at)
        elif outcome == TURN:
            self._rings.turn(at)
        elif outcome == MISFIT:
            raise DataError(f"an event at {at} holds a number of 2**62 or more in size; expected less")
        elif outcome == OVERFLOW:
            raise self._overflow()
        else:
            self._rings.grow(*divmod(RING_FULL - outcome, RING_PARTS))

    def _roomy(self, words: int) -> tuple[Int64, Int64]:
        """The program and an arena in which a block of so many words is free."""
        lacking = lacks(self.arena, rounded_up(self._program.code, words)) if words else 0
        if lacking:
            self._widen(lacking)
        return self._program.code, self.arena

    def _text(self, column: str, text: str) -> int:
        """The code of a text that a condition compares with."""
        owner, value = self._owned(column, text)
        return int(code_of(self.arena, self.table, owner, value, self._tags[column][1], True))  # noqa: FBT003 - compiled

    def _known(self, column: str, value: object) -> int:
        """The code of an id; 0 for null and for one never met."""
        if not isinstance(value, int | str):
            return 0
        owner, key = self._owned(column, value)
        return int(code_of(self.arena, self.table, owner, key, 0, False))  # noqa: FBT003 - compiled

    def _owned(self, column: str, value: int | str) -> tuple[int, int]:
        """Under what an id stands in the table."""
        tag, _ = self._tags[column]
        if isinstance(value, int):
            return int(number_owner(tag)), value
        content = np.frombuffer(value.encode("utf-8", "surrogatepass"), np.uint8)
        owner, mixed = digest(content, 0, len(content), self.arena[A_KEY], tag)
        return int(owner), int(mixed)

    def _widen(self, lacking: int) -> None:
        wider = reserved(max(2 * len(self.arena), len(self.arena) + lacking))
        wider[: len(self.arena)] = self.arena
        self.arena = wider

    def _overflow(self) -> TooLarge:
        group = self._plan.groups[int(self.arena[A_FAULT_GROUP])]
        column = group.measures[int(self.arena[A_FAULT_COLUMN])].column
        key = " and ".join(group.key) or "log"
        return TooLarge(
            f"an event of log {group.log}, column {column}: the values or squares of one {key} add up to "
            f"{float(1 << 62):.3g} or more, expected less; state the column in a larger unit or mend the values that "
            "are out of bounds",
            str(column),
            key,
        )


def _tags(plan: Plan) -> dict[str, tuple[int, int]]:
    """For each column a number, and how many words of the arena the code of one of its values takes."""
    places = Counter(group.key[0] for group in plan.groups if len(group.key) == 1)
    logs = columns_by_log(plan)
    columns = sorted({word.column for log in logs for word in asking_words(plan, log)} | set(plan.row_keys))
    return {column: (number + 1, places[column]) for number, column in enumerate(columns)}
