"""The slow, obvious reading of a network: all edges again for every row, components by walking from node to node."""

from collections.abc import Mapping, Sequence

from features.network import Ring, RingStatistic
from tests.features.oracle import TESTS

Event = Mapping[str, object]
Node = tuple[str, object]


def ring_answer(feature: Ring, logs: Mapping[str, Sequence[Event]], row: Event) -> int | None:
    """The value of one feature of one row; instants are microseconds under ``seen_at`` and ``as_of``."""
    network, node, at = feature.network, (feature.key, row[feature.key]), row["as_of"]
    if node[1] is None:
        return None
    period = network.period.microseconds
    begins = (at // period - network.generations + 1) * period
    joined, appeared = _joined(network, logs, begins, at)
    ring = _component(node, joined)
    people = [one for one in ring if one[0] == network.person]
    verdicts = _verdicts(network, logs, begins, at)
    about = [(node, bad) for node, bad in verdicts if node in ring]
    length = feature.window.microseconds if feature.window else 0
    return {
        RingStatistic.NODES: sum(one[0] == feature.column and one in appeared for one in ring),
        RingStatistic.EDGES: sum(left in ring for left, _ in joined),
        RingStatistic.RECENT: sum(one in appeared and appeared[one] >= at - length for one in people),
        RingStatistic.MARKS: len(about),
        RingStatistic.BAD_MARKS: sum(bad for _, bad in about),
        RingStatistic.BAD_NODES: len({node for node, bad in about if bad}),
    }[feature.statistic]


def _joined(network, logs, begins, at):
    """The pairs that count, and when each node was first named by an edge."""
    edges = [
        (event["seen_at"], (edge.ends[0], event[edge.ends[0]]), (edge.ends[1], event[edge.ends[1]]))
        for edge in network.edges
        for event in logs[edge.log.name]
        if begins <= event["seen_at"] < at and None not in (event[edge.ends[0]], event[edge.ends[1]])
    ]
    joined, appeared = set(), {}
    for instant in sorted({when for when, _, _ in edges}):
        tied = [(left, right) for when, left, right in edges if when == instant]
        neighbours = {}
        for left, right in joined:
            neighbours[left] = neighbours.get(left, 0) + 1
            neighbours[right] = neighbours.get(right, 0) + 1
        for pair in tied:
            appeared.setdefault(pair[0], instant)
            appeared.setdefault(pair[1], instant)
        joined |= {pair for pair in tied if all(neighbours.get(node, 0) < network.cap for node in pair)}
    return joined, appeared


def _component(node, joined):
    ring, waiting = {node}, [node]
    while waiting:
        here = waiting.pop()
        for left, right in joined:
            there = right if left == here else left if right == here else here
            if there not in ring:
                ring.add(there)
                waiting.append(there)
    return ring


def _verdicts(network, logs, begins, at):
    marks = network.marks
    return [
        ((marks.column, event[marks.column]), _is_bad(marks.bad, event))
        for event in (logs[marks.log.name] if marks else ())
        if begins <= event["seen_at"] < at and event[marks.column] is not None
    ]


def _is_bad(where, event):
    value = event[where.column]
    return value is not None and TESTS[where.test](value, where.operand)
