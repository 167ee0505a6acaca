"""The live state: every feature of a set as of now, kept up to date one event at a time.

It answers from the very plan that `features.batch` evaluates, to the same bits. An event can be seen only by a later
instant than its own, so a request reads before or after its own event is taken in, with the same answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from data.errors import DataError, UsageError
from features.compiled import CompiledEvaluator
from features.expression import Finish
from features.intake import Intake, Kinds, fixed_kinds, microseconds, number
from features.plan import compile_plan
from features.reference import ReferenceEvaluator
from features.repeats import IDENTITIES, Repeats, digest
from features.ring_state import RingState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.kernel import Doubles
    from features.plan import Plan
    from features.reference import Value
    from features.repeats import Digest
    from features.spec import FeatureSet

EvaluatorName: TypeAlias = Literal["compiled", "python"]
Single: TypeAlias = NDArray[np.float32]

BEGINNING: Final = -(1 << 62)


def columns_by_log(plan: Plan) -> dict[str, tuple[str, ...]]:
    """For each log what an event of it must have: the columns that groups read, then those that only rings do."""
    found = plan.columns_by_log
    for ring in plan.rings:
        for log, columns in ring.columns_by_log.items():
            found[log] = tuple(dict.fromkeys((*found.get(log, ()), *columns)))
    return found


class Evaluator(Protocol):
    """What keeps the windows: values come in as the columns of `Plan.columns_by_log` and `Plan.keys`, in order."""

    def append(self, log: str, at: int, values: Sequence[Value]) -> None:
        """Takes in an event, whole or not at all."""

    def answers(self, at: int, keys: Sequence[Value], answer: Doubles) -> None:
        """Writes every operation's output, in the order of the plan's groups, null as NaN."""


class LiveState:
    """What is known of every member, device, code, ... at this moment.

    Instants are microseconds since 1970 UTC or datetimes with a zone, and never go back. Integers stay below 2**62 in
    size, and so does what is added up. One thread at a time: even a question moves windows on.

    Attributes:
        feature_set: What it answers.
        plan: The compiled declarations.
        clock: The latest instant it was told or asked about.
        sequence: How many events it was handed and did not refuse: where to take up the log after a restart.
    """

    def __init__(
        self,
        feature_set: FeatureSet,
        evaluator: EvaluatorName = "compiled",
        identities: Mapping[str, tuple[str, ...]] = IDENTITIES,
    ) -> None:
        """An empty state.

        Args:
            feature_set: What to answer.
            evaluator: ``compiled`` serves; ``python`` is the slow judge of the tests.
            identities: For each log the columns of an event's id; an id that comes again within 35 days of the event
                that counted is left out. A log that is not named counts every event.
        """
        self.feature_set = feature_set
        self.plan = compile_plan(feature_set)
        self.clock = BEGINNING
        self.sequence = 0
        self._kinds: Kinds = fixed_kinds(self.plan)
        columns = columns_by_log(self.plan)
        self._events = {log: Intake(f"an event of log {log}", columns[log], self._kinds) for log in columns}
        self._keys = Intake("the row", self.plan.row_keys, self._kinds)
        self._identities = {log: identities.get(log, ()) for log in columns}
        self._repeats = Repeats()
        self._evaluator = _evaluator(evaluator, self.plan)
        self._of_groups = {log: len(taken) for log, taken in self.plan.columns_by_log.items()}
        self._keys_of_groups = len(self.plan.keys)
        self._rings = [RingState(ring) for ring in self.plan.rings]
        self._ring_logs = {log for ring in self.plan.rings for log in ring.columns_by_log}
        self._facts = [(fact.name, f"column {fact.name!r}") for fact in self.plan.facts]
        self._given = np.empty(len(self.plan.outputs) + len(self._facts), np.float64)
        self._aggregates = self._given[: sum(len(group.operations) for group in self.plan.groups)]
        facts = tuple(fact.name for fact in self.plan.facts)
        self._finish = Finish((*self.plan.outputs, *facts), self.plan.derived, self.plan.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in the order of what `read` answers."""
        return self.plan.names

    def append(self, log: str, event: Mapping[str, object]) -> bool:
        """Takes in an event of a log as `data.logs` gives it, at its ``seen_at``.

        Returns:
            Whether it counted; False for an id that had come before.

        Raises:
            DataError: When its time lies before what the state has seen, columns are missing or hold what they cannot,
                or sums would overflow; nothing of it is taken in.
            UsageError: When no feature reads the log.
        """
        if log not in self._events:
            raise UsageError(f"no feature reads log {log!r}; the set reads {', '.join(self._events)}")
        at = self._forward(event.get("seen_at"), f"an event of log {log}, seen_at")
        values = self._events[log].take(event)
        identity = self._identity(log, event)
        counts = identity is None or not self._repeats.known(identity, at)
        if counts:
            self._take_in(log, at, values)
        if counts and identity is not None:
            self._repeats.note(identity, at)
        self.clock = at
        self.sequence += 1
        return counts

    def read(self, row: Mapping[str, object]) -> Single:
        """The features of one row as of its ``as_of``.

        Args:
            row: as_of, the key columns and the columns of the facts; None is null, and so are the features of a null
                key. What else it holds is ignored.

        Returns:
            One float32 a feature, in the order of `names`, null as NaN.

        Raises:
            DataError: When the moment lies before what the state has seen, or columns are missing or misfit.
            UsageError: When the function of a derived feature does not give one number.
        """
        at = self._forward(row.get("as_of"), "the row, as_of")
        answer = self._answer(at, self._keys.take(row), row)
        self.clock = at
        return answer

    def observe(self, log: str, event: Mapping[str, object]) -> Single:
        """The features of an event's own keys at its own instant, as they were before it; then takes it in.

        Keys that the event does not have are null. A repeated id is read like any other and not taken in again.
        """
        at = self._forward(event.get("seen_at"), f"an event of log {log}, seen_at")
        lacking = {column: None for column in self._keys.columns if column not in event}
        answer = self._answer(at, self._keys.take({**event, **lacking} if lacking else event), event)
        self.append(log, event)
        return answer

    def sweep(self) -> None:
        """Lets go at once of all window contents that no window sees any more.

        Each event does so for two keys of each of its groups, so that idle keys go in their turn; what is remembered
        for ever stays.
        """
        if isinstance(self._evaluator, CompiledEvaluator):
            self._evaluator.sweep(self.clock)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that the state knows besides `clock`, `sequence` and `kinds`, as flat arrays for `features.snapshot`.

        Raises:
            UsageError: With the Python evaluator, which is a judge and keeps no snapshots.
        """
        if not isinstance(self._evaluator, CompiledEvaluator):
            raise UsageError("only the compiled evaluator keeps snapshots; make the state with evaluator='compiled'")
        rings = {
            f"ring {place} {name}": array
            for place, ring in enumerate(self._rings)
            for name, array in ring.arrays().items()
        }
        return {**self._evaluator.arrays(), "repeats": self._repeats.table, **rings}

    def restore(self, arrays: Mapping[str, NDArray[Any]], clock: int, sequence: int, kinds: Mapping[str, str]) -> None:
        """Takes over what `arrays` and the attributes of another state of the same features held."""
        if not isinstance(self._evaluator, CompiledEvaluator):
            raise UsageError("only the compiled evaluator keeps snapshots; make the state with evaluator='compiled'")
        self._evaluator.restore(arrays)
        self._repeats = Repeats(np.array(arrays["repeats"]))
        for place, ring in enumerate(self._rings):
            prefix = f"ring {place} "
            ring.restore({name.removeprefix(prefix): one for name, one in arrays.items() if name.startswith(prefix)})
        self.clock, self.sequence = clock, sequence
        self._kinds.update({column: int if kind == "int" else str for column, kind in kinds.items()})

    @property
    def kinds(self) -> dict[str, str]:
        """What the columns seen so far hold: ``int`` or ``str``."""
        return {column: kind.__name__ for column, kind in self._kinds.items()}

    def _take_in(self, log: str, at: int, values: Sequence[Value]) -> None:
        if log in self._of_groups:
            self._evaluator.append(log, at, values[: self._of_groups[log]])
        if log in self._ring_logs:
            event = {"seen_at": at, **dict(zip(self._events[log].columns, values, strict=True))}
            for ring in self._rings:
                ring.append(log, event)

    def _answer(self, at: int, keys: Sequence[Value], row: Mapping[str, object]) -> Single:
        given = [number(row[name], what) if name in row else _lacking(name) for name, what in self._facts]
        self._evaluator.answers(at, keys[: self._keys_of_groups], self._aggregates)
        if self._rings:
            nodes = {"as_of": at, **dict(zip(self._keys.columns, keys, strict=True))}
            given[:0] = [value for ring in self._rings for value in ring.read(nodes).values()]
        if given:
            self._given[len(self._aggregates) :] = given
        return self._finish(self._given)

    def _forward(self, instant: object, what: str) -> int:
        at = microseconds(instant, what)
        if at < self.clock:
            raise DataError(
                f"{what}: found {at}, before {self.clock}, which the state has already seen; "
                "give events and questions in the order of their arrival, late ones at the instant they arrived"
            )
        return at

    def _identity(self, log: str, event: Mapping[str, object]) -> Digest | None:
        columns = self._identities[log]
        if not columns:
            return None
        missing = [column for column in columns if column not in event]
        if missing:
            raise DataError(f"an event of log {log}: its id, column {', '.join(missing)}, is missing")
        values = tuple(event[column] for column in columns)
        return None if None in values else digest(log, values)


def _lacking(name: str) -> float:
    raise DataError(f"the row: column {name!r}, a feature of the row itself, is missing; give None where it has none")


def _evaluator(name: str, plan: Plan) -> Evaluator:
    if name == "compiled":
        return CompiledEvaluator(plan)
    if name == "python":
        return ReferenceEvaluator(plan)
    raise UsageError(f"evaluator {name!r}; expected 'compiled' or 'python'")
