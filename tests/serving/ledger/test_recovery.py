"""After a restart the state is what it was, by whichever way it came back."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import DataError
from features.online import LiveState
from features.spec import DAY, HOUR, FeatureSet, Log, Where, count, distinct, sum_
from serving.ledger.blocks import decode_events, encode_events
from serving.ledger.ledger import Ledger
from serving.ledger.recovery import KEPT, SNAPSHOTS, keep, recover, refresh
from serving.live.joined import rows_of

SCANS = Log("scans", entities=("member_id", "device_id"))
FEATURES = FeatureSet(
    count(SCANS, by="member_id", over=(HOUR, DAY)),
    count(SCANS, by="device_id", over=DAY, where=Where("status", "==", "first", "first")),
    distinct(SCANS, "member_id", by="device_id", over=DAY),
    sum_(SCANS, "prize_fen", by="member_id", over=DAY),
)
MINUTE = 60_000_000
SECRET = "0123456789abcdef" * 4


@pytest.fixture
def fed(desk):
    """A log of 120 events of five members over hours, and the state that saw them come."""
    state = LiveState(FEATURES)
    generator = np.random.default_rng(5)
    for number in range(120):
        clock = int(generator.integers(1, 4)) * number * MINUTE
        entry = desk.ask(number, member=f"member-{generator.integers(5)}", clock=clock)
        event = entry.events[0][1] | {"seen_at": entry.seen_at}
        assert state.append("scans", event)
    return desk, state


def answers(desk, state):
    vault, at = desk.ledger.vault, state.clock + 1
    rows = [
        {"as_of": at, "member_id": vault.member(f"member-{one}").alias, "device_id": vault.alias("device_id", phone)}
        for one in range(5)
        for phone in ("phone-1", "phone-6", "phone-none")
    ]
    return [state.read(row).tobytes() for row in rows]


def test_the_state_comes_back_from_the_log_alone(fed):
    desk, state = fed
    recovered = recover(desk.ledger, FEATURES, desk.ledger.folder / SNAPSHOTS)

    assert recovered.sequence == 120
    assert answers(desk, recovered) == answers(desk, state)
    assert not (desk.ledger.folder / SNAPSHOTS).exists()


def test_it_comes_back_from_a_snapshot_and_the_log_after_it(fed):
    desk, state = fed
    snapshots = desk.ledger.folder / SNAPSHOTS
    first = keep(desk.ledger, state, snapshots)
    for number in range(200, 230):
        entry = desk.ask(number, member="member-1", clock=state.clock)
        state.append("scans", entry.events[0][1] | {"seen_at": entry.seen_at})
    recovered = recover(desk.ledger, FEATURES, snapshots, long_replay=10)

    assert recovered.sequence == 150
    assert answers(desk, recovered) == answers(desk, state)
    kept = sorted(path.name for path in snapshots.iterdir())
    assert len(kept) == 2
    assert first.name in kept
    assert recover(desk.ledger, FEATURES, snapshots).sequence == 150


def test_no_more_snapshots_stay_than_are_of_use(fed):
    desk, state = fed
    snapshots = desk.ledger.folder / SNAPSHOTS
    (snapshots).mkdir()
    (snapshots / "note.txt").write_text("mine")
    names = []
    for number in range(300, 304):
        desk.ask(number)
        names.append(keep(desk.ledger, state, snapshots).name)
    assert {path.name for path in snapshots.iterdir()} == {*names[-KEPT:], "note.txt"}


def test_beside_a_service_a_snapshot_is_written_from_the_log(fed):
    desk, state = fed
    snapshots = desk.ledger.folder / SNAPSHOTS
    beside = Ledger.read(desk.ledger.folder, SECRET)
    later = desk.ask(500, clock=state.clock)
    state.append("scans", later.events[0][1] | {"seen_at": later.seen_at})

    assert refresh(beside, FEATURES, snapshots) == 121
    assert refresh(beside, FEATURES, snapshots) == 0
    desk.ledger._writing.execute("DELETE FROM blocks")  # so that it comes from the snapshot, if it comes
    assert answers(desk, recover(desk.ledger, FEATURES, snapshots)) == answers(desk, state)
    assert len(list(snapshots.iterdir())) == 1
    beside.close()


def test_a_damaged_snapshot_is_passed_over_and_said(fed, caplog):
    desk, state = fed
    snapshots = desk.ledger.folder / SNAPSHOTS
    path = keep(desk.ledger, state, snapshots)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with caplog.at_level(logging.WARNING):
        recovered = recover(desk.ledger, FEATURES, snapshots)
    assert "damaged" in caplog.text
    assert answers(desk, recovered) == answers(desk, state)


def test_a_snapshot_of_a_log_that_lost_its_end_is_refused(fed, open_desk, folder):
    desk, state = fed
    keep(desk.ledger, state, folder / SNAPSHOTS)
    desk.ledger._writing.execute("DELETE FROM entries WHERE sequence > 100")
    desk.close()
    desk = open_desk(folder)
    with pytest.raises(DataError, match="acknowledged are gone or changed"):
        recover(desk.ledger, FEATURES, folder / SNAPSHOTS)
    desk.close()


def test_a_state_of_other_features_takes_no_snapshot_of_these(fed):
    desk, state = fed
    keep(desk.ledger, state, desk.ledger.folder / SNAPSHOTS)
    fewer = FeatureSet(count(SCANS, by="member_id", over=DAY))
    recovered = recover(desk.ledger, fewer, desk.ledger.folder / SNAPSHOTS)
    whole = LiveState(fewer)
    for batch in desk.ledger.entries():
        for event in rows_of(batch.events["scans"]):
            whole.append("scans", event)
    ann = desk.ledger.vault.member("member-1").alias
    row = {"as_of": state.clock, "member_id": ann}
    assert recovered.read(row).tobytes() == whole.read(row).tobytes()


def test_an_empty_log_gives_an_empty_state(desk):
    assert recover(desk.ledger, FEATURES, desk.ledger.folder / SNAPSHOTS).sequence == 0


whole = st.one_of(st.none(), st.integers(-(1 << 62) + 1, (1 << 62) - 1))
text = st.one_of(st.none(), st.text(max_size=5))
some = st.lists(
    st.tuples(
        st.sampled_from(["scans", "orders"]),
        st.fixed_dictionaries({}, optional={"one": whole, "two": whole, "three": text}),
    ),
    max_size=3,
)


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(taken=st.lists(some, max_size=8))
def test_what_a_block_holds_is_what_went_in(taken):
    block = decode_events(encode_events((place, tuple(events)) for place, events in enumerate(taken)))
    names = ("one", "two", "three")
    for log in ("scans", "orders"):
        expected = [
            {"seen_at": place} | {name: event.get(name) for name in names}
            for place, events in enumerate(taken)
            for found, event in events
            if found == log
        ]
        assert (list(rows_of(block[log], names)) if log in block else []) == expected


def test_what_is_no_value_of_an_event_is_refused():
    with pytest.raises(DataError, match="expected numbers, text or None"):
        encode_events([(1, (("scans", {"one": object()}),))])
    with pytest.raises(DataError, match="holds no events"):
        decode_events(b"\xc1")


def test_a_column_that_changes_its_kind_is_named(desk):
    first, second = desk.entry(1), desk.entry(2)
    second.events[0][1]["device_id"] = "phone"
    for entry in (first, second):
        desk.writer.submit(entry, lambda: None)
        assert desk.writer.drain(5)
    with pytest.raises(DataError, match="device_id: found whole numbers and text"):
        recover(desk.ledger, FEATURES, desk.ledger.folder)
