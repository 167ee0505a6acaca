"""The scan features: counted by hand on a small brand, and all of them against the oracle on a drawn one."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.logs import LOGS
from data.scan_event import scan_event
from data.sources import open_folder
from features.batch import compute
from features.distance import degrees_apart_km, places_apart_km
from features.online import LiveState
from features.plan import compile_plan
from features.ring import RING
from features.scan import SCAN
from features.spec import Aggregate, Derived, Fact
from tests.features.oracle import aggregate

NOW = datetime(2026, 6, 10, 4, tzinfo=UTC)  # noon in Shanghai
DAY = 86_400
ROWS = "SELECT *, scan_id AS row_id, seen_at AS as_of FROM ({})"


def ago(**span):
    return NOW - timedelta(**span)


MEMBERS = {
    "member_id": ["ann", "bo", "cy", "di"],
    "registered_at": [ago(days=40), ago(days=2), ago(hours=30), ago(hours=20)],
    "referrer_id": [None, "ann", "ann", "bo"],
    "phone_prefix": ["1380013", "1380013", "1390000", "1380013"],
    "city": ["Hangzhou", "Ningbo", None, "Hangzhou"],
}
BRAND = {
    "members": MEMBERS,
    "campaigns": {
        "campaign_id": ["spring"],
        "starts_at": [ago(days=50)],
        "ends_at": [NOW + timedelta(days=30)],
        "time_zone": ["Asia/Shanghai"],
        "prize_odds": [0.2],
    },
    "products": {"product_id": ["tea", "milk"], "category": ["drinks"] * 2, "brand": ["Leaf"] * 2},
    "batches": {
        "batch_id": ["b1", "b2"],
        "product_id": ["tea", "milk"],
        "activated_at": [ago(days=10), None],
        "shipped_at": [ago(days=9), ago(days=1)],
        "region": ["Ningbo", "Hangzhou"],
        "first_serial": [1, 1],
        "last_serial": [1_000, 50],
    },
    "payouts": {
        "payout_id": ["p1", "p2"],
        "ts": [ago(days=20), ago(hours=1)],
        "member_id": ["ann", "ann"],
        "account_id": ["a1", "a2"],
        "amount_fen": [500, 300],
    },
    "scan_labels": {
        "scan_id": ["s1", "s2", "s3"],
        "is_wool": [1, 0, 1],
        "landed_at": [ago(days=3), ago(days=1), NOW],
    },
}
# scan, ts, member, device, ip, code, batch, serial, product, lat, lon, status, prize
SCANS = [
    ("s1", ago(days=20), "ann", "d1", "10.0.0.1", "c1", "b1", 10, "tea", 30.0, 120.0, "valid", 500),
    ("s2", ago(hours=11), "ann", "d1", "10.0.0.1", "c2", "b1", 11, "tea", 30.0, 120.0, "valid", 0),
    ("s3", ago(hours=3), "bo", "d1", "10.0.0.2", "c2", "b1", 11, "tea", 30.0, 120.0, "repeat", 0),
    ("s4", ago(hours=2), "ann", "d2", "10.0.0.1", "c3", "b2", 7, "milk", 30.1, 120.0, "inactive", 0),
    ("s5", ago(hours=2), "ann", "d2", "10.0.0.1", "c4", "b1", 14, "tea", 30.1, 120.0, "valid", 300),
    ("s6", ago(minutes=30), "ann", "d1", "10.0.0.1", "c5", "b1", 20, "tea", None, None, "forged", 0),
    ("now", NOW, "ann", "d1", "10.0.0.1", "c2", "b1", 21, "tea", 31.1, 120.0, "valid", 900),
    ("tie", NOW, "ann", "d1", "10.0.0.1", "c2", "b1", 22, "tea", 31.1, 120.0, "valid", 900),
]
COLUMNS = ("scan_id", "ts", "member_id", "device_id", "ip", "code_id", "batch_id", "serial", "product_id")
NUMBERS = ("lat", "lon", "status", "prize_fen")


def brand(scans=SCANS, **changed):
    columns = dict(zip((*COLUMNS, *NUMBERS), map(list, zip(*scans, strict=True)), strict=True))
    return {**BRAND, "scans": {**columns, "campaign_id": ["spring"] * len(scans)}, **changed}


@pytest.fixture
def connect(tmp_path):
    opened = []

    def connected(tables):
        for name, columns in tables.items():
            pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
        opened.append(open_folder(tmp_path).connect())
        return opened[-1]

    yield connected
    for connection in opened:
        connection.close()


def test_counted_by_hand(connect):
    connection = connect(brand())
    rows = connection.sql(f"{ROWS.format(LOGS['scans'].sql())} WHERE scan_id = 'now'").to_arrow_table()
    (found,) = compute(SCAN, connection, rows).select(SCAN.names).to_pylist()
    gaps = np.array([9 * 3_600, 9 * 3_600, 90 * 60])  # s4 and s5 share an instant, so also their gap
    kilometres = 111.195
    expected = {
        "member_scan_count_5m": 0,
        "member_scan_count_1h": 1,
        "member_scan_count_1d": 4,
        "member_scan_count_30d": 5,
        "member_scan_count_valid_1d": 2,
        "member_scan_share_failed_1h": 1,
        "member_scan_share_failed_7d": 2 / 4,
        "member_scan_since": 30 * 60,
        "member_min_scan_gap_seconds_1d": 90 * 60,
        "member_scan_count_within_10s_1d": 0,
        "member_scan_share_night_30d": 1 / 5,  # s2 was at 1 in the morning in Shanghai
        "member_distinct_local_day_30d": 2,
        "local_hour": 12,
        "campaign_age_seconds": 50 * DAY,
        "device_distinct_member_1d": 2,
        "member_distinct_device_7d": 2,
        "ip_distinct_member_1d": 1,
        "ip24_distinct_member_1d": 2,
        "member_distinct_town_1d": 2,
        "ip_new_member_share_1d": 0,
        "ip24_burst_1h": 672 / 6,
        "device_scan_since_first": 20 * DAY,
        "member_kmh": kilometres / 2,  # from s5, two hours ago, one degree south
        "device_kmh": 1.1 * kilometres / 3,
        "code_scan_count_lifetime": 2,
        "code_distinct_member_lifetime": 2,
        "activation_lag_seconds": 10 * DAY,
        "shipping_lag_seconds": 9 * DAY,
        "batch_active": 1,
        "region_mismatch": 1,
        "member_serial_step": 1,
        "member_distinct_batch_1d": 2,
        "member_batch_share_1d": 3 / 4,
        "batch_scanned_share_1d": 4 / 1_000,
        "batch_scan_count_inactive_1h": 0,
        "ip_scan_count_forged_1h": 1,
        "registration_age_seconds": 40 * DAY,
        "member_registration_to_scan_seconds": 20 * DAY,
        "phone_prefix_registration_count_1d": 1,
        "phone_prefix_registration_count_7d": 2,
        "referrer_registration_count_7d": None,
        "member_referral_count_direct_7d": 2,
        "member_referral_branching": 1 / 2,
        "member_sum_prize_fen_1d": 300,
        "member_max_prize_fen_30d": 500,
        "member_scan_count_winning_30d": 2,
        "member_luck_30d": (2 - 3 * 0.2) / math.sqrt(3 * 0.16),
        "member_sum_payout_amount_fen_30d": 800,
        "member_distinct_payout_account_30d": 2,
        "member_prize_to_payout_seconds": 3_600,
        "member_verdict_count_wool_30d": 1,
        "member_wool_rate_30d": 1.5 / 12,
        "device_wool_rate_30d": 1.5 / 12,
        "wifi_wool_rate_30d": None,
        "member_gap_variation_7d": np.std([20 * DAY - 11 * 3_600, *gaps], ddof=1)
        / np.mean([20 * DAY - 11 * 3_600, *gaps]),
    }
    assert {name: found[name] for name in expected} == {
        name: None if value is None else pytest.approx(value, rel=1e-6) for name, value in expected.items()
    }


def test_what_comes_later_changes_nothing(connect):
    query = f"{ROWS.format(LOGS['scans'].sql())} WHERE scan_id IN ('now', 's4', 's6') ORDER BY scan_id"
    connection = connect(brand())
    before = compute(SCAN, connection, connection.sql(query).to_arrow_table()).select(SCAN.names)
    later = NOW + timedelta(hours=1)
    tomorrow = ("later", later, "ann", "d1", "10.0.0.1", "c2", "b1", 30, "tea", 30.0, 120.0, "valid", 10_000)
    changed = {
        "members": {
            "member_id": [*MEMBERS["member_id"], "eve"],
            "registered_at": [*MEMBERS["registered_at"], later],
            "referrer_id": [*MEMBERS["referrer_id"], "ann"],
            "phone_prefix": [*MEMBERS["phone_prefix"], "1380013"],
            "city": [*MEMBERS["city"], "Ningbo"],
        },
        "batches": {**BRAND["batches"], "activated_at": [ago(days=10), later]},
        "payouts": {name: [*values, values[-1]] for name, values in BRAND["payouts"].items()}
        | {"payout_id": ["p1", "p2", "p3"], "ts": [*BRAND["payouts"]["ts"], later]},
        "scan_labels": {
            "scan_id": ["s1", "s2", "s3", "s4", "now"],
            "is_wool": [1, 0, 1, 1, 1],
            "landed_at": [*BRAND["scan_labels"]["landed_at"], later, later],
        },
    }
    connection = connect(brand([*SCANS, tomorrow], **changed))
    after = compute(SCAN, connection, connection.sql(query).to_arrow_table()).select(SCAN.names)
    assert after.to_pylist() == before.to_pylist()


def test_a_stranger_and_a_newcomer(connect):
    first = ("new", NOW, "di", "d9", "10.0.9.9", "c9", "b2", 3, "milk", 30.0, 120.0, "valid", 0)
    nobody = ("none", NOW, None, None, None, "c9", None, None, None, None, None, "forged", 0)
    connection = connect(brand([*SCANS, first, nobody]))
    rows = connection.sql(f"{ROWS.format(LOGS['scans'].sql())} WHERE scan_id IN ('new', 'none')").to_arrow_table()
    built = {row["row_id"]: row for row in compute(SCAN, connection, rows).to_pylist()}
    newcomer, stranger = built["new"], built["none"]
    assert newcomer["member_scan_count_30d"] == 0
    assert newcomer["member_registration_to_scan_seconds"] == 20 * 3_600
    assert newcomer["referrer_registration_count_7d"] == 1
    assert (newcomer["batch_active"], newcomer["activation_lag_seconds"]) == (0, None)
    assert newcomer["member_kmh"] is None
    assert newcomer["member_wool_rate_30d"] == pytest.approx(0.05)
    assert {stranger[name] for name in SCAN.names if name.startswith(("member_", "device_", "ip_", "batch_"))} == {None}


def drawn(generator, number):
    """Scans of few members, devices and codes, with ties, nulls and late arrivals."""

    def pick(*values):
        return [values[one] for one in generator.integers(0, len(values), number)]

    minutes = generator.choice([0, 1, 2, 5, 60, 61, 1_440, 10_080, 43_200], number)
    return {
        "scan_id": [f"s{one}" for one in range(number)],
        "ts": [NOW - timedelta(minutes=int(one), seconds=int(one) % 3) for one in minutes],
        "received_at": [None if one % 5 else NOW - timedelta(minutes=1) for one in range(number)],
        "member_id": pick("ann", "ann", "bo", "cy", "di", None),
        "device_id": pick("d1", "d1", "d2", None),
        "ip": pick("10.0.0.1", "10.0.0.2", "10.0.1.1", None),
        "code_id": pick("c1", "c2", "c3"),
        "batch_id": pick("b1", "b2", None),
        "serial": pick(1, 2, 5, 9, None),
        "product_id": pick("tea", "milk", None),
        "campaign_id": pick("spring", None),
        "lat": pick(30.0, 30.0, 30.2, -12.5, None),
        "lon": [120.0] * number,
        "entry": pick("camera", "link", None),
        "user_agent": pick("x", "y", None),
        "wifi_id": pick("w", None),
        "status": pick("valid", "repeat", "inactive", "forged"),
        "prize_fen": pick(0, 0, 100, 900),
    }


def exact(feature, logs, row):
    """The oracle's answer; what is derived is derived from the oracle's answers."""
    if isinstance(feature, Fact):
        return row[feature.name]
    if isinstance(feature, Aggregate):
        return aggregate(feature, logs[feature.log.name], row)
    assert isinstance(feature, Derived)
    known = {one.name: one for one in SCAN.all}
    inputs = [exact(known[name], logs, row) for name in feature.inputs]
    with np.errstate(all="ignore"):
        value = feature.function(*(np.array([np.nan if one is None else float(one)]) for one in inputs))[0]
    return float(value) if np.isfinite(value) else None


def in_microseconds(rows):
    return [
        {name: int(value.timestamp() * 1_000_000) if isinstance(value, datetime) else value for name, value in one}
        for one in (row.items() for row in rows)
    ]


def test_every_scan_feature_equals_the_oracle(connect):
    generator = np.random.default_rng(5)
    scans = drawn(generator, 160)
    labels = {
        "scan_id": [f"s{one}" for one in range(0, 160, 2)],
        "is_wool": [int(one) for one in generator.integers(0, 2, 80)],
        "landed_at": [NOW - timedelta(minutes=int(one)) for one in generator.integers(0, 5_000, 80)],
    }
    connection = connect({**BRAND, "scans": scans, "scan_labels": labels})
    rows = connection.sql(f"{ROWS.format(LOGS['scans'].sql())} ORDER BY scan_id LIMIT 40").to_arrow_table()
    built = compute(SCAN, connection, rows).to_pylist()
    names = {feature.log.name for feature in SCAN.all if isinstance(feature, Aggregate)}
    logs = {one: in_microseconds(connection.sql(LOGS[one].sql()).to_arrow_table().to_pylist()) for one in names}
    wrong = []
    for row, answer in zip(in_microseconds(rows.to_pylist()), built, strict=True):
        for feature in SCAN:
            wanted = exact(feature, logs, row)
            if answer[feature.name] != (None if wanted is None else float(np.float32(wanted))):
                wrong.append((row["row_id"], feature.name, answer[feature.name], wanted))
    assert wrong == []


def test_a_scan_taken_in_by_itself_is_answered_as_in_the_training_table(connect):
    """From raw rows, without SQL, through the live state; rings too."""
    connection = connect(brand())
    everything = SCAN + RING
    plan = compile_plan(everything)
    logs = {*plan.columns_by_log, *(log for ring in plan.rings for log in ring.columns_by_log)} - {"scans"}
    steps = [
        (event["seen_at"], log, event)
        for log in logs
        for event in connection.sql(LOGS[log].sql()).to_arrow_table().to_pylist()
    ]
    about = {
        key: {row[key]: row for row in connection.sql(f"FROM {table}").to_arrow_table().to_pylist()}
        for key, table in (("member_id", "members"), ("batch_id", "batches"), ("campaign_id", "campaigns"))
    }
    for scan in connection.sql("FROM scans").to_arrow_table().to_pylist():
        event = scan_event(scan, *(rows.get(scan[key]) for key, rows in about.items()))
        steps.append((event["seen_at"], "scans", event))
    state, live = LiveState(everything), {}
    for _, log, event in sorted(steps, key=lambda step: step[0]):
        if log == "scans":
            live[event["scan_id"]] = state.observe(log, event)
        else:
            state.append(log, event)
    rows = connection.sql(ROWS.format(LOGS["scans"].sql())).to_arrow_table()
    for row in compute(everything, connection, rows).to_pylist():
        wanted = [np.nan if row[name] is None else row[name] for name in everything.names]
        assert np.array_equal(live[row["row_id"]], np.array(wanted, np.float32), equal_nan=True), row["row_id"]


def test_distances_are_right_and_the_same_one_by_one():
    generator = np.random.default_rng(1)
    north, east = generator.uniform(-60, 60, 500), generator.uniform(-180, 180, 500)
    other_north, other_east = north + generator.uniform(-2, 2, 500), east + generator.uniform(-2, 2, 500)
    together = degrees_apart_km(north, east, other_north, other_east)
    alone = [
        degrees_apart_km(*(np.array([value]) for value in one))[0]
        for one in zip(north, east, other_north, other_east, strict=True)
    ]
    assert together.tolist() == alone
    lat, other_lat, step = np.radians(north), np.radians(other_north), np.radians(other_east - east)
    chord = np.sin((other_lat - lat) / 2) ** 2 + np.cos(lat) * np.cos(other_lat) * np.sin(step / 2) ** 2
    assert np.allclose(together, 2 * 6_371.0 * np.arcsin(np.sqrt(chord)), rtol=3e-3)


def test_the_short_way_round_the_date_line():
    west, east = (np.array([9_000_000 * 36_000_001.0 + column]) for column in (1_000.0, 35_999_000.0))
    assert places_apart_km(west, east)[0] == pytest.approx(0.02 * 111.195, rel=1e-6)


def test_every_scan_feature_says_what_it_means_in_a_phrase_of_its_own():
    meanings = [feature.meaning for feature in SCAN]
    assert len(set(meanings)) == len(SCAN) > 60
    assert all(feature.unit and feature.null_rule for feature in SCAN)
