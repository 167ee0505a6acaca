"""The live side's reading of one scan equals the log's, column by column."""

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import DataError
from data.logs import LOGS
from data.scan_event import address_block, scan_event

INSTANT = pa.timestamp("us", "UTC")
AUTUMN = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # the clocks of Berlin go back half an hour later
SCANS = pa.schema(
    [
        *((name, pa.string()) for name in ("scan_id", "member_id", "batch_id", "campaign_id", "ip")),
        *((name, INSTANT) for name in ("ts", "received_at")),
        ("serial", pa.int64()),
        *((name, pa.float64()) for name in ("lat", "lon")),
    ]
)
MEMBERS = pa.schema(
    [
        *((name, pa.string()) for name in ("member_id", "referrer_id", "phone_prefix", "city")),
        ("registered_at", INSTANT),
    ]
)
BATCHES = pa.schema(
    [
        *((name, pa.string()) for name in ("batch_id", "region")),
        *((name, INSTANT) for name in ("activated_at", "shipped_at")),
        *((name, pa.int64()) for name in ("first_serial", "last_serial")),
    ]
)
CAMPAIGNS = pa.schema(
    [("campaign_id", pa.string()), ("time_zone", pa.string()), ("starts_at", INSTANT), ("prize_odds", pa.float64())]
)

moments = st.builds(
    lambda minutes, microseconds: AUTUMN + timedelta(minutes=minutes, microseconds=microseconds),
    st.sampled_from([-(10**6), -60, -1, 0, 1, 29, 30, 31, 60, 90, 10**6]) | st.integers(-3 * 10**5, 3 * 10**5),
    st.sampled_from([0, 0, 1, 999_999]),
)
degrees = st.floats(-90, 90) | st.sampled_from([0.0, -0.0, 30.1234565, -30.1234565, 0.0000005, -0.0000005, None])
addresses = st.sampled_from(
    [None, "", "1.2.3.4", "1.2.3.4\n", "1.2.3", "2001:DB8:0:7::9", "2001:db8::1", "::1", "a:b:c:d:e:f:1:2", "1.2.3.4.5"]
)
scans = st.fixed_dictionaries(
    {
        "member_id": st.sampled_from(["ann", "gone", None]),
        "batch_id": st.sampled_from(["b1", "gone", None]),
        "campaign_id": st.sampled_from(["c1", "gone", None]),
        "ip": addresses,
        "ts": moments,
        "received_at": st.none() | moments,
        "serial": st.none() | st.integers(0, 10**9),
        "lat": degrees,
        "lon": degrees.map(lambda one: one and 2 * one),
    }
)
texts = st.sampled_from(["Hangzhou", "Ningbo", None])
member = st.fixed_dictionaries(
    {
        "member_id": st.just("ann"),
        "referrer_id": texts,
        "phone_prefix": texts,
        "city": texts,
        "registered_at": st.none() | moments,
    }
)
serials = st.none() | st.integers(0, 10**9)
batch = st.fixed_dictionaries(
    {
        "batch_id": st.just("b1"),
        "region": texts,
        "activated_at": st.none() | moments,
        "shipped_at": st.none() | moments,
        "first_serial": serials,
        "last_serial": serials,
    }
)
campaign = st.fixed_dictionaries(
    {
        "campaign_id": st.just("c1"),
        "time_zone": st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
        "starts_at": moments,
        "prize_odds": st.none() | st.floats(0, 1),
    }
)


def logged(listed: list[dict[str, Any]], *others: dict[str, Any]) -> list[dict[str, Any]]:
    names = ("members", "batches", "campaigns")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("scans", pa.Table.from_pylist(listed, SCANS))
        for name, row, schema in zip(names, others, (MEMBERS, BATCHES, CAMPAIGNS), strict=True):
            connection.register(name, pa.Table.from_pylist([row], schema))
        rows: list[dict[str, Any]] = connection.sql(f"FROM ({LOGS['scans'].sql()})").to_arrow_table().to_pylist()
    return rows


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(scans, min_size=1, max_size=12), member, batch, campaign)
def test_one_scan_equals_the_log(
    drawn: list[dict[str, Any]], member: dict[str, Any], batch: dict[str, Any], campaign: dict[str, Any]
) -> None:
    listed = [{"scan_id": str(number), **scan} for number, scan in enumerate(drawn)]
    rows = {row["scan_id"]: row for row in logged(listed, member, batch, campaign)}
    for scan in listed:
        found = scan_event(
            scan,
            member if scan["member_id"] == "ann" else None,
            batch if scan["batch_id"] == "b1" else None,
            campaign if scan["campaign_id"] == "c1" else None,
        )
        assert found == rows[scan["scan_id"]]


def test_a_block_of_addresses() -> None:
    assert address_block("10.1.2.3") == "10.1.2"
    assert address_block("2001:DB8:0:7::9") == "2001:db8:0:7"
    assert address_block("nonsense") is None


def test_what_is_no_instant_or_text_is_refused() -> None:
    with pytest.raises(DataError, match=r"ts: found .* expected a datetime with a time zone"):
        scan_event({"ts": datetime(2026, 1, 1)}, None, None, None)  # noqa: DTZ001 - the very fault
    with pytest.raises(DataError, match="a scan without ts has no place in time"):
        scan_event({}, None, None, None)
    with pytest.raises(DataError, match="ip: found 7, expected text"):
        scan_event({"ts": AUTUMN, "ip": 7}, None, None, None)
