"""The plan: declarations compiled to small integer programs, one for each log and key.

Both evaluators read the same plan, so that there is one place where a declaration gets its arithmetic. A group is what
can be answered from one sorted history: the windows it needs, the *measures* (which events, and which integer of each),
and the operations that turn a window over a measure into one output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from features.feature import Aggregate, Derived, Fact, Operator
from features.fingerprint import PLAN_VERSION
from features.log import GAP, Where, key_columns
from features.network import Ring
from features.ring_plan import RingPlan, ring_plans

if TYPE_CHECKING:
    from features.spec import FeatureSet

CODED: Final = frozenset({Operator.DISTINCT, Operator.ENTROPY})
"""Operators that only ask whether two values are the same, so that their columns may be text."""


@dataclass(frozen=True)
class Measure:
    """Which events of a history count, and the integer that each brings.

    An event is present when it satisfies the condition and its column is not null.

    Attributes:
        column: The integer column; None when only presence matters.
        where: The condition; None when every event counts.
        coded: Whether values are compared for equality only (dictionary codes) and not added.
    """

    column: str | None
    where: Where | None
    coded: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the log must bring for it."""
        named = (self.column, self.where.column if self.where else None)
        return tuple(one for one in named if one is not None and one != GAP)


@dataclass(frozen=True)
class Operation:
    """One output of a group: an operator over a window of a measure.

    Attributes:
        output: The name of the feature.
        operator: How the window becomes a number.
        window: Its number among the group's windows.
        measure: Its number among the group's measures.
        cap: Largest answer of a ``distinct``; 0 for none.
    """

    output: str
    operator: Operator
    window: int
    measure: int
    cap: int


@dataclass(frozen=True)
class Group:
    """All that is asked of one log by one key.

    Attributes:
        log: The log's name.
        key: The key's columns; none for the log as a whole.
        windows: Lengths in microseconds, ascending; None, everything ever seen, last.
        measures: What is counted or added.
        operations: The outputs, by measure and window, so that one pass can share its work.
    """

    log: str
    key: tuple[str, ...]
    windows: tuple[int | None, ...]
    measures: tuple[Measure, ...]
    operations: tuple[Operation, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the log must bring besides the key's, in order of first use."""
        return tuple(dict.fromkeys(column for measure in self.measures for column in measure.columns))

    @property
    def needs_gap(self) -> bool:
        """Whether the time since the event before is read."""
        used = {one.column for one in self.measures} | {one.where.column for one in self.measures if one.where}
        return GAP in used


@dataclass(frozen=True)
class Plan:
    """Everything a feature set needs computed, in the order to compute it.

    Attributes:
        names: The features handed out, in order.
        groups: The groups, those of one log beside each other.
        facts: Features taken over from the row.
        derived: Derived features, each after what it is derived from.
        exact: Features that a derived one reads: kept in double precision until it has.
        rings: What is asked of networks.
        version: The plan's version.
    """

    names: tuple[str, ...]
    groups: tuple[Group, ...]
    facts: tuple[Fact, ...]
    derived: tuple[Derived, ...]
    exact: frozenset[str]
    rings: tuple[RingPlan, ...] = ()
    version: int = PLAN_VERSION

    @property
    def columns_by_log(self) -> dict[str, tuple[str, ...]]:
        """For each log the columns that any of its groups reads, keys first."""
        found: dict[str, dict[str, None]] = {}
        for group in self.groups:
            found.setdefault(group.log, {}).update(dict.fromkeys((*group.key, *group.columns)))
        return {log: tuple(columns) for log, columns in found.items()}

    @property
    def keys(self) -> tuple[str, ...]:
        """The key columns of the groups, in order of first use."""
        return tuple(dict.fromkeys(column for group in self.groups for column in group.key))

    @property
    def row_keys(self) -> tuple[str, ...]:
        """All key columns that rows must carry: those of the groups, then those that only rings ask by."""
        return tuple(dict.fromkeys((*self.keys, *(key for ring in self.rings for key in ring.keys))))

    @property
    def outputs(self) -> tuple[str, ...]:
        """What is computed from logs, groups first, then rings."""
        of_groups = (operation.output for group in self.groups for operation in group.operations)
        return (*of_groups, *(output.output for ring in self.rings for output in ring.outputs))


def compile_plan(feature_set: FeatureSet) -> Plan:
    """Sorts the declarations of a set into groups; equal sets give equal plans."""
    aggregates: dict[tuple[str, tuple[str, ...]], list[Aggregate]] = {}
    for feature in feature_set.all:
        if isinstance(feature, Aggregate):
            aggregates.setdefault((feature.log.name, key_columns(feature.key)), []).append(feature)
    derived = _in_order_of_need([feature for feature in feature_set.all if isinstance(feature, Derived)])
    return Plan(
        names=feature_set.names,
        groups=tuple(_group(log, key, aggregates[log, key]) for log, key in sorted(aggregates)),
        facts=tuple(feature for feature in feature_set.all if isinstance(feature, Fact)),
        derived=derived,
        exact=frozenset(name for feature in derived for name in feature.inputs),
        rings=ring_plans(feature for feature in feature_set.all if isinstance(feature, Ring)),
    )


def _group(log: str, key: tuple[str, ...], features: list[Aggregate]) -> Group:
    lengths = {feature.window.microseconds for feature in features}
    windows = (*sorted(length for length in lengths if length is not None), *([None] if None in lengths else []))
    measures = tuple(dict.fromkeys(_measure(feature) for feature in features))
    operations = [
        Operation(
            output=feature.name,
            operator=feature.operator,
            window=windows.index(feature.window.microseconds),
            measure=measures.index(_measure(feature)),
            cap=feature.cap or 0,
        )
        for feature in features
    ]
    operations.sort(key=lambda one: (one.measure, one.window, one.output))
    return Group(log=log, key=key, windows=windows, measures=measures, operations=tuple(operations))


def _measure(feature: Aggregate) -> Measure:
    return Measure(column=feature.column, where=feature.where, coded=feature.operator in CODED)


def _in_order_of_need(features: list[Derived]) -> tuple[Derived, ...]:
    names = {feature.name for feature in features}
    ordered: dict[str, Derived] = {}
    while len(ordered) < len(features):
        ready = [one for one in features if one.name not in ordered and (names & set(one.inputs)) <= ordered.keys()]
        ordered.update({one.name: one for one in ready})
    return tuple(ordered.values())
