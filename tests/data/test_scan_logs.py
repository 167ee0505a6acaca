"""The logs of scan behaviour on a brand small enough to check by eye."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from data.errors import DataError
from data.logs import LOGS
from data.sources import open_folder

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def ago(**span: float) -> datetime:
    return NOON - timedelta(**span)


BRAND = {
    "campaigns": {
        "campaign_id": ["east", "west"],
        "starts_at": [ago(days=30), ago(days=30)],
        "ends_at": [NOON + timedelta(days=300)] * 2,
        "time_zone": ["Asia/Shanghai", "Europe/Berlin"],
        "prize_odds": [0.25, None],
    },
    "members": {
        "member_id": ["ann", "bo", "cy"],
        "registered_at": [ago(days=10), ago(hours=1), None],
        "referrer_id": [None, "ann", "bo"],
        "phone_prefix": ["1380013", "1380013", None],
        "city": ["Hangzhou", "Ningbo", None],
    },
    "products": {"product_id": ["tea"], "category": ["drinks"], "brand": ["Leaf"]},
    "batches": {
        "batch_id": ["b1", "b2"],
        "product_id": ["tea", "tea"],
        "activated_at": [ago(days=2), None],
        "shipped_at": [ago(days=5), None],
        "region": ["Hangzhou", None],
        "first_serial": [100, None],
        "last_serial": [199, None],
    },
    "scans": {
        "scan_id": ["s1", "s2", "s2", "s3", "s4"],
        "ts": [ago(days=3), NOON, NOON, ago(hours=2), NOON],
        "received_at": [None, NOON, NOON + timedelta(minutes=5), ago(minutes=30), None],
        "member_id": ["ann", "ann", "ann", "bo", None],
        "device_id": ["d1", "d1", "d1", "d2", None],
        "ip": ["10.20.30.40", "2001:DB8:0:7::9", "2001:DB8:0:7::9", "10.20.31.40", "::1"],
        "code_id": ["c1", "c2", "c2", "c3", "forged"],
        "batch_id": ["b1", "b1", "b1", "b2", None],
        "serial": [100, 150, 150, 3, None],
        "product_id": ["tea", "tea", "tea", "tea", None],
        "campaign_id": ["east", "west", "west", "east", None],
        "lat": [30.25, -30.25, -30.25, None, None],
        "lon": [120.123456, -120.5, -120.5, None, None],
        "status": ["inactive", "valid", "valid", "valid", "forged"],
        "prize_fen": [0, 100, 100, 0, 0],
    },
    "scan_labels": {
        "scan_id": ["s2", "s2", "s3"],
        "is_wool": [1, 1, 0],
        "landed_at": [NOON + timedelta(days=7), NOON + timedelta(days=8), NOON + timedelta(days=9)],
    },
    "payouts": {
        "payout_id": ["p1", "p1"],
        "ts": [NOON, NOON + timedelta(minutes=1)],
        "member_id": ["ann", "ann"],
        "account_id": ["a1", "a1"],
        "amount_fen": [100, 100],
    },
}


@pytest.fixture
def read(write: Callable[..., Path]) -> Callable[[str], list[dict[str, Any]]]:
    def rows(log: str) -> list[dict[str, Any]]:
        with open_folder(write(BRAND)).connect() as connection:
            LOGS[log].require(connection)
            return connection.sql(f"FROM ({LOGS[log].sql()}) ORDER BY ALL").to_arrow_table().to_pylist()

    return rows


def test_a_scan_knows_what_was_known_when_it_arrived(read: Callable[..., list[dict[str, Any]]]) -> None:
    scans = {row["scan_id"]: row for row in read("scans")}
    assert len(scans) == 4
    assert {name: row["seen_at"] for name, row in scans.items()} == {
        "s1": ago(days=3),
        "s2": NOON,
        "s3": ago(minutes=30),
        "s4": NOON,
    }
    early, later = scans["s1"], scans["s2"]
    assert (early["batch_active"], early["activation_lag_seconds"]) == (0, None)
    assert (later["batch_active"], later["activation_lag_seconds"]) == (1, 2 * 86_400)
    assert early["shipping_lag_seconds"] == 2 * 86_400
    assert (early["registration_age_seconds"], early["phone_prefix"]) == (7 * 86_400, "1380013")
    assert (early["region_mismatch"], early["batch_codes"]) == (0, 100)
    assert (early["crate"], later["crate"], scans["s3"]["crate"]) == (0, 2, None)
    assert early["campaign_age_seconds"] == 27 * 86_400
    assert (early["prize_odds_e6"], early["prize_variance_e6"]) == (250_000, 187_500)
    late = scans["s3"]
    assert (late["batch_active"], late["activation_lag_seconds"], late["batch_codes"]) == (0, None, None)
    assert (late["registration_age_seconds"], late["referrer_id"]) == (1_800, "ann")
    assert (late["lat_e6"], late["place"], late["cell"]) == (None, None, None)
    assert late["region_mismatch"] is None
    stranger = scans["s4"]
    unknown = ("registration_age_seconds", "batch_active", "local_hour", "campaign_age_seconds", "prize_odds_e6")
    assert {stranger[name] for name in unknown} == {None}


def test_the_hour_is_that_of_the_campaigns_own_clock(read: Callable[..., list[dict[str, Any]]]) -> None:
    hours = {row["scan_id"]: (row["local_hour"], row["local_day"]) for row in read("scans")}
    first_of_june = (NOON.date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days
    assert hours["s1"] == (20, first_of_june - 3)
    assert hours["s2"] == (14, first_of_june)  # Berlin, in summer time
    assert hours["s3"] == (18, first_of_june)  # made two hours ago, though it arrived later


def test_places_are_whole_numbers_and_addresses_have_blocks(read: Callable[..., list[dict[str, Any]]]) -> None:
    scans = {row["scan_id"]: row for row in read("scans")}
    assert (scans["s1"]["lat_e6"], scans["s1"]["lon_e6"]) == (30_250_000, 120_123_456)
    assert scans["s1"]["place"] == 12_025_000 * 36_000_001 + 30_012_345
    assert scans["s1"]["cell"] == 12_025 * 36_001 + 30_012
    assert scans["s1"]["town"] == 1_202 * 3_601 + 3_001
    assert scans["s2"]["place"] == 5_975_000 * 36_000_001 + 5_950_000
    blocks = {name: row["ip24"] for name, row in scans.items()}
    assert blocks == {"s1": "10.20.30", "s2": "2001:db8:0:7", "s3": "10.20.31", "s4": None}


def test_a_verdict_lands_with_the_keys_of_its_scan(read: Callable[..., list[dict[str, Any]]]) -> None:
    first, second = read("scan_labels")
    assert (first["scan_id"], first["seen_at"], first["is_wool"]) == ("s2", NOON + timedelta(days=7), 1)
    assert (first["member_id"], first["device_id"], first["ip24"]) == ("ann", "d1", "2001:db8:0:7")
    assert (second["scan_id"], second["is_wool"], second["batch_id"]) == ("s3", 0, "b2")


def test_payouts_registrations_and_referrals(read: Callable[..., list[dict[str, Any]]]) -> None:
    (payout,) = read("payouts")
    assert (payout["seen_at"], payout["account_id"], payout["amount_fen"]) == (NOON, "a1", 100)
    registrations = {row["member_id"]: row for row in read("registrations")}
    assert set(registrations) == {"ann", "bo"}
    assert registrations["bo"]["seen_at"] == ago(hours=1)
    referrals = [(row["member_id"], row["child_id"], row["generation"]) for row in read("referrals")]
    assert referrals == [("ann", "bo", 1)]


def test_a_grandchild_counts_for_the_one_who_began(write: Callable[..., Path]) -> None:
    members = {**BRAND["members"], "registered_at": [ago(days=3), ago(days=2), ago(days=1)]}
    with open_folder(write({**BRAND, "members": members})).connect() as connection:
        rows = connection.sql(f"SELECT member_id, child_id, generation FROM ({LOGS['referrals'].sql()})").fetchall()
    assert set(rows) == {("ann", "bo", 1), ("bo", "cy", 1), ("ann", "cy", 2)}


def test_what_the_scan_log_is_joined_with_must_be_there(write: Callable[..., Path]) -> None:
    refusal = pytest.raises(DataError, match=r"log scans: found no table members, batches, campaigns; expected")
    with open_folder(write({"scans": BRAND["scans"]})).connect() as connection, refusal:
        LOGS["scans"].require(connection)
