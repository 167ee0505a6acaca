from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from data.errors import UsageError
from data.sources import open_folder
from features import replay
from features.offer import OFFER_LINES
from features.online import LiveState
from features.replay import replay_check
from features.rfm import RFM
from features.snapshot import restore, snapshot
from features.spec import HOUR, LIFETIME, FeatureSet, count, derived
from tests.features.judge import connect, table
from tests.features.ring_stream import CLUB_SET, MEETINGS, START, logs, questions
from tests.features.stream import ALL, drawn

INSTANT = pa.timestamp("us", "UTC")
SCHEMAS = {
    "meetings": pa.schema({"seen_at": INSTANT, "member_id": pa.string(), "device_id": pa.string()}),
    "payments": pa.schema({"seen_at": INSTANT, "member_id": pa.string(), "account_id": pa.int64()}),
    "opinions": pa.schema({"seen_at": INSTANT, "member_id": pa.string(), "is_bad": pa.int64()}),
}
ROWS = pa.schema({"row_id": pa.int64(), "as_of": INSTANT, "member_id": pa.string(), "device_id": pa.string()})
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("evaluator", ["compiled", "python"])
def test_a_replay_of_given_rows_finds_nothing(evaluator):
    log, rows = drawn(np.random.default_rng(2), 300)
    with connect(log) as connection:
        report = replay_check(ALL, connection, table(rows), evaluator)
    assert (report.mismatches, report.first) == (0, ())
    assert (report.events, report.rows, report.values) == (300, 300, 300 * len(ALL))


def test_by_default_every_event_asks_for_itself():
    log, _ = drawn(np.random.default_rng(4), 200)
    with connect(log) as connection:
        report = replay_check(ALL, connection)
    assert (report.mismatches, report.rows) == (0, 200)


def test_a_replay_names_what_differs(monkeypatch):
    log, rows = drawn(np.random.default_rng(2), 50)

    class Forgetful(replay.LiveState):
        def append(self, log, event):
            return super().append(log, {**event, "amount": None})

    monkeypatch.setattr(replay, "LiveState", Forgetful)
    with connect(log) as connection:
        report = replay_check(ALL, connection, table(rows))
    assert report.mismatches > 10
    assert len(report.first) == 10
    assert "member_sum_amount" in str(report)


def test_logs_of_a_data_set_are_replayed(tmp_path):
    lines = [
        (f"l{number}", f"o{number // 2}", NOON - timedelta(days=number % 70, hours=number // 4), f"m{number % 5}")
        for number in range(120)
    ]
    columns = dict(zip(("line_id", "order_id", "ts", "member_id"), map(list, zip(*lines, strict=True)), strict=True))
    orders = {
        **columns,
        "product_id": [f"p{number % 3}" for number in range(120)],
        "quantity": [1] * 120,
        "amount_fen": [100 + number for number in range(120)],
        "discount_fen": [number % 2 for number in range(120)],
        "coupon_discount_fen": [0] * 120,
    }
    products = {"product_id": ["p0", "p1", "p2"], "category": ["tea", "soap", None], "brand": ["a", "b", "c"]}
    for name, held in {"orders": orders, "products": products}.items():
        pq.write_table(pa.table(held), tmp_path / f"{name}.parquet")
    report = replay_check(RFM, open_folder(tmp_path))
    assert report.mismatches == 0
    assert report.rows > 120
    offers = FeatureSet(count(OFFER_LINES, by=("member_id", "offer_id"), over=LIFETIME))
    held = {"offer_id": ["o"], "kind": ["coupon"], "starts_at": [NOON], "ends_at": [NOON + timedelta(days=1)]}
    pq.write_table(pa.table(held), tmp_path / "offers.parquet")
    with pytest.raises(UsageError, match="give those of the training table"):
        replay_check(offers, open_folder(tmp_path))
    rows = {"row_id": [1, 2], "as_of": [NOON, NOON], "member_id": ["m1", "m2"], "offer_id": ["o", "o"]}
    rows["as_of"] = pa.array(rows["as_of"], INSTANT)
    assert replay_check(offers, open_folder(tmp_path), pa.table(rows)).mismatches == 0


RINGS_AND_WINDOWS = FeatureSet(
    CLUB_SET,
    count(MEETINGS, by="member_id", over=(HOUR, LIFETIME)),
    derived(
        "busy", lambda member_club_edges, member_meeting_count_1h: member_club_edges / member_meeting_count_1h, "", ""
    ),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(given_logs=logs, rows=questions)
def test_rings_and_windows_are_replayed_together(given_logs, rows):
    with duckdb.connect() as connection:
        for name, schema in SCHEMAS.items():
            connection.register(name, pa.Table.from_pylist(given_logs[name], schema))
        asked = pa.Table.from_pylist([{"row_id": number, **row} for number, row in enumerate(rows)], ROWS)
        for features in (RINGS_AND_WINDOWS, CLUB_SET):
            for evaluator in ("compiled", "python"):
                assert str(replay_check(features, connection, asked, evaluator)).startswith("0 of ")


def test_a_snapshot_carries_rings(tmp_path):
    state = LiveState(RINGS_AND_WINDOWS)
    for number in range(40):
        met = {"member_id": f"m{number % 7}", "device_id": f"d{number % 5}", "seen_at": START + number * 10**9}
        state.append("meetings", met)
    snapshot(state, tmp_path / "live")
    row = {"as_of": state.clock + 1, "member_id": "m3", "device_id": "d4"}
    again = restore(tmp_path / "live", RINGS_AND_WINDOWS)
    assert again.read(row).tobytes() == state.read(row).tobytes()
    assert state.read(row)[state.names.index("member_club_edges")] > 0
