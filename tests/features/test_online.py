from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.contracts import REPEAT_DAYS
from data.errors import DataError, UsageError
from data.logs import LOGS
from features.online import LiveState
from features.program import A_BLOCKS
from features.repeats import IDENTITIES, Repeats, crowded, known, note
from features.spec import DAY, LIFETIME, FeatureSet, Log, derived, std, sum_
from tests.features.judge import expectations, mismatches
from tests.features.live import differences, live_answers
from tests.features.stream import ALL, SCHEMA, drawn, events, instants, questions

EVALUATORS = ("python", "compiled")
thorough = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@thorough
@given(log=st.lists(events, max_size=30), rows=st.lists(questions, min_size=1, max_size=12), first=st.booleans())
def test_batch_compiled_python_and_oracle_agree_to_the_bit(log, rows, first):
    expected = expectations(ALL, log, rows)
    for evaluator in EVALUATORS:
        assert differences(live_answers(ALL, log, rows, evaluator, questions_first=first), expected) == []
    assert mismatches(ALL, log, rows, expected) == []


@thorough
@given(log=st.lists(events, min_size=1, max_size=12), at=instants)
def test_events_of_one_instant_do_not_see_each_other(log, at):
    tied = [{**event, "seen_at": at} for event in log]
    rows = [{"as_of": at, "member_id": event["member_id"], "offer_id": event["offer_id"], "budget": 1} for event in log]
    expected = expectations(ALL, tied, rows)
    for evaluator in EVALUATORS:
        assert differences(live_answers(ALL, tied, rows, evaluator), expected) == []


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_a_long_stream_equals_the_oracle(evaluator):
    log, rows = drawn(np.random.default_rng(7), 400)
    hot = [{**event, "member_id": "ann"} if number % 5 else event for number, event in enumerate(log)]
    assert differences(live_answers(ALL, hot, rows[:150], evaluator), expectations(ALL, hot, rows[:150])) == []


idle = st.sampled_from([0, 0, 0, 2, 2, 40, 500]).map(lambda number: number * 86_400_000_000)


@thorough
@given(
    log=st.lists(st.tuples(events, idle), max_size=30),
    rows=st.lists(st.tuples(questions, idle), min_size=1, max_size=12),
)
def test_idle_keys_that_were_swept_out_come_back_with_the_same_bits(log, rows):
    spread = [{**event, "seen_at": event["seen_at"] + later} for event, later in log]
    asked = [{**row, "as_of": row["as_of"] + later} for row, later in rows]

    def swept(state):
        state.sweep()
        return state

    expected = expectations(ALL, spread, asked)
    assert differences(live_answers(ALL, spread, asked, "compiled", swept), expected) == []
    assert differences(live_answers(ALL, spread, asked, "compiled"), expected) == []


def test_window_contents_leave_memory_and_records_stay():
    state = LiveState(ALL)
    for number in range(2_000):
        event = dict.fromkeys(SCHEMA.names) | {"member_id": f"m{number}", "offer_id": "tea", "amount": number}
        state.append("events", event | {"seen_at": number * 60_000_000})
    blocks = state.arrays()["arena"][A_BLOCKS]
    assert blocks < 2 * 2 * 1_440 + 10, "two keys of each group are looked at with every event"
    state.read({"as_of": 10**15, "member_id": "m7", "offer_id": "tea", "budget": 1})
    state.sweep()
    assert state.arrays()["arena"][A_BLOCKS] == 0
    answers = state.read({"as_of": 10**15, "member_id": "m7", "offer_id": "tea", "budget": 1})
    assert answers[state.names.index("member_sum_amount_lifetime")] == 7.0


def test_memory_is_used_again():
    """Members who come and go for good take no more than the most who are active at a time, besides their records."""
    day = FeatureSet(*(feature for feature in ALL if feature.name in {"member_sum_amount_1d", "member_event_count_1d"}))
    state = LiveState(day)
    sizes = []
    for number in range(30_000):
        member = {"member_id": f"m{number // 300 % 40}", "amount": number}
        state.append("events", member | {"seen_at": number * 30_000_000})
        sizes.append(len(state.arrays()["arena"]))
    assert sizes[-1] == sizes[18_000]


