"""What the rows and the labels of the coupon and the fraud task say, on tables small enough to check by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.questions import REDEEMED, SCANS, SENDS, WOOL
from data.sources import open_folder

TABLES = """
    CREATE TABLE campaigns AS SELECT 'c' AS campaign_id, TIMESTAMPTZ '2025-01-01 00:00:00+00' AS starts_at,
                                     TIMESTAMPTZ '2025-01-20 00:00:00+00' AS ends_at;
    CREATE TABLE offers AS SELECT 'o' AS offer_id, 'booklet' AS kind, ['p', 'q'] AS product_ids;
    CREATE TABLE sends AS SELECT * FROM (VALUES
        ('first', TIMESTAMPTZ '2025-01-01 00:00:00+00', 'm1', 'o', 'c', 'treated'),
        ('withheld', TIMESTAMPTZ '2025-01-01 00:00:00+00', 'm2', 'o', 'c', 'control'),
        ('second', TIMESTAMPTZ '2025-01-05 00:00:00+00', 'm3', 'o', 'c', 'treated')
    ) AS sent(send_id, ts, member_id, offer_id, campaign_id, arm);
    CREATE TABLE redemptions AS SELECT * FROM (VALUES
        ('first', TIMESTAMPTZ '2025-01-19 00:00:00+00'), ('second', TIMESTAMPTZ '2025-02-20 00:00:00+00')
    ) AS used(send_id, ts);
"""


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        opened.execute(TABLES)
        yield opened


def test_what_was_withheld_is_no_row_and_a_later_wave_is_not_counted_before_it_is_sent(connection):
    rows = connection.sql(f"SELECT row_id, campaign_send_count, offer_product_count FROM ({SENDS.sql}) ORDER BY row_id")
    assert rows.fetchall() == [("first", 1, 2), ("second", 2, 2)]


def test_a_redemption_after_the_campaign_closed_is_not_its_success(connection):
    labels = connection.sql(f"SELECT row_id, label FROM ({REDEEMED.sql}) WHERE row_id <> 'withheld' ORDER BY row_id")
    assert labels.fetchall() == [("first", 1), ("second", 0)]


SCAN_TABLES = """
    CREATE TABLE scan_labels AS SELECT * FROM (VALUES
        ('bought', 0, TIMESTAMPTZ '2025-01-09 00:00:00+00', 'audit'),
        ('bought', 1, TIMESTAMPTZ '2025-01-20 00:00:00+00', 'chargeback'),
        ('farmed', 1, TIMESTAMPTZ '2025-01-05 00:00:00+00', 'review'),
        ('unsaid', 1, TIMESTAMPTZ '2025-01-05 00:00:00+00', NULL)
    ) AS judged(scan_id, is_wool, landed_at, origin);
"""


def test_the_first_verdict_counts_and_only_audits_are_by_lot(connection):
    connection.execute(SCAN_TABLES)
    found = connection.sql(f"SELECT row_id, label, closes_at::DATE::VARCHAR, by_lot FROM ({WOOL.sql}) ORDER BY row_id")
    assert found.fetchall() == [
        ("bought", 0, "2025-01-09", True),
        ("farmed", 1, "2025-01-05", False),
        ("unsaid", 1, "2025-01-05", False),
    ]


def test_without_audits_every_verdict_stands_for_all(connection):
    connection.execute(SCAN_TABLES)
    connection.execute("UPDATE scan_labels SET origin = 'review'")
    assert connection.sql(f"SELECT DISTINCT by_lot FROM ({WOOL.sql})").fetchall() == [(True,)]


def test_a_scan_is_a_row_once_at_its_arrival_with_what_was_known_of_its_member(scans):
    asked = (
        f"SELECT row_id, epoch_us(as_of) AS moment, new_member, status, prize_fen FROM ({SCANS.sql}) ORDER BY moment"
    )
    rows = scans.sql(asked).fetchall()
    found = [(row_id, _at(1970, 1, 1) + timedelta(microseconds=moment), *rest) for row_id, moment, *rest in rows]
    assert found == [
        ("early", _at(2025, 1, 2), True, "valid", 100),
        ("late", _at(2025, 1, 20, 0, 1), False, "repeat", 0),
        ("nobody", _at(2025, 1, 21), False, "valid", 0),
    ]


def _at(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.fixture
def scans(tmp_path):
    """Three scans, one of them sent again two months later, as a folder of a brand would give them."""
    at = [_at(2025, 1, 2), _at(2025, 1, 20), _at(2025, 1, 21), _at(2025, 3, 20)]
    received = [None, _at(2025, 1, 20, 0, 1), None, None]
    instant = pa.timestamp("us", tz="UTC")
    tables = {
        "scans": {
            "scan_id": ["early", "late", "nobody", "early"],
            "ts": pa.array(at, instant),
            "received_at": pa.array(received, instant),
            "member_id": ["m", "m", None, "m"],
            "device_id": ["d", "d", None, "d"],
            "ip": ["10.0.0.1"] * 4,
            "code_id": ["c1", "c2", "c3", "c1"],
            "product_id": ["p"] * 4,
            "campaign_id": ["k"] * 4,
            "status": ["valid", "repeat", "valid", "repeat"],
            "prize_fen": [100, 0, 0, 0],
        },
        "members": {"member_id": ["m"], "registered_at": pa.array([_at(2025, 1, 1)], instant)},
        "batches": {"batch_id": pa.array([], pa.string()), "product_id": pa.array([], pa.string())},
        "campaigns": {
            "campaign_id": ["k"],
            "starts_at": pa.array([_at(2025, 1, 1)], instant),
            "ends_at": pa.array([_at(2025, 2, 1)], instant),
            "time_zone": ["Asia/Shanghai"],
        },
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    with open_folder(tmp_path).connect() as connection:
        yield connection
