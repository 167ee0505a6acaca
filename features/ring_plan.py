"""The plan of rings: declarations over one network compiled to slots of its components' totals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.network import RingStatistic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from features.log import Where
    from features.network import Marks, Network, Ring

_BESIDE = (RingStatistic.EDGES, RingStatistic.MARKS, RingStatistic.BAD_MARKS, RingStatistic.BAD_NODES)
"""The slots behind those of kinds and windows, in the order in which `features.union_find` keeps them."""


@dataclass(frozen=True)
class RingEdge:
    """Events of a log that join two nodes.

    Attributes:
        log: The log's name.
        columns: The columns that name the two ends.
        kinds: Their numbers among the network's kinds.
    """

    log: str
    columns: tuple[str, str]
    kinds: tuple[int, int]


@dataclass(frozen=True)
class RingMarks:
    """Events of a log that are verdicts on a node.

    Attributes:
        log: The log's name.
        column: The column that names the node.
        kind: Its number among the network's kinds.
        bad: Which verdicts are bad.
    """

    log: str
    column: str
    kind: int
    bad: Where


@dataclass(frozen=True)
class RingOutput:
    """One feature: which node of the row it asks about, and which total of that node's ring it is.

    Attributes:
        output: The name of the feature.
        key: The number of the node's column among the plan's keys.
        slot: The number of the total.
    """

    output: str
    key: int
    slot: int


@dataclass(frozen=True)
class RingPlan:
    """All that is asked of one network.

    Attributes:
        name: The network's name.
        kinds: The columns that name nodes; those of the first are people.
        edges: What joins.
        marks: The verdicts.
        cap: The most neighbours of a node in a generation.
        period: Microseconds between the starts of two generations, at whole multiples of it since 1970 UTC.
        generations: How many are alive at a time; the oldest is read.
        windows: Of recent appearances, in microseconds, ascending.
        keys: The columns of a row that name the nodes asked about.
        outputs: The features.
    """

    name: str
    kinds: tuple[str, ...]
    edges: tuple[RingEdge, ...]
    marks: RingMarks | None
    cap: int
    period: int
    generations: int
    windows: tuple[int, ...]
    keys: tuple[str, ...]
    outputs: tuple[RingOutput, ...]

    @property
    def columns_by_log(self) -> dict[str, tuple[str, ...]]:
        """For each log the columns that are read."""
        found: dict[str, dict[str, None]] = {}
        for edge in self.edges:
            found.setdefault(edge.log, {}).update(dict.fromkeys(edge.columns))
        if self.marks is not None:
            columns = (self.marks.column, self.marks.bad.column)
            found.setdefault(self.marks.log, {}).update(dict.fromkeys(columns))
        return {log: tuple(columns) for log, columns in found.items()}

    def oldest(self, at: int) -> int:
        """The number of the generation that is read at an instant; it began at that number of periods."""
        return self.newest(at) - self.generations + 1

    def newest(self, at: int) -> int:
        """The number of the latest generation that has begun at an instant."""
        return at // self.period


def ring_plans(features: Iterable[Ring]) -> tuple[RingPlan, ...]:
    """One plan a network, by name; equal declarations give equal plans."""
    networks: dict[Network, list[Ring]] = {}
    for feature in features:
        networks.setdefault(feature.network, []).append(feature)
    return tuple(_plan(network, networks[network]) for network in sorted(networks, key=_in_order))


def _in_order(network: Network) -> tuple[str, str]:
    return network.name, repr(network)


def _plan(network: Network, features: list[Ring]) -> RingPlan:
    kinds = network.kinds
    windows = tuple(sorted({_length(feature) for feature in features if feature.window is not None}))
    keys = tuple(dict.fromkeys(feature.key for feature in features))
    return RingPlan(
        name=network.name,
        kinds=kinds,
        edges=tuple(
            RingEdge(edge.log.name, edge.ends, (kinds.index(edge.ends[0]), kinds.index(edge.ends[1])))
            for edge in network.edges
        ),
        marks=_marks(network.marks, kinds),
        cap=network.cap,
        period=network.period.microseconds or 0,
        generations=network.generations,
        windows=windows,
        keys=keys,
        outputs=tuple(
            RingOutput(feature.name, keys.index(feature.key), _slot(feature, kinds, windows)) for feature in features
        ),
    )


def _marks(marks: Marks | None, kinds: tuple[str, ...]) -> RingMarks | None:
    if marks is None:
        return None
    return RingMarks(marks.log.name, marks.column, kinds.index(marks.column), marks.bad)


def _slot(feature: Ring, kinds: tuple[str, ...], windows: tuple[int, ...]) -> int:
    if feature.column is not None:
        return kinds.index(feature.column)
    if feature.window is not None:
        return len(kinds) + windows.index(_length(feature))
    return len(kinds) + len(windows) + _BESIDE.index(feature.statistic)


def _length(feature: Ring) -> int:
    return (feature.window.microseconds if feature.window else None) or 0
