from itertools import pairwise

import numpy as np
import pytest

from features import compiled, reservation
from features.memory import held_bytes
from features.online import LiveState
from features.reservation import reserved
from tests.features.live import differences, live_answers
from tests.features.stream import ALL, drawn

MIB = 1 << 20


def test_what_is_reserved_is_zeros_and_becomes_memory_only_when_written_to():
    before = held_bytes()
    room = reserved(32 * MIB)
    assert room.nbytes >= 256 * MIB
    assert held_bytes() - before < 64 * MIB
    room[: 16 * MIB] = 1
    assert held_bytes() - before >= 100 * MIB
    assert room[16 * MIB : 32 * MIB].any() == np.False_


def test_a_system_that_gives_less_is_asked_for_half_again_and_again(monkeypatch):
    asked = []

    def strict(words):
        asked.append(words)
        if words > 5000:
            raise OSError("no room")
        return np.zeros(words, np.int64)

    monkeypatch.setattr(reservation, "_mapped", strict)
    assert 2500 <= len(reserved(100)) <= 5000
    assert all(later == earlier // 2 for earlier, later in pairwise(asked))
    assert len(reserved(8000)) == 8000


def test_a_state_grows_in_place():
    state = LiveState(ALL)
    arena = state._evaluator.arena
    log, _ = drawn(np.random.default_rng(5), 1000)
    start = int(arena[0])
    for event in sorted(log, key=lambda one: one["seen_at"]):
        state.append("events", event)
    assert arena[0] > start
    assert state._evaluator.arena is arena


@pytest.fixture
def without_room(monkeypatch):
    """Growth by copying, as on a system that reserves nothing; answers how long each arena was."""
    lengths = []

    def exactly(words):
        lengths.append(words)
        return np.zeros(words, np.int64)

    monkeypatch.setattr(compiled, "reserved", exactly)
    monkeypatch.setattr(compiled, "_ARENA", 1 << 10)
    return lengths


def test_a_state_that_has_to_copy_to_grow_answers_the_same(without_room, monkeypatch):
    log, rows = drawn(np.random.default_rng(6), 400)
    copied = live_answers(ALL, log, rows, "compiled")
    assert len(without_room) > 3
    monkeypatch.undo()
    assert differences(copied, live_answers(ALL, log, rows, "compiled")) == []