SCANS = Log("scans", entities=("member_id",))
SCAN = FeatureSet(
    sum_(SCANS, "prize_fen", by="member_id", over=(DAY, LIFETIME)), std(SCANS, "prize_fen", by="member_id", over=DAY)
)
ONE = {"scan_id": "s1", "seen_at": 1_000, "member_id": "ann", "prize_fen": 5}


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_an_id_counts_once_within_35_days(evaluator):
    state = LiveState(SCAN, evaluator)
    within = ONE["seen_at"] + 35 * 86_400_000_000
    assert state.append("scans", ONE)
    assert not state.append("scans", ONE)
    assert not state.append("scans", {**ONE, "seen_at": within})
    assert state.append("scans", {**ONE, "seen_at": within + 1})
    assert state.append("scans", {**ONE, "scan_id": None, "seen_at": within + 2})
    assert state.append("scans", {**ONE, "scan_id": None, "seen_at": within + 2})
    assert state.read({"as_of": within + 3, "member_id": "ann"})[1] == 20.0
    assert state.sequence == 6


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 80)), max_size=30))
def test_repeats_count_as_the_logs_count_them(arrivals):
    """Against the query of `data.logs`, over days and ids."""
    arrivals = sorted(arrivals, key=lambda one: one[1])
    state = LiveState(SCAN)
    counted = [
        state.append("scans", {**ONE, "scan_id": scan, "member_id": scan, "seen_at": day * 86_400_000_000})
        for scan, day in arrivals
    ]
    kept, expected = {}, []
    for scan, day in arrivals:
        expected.append(scan not in kept or day > kept[scan] + REPEAT_DAYS)
        kept[scan] = day if expected[-1] else kept[scan]
    assert counted == expected


def test_many_ids_are_remembered_for_35_days_and_not_longer():
    repeats = Repeats()
    marks = np.random.default_rng(3).integers(-(2**62), 2**62, (20_000, 2)) | 1
    for number, (high, low) in enumerate(marks):
        if crowded(repeats.table, 1):
            repeats.make_room(number * 10**9)
        assert not known(repeats.table, high, low, number * 10**9)
        note(repeats.table, high, low, number * 10**9)
    assert all(known(repeats.table, high, low, 20_000 * 10**9) for high, low in marks[-3_000:])
    assert not any(known(repeats.table, high, low, 20_000 * 10**9) for high, low in marks[:10_000])
    assert len(repeats.table) < 3 * 4 * 2 * 20_000


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_observing_reads_first_and_then_takes_in(evaluator):
    state = LiveState(SCAN, evaluator)
    assert state.observe("scans", ONE).tolist()[:2] == [0.0, 0.0]
    second = {**ONE, "scan_id": "s2"}
    assert state.observe("scans", second).tolist()[:2] == [0.0, 0.0], "one instant"
    assert state.observe("scans", {**second, "seen_at": 1_001}).tolist()[:2] == [10.0, 10.0]
    assert np.isnan(state.observe("scans", {**ONE, "scan_id": "s3", "seen_at": 1_002, "member_id": None})).all()
    assert state.read({"as_of": 1_003, "member_id": "ann"}).tolist()[:2] == [10.0, 10.0]


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_time_does_not_go_back(evaluator):
    state = LiveState(SCAN, evaluator)
    state.append("scans", ONE)
    with pytest.raises(DataError, match="before 1000, which the state has already seen"):
        state.append("scans", {**ONE, "scan_id": "s2", "seen_at": 999})
    with pytest.raises(DataError, match="late ones at the instant they arrived"):
        state.read({"as_of": 999, "member_id": "ann"})
    assert state.read({"as_of": 1_001, "member_id": "ann"})[0] == 5.0


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_a_bad_event_is_refused_whole_with_all_that_is_wrong(evaluator):
    state = LiveState(SCAN, evaluator)
    state.append("scans", ONE)
    with pytest.raises(DataError) as refused:
        state.append("scans", {"scan_id": "s2", "seen_at": 2_000, "member_id": 7, "prize_fen": "much"})
    assert str(refused.value) == (
        "an event of log scans cannot be taken in:\n"
        "  - column 'member_id': found 7, expected text\n"
        "  - column 'prize_fen': found 'much', expected whole numbers"
    )
    with pytest.raises(DataError, match="column 'prize_fen' is missing"):
        state.append("scans", {"scan_id": "s2", "seen_at": 2_000, "member_id": "ann"})
    with pytest.raises(DataError, match="its id, column scan_id, is missing"):
        state.append("scans", {"seen_at": 2_000, "member_id": "ann", "prize_fen": 1})
    with pytest.raises(DataError, match=r"found 4611686018427387904, expected less than 2\*\*62"):
        state.append("scans", {**ONE, "scan_id": "s2", "prize_fen": 2**62})
    with pytest.raises(DataError, match=r"found 1\.5, expected a whole number, text or None"):
        state.append("scans", {**ONE, "scan_id": "s2", "prize_fen": 1.5})
    with pytest.raises(DataError, match="expected microseconds since 1970 UTC or a datetime with a time zone"):
        state.append("scans", {**ONE, "seen_at": datetime(2026, 1, 1)})  # noqa: DTZ001 - that is the fault
    with pytest.raises(UsageError, match="no feature reads log 'orders'; the set reads scans"):
        state.append("orders", ONE)
    assert state.read({"as_of": 3_000, "member_id": "ann"}).tolist()[:2] == [5.0, 5.0]
    assert state.sequence == 1


