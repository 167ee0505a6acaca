import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from features.online import LiveState
from features.snapshot import restore, snapshot
from features.spec import DAY, FeatureSet, Log, count
from tests.features.judge import expectations
from tests.features.live import differences, live_answers
from tests.features.stream import ALL, drawn, events, questions

thorough = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def _fed(log):
    state = LiveState(ALL)
    for event in sorted(log, key=lambda one: one["seen_at"]):
        state.append("events", event)
    return state


@thorough
@given(log=st.lists(events, max_size=25), rows=st.lists(questions, min_size=1, max_size=8))
def test_a_state_that_is_restored_after_every_step_answers_the_same(log, rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("state") / "live"

    def exchanged(state):
        snapshot(state, path)
        return restore(path, ALL)

    assert differences(live_answers(ALL, log, rows, "compiled", exchanged), expectations(ALL, log, rows)) == []


def test_a_snapshot_and_the_log_after_it_give_the_state_of_the_whole_log(tmp_path):
    log, rows = drawn(np.random.default_rng(8), 400)
    log.sort(key=lambda event: event["seen_at"])
    snapshot(_fed(log[:250]), tmp_path / "live")
    recovered = restore(tmp_path / "live", ALL)
    assert (recovered.sequence, recovered.clock) == (250, log[249]["seen_at"])
    for event in log[recovered.sequence :]:
        recovered.append("events", event)
    whole = _fed(log)
    for row in rows[:50]:
        row["as_of"] = whole.clock + 1
        assert recovered.read(row).tobytes() == whole.read(row).tobytes()


def test_ids_that_came_before_a_snapshot_are_still_repeats(tmp_path):
    scans = Log("scans", entities=("member_id",))
    features = FeatureSet(count(scans, by="member_id", over=DAY))
    state = LiveState(features)
    assert state.append("scans", {"scan_id": "s1", "seen_at": 5, "member_id": "ann"})
    snapshot(state, tmp_path / "live")
    again = restore(tmp_path / "live", features)
    assert not again.append("scans", {"scan_id": "s1", "seen_at": 9, "member_id": "ann"})
    assert again.append("scans", {"scan_id": "s2", "seen_at": 9, "member_id": "ann"})
    assert again.read({"as_of": 10, "member_id": "ann"}).tolist() == [2.0]


@pytest.fixture
def written(tmp_path):
    log, _ = drawn(np.random.default_rng(1), 60)
    snapshot(_fed(log), tmp_path / "live")
    return tmp_path / "live"


@pytest.mark.parametrize("where", [0, 30, 400, 0.5, -1])
def test_a_changed_byte_is_refused(written, where):
    content = bytearray(written.read_bytes())
    content[int(where * len(content)) if isinstance(where, float) else where] ^= 1
    written.write_bytes(content)
    with pytest.raises(DataError, match="rebuild the state from the event log"):
        restore(written, ALL)


def test_a_file_cut_short_is_refused(written):
    written.write_bytes(written.read_bytes()[:-100])
    with pytest.raises(DataError, match="damaged or cut short"):
        restore(written, ALL)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="found no file"):
        restore(tmp_path / "live", ALL)


def test_a_snapshot_of_other_features_is_refused(written):
    with pytest.raises(DataError, match="was written for features"):
        restore(written, ALL.only(*ALL.names[1:]))


def test_another_layout_of_memory_is_refused():
    arrays = LiveState(ALL).arrays()
    arrays["program"] = arrays["program"] + 1
    with pytest.raises(DataError, match="laid out differently"):
        LiveState(ALL).restore(arrays, 0, 0, {})


def test_the_judge_keeps_no_snapshots(tmp_path):
    with pytest.raises(UsageError, match="evaluator='compiled'"):
        snapshot(LiveState(ALL, "python"), tmp_path / "live")
    assert list(tmp_path.iterdir()) == []


def test_a_snapshot_replaces_the_one_before_and_leaves_nothing_beside_it(written):
    before = written.read_bytes()
    snapshot(LiveState(ALL), written)
    assert written.read_bytes() != before
    assert [path.name for path in written.parent.iterdir()] == ["live"]
    assert restore(written, ALL).sequence == 0
