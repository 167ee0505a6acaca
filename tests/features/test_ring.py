"""Rings in batch: each value against the slow oracle, the partition against scipy's."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from data.errors import DataError, UsageError
from features import ring_batch, union_find
from features.batch import compute
from features.network import ring_nodes, ring_recent
from features.plan import compile_plan
from features.ring import RING
from features.ring_plan import RingPlan
from features.spec import DAY, LIFETIME, FeatureSet, Network, Window, count, derived
from tests.features.ring_oracle import ring_answer
from tests.features.ring_stream import CLUB, CLUB_SET, MEETINGS, START, instants, logs, questions

INSTANT = pa.timestamp("us", "UTC")
SCHEMAS = {
    "meetings": pa.schema({"seen_at": INSTANT, "member_id": pa.string(), "device_id": pa.string()}),
    "payments": pa.schema({"seen_at": INSTANT, "member_id": pa.string(), "account_id": pa.int64()}),
    "opinions": pa.schema({"seen_at": INSTANT, "member_id": pa.string(), "is_bad": pa.int64()}),
}
ROWS = pa.schema({"row_id": pa.int64(), "as_of": INSTANT, "member_id": pa.string(), "device_id": pa.string()})


def built(feature_set, given_logs, rows):
    with duckdb.connect() as connection:
        for name, schema in SCHEMAS.items():
            connection.register(name, pa.Table.from_pylist(given_logs[name], schema))
        table = pa.Table.from_pylist([{"row_id": number, **row} for number, row in enumerate(rows)], ROWS)
        return compute(feature_set, connection, table).select(feature_set.names).to_pylist()


def mismatches(given_logs, rows):
    found = []
    for row, answer in zip(rows, built(CLUB_SET, given_logs, rows), strict=True):
        for feature in CLUB_SET:
            wanted = ring_answer(feature, given_logs, row)
            if answer[feature.name] != wanted:
                found.append((feature.name, row, answer[feature.name], wanted))
    return found


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(given_logs=logs, rows=questions)
def test_rings_equal_the_oracle(given_logs, rows):
    assert mismatches(given_logs, rows) == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(given_logs=logs, at=instants, rows=questions)
def test_events_of_one_instant_are_decided_together(given_logs, at, rows):
    tied = {name: [{**event, "seen_at": at} for event in events] for name, events in given_logs.items()}
    asked = [{**row, "as_of": at + step} for row in rows for step in (0, 1)]
    assert mismatches(tied, asked) == []


def drawn(generator, number):
    """Enough of a network that every rule matters."""

    def at():
        return START + int(generator.integers(-20, 40)) * 450_000_000

    def pick(*values):
        return values[int(generator.integers(len(values)))]

    given_logs = {
        "meetings": [
            {"seen_at": at(), "member_id": pick(*"abcdefgh", None), "device_id": pick(*"pqrstuvw", None)}
            for _ in range(number)
        ],
        "payments": [
            {"seen_at": at(), "member_id": pick(*"abcdefgh", None), "account_id": pick(1, 2, 3, 4, None)}
            for _ in range(number // 4)
        ],
        "opinions": [
            {"seen_at": at(), "member_id": pick(*"abcdefgh", None), "is_bad": pick(0, 1, None)}
            for _ in range(number // 4)
        ],
    }
    rows = [{"as_of": at(), "member_id": pick(*"abcd", None), "device_id": pick(*"pqr", None)} for _ in range(number)]
    return given_logs, rows


def _ties_in_turn(small, wide, at, ends, settle=union_find.settle):
    for one in range(len(ends)):
        settle(small, wide, at, ends[one : one + 1])


def _python_replay(settle, read=union_find.read):
    """The replay with its parts exchanged: compiled code has its own bound in."""

    def replay(small, wide, events, questions, wanted, answers):
        event_at, ends = events
        done = 0
        for at, nodes, row in zip(*questions, strict=True):
            while done < len(event_at) and event_at[done] < at:
                stop = int(np.searchsorted(event_at, event_at[done], side="right"))
                settle(small, wide, event_at[done], ends[done:stop])
                done = stop
            answer = np.empty(len(wanted), np.int32)
            read(small, wide, at, nodes, wanted, answer)
            answers[:, row] = answer

    return replay


def _seen_at_its_own_instant(small, wide, events, questions, wanted, answers, replay=union_find.replay):
    replay(small, wide, (events[0] - 1, events[1]), questions, wanted, answers)


def _never_forgets_the_recent(small, wide, at, nodes, wanted, answer):
    union_find.read(small, wide, at - 3_600_000_000, nodes, wanted, answer)


FAULTS = {
    "ties in turn": _python_replay(_ties_in_turn),
    "only the first of an instant": _python_replay(
        lambda small, wide, at, ends: union_find.settle(small, wide, at, ends[:1])
    ),
    "recent for too long": _python_replay(union_find.settle, _never_forgets_the_recent),
    "an edge early": _seen_at_its_own_instant,
}


def test_the_exchanged_replay_is_sound(monkeypatch):
    given_logs, rows = drawn(np.random.default_rng(4), 150)
    monkeypatch.setattr(ring_batch, "replay", _python_replay(union_find.settle))
    assert mismatches(given_logs, rows) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_caught(fault, monkeypatch):
    given_logs, rows = drawn(np.random.default_rng(4), 150)
    assert mismatches(given_logs, rows) == []
    monkeypatch.setattr(ring_batch, "replay", FAULTS[fault])
    assert mismatches(given_logs, rows) != []


@pytest.mark.parametrize("change", [{"oldest": 1}, {"cap": 1}])
def test_the_wrong_generation_and_the_wrong_cap_are_caught(change, monkeypatch):
    given_logs, rows = drawn(np.random.default_rng(4), 150)
    forest = union_find.forest
    if "cap" in change:
        monkeypatch.setattr(ring_batch, "forest", lambda *given: forest(*given[:-1], given[-1] + 1))
    else:
        oldest = RingPlan.oldest
        monkeypatch.setattr(RingPlan, "oldest", lambda plan, at: oldest(plan, at) + 1)
    assert mismatches(given_logs, rows) != []


@pytest.mark.parametrize("told", [50_000, 200_000])
def test_a_large_partition_equals_scipys(told):
    generator, number, nodes = np.random.default_rng(8), 200_000, 60_000
    member, device = generator.integers(0, nodes, number), generator.integers(0, nodes, number)
    wide_open = Network(
        "club", "member_id", (CLUB.edges[0],), None, cap=1_000_000, period=Window("1d", DAY.microseconds), generations=2
    )
    asked = FeatureSet(
        *(ring_nodes(wide_open, column, by=by, meaning="Nodes") for by in wide_open.kinds for column in wide_open.kinds)
    )
    meetings = {
        "seen_at": pa.array(START + np.arange(number)).cast(INSTANT),
        "member_id": pa.array([f"m{one}" for one in member]),
        "device_id": pa.array([f"d{one}" for one in device]),
    }
    rows = {
        "row_id": pa.array(range(nodes)),
        "as_of": pa.array(np.full(nodes, START + told)).cast(INSTANT),
        "member_id": pa.array([f"m{one}" for one in range(nodes)]),
        "device_id": pa.array([f"d{one}" for one in range(nodes)]),
    }
    with duckdb.connect() as connection:
        connection.register("meetings", pa.table(meetings))
        ours = compute(asked, connection, pa.table(rows))
    member, device = member[:told], device[:told] + nodes
    graph = coo_array((np.ones(told, np.int8), (member, device)), shape=(2 * nodes, 2 * nodes))
    _, part = connected_components(graph, directed=False)
    appeared = np.zeros(2 * nodes, bool)
    appeared[member], appeared[device] = True, True
    halves = {"member": slice(0, nodes), "device": slice(nodes, None)}
    for counted, there in halves.items():
        sizes = np.bincount(part[there][appeared[there]], minlength=part.max() + 1)
        for by, here in halves.items():
            expected = sizes[part[here]].astype(np.float32)
            assert np.array_equal(ours[f"{by}_club_{counted}s"].to_numpy(), expected), (by, counted)


def test_rings_stand_beside_windows_and_feed_derived_features():
    meetings = [{"seen_at": START + step, "member_id": who, "device_id": "d1"} for step, who in ((0, "ann"), (1, "bo"))]
    both = FeatureSet(
        CLUB_SET,
        count(MEETINGS, by="member_id", over=LIFETIME),
        derived("halved", lambda member_club_members: member_club_members / 4, "members", "A quarter of the ring"),
    )
    rows = [{"as_of": START + 2, "member_id": one, "device_id": "d1"} for one in ("ann", "new", None)]
    (ann, new, nobody) = built(both, {"meetings": meetings, "payments": [], "opinions": []}, rows)
    assert (ann["member_club_members"], ann["member_meeting_count_lifetime"], ann["halved"]) == (2, 1, 0.5)
    assert (new["member_club_members"], new["device_club_members"], new["halved"]) == (0, 2, 0)
    assert (nobody["member_club_members"], nobody["halved"]) == (None, None)


def test_a_plan_says_what_its_rings_read():
    plan = compile_plan(CLUB_SET)
    (ring,) = plan.rings
    assert plan.row_keys == ring.keys == ("member_id", "device_id")
    assert ring.columns_by_log == {
        "meetings": ("member_id", "device_id"),
        "payments": ("account_id", "member_id"),
        "opinions": ("member_id", "is_bad"),
    }
    assert (ring.newest(START), ring.oldest(START) + 1) == (START // ring.period,) * 2
    assert compile_plan(FeatureSet(CLUB_SET)) == plan


def test_what_a_network_declares_enters_the_fingerprint():
    def mark(**changed):
        network = Network(**{**{name: getattr(CLUB, name) for name in CLUB.__dataclass_fields__}, **changed})
        return FeatureSet(ring_nodes(network, "device_id", by="member_id", meaning="Devices")).fingerprint()

    changes = [{}, {"cap": 3}, {"generations": 3}, {"period": DAY}, {"marks": None}, {"edges": CLUB.edges[:1]}]
    assert len({mark(**change) for change in changes}) == len(changes)


def test_all_that_is_wrong_with_a_network_is_said_at_once():
    wrong = Network("club", "member_id", (CLUB.edges[0],), CLUB.marks, cap=0, period=LIFETIME, generations=1)
    with pytest.raises(UsageError) as refusal:
        FeatureSet(ring_nodes(wrong, "account_id", by="member_id", meaning="Accounts"))
    assert str(refusal.value).splitlines() == [
        "the feature declarations are wrong:",
        "  - member_club_accounts: network 'club': cap 0; expected at least 1",
        "  - member_club_accounts: network 'club': 1 generations; expected at least 2",
        "  - member_club_accounts: network 'club': period 'lifetime' has no length",
        "  - member_club_accounts: 'account_id' is no node of network 'club': ('member_id', 'device_id')",
    ]
    with pytest.raises(UsageError, match="window '1d'; expected no longer than"):
        FeatureSet(ring_recent(CLUB, by="member_id", over=DAY, meaning="Recent"))


def test_what_the_logs_of_a_network_lack_is_said():
    with duckdb.connect() as connection:
        for name in ("meetings", "payments"):
            connection.register(name, pa.Table.from_pylist([], SCHEMAS[name]))
        connection.register(
            "opinions", pa.table({"seen_at": pa.array([], INSTANT), "member_id": pa.array([], pa.string())})
        )
        row = pa.Table.from_pylist([{"row_id": 1, "as_of": START, "member_id": "ann", "device_id": "d1"}], ROWS)
        with pytest.raises(DataError, match="log opinions: no column 'is_bad'; it has seen_at, member_id"):
            compute(CLUB_SET, connection, row)
        with pytest.raises(DataError, match="column 'device_id' is missing"):
            compute(CLUB_SET, connection, row.drop_columns("device_id"))


def test_every_ring_feature_says_what_it_means_in_a_phrase_of_its_own():
    assert len({feature.meaning for feature in RING}) == len(RING)
    assert all(feature.unit and feature.null_rule for feature in RING)