def test_sums_that_would_overflow_are_refused_and_leave_the_state_as_it_was():
    state = LiveState(SCAN, identities={})
    state.append("scans", {**ONE, "prize_fen": 2**30})
    for prize in (2**31, 2**61):
        with pytest.raises(DataError, match="column prize_fen: the values or squares of one member_id add up"):
            state.append("scans", {**ONE, "seen_at": 2_000, "prize_fen": prize})
    assert state.read({"as_of": 3_000, "member_id": "ann"}).tolist()[:2] == [2.0**30, 2.0**30]
    state = LiveState(SCAN.only("member_sum_prize_fen_1d"), identities={})
    for _ in range(3):
        state.append("scans", {**ONE, "prize_fen": 2**60})
    with pytest.raises(DataError, match="add up"):
        state.append("scans", {**ONE, "prize_fen": 2**60})


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_a_row_must_have_its_keys_and_facts(evaluator):
    state = LiveState(ALL, evaluator)
    with pytest.raises(DataError, match="column 'offer_id' is missing"):
        state.read({"as_of": 1, "member_id": "ann", "budget": 1})
    with pytest.raises(DataError, match="column 'budget', a feature of the row itself, is missing"):
        state.read({"as_of": 1, "member_id": "ann", "offer_id": None})
    with pytest.raises(DataError, match="must hold a number; found 'much'"):
        state.read({"as_of": 1, "member_id": "ann", "offer_id": None, "budget": "much"})


def test_an_unknown_evaluator_is_refused():
    with pytest.raises(UsageError, match="expected 'compiled' or 'python'"):
        LiveState(SCAN, "fast")


@pytest.mark.parametrize("evaluator", EVALUATORS)
@pytest.mark.parametrize("day", [datetime(2026, 3, 8), datetime(2026, 11, 1)])  # noqa: DTZ001 - local midnight below
def test_a_day_is_24_hours_on_days_when_the_clocks_change(evaluator, day):
    """New York turns its clocks on both days; instants may be given in local time."""
    zone = ZoneInfo("America/New_York")
    noon = day.replace(hour=12, tzinfo=zone).astimezone(UTC)
    state = LiveState(SCAN.only("member_sum_prize_fen_1d"), evaluator, identities={})
    for microseconds, prize in ((-1, 1), (0, 10), (1, 100)):
        instant = noon - timedelta(hours=24) + timedelta(microseconds=microseconds)
        state.append("scans", {**ONE, "seen_at": instant.astimezone(zone), "prize_fen": prize})
    assert state.read({"as_of": noon.astimezone(zone), "member_id": "ann"}).tolist() == [110.0]


def test_a_derived_feature_has_to_give_one_number():
    wrong = FeatureSet(
        SCAN, derived("two", lambda member_std_prize_fen_1d: [member_std_prize_fen_1d] * 2, "fen", "Two")
    )
    with pytest.raises(UsageError, match=r"derived feature two: its function gave shape \(2, 1\) for one row"):
        LiveState(wrong).read({"as_of": 1, "member_id": "ann"})


def test_every_log_of_the_data_says_what_makes_its_events_the_same():
    assert set(IDENTITIES) >= set(LOGS)


def test_many_keys_that_come_and_go_get_the_same_bits_from_both_evaluators():
    """Blocks grow, shrink, go and are used again: a burst of one member, quiet weeks, and everybody in between."""
    generator = np.random.default_rng(5)
    judge, state = LiveState(ALL, "python"), LiveState(ALL)
    at = 1_700_000_000_000_000
    for number in range(6_000):
        burst = number // 300 % 4 == 0
        at += int(generator.choice([0, 1, 10**6, 10**8, 10**9] if burst else [0, 10**8, 10**10, 10**12]))
        member = f"m{0 if burst and number % 3 else int(generator.integers(150))}"
        event = {
            "seen_at": at,
            "member_id": member,
            "offer_id": f"o{int(generator.integers(4))}",
            "category": ("red", "orange", "blue", None)[int(generator.integers(4))],
            "amount": int(generator.integers(-9, 9)),
            "huge": int(generator.integers(-(2**55), 2**55)),
            "flag": number % 2,
        }
        for one in (judge, state):
            one.append("events", event)
        if number % 3 == 0:
            row = {**event, "as_of": at + number % 2, "budget": number}
            at += number % 2
            assert state.read(row).tobytes() == judge.read(row).tobytes()
