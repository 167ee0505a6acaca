"""The name of a ring: shared by all who are in it, kept while it grows, the older's when two become one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import UsageError
from features.network import ring_nodes
from features.online import LiveState
from features.ring import RING
from features.spec import Edge, FeatureSet, Log, Network, days

VISITS = Log("visits", entities=("member_id",))
CLUB = Network(
    name="club",
    person="member_id",
    edges=(Edge(VISITS, ("member_id", "device_id")),),
    marks=None,
    cap=100,
    period=days(10),
    generations=3,
)
SET = FeatureSet(ring_nodes(CLUB, "member_id", by="member_id", meaning="Members"))
DAY = 86_400_000_000
START = 2_000 * 10 * DAY + DAY
MINUTE = 60_000_000

visits = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), min_size=1, max_size=40)


def _fed(pairs: list[tuple[int, int]]) -> LiveState:
    state = LiveState(SET, identities={})
    for number, (member, device) in enumerate(pairs):
        event = {"seen_at": START + number * MINUTE, "member_id": f"m{member}", "device_id": f"d{device}"}
        state.append("visits", event)
    state.read({"as_of": START + len(pairs) * MINUTE, "member_id": None})
    return state


def _around(pairs: list[tuple[int, int]], member: int) -> set[int]:
    """Members joined to one through shared devices, found by walking."""
    found = {member}
    while True:
        devices = {device for one, device in pairs if one in found}
        more = {one for one, device in pairs if device in devices} | found
        if more == found:
            return found
        found = more


@settings(max_examples=60, deadline=None)
@given(visits)
def test_those_who_hang_together_share_a_name_and_nobody_else(pairs: list[tuple[int, int]]) -> None:
    state = _fed(pairs)

    seen = list(dict.fromkeys(member for member, _ in pairs))
    rings = {member: state.ring("club", "member_id", f"m{member}") for member in seen}

    for member, ring in rings.items():
        together = _around(pairs, member)
        assert (ring.members if ring else 1) == len(together)
        if ring is not None:
            assert {one for one, other in rings.items() if other == ring} == together
            assert int(ring.ring_id.rpartition("-")[2]) == 1 + min(seen.index(one) for one in together)
    assert all(state.ring("club", "device_id", f"d{device}") == rings[member] for member, device in pairs)


@settings(max_examples=30, deadline=None)
@given(visits)
def test_a_replay_and_a_restart_give_the_same_names(pairs: list[tuple[int, int]]) -> None:
    state, again = _fed(pairs), _fed(pairs)
    restored = LiveState(SET, identities={})
    restored.restore({name: array.copy() for name, array in state.arrays().items()}, state.clock, 0, state.kinds)

    for member in {member for member, _ in pairs}:
        name = state.ring("club", "member_id", f"m{member}")
        assert name == again.ring("club", "member_id", f"m{member}")
        assert name == restored.ring("club", "member_id", f"m{member}")


def test_a_ring_keeps_its_name_while_it_grows_and_takes_the_older_when_two_become_one() -> None:
    first, second, both = [(0, 0), (1, 0)], [(2, 1), (3, 1)], [(4, 1), (4, 0)]

    old = _fed(first).ring("club", "member_id", "m0")
    apart = _fed(first + second)
    merged = _fed(first + second + both).ring("club", "member_id", "m3")

    assert apart.ring("club", "member_id", "m0") == old
    assert old is not None
    assert merged is not None
    assert apart.ring("club", "member_id", "m2").ring_id != old.ring_id
    assert (merged.ring_id, merged.members) == (old.ring_id, 5)


def test_a_room_that_grew_does_not_rename() -> None:
    pairs = [(0, 0), (1, 0)] + [(100 + number, 100 + number) for number in range(500)]

    assert _fed(pairs).ring("club", "member_id", "m1") == _fed(pairs[:2]).ring("club", "member_id", "m1")


def test_one_alone_one_never_met_and_nobody_are_no_ring() -> None:
    state = _fed([(0, 0)])

    assert [state.ring("club", "member_id", value) for value in ("m0", "m9", None)] == [None] * 3


def test_an_event_joins_only_for_later_instants() -> None:
    state = _fed([(0, 0)])
    now = state.clock
    state.append("visits", {"seen_at": now, "member_id": "m1", "device_id": "d0"})
    before = state.ring("club", "member_id", "m0")
    state.read({"as_of": now + 1, "member_id": None})

    after = state.ring("club", "member_id", "m0")
    assert before is None
    assert after is not None
    assert after.members == 2


def test_the_next_generation_forgets() -> None:
    state = _fed([(0, 0), (1, 0)])
    found = state.ring("club", "member_id", "m0")
    assert found is not None
    assert found.ring_id.startswith("club-1998-")

    state.read({"as_of": START + 30 * DAY, "member_id": None})

    assert state.ring("club", "member_id", "m0") is None


def test_a_network_that_is_not_read_is_refused() -> None:
    state = LiveState(RING)

    for network, column in (("club", "member_id"), ("ring", "ip")):
        with pytest.raises(UsageError, match="no ring of"):
            state.ring(network, column, "x")
    with pytest.raises(UsageError, match="only the compiled evaluator"):
        LiveState(SET, "python", {}).ring("club", "member_id", "m0")


def test_numbers_are_ids_too() -> None:
    state = LiveState(SET, identities={})
    for number, member in enumerate((7, 8)):
        state.append("visits", {"seen_at": START + number, "member_id": member, "device_id": 1})
    state.read({"as_of": START + 5, "member_id": None})

    found = state.ring("club", "member_id", 8)
    assert found is not None
    assert found.members == 2
    assert np.isnan(state.read({"as_of": START + 6, "member_id": None})[0])
