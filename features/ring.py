"""The ring around a scan: who hangs together with its member or its device through devices and payees shared.

Attackers must pool devices, and pool the accounts that money goes to; honest families are rings too, but small, old
and slow to grow. The ring of a member and the ring of a device are both told, as they were before the scan itself could
join them: a fresh account on an old farm's phone has no ring of its own yet, but the phone has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from features.offer import quotient
from features.scan import DEVICE, LABELS, MEMBER, PAYOUTS, SCANS, WOOL
from features.spec import (
    DAY,
    WEEK,
    Edge,
    FeatureSet,
    Marks,
    Network,
    days,
    derived,
    ring_bad_marks,
    ring_bad_nodes,
    ring_edges,
    ring_marks,
    ring_nodes,
    ring_recent,
)

if TYPE_CHECKING:
    from features.feature import Feature
    from features.kernel import Doubles

PAYEE: Final = "account_id"

RINGS = Network(
    name="ring",
    person=MEMBER,
    edges=(Edge(SCANS, (MEMBER, DEVICE)), Edge(PAYOUTS, (MEMBER, PAYEE))),
    marks=Marks(LABELS, MEMBER, bad=WOOL),
    cap=50,
    period=days(10),
    generations=3,
)
"""Remembered for 20 to 30 days. A cap of 50 lets a farm's phone in and keeps a shop's tablet from joining a town."""


def _density(edges: Doubles, members: Doubles, devices: Doubles, payees: Doubles) -> Doubles:
    return edges / (members * (devices + payees))


def _larger(members: Doubles, others: Doubles) -> Doubles:
    return np.fmax(members, others)


def _around(by: str) -> tuple[Feature, ...]:
    """All that is told of the ring of a node."""
    entity = by.removesuffix("_id")
    ring = f"{entity}_ring"
    whose = f"the ring around this {entity}"
    return (
        ring_nodes(RINGS, MEMBER, by=by, meaning=f"Members in {whose}, joined by shared devices and payees"),
        ring_nodes(RINGS, DEVICE, by=by, meaning=f"Devices in {whose}"),
        ring_nodes(RINGS, PAYEE, by=by, meaning=f"Accounts that prizes of {whose} are paid to"),
        ring_edges(RINGS, by=by, meaning=f"Pairs of member and device or payee in {whose}"),
        ring_recent(RINGS, by=by, over=DAY, meaning=f"Members of {whose} who first turned up in the last day (growth)"),
        ring_recent(RINGS, by=by, over=WEEK, meaning=f"Members of {whose} who first turned up in the last 7 days"),
        ring_marks(RINGS, "verdicts", by=by, meaning=f"Verdicts that have landed on members of {whose}"),
        ring_bad_marks(RINGS, "wool_verdicts", by=by, meaning=f"Wool-party verdicts landed on members of {whose}"),
        ring_bad_nodes(RINGS, "wool_members", by=by, meaning=f"Members of {whose} already found to be wool party"),
        derived(
            f"{ring}_density",
            _density,
            "share",
            f"Which part of all pairs that {whose} could have it has: a farm rotates every account over every phone",
            of=(f"{ring}_edges", f"{ring}_members", f"{ring}_devices", f"{ring}_accounts"),
        ),
        derived(
            f"{ring}_growth_1d",
            quotient,
            "share",
            f"Share of the members of {whose} who first turned up in the last day",
            of=(f"{ring}_recent_members_1d", f"{ring}_members"),
        ),
        derived(
            f"{ring}_new_share_7d",
            quotient,
            "share",
            f"Share of the members of {whose} who first turned up in the last 7 days",
            of=(f"{ring}_recent_members_7d", f"{ring}_members"),
        ),
        derived(
            f"{ring}_wool_share",
            quotient,
            "share",
            f"Share of the verdicts landed on {whose} that said wool party",
            of=(f"{ring}_wool_verdicts", f"{ring}_verdicts"),
        ),
    )


RING = FeatureSet(
    _around(MEMBER),
    _around(DEVICE),
    derived(
        "scan_ring_members",
        _larger,
        "members",
        "Members of the larger of the rings that this scan's member and device are in",
        of=("member_ring_members", "device_ring_members"),
    ),
)
