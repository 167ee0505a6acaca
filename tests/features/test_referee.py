"""DuckDB's own windows over the same log: independent of our kernel and of our oracle."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from features.batch import compute
from features.spec import DAY, HOUR, LIFETIME, MIN_5, FeatureSet, Log, count, distinct, sum_

SCANS = Log("scans", entities=("member_id",))
WINDOWS = (MIN_5, HOUR, DAY, LIFETIME)
ASKED = FeatureSet(
    count(SCANS, by="member_id", over=WINDOWS),
    sum_(SCANS, "prize_fen", by="member_id", over=WINDOWS),
    distinct(SCANS, "device_id", by="member_id", over=(MIN_5, HOUR, DAY)),
)


@pytest.fixture
def connection():
    """Three days of scans, skewed: half of them by 5 % of the members, 4 % at an instant of another."""
    generator, number = np.random.default_rng(20260601), 6_000
    at = 1_780_000_000_000_000 + np.sort(generator.integers(0, 3 * 86_400, number)) * 1_000_000
    tied = generator.random(number) < 0.04
    at[1:][tied[1:]] = at[:-1][tied[1:]]
    member = np.where(
        generator.random(number) < 0.5, generator.integers(0, 5, number), generator.integers(5, 100, number)
    )
    scans = pa.table(
        {
            "scan_id": pa.array(np.arange(number)),
            "seen_at": pa.array(at).cast(pa.timestamp("us", "UTC")),
            "member_id": pa.array([f"m{one}" for one in member], mask=generator.random(number) < 0.02),
            "device_id": pa.array([f"d{one}" for one in generator.integers(0, 60, number)]),
            "prize_fen": pa.array(generator.integers(-500, 5_000, number), mask=generator.random(number) < 0.02),
        }
    )
    with duckdb.connect() as connection:
        connection.register("scans", scans.take(generator.permutation(number)))
        yield connection


def _windows() -> str:
    """The same features in SQL. An empty frame has no sum: SQL says null where we say 0."""
    columns = []
    for window in WINDOWS:
        reach = "UNBOUNDED" if window.microseconds is None else str(window.microseconds)
        frame = f"(PARTITION BY member_id ORDER BY epoch_us(seen_at) RANGE BETWEEN {reach} PRECEDING AND 1 PRECEDING)"
        columns.append(f"count(*) OVER {frame} AS member_scan_count_{window.label}")
        columns.append(f"coalesce(sum(prize_fen) OVER {frame}, 0)::BIGINT AS member_sum_prize_fen_{window.label}")
        if window is not LIFETIME:
            columns.append(f"count(DISTINCT device_id) OVER {frame} AS member_distinct_device_{window.label}")
    return f"SELECT scan_id, {', '.join(columns)} FROM scans WHERE member_id IS NOT NULL ORDER BY scan_id"


def test_duckdb_windows_agree(connection):
    rows = connection.sql("SELECT scan_id AS row_id, seen_at AS as_of, member_id FROM scans").to_arrow_table()
    ours = compute(ASKED, connection, rows).sort_by("row_id")
    known = ours.filter(ours["member_id"].is_valid())
    theirs = connection.sql(_windows()).to_arrow_table()
    assert known["row_id"].equals(theirs["scan_id"])
    for name in ASKED.names:
        expected = theirs[name].to_numpy().astype(np.float32)
        assert np.array_equal(known[name].to_numpy(), expected), name
    unknown = ours.filter(ours["member_id"].is_null())
    assert unknown.num_rows > 0
    assert all(unknown[name].null_count == unknown.num_rows for name in ASKED.names)
