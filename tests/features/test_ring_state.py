"""Rings online equal rings in batch and the oracle, event by event, also across a snapshot."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import DataError
from features import ring_state
from features.plan import compile_plan
from features.ring_state import RingState
from features.union_find import NULL
from tests.features.ring_oracle import ring_answer
from tests.features.ring_stream import CLUB_SET, START, logs, questions
from tests.features.test_ring import built, drawn

(PLAN,) = compile_plan(CLUB_SET).rings


def walked(given_logs, rows, restarts=frozenset()):
    """The answers of a live state that gets everything in order of time; it is saved and restored at some steps."""
    moments = [(event["seen_at"], 1, log, event) for log, events in given_logs.items() for event in events]
    moments += [(row["as_of"], 0, number, row) for number, row in enumerate(rows)]
    state = RingState(PLAN)
    answers = {}
    for step, (_, is_event, what, content) in enumerate(sorted(moments, key=lambda one: one[:2])):
        if step in restarts:
            saved = state.arrays()
            state = RingState(PLAN)
            state.restore(saved)
        if is_event:
            state.append(what, content)
        else:
            found = state.read(content)
            answers[what] = {name: None if np.isnan(value) else value for name, value in found.items()}
    return [answers[number] for number in range(len(rows))]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(given_logs=logs, rows=questions, restarts=st.sets(st.integers(0, 40), max_size=3))
def test_online_equals_the_oracle_also_after_restarts(given_logs, rows, restarts):
    expected = [{feature.name: ring_answer(feature, given_logs, row) for feature in CLUB_SET} for row in rows]
    assert walked(given_logs, rows, restarts) == expected


@pytest.mark.parametrize("seed", range(3))
def test_online_equals_batch(seed):
    given_logs, rows = drawn(np.random.default_rng(seed), 600)
    assert walked(given_logs, rows, {100, 700}) == built(CLUB_SET, given_logs, rows)


def test_a_question_before_or_after_the_events_of_its_instant_is_answered_alike():
    state = RingState(PLAN)
    row = {"as_of": START, "member_id": "ann", "device_id": "d1"}
    before = state.read(row)
    state.append("meetings", {"seen_at": START, "member_id": "ann", "device_id": "d1"})
    assert state.read(row) == before
    assert before["member_club_members"] == 0
    assert state.read({**row, "as_of": START + 1})["member_club_members"] == 1


def test_strangers_who_are_only_asked_about_take_no_room():
    state = RingState(PLAN)
    state.append("meetings", {"seen_at": START, "member_id": "ann", "device_id": "d1"})
    state.read({"as_of": START + 1, "member_id": "ann", "device_id": "d1"})
    before = {name: array.tolist() for name, array in state.arrays().items()}
    for number in range(500):
        state.read({"as_of": START + 1, "member_id": f"new{number}", "device_id": None})
    assert {name: array.tolist() for name, array in state.arrays().items()} == before


def test_ended_generations_are_let_go():
    state = RingState(PLAN)
    for number in range(2_000):
        at = START + number * PLAN.period // 100
        state.append("meetings", {"seen_at": at, "member_id": f"m{number}", "device_id": f"d{number}"})
    assert len(state._generations) == PLAN.generations
    assert sum(len(ids) for one in state._generations.values() for ids in one._ids) < 2 * 310
    state.read({"as_of": at + 100 * PLAN.period, "member_id": "m1", "device_id": None})
    assert state._generations == {}


def test_going_back_and_what_is_no_id_are_refused():
    state = RingState(PLAN)
    event = {"seen_at": START, "member_id": "ann", "device_id": "d1"}
    state.append("meetings", event)
    with pytest.raises(DataError, match=r"before .* which the rings have already seen"):
        state.append("meetings", {**event, "seen_at": START - 1})
    with pytest.raises(DataError, match="column 'device_id' is missing"):
        state.append("meetings", {"seen_at": START, "member_id": "ann"})
    with pytest.raises(DataError, match=r"column 'member_id': found 1\.5"):
        state.append("meetings", {**event, "member_id": 1.5})
    with pytest.raises(DataError, match="column 'member_id': found 7"):
        state.read({"as_of": START, "member_id": 7, "device_id": None})


def _evicts_too_early(state, at, settle=RingState._settle):
    settle(state, at)
    state._generations.pop(state.plan.oldest(at), None)


def _tie_visible(state, at, settle=RingState._settle):
    settle(state, at)
    state.clock -= 1
    settle(state, at)


FAULTS = {
    "a generation let go of early": (RingState, "_settle", _evicts_too_early),
    "tie visible": (RingState, "_settle", _tie_visible),
    "null taken for a stranger": (ring_state, "NULL", NULL - 1),
    "verdicts all bad": (ring_state, "_satisfies", lambda *_: True),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_caught(fault, monkeypatch):
    given_logs, rows = drawn(np.random.default_rng(2), 200)
    expected = [{feature.name: ring_answer(feature, given_logs, row) for feature in CLUB_SET} for row in rows]
    assert walked(given_logs, rows) == expected
    monkeypatch.setattr(*FAULTS[fault])
    assert walked(given_logs, rows) != expected
