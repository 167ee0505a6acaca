"""Many events at once are taken in as one by one, to the same bits."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from features.online import LiveState
from features.spec import DAY, FeatureSet, Log, count, sum_
from tests.features.judge import expectations
from tests.features.live import differences
from tests.features.ring_stream import CLUB_SET, logs
from tests.features.ring_stream import questions as ring_questions
from tests.features.stream import ALL, SCHEMA, drawn, events, questions
from tests.features.test_replay import SCHEMAS

thorough = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
SCANS = Log("scans", entities=("member_id",))
SCAN = FeatureSet(count(SCANS, by="member_id", over=DAY), sum_(SCANS, "prize_fen", by="member_id", over=DAY))
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def _answers(state, rows):
    return [
        {name: None if np.isnan(value) else value for name, value in zip(state.names, state.read(row), strict=True)}
        for row in sorted(rows, key=lambda one: one["as_of"])
    ]


@thorough
@given(log=st.lists(events, max_size=40), rows=st.lists(questions, min_size=1, max_size=6), cut=st.integers(0, 40))
def test_bulk_and_one_by_one_agree_with_the_oracle(log, rows, cut):
    log = sorted(log, key=lambda event: event["seen_at"])
    end = max([event["seen_at"] for event in log], default=0) + 1
    rows = [{**row, "as_of": max(row["as_of"], end)} for row in rows]
    state = LiveState(ALL)
    for part in (log[:cut], log[cut:]):
        assert state.replay({"events": pa.Table.from_pylist(part, SCHEMA)}) == len(part)
    assert state.sequence == len(log)
    expected = expectations(ALL, log, sorted(rows, key=lambda one: one["as_of"]))
    assert differences(_answers(state, rows), expected) == []


@thorough
@given(given_logs=logs, rows=ring_questions)
def test_logs_are_merged_by_instant(given_logs, rows):
    state, bulk = LiveState(CLUB_SET), LiveState(CLUB_SET)
    steps = [(event["seen_at"], log, event) for log, held in given_logs.items() for event in held]
    for _, log, event in sorted(steps, key=lambda one: one[0]):
        state.append(log, event)
    bulk.replay({log: pa.Table.from_pylist(held, SCHEMAS[log]) for log, held in given_logs.items()})
    assert (bulk.clock, bulk.sequence) == (state.clock, state.sequence)
    rows = [{**row, "as_of": max(row["as_of"], state.clock)} for row in rows]
    assert _answers(bulk, rows) == _answers(state, rows)


def test_a_long_log_in_pieces_between_single_events():
    log, rows = drawn(np.random.default_rng(9), 600)
    log.sort(key=lambda event: event["seen_at"])
    state, bulk = LiveState(ALL), LiveState(ALL)
    for event in log:
        state.append("events", event)
    bulk.replay({"events": pa.Table.from_pylist(log[:300], SCHEMA)})
    for event in log[300:350]:
        bulk.append("events", event)
    bulk.replay({"events": pa.Table.from_pylist(log[350:], SCHEMA)})
    for row in rows[:60]:
        row["as_of"] = state.clock + 1
        assert bulk.read(row).tobytes() == state.read(row).tobytes()


def _scans(**columns):
    held = {"seen_at": [NOON, NOON + timedelta(hours=1)], "scan_id": ["s1", "s2"], "member_id": ["ann", "ann"]}
    return {"scans": pa.table({**held, "prize_fen": [1, 2], **columns})}


def test_ids_count_once_and_whatever_way_they_came():
    state = LiveState(SCAN)
    assert state.replay(_scans(member_id=pa.array(["café", None]), scan_id=["é", "é"])) == 1
    later = NOON + timedelta(hours=2)
    assert not state.append("scans", {"seen_at": later, "scan_id": "é", "member_id": "café", "prize_fen": 9})
    assert state.append("scans", {"seen_at": later, "scan_id": "s3", "member_id": "café", "prize_fen": 9})
    assert state.read({"as_of": later + timedelta(seconds=1), "member_id": "café"}).tolist() == [2.0, 10.0]
    assert state.sequence == 4


def test_long_texts_fit():
    state = LiveState(SCAN)
    names = ["a" * 5_000, "b" * 70_000]
    assert state.replay(_scans(member_id=names)) == 2
    assert state.append(
        "scans", {"seen_at": NOON + timedelta(hours=2), "scan_id": "x", "member_id": "c" * 200_000, "prize_fen": 1}
    )
    assert [state.read({"as_of": NOON + timedelta(hours=3), "member_id": name})[0] for name in names] == [1.0, 1.0]


def test_what_cannot_be_taken_in_is_refused():
    state = LiveState(SCAN)
    with pytest.raises(DataError, match="column 'prize_fen': found text, expected whole numbers"):
        state.replay(_scans(prize_fen=["1", "2"]))
    with pytest.raises(DataError, match="column 'prize_fen' is missing"):
        state.replay({"scans": _scans()["scans"].drop_columns(["prize_fen"])})
    with pytest.raises(DataError, match="its id, column scan_id, is missing"):
        state.replay({"scans": _scans()["scans"].drop_columns(["scan_id"])})
    with pytest.raises(DataError, match="holds double, expected whole numbers or text"):
        state.replay(_scans(prize_fen=[1.0, 2.0]))
    with pytest.raises(UsageError, match="no feature reads log 'orders'"):
        state.replay({"orders": _scans()["scans"]})
    with pytest.raises(DataError, match=r"a number of 2\*\*62 or more"):
        state.replay(_scans(prize_fen=[1, 2**62]))
    state = LiveState(SCAN)
    state.replay(_scans())
    with pytest.raises(DataError, match="which the state has already seen"):
        state.replay(_scans())
    assert state.replay({}) == 0
    with pytest.raises(UsageError, match="evaluator='compiled'"):
        LiveState(SCAN, "python").replay(_scans())
