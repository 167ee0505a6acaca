"""The live state: every feature of a set as of now, kept up to date one event at a time.

It answers from the very plan that `features.batch` evaluates, to the same bits. An event can be seen only by a later
instant than its own, so a request reads before or after its own event is taken in, with the same answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.errors import DataError, UsageError
from features.compiled import CompiledEvaluator
from features.expression import Finish
from features.intake import LARGEST, Facts, Kinds, fixed_kinds, microseconds
from features.judge import JudgingEvaluator
from features.plan import compile_plan
from features.program import columns_by_log as columns_by_log  # noqa: PLC0414 - also handed on
from features.repeats import IDENTITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from features.kernel import Doubles
    from features.plan import Plan
    from features.ring_memory import RingFound
    from features.spec import FeatureSet

EvaluatorName: TypeAlias = Literal["compiled", "python"]
Single: TypeAlias = NDArray[np.float32]

BEGINNING: Final = -(1 << 62)


class Evaluator(Protocol):
    """What keeps windows, rings and the ids of events. An event that misfits is refused, and nothing of it taken in."""

    def append(self, log: str, at: int, event: Mapping[str, object]) -> bool:
        """Takes in an event, whole or not at all; answers whether it counted."""

    def answers(self, at: int, row: Mapping[str, object], answer: Doubles) -> None:
        """Writes every output of the plan, null as NaN."""

    def observe(self, log: str, at: int, event: Mapping[str, object], answer: Doubles) -> bool:
        """Answers for an event's own keys, and then takes it in as `append` does."""


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
        self._logs = columns_by_log(self.plan)
        self._evaluator = _evaluator(evaluator, self.plan, self._kinds, identities)
        facts = tuple(fact.name for fact in self.plan.facts)
        self._finish = Finish((*self.plan.outputs, *facts), self.plan.derived, self.plan.names)
        self._given = np.empty(len(self.plan.outputs) + len(facts), np.float64)
        self._answer = self._given[: len(self.plan.outputs)]
        self._facts = Facts(facts, self._given[len(self.plan.outputs) :])

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
        at = self._instant(log, event)
        counts = self._evaluator.append(log, at, event)
        self.clock = at
        self.sequence += 1
        return counts

    def attempt(self, log: str, event: Mapping[str, object]) -> None:
        """Finds out whether `append` would take in an event whose id is new, and takes nothing in.

        Raises:
            DataError: As `append`; `features.compiled.TooLarge` where sums would overflow.
            UsageError: When no feature reads the log, or with the Python evaluator.
        """
        self._compiled().attempt(log, self._instant(log, event), event)

    def replay(self, tables: Mapping[str, pa.Table]) -> int:
        """Takes in many events at once, as `append` would one by one: to rebuild a state from its log.

        Args:
            tables: For each log a table of its events, with ``seen_at`` as instants and the columns that `append`
                needs; they are merged by instant, and must not lie before what the state has seen.

        Returns:
            How many of them counted.

        Raises:
            DataError: As `append` does, but what came before the event that is refused has been taken in by then: throw
                the state away.
            UsageError: When no feature reads a log, or with the Python evaluator.
        """
        instants = [
            self._forward(pc.min(table["seen_at"]).as_py(), f"the first event of log {log}, seen_at")
            for log, table in tables.items()
            if self._read_by(log) and len(table)
        ]
        events, counted, latest = self._compiled().replay(tables)
        self.clock = latest if instants else self.clock
        self.sequence += events
        return counted

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
        self._facts.take(row)
        self._evaluator.answers(at, row, self._answer)
        self.clock = at
        return self._finish(self._given)

    def observe(self, log: str, event: Mapping[str, object]) -> Single:
        """The features of an event's own keys at its own instant, as they were before it; then takes it in.

        Keys that the event does not have are null. A repeated id is read like any other and not taken in again.
        """
        at = self._instant(log, event)
        self._facts.take(event)
        self._evaluator.observe(log, at, event, self._answer)
        self.clock = at
        self.sequence += 1
        return self._finish(self._given)

    def ring(self, network: str, column: str, value: object) -> RingFound | None:
        """The ring of a node of a network, as of the clock: what a question of now would count; None where it is alone.

        Args:
            network: The name of a network that features of the set read.
            column: Which kind of node: a column that the network knows.
            value: The node's id; None has no ring.

        Raises:
            UsageError: When there is no such network or kind, or with the Python evaluator.
        """
        known = {plan.name: plan.kinds for plan in self.plan.rings}
        if column not in known.get(network, ()):
            raise UsageError(f"no ring of {column!r} in network {network!r}; the set reads {known}")
        return self._compiled().ring(network, self.clock, column, value)

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
        return self._compiled().arrays()

    def restore(self, arrays: Mapping[str, NDArray[Any]], clock: int, sequence: int, kinds: Mapping[str, str]) -> None:
        """Takes over what `arrays` and the attributes of another state of the same features held."""
        self._compiled().restore(arrays)
        self.clock, self.sequence = clock, sequence
        self._kinds.update({column: int if kind == "int" else str for column, kind in kinds.items()})

    @property
    def kinds(self) -> dict[str, str]:
        """What the columns seen so far hold: ``int`` or ``str``."""
        return {column: kind.__name__ for column, kind in self._kinds.items()}

    def _compiled(self) -> CompiledEvaluator:
        if not isinstance(self._evaluator, CompiledEvaluator):
            raise UsageError(
                "only the compiled evaluator keeps snapshots and names rings; make the state with evaluator='compiled'"
            )
        return self._evaluator

    def _instant(self, log: str, event: Mapping[str, object]) -> int:
        """When an event of a log that is read was seen, which must not lie before the clock."""
        self._read_by(log)
        at = event.get("seen_at")
        if type(at) is int and self.clock <= at < LARGEST:
            return at
        return self._forward(at, f"an event of log {log}, seen_at")

    def _read_by(self, log: str) -> bool:
        if log not in self._logs:
            raise UsageError(f"no feature reads log {log!r}; the set reads {', '.join(self._logs)}")
        return True

    def _forward(self, instant: object, what: str) -> int:
        at = microseconds(instant, what)
        if at < self.clock:
            raise DataError(
                f"{what}: found {at}, before {self.clock}, which the state has already seen; "
                "give events and questions in the order of their arrival, late ones at the instant they arrived"
            )
        return at


def _evaluator(name: str, plan: Plan, kinds: Kinds, identities: Mapping[str, tuple[str, ...]]) -> Evaluator:
    if name == "compiled":
        return CompiledEvaluator(plan, kinds, identities)
    if name == "python":
        return JudgingEvaluator(plan, kinds, identities)
    raise UsageError(f"evaluator {name!r}; expected 'compiled' or 'python'")
