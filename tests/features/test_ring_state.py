import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import DataError
from features import compiled, program, ring_state
from features.online import LiveState
from features.plan import compile_plan
from features.ring_memory import RingMemory
from tests.features.ring_oracle import ring_answer
from tests.features.ring_stream import CLUB_SET, START, logs, questions
from tests.features.test_ring import built, drawn

(PLAN,) = compile_plan(CLUB_SET).rings


def walked(given_logs, rows, restarts=frozenset()):
    """The answers of a live state that gets everything in order of time; it is saved and restored at some steps."""
    moments = [(event["seen_at"], 1, log, event) for log, events in given_logs.items() for event in events]
    moments += [(row["as_of"], 0, number, row) for number, row in enumerate(rows)]
    state = LiveState(CLUB_SET, identities={})
    answers = {}
    for number, (_, is_event, what, content) in enumerate(sorted(moments, key=lambda one: one[:2])):
        if number in restarts:
            saved = {name: array.copy() for name, array in state.arrays().items()}, state.clock, state.sequence
            kinds = state.kinds
            state = LiveState(CLUB_SET, identities={})
            state.restore(*saved, kinds)
        if is_event:
            state.append(what, content)
        else:
            found = dict(zip(state.names, state.read(content), strict=True))
            answers[what] = {name: None if np.isnan(value) else value for name, value in found.items()}
    return [answers[number] for number in range(len(rows))]


def answered(state, row):
    return dict(zip(state.names, state.read(row).tolist(), strict=True))


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
    state = LiveState(CLUB_SET)
    row = {"as_of": START, "member_id": "ann", "device_id": "d1"}
    before = answered(state, row)
    state.append("meetings", {"seen_at": START, "member_id": "ann", "device_id": "d1"})
    assert answered(state, row) == before
    assert before["member_club_members"] == 0
    assert answered(state, {**row, "as_of": START + 1})["member_club_members"] == 1


def test_strangers_who_are_only_asked_about_take_no_room():
    state = LiveState(CLUB_SET)
    state.append("meetings", {"seen_at": START, "member_id": "ann", "device_id": "d1"})
    state.read({"as_of": START + 1, "member_id": "ann", "device_id": "d1"})
    before = {name: array.tolist() for name, array in state.arrays().items()}
    for number in range(500):
        state.read({"as_of": START + 1, "member_id": f"new{number}", "device_id": None})
    assert {name: array.tolist() for name, array in state.arrays().items()} == before


def _nodes(state):
    """How many nodes each generation alive holds."""
    arena = state.arrays()["arena"]
    first = program.network_places(state.plan)[0] + ring_state.N_FORESTS
    return [int(arena[place + ring_state.F_NODES]) for place in arena[first : first + PLAN.generations]]


def test_ended_generations_are_let_go_and_their_room_is_used_again():
    state = LiveState(CLUB_SET)
    sizes = []
    for number in range(4_000):
        at = START + number * PLAN.period // 100
        state.append("meetings", {"seen_at": at, "member_id": f"m{number % 1_000}", "device_id": f"d{number % 990}"})
        sizes.append(len(state.arrays()["arena"]))
    assert sum(_nodes(state)) < 2 * 310
    assert sizes[-1] == sizes[2_000]
    state.read({"as_of": at + 100 * PLAN.period, "member_id": "m1", "device_id": None})
    assert sum(_nodes(state)) == 0


def test_what_is_no_id_is_refused():
    state = LiveState(CLUB_SET)
    event = {"seen_at": START, "member_id": "ann", "device_id": "d1"}
    state.append("meetings", event)
    with pytest.raises(DataError, match="column 'device_id' is missing"):
        state.append("meetings", {"seen_at": START, "member_id": "ann"})
    with pytest.raises(DataError, match=r"column 'member_id': found 1\.5"):
        state.append("meetings", {**event, "member_id": 1.5})
    with pytest.raises(DataError, match="column 'member_id': found 7"):
        state.read({"as_of": START, "member_id": 7, "device_id": None})


def _evicts_too_early(memory, at, turn=RingMemory.turn):
    turn(memory, at + PLAN.period)


def _with_program(change):
    def seed(monkeypatch):
        flatten = compiled.flatten

        def faulty(plan, codes):
            made = flatten(plan, codes)
            change(made)
            return made

        monkeypatch.setattr(compiled, "flatten", faulty)

    return seed


def _keys_swapped(made):
    """The ring of the device is told as that of the member, and the other way round."""
    at = made.code[made.questions + program.PASS_RINGS_AT]
    keys = made.code[at + program.Q_KEYS_AT]
    made.code[keys : keys + 4] = made.code[[keys + 2, keys + 3, keys, keys + 1]]


def _verdicts_all_bad(made):
    at = made.code[made.appends["opinions"] + program.PASS_RINGS_AT]
    made.code[made.code[at + program.O_MARKS_AT] + 3] = program.AT_LEAST
    made.code[made.code[made.code[at + program.O_MARKS_AT] + 5]] = 0


def _ties_visible(monkeypatch):
    answers = compiled.CompiledEvaluator.answers
    monkeypatch.setattr(compiled.CompiledEvaluator, "answers", lambda self, at, *rest: answers(self, at + 1, *rest))


FAULTS = {
    "a generation let go of early": lambda monkeypatch: monkeypatch.setattr(RingMemory, "turn", _evicts_too_early),
    "tie visible": _ties_visible,
    "one key taken for another": _with_program(_keys_swapped),
    "verdicts all bad": _with_program(_verdicts_all_bad),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_caught(fault, monkeypatch):
    given_logs, rows = drawn(np.random.default_rng(2), 200)
    expected = [{feature.name: ring_answer(feature, given_logs, row) for feature in CLUB_SET} for row in rows]
    assert walked(given_logs, rows) == expected
    FAULTS[fault](monkeypatch)
    assert walked(given_logs, rows) != expected
