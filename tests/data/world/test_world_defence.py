from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.world.defence import NaiveRules, NaiveSettings

OPEN = NaiveSettings(
    member_scans=99,
    member_failures=99,
    device_scans=99,
    device_members=99,
    address_scans=99,
    address_members=99,
    window_days=3,
)


def scans(
    members: list[str | None],
    devices: list[str | None] | None = None,
    addresses: list[str | None] | None = None,
    statuses: list[str] | None = None,
) -> pa.Table:
    nobody: list[str | None] = [None] * len(members)
    return pa.table(
        {
            "member_id": pa.array(members, pa.string()),
            "device_id": pa.array(devices or nobody, pa.string()),
            "ip": pa.array(addresses or nobody, pa.string()),
            "status": statuses or ["valid"] * len(members),
        }
    )


def limited(**limits: int) -> NaiveRules:
    return NaiveRules(NaiveSettings(**{**OPEN.__dict__, **limits}))


def test_scans_of_a_member_beyond_the_limit_are_blocked_and_days_begin_anew() -> None:
    rules = limited(member_scans=2)
    assert rules.judge(0, scans(["a", "b", "a", "a"])).tolist() == [False, False, False, True]
    assert rules.judge(0, scans(["a", "b"])).tolist() == [True, False]
    assert rules.judge(1, scans(["a", None, None, None])).tolist() == [False] * 4


def test_failures_count_for_themselves() -> None:
    rules = limited(member_failures=1)
    told = rules.judge(0, scans(["a"] * 4, statuses=["repeat", "valid", "inactive", "valid"]))
    assert told.tolist() == [False, False, True, False]


def test_a_phone_remembers_its_members_for_some_days() -> None:
    rules = limited(device_members=2)
    assert not rules.judge(0, scans(["a", "b", "a"], ["p", "p", "p"])).any()
    assert rules.judge(2, scans(["c", "a", "c"], ["p", "q", None])).tolist() == [True, False, False]
    # By now the first members are forgotten, and only the one of day 2 counts.
    assert not rules.judge(3, scans(["d"], ["p"])).any()


def test_a_phone_in_many_hands_on_one_day_is_blocked_from_the_limit_on() -> None:
    rules = limited(device_members=2)
    assert rules.judge(0, scans(["a", "b", "c", "a"], ["p"] * 4)).tolist() == [False, False, True, True]


def test_addresses_have_limits_of_scans_and_of_members() -> None:
    assert limited(address_scans=1).judge(0, scans(["a", "b"], addresses=["x", "x"])).tolist() == [False, True]
    told = limited(address_members=1).judge(0, scans(["a", "a", "b"], addresses=["x", "x", "x"]))
    assert told.tolist() == [False, False, True]


def test_days_come_in_order() -> None:
    rules = limited()
    rules.judge(3, scans(["a"]))
    with pytest.raises(ValueError, match="found day 2 after day 3"):
        rules.judge(2, scans(["a"]))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sampled_from("abc"), st.sampled_from(["p", "q", None]), st.sampled_from(["x", None])
        ),
        max_size=40,
    ).map(lambda rows: sorted(rows, key=lambda row: row[0])),
    st.integers(0, 40),
)
@settings(deadline=None)  # a hundred scans in pure Python, on a machine that does other things too
def test_it_is_the_same_however_the_day_is_cut(rows: list[tuple[int, str, str | None, str | None]], cut: int) -> None:
    limits = NaiveSettings(3, 2, 4, 1, 5, 1, 2)
    whole, parts = NaiveRules(limits), NaiveRules(limits)
    for day in sorted({row[0] for row in rows}):
        today = [row for row in rows if row[0] == day]
        table = scans([row[1] for row in today], [row[2] for row in today], [row[3] for row in today])
        at_once = whole.judge(day, table)
        pieces = [parts.judge(day, table.slice(0, cut)), parts.judge(day, table.slice(cut))]
        assert np.array_equal(np.concatenate(pieces), at_once)
