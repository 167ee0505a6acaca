"""The slow judge as a whole evaluator: `features.reference` for windows, a dictionary for the ids of events.

Rings are those that serve: their own judges are batch and the oracle of the tests.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from data.contracts import REPEAT_DAYS
from features.compiled import CompiledEvaluator
from features.intake import Intake
from features.program import columns_by_log
from features.reference import ReferenceEvaluator
from features.repeats import mark

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.intake import Kinds
    from features.kernel import Doubles
    from features.plan import Plan

_SPAN = REPEAT_DAYS * 86_400_000_000


class JudgingEvaluator:
    """What `features.compiled` does, in plain Python."""

    def __init__(self, plan: Plan, kinds: Kinds, identities: Mapping[str, tuple[str, ...]]) -> None:
        """As for `CompiledEvaluator`."""
        logs = columns_by_log(plan)
        self._reference = ReferenceEvaluator(plan)
        self._rings = CompiledEvaluator(replace(plan, groups=()), kinds, {})
        self._ring_logs = {log for ring in plan.rings for log in ring.columns_by_log}
        self._of_groups = {log: len(columns) for log, columns in plan.columns_by_log.items()}
        self._keys_of_groups = len(plan.keys)
        self._outputs_of_groups = sum(len(group.operations) for group in plan.groups)
        self._events = {log: Intake(f"an event of log {log}", columns, kinds) for log, columns in logs.items()}
        self._rows = Intake("the row", plan.row_keys, kinds)
        self._identities = identities
        self._counted: dict[tuple[str, str], int] = {}

    def append(self, log: str, at: int, event: Mapping[str, object]) -> bool:
        """Takes in an event; questions of its own instant will not see it."""
        values = self._events[log].take(event)
        text = mark(log, self._identities.get(log, ()), event)
        if text is not None and at <= self._counted.get((log, text), -(1 << 62)) + _SPAN:
            return False
        if log in self._of_groups:
            self._reference.append(log, at, values[: self._of_groups[log]])
        if log in self._ring_logs:
            self._rings.append(log, at, dict(zip(self._events[log].columns, values, strict=True)))
        if text is not None:
            self._counted[log, text] = at
        return True

    def answers(self, at: int, row: Mapping[str, object], answer: Doubles) -> None:
        """Writes every output as of an instant, before rounding; null as NaN."""
        keys = self._rows.take(row)
        self._reference.answers(at, keys[: self._keys_of_groups], answer[: self._outputs_of_groups])
        if self._ring_logs:
            nodes = dict(zip(self._rows.columns, keys, strict=True))
            self._rings.answers(at, nodes, answer[self._outputs_of_groups :])

    def observe(self, log: str, at: int, event: Mapping[str, object], answer: Doubles) -> bool:
        """Answers for an event's own keys, null where it has none, and then takes it in."""
        lacking = {column: None for column in self._rows.columns if column not in event}
        self.answers(at, {**event, **lacking}, answer)
        return self.append(log, at, event)
