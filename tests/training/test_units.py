"""Which members are one unit: those who share a phone or an account, over any number of steps."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError
from data.questions import RING, Linked
from training.units import units

LINKED = Linked("ring", "member_id", (("scans", "device_id"), ("payouts", "account_id")), most=3)


def _units(scans, payouts, asked, linked=LINKED):
    with duckdb.connect() as connection:
        for name, column, pairs in (("seen", "device_id", scans), ("paid", "account_id", payouts)):
            members, shared = ([pair[place] for pair in pairs] for place in (0, 1))
            table = pa.table({"member_id": pa.array(members, pa.string()), column: pa.array(shared, pa.string())})
            connection.register(name, table)
        connection.execute("CREATE VIEW scans AS FROM seen; CREATE VIEW payouts AS FROM paid")
        return units(linked, connection, pa.table({"member_id": pa.array(asked, pa.string())})).to_pylist()


def test_members_who_share_a_phone_or_an_account_are_one_unit_over_several_steps():
    one, two, three, alone = _units([("a", "d1"), ("b", "d1"), ("x", "d2")], [("b", "p"), ("c", "p")], list("abcx"))
    assert one == two == three != alone


def test_what_too_many_share_links_nobody():
    tablet = [(member, "tablet") for member in "abcd"]
    assert len(set(_units(tablet, [], list("abcd")))) == 4
    assert len(set(_units(tablet[:3], [], list("abc")))) == 1


def test_a_phone_and_an_account_of_the_same_name_are_not_the_same():
    assert len(set(_units([("a", "1"), ("b", "1")], [("c", "1"), ("d", "1")], list("abcd")))) == 2


def test_a_row_without_a_member_or_a_phone_is_a_unit_of_its_own():
    found = _units([("a", None), ("b", None), (None, "d"), ("c", "d")], [], ["a", "b", None, None, "c", "stranger"])
    assert len(set(found)) == 6


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("123456"))), st.permutations("abcdefgh"))
def test_units_are_those_that_a_walk_along_shared_phones_finds(pairs, asked):
    found = dict(zip(asked, _units(pairs, [], asked), strict=True))
    on = {device: {member for member, other in pairs if other == device} for _, device in pairs}
    on = {device: members for device, members in on.items() if len(members) <= LINKED.most}
    for member in asked:
        reached, last = {member}, set()
        while reached != last:
            last = set(reached)
            reached |= {other for members in on.values() if members & reached for other in members}
        assert {other for other in asked if found[other] == found[member]} == reached


def test_a_missing_table_is_named():
    with duckdb.connect() as connection:
        connection.execute("CREATE VIEW scans AS SELECT 'a' AS member_id, 'd' AS device_id")
        with pytest.raises(DataError, match=r"what makes a ring .*missing payouts"):
            units(RING, connection, pa.table({"member_id": ["a"]}))
