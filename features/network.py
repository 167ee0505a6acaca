"""Rings: who hangs together with whom, because they share devices or the accounts that prizes are paid to.

A network has nodes (members, devices, payees) and edges, each an event that names two of them. Its connected components
are the rings. A component only grows, so old edges have to be forgotten by starting afresh: a *generation* starts at
every whole multiple of ``period`` since 1970 UTC and takes the edges of the next ``generations`` periods; a row reads
the oldest one alive, which has seen the last ``generations - 1`` to ``generations`` periods. These instants do not
depend on the data, so batch and online turn over at the same ones.

A shop's tablet would join half a town: a node takes part in at most ``cap`` edges of a generation, counted from what
had arrived strictly before. Events of one instant are decided together, so their order cannot matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from features.feature import Feature
from features.log import key_name

if TYPE_CHECKING:
    from features.log import Log, Where
    from features.window import Window

BESIDE_KINDS: Final = 4
"""Totals of a component besides nodes and recent people: edges, verdicts, bad ones, people with a bad one."""

_RULE = "0 when not seen within the network's horizon; null for a null key"


class RingStatistic(StrEnum):
    """What is counted of the ring that a node belongs to."""

    NODES = "nodes"
    EDGES = "edges"
    RECENT = "recent"
    MARKS = "marks"
    BAD_MARKS = "bad_marks"
    BAD_NODES = "bad_nodes"


@dataclass(frozen=True)
class Edge:
    """Every event of a log that has both columns joins what they name; one with a null joins nothing."""

    log: Log
    ends: tuple[str, str]


@dataclass(frozen=True)
class Marks:
    """Events that say something about a node: verdicts, of which some are bad.

    Attributes:
        log: The events.
        column: The node each is about.
        bad: Which of them are bad.
    """

    log: Log
    column: str
    bad: Where


@dataclass(frozen=True)
class Network:
    """What is joined, and how long it is remembered.

    Attributes:
        name: In the names of features.
        person: The column whose nodes are people: their first appearances are counted, the others' are not.
        edges: What joins.
        marks: What is known of people for good or bad; it joins nothing.
        cap: The most different neighbours of a node within a generation.
        period: How far the starts of generations lie apart.
        generations: How many are alive at a time; at least 2.
    """

    name: str
    person: str
    edges: tuple[Edge, ...]
    marks: Marks | None
    cap: int
    period: Window
    generations: int

    @property
    def kinds(self) -> tuple[str, ...]:
        """The columns that name nodes, people first."""
        ends = (end for edge in self.edges for end in edge.ends)
        return tuple(dict.fromkeys((self.person, *ends)))

    def problems(self) -> list[str]:
        """What is wrong with the network as declared; empty when nothing is."""
        found = []
        if self.cap < 1:
            found.append(f"network {self.name!r}: cap {self.cap}; expected at least 1")
        if self.generations < 2:
            found.append(f"network {self.name!r}: {self.generations} generations; expected at least 2")
        if self.period.microseconds is None or self.period.microseconds <= 0:
            found.append(f"network {self.name!r}: period {self.period.label!r} has no length")
        found += [
            f"network {self.name!r}: edge {edge.ends!r} has no end {self.person!r}"
            for edge in self.edges
            if self.person not in edge.ends
        ]
        if self.marks is not None:
            found += self.marks.bad.problems()
            if self.marks.column not in self.kinds:
                found.append(f"network {self.name!r}: marks are about {self.marks.column!r}, which is no node")
        return found


@dataclass(frozen=True)
class Ring(Feature):
    """A count over the ring of a node, from all that arrived strictly before the moment asked about.

    Attributes:
        network: Which network.
        key: The column of the row that names the node.
        statistic: What is counted.
        column: For ``NODES``, of which kind.
        window: For ``RECENT``, how lately a person appeared first.
    """

    network: Network
    key: str
    statistic: RingStatistic
    column: str | None
    window: Window | None

    def problems(self) -> list[str]:
        """What is wrong with the declaration; empty when nothing is."""
        found = self.network.problems()
        for column in (self.key, self.column):
            if column is not None and column not in self.network.kinds:
                found.append(f"{column!r} is no node of network {self.network.name!r}: {self.network.kinds!r}")
        if self.statistic in (RingStatistic.MARKS, RingStatistic.BAD_MARKS, RingStatistic.BAD_NODES):
            found += [] if self.network.marks else [f"network {self.network.name!r} has no marks"]
        if self.window is not None and not found:
            shortest = (self.network.generations - 1) * (self.network.period.microseconds or 0)
            if self.window.microseconds is None or not 0 < self.window.microseconds <= shortest:
                found.append(
                    f"window {self.window.label!r}; expected no longer than {shortest} microseconds, the horizon"
                )
        return found


def ring_nodes(network: Network, column: str, *, by: str, meaning: str) -> Feature:
    """How many members, devices, ... the ring has."""
    noun = f"{key_name(column)}s"
    return Ring(_name(network, by, noun), noun, _RULE, meaning, network, by, RingStatistic.NODES, column, None)


def ring_edges(network: Network, *, by: str, meaning: str) -> Feature:
    """How many pairs are joined directly."""
    return Ring(_name(network, by, "edges"), "pairs", _RULE, meaning, network, by, RingStatistic.EDGES, None, None)


def ring_recent(network: Network, *, by: str, over: Window, meaning: str) -> Feature:
    """How many people of the ring appeared in the network for the first time within a window."""
    noun = f"{key_name(network.person)}s"
    name = _name(network, by, f"recent_{noun}_{over.label}")
    return Ring(name, noun, _RULE, meaning, network, by, RingStatistic.RECENT, None, over)


def ring_marks(network: Network, noun: str, *, by: str, meaning: str) -> Feature:
    """How many verdicts on people of the ring have landed."""
    return Ring(_name(network, by, noun), "verdicts", _RULE, meaning, network, by, RingStatistic.MARKS, None, None)


def ring_bad_marks(network: Network, noun: str, *, by: str, meaning: str) -> Feature:
    """How many of them were bad."""
    return Ring(_name(network, by, noun), "verdicts", _RULE, meaning, network, by, RingStatistic.BAD_MARKS, None, None)


def ring_bad_nodes(network: Network, noun: str, *, by: str, meaning: str) -> Feature:
    """How many people of the ring have a bad one."""
    return Ring(_name(network, by, noun), "members", _RULE, meaning, network, by, RingStatistic.BAD_NODES, None, None)


def _name(network: Network, by: str, what: str) -> str:
    return f"{key_name(by)}_{network.name}_{what}"
