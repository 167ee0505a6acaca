"""The lists of what members may buy next, and of a booklet's coupons, on a shop small enough to count by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data.candidates import COUPON_USED, COUPONS_OF_BOOKLETS, NextPurchase
from features.batch import compute
from features.coupon_rank import COUPON_RANK
from features.next_purchase import NEXT_CATEGORY, NEXT_PRODUCT
from training.dataset import task_rows

ASKED = NextPurchase("category", warm_up=1, own=2, top=1)
LINES = [  # member, day, product
    ("ann", (1, 3), "tea"),
    ("ann", (1, 9), "soap"),
    ("ann", (1, 12), "soap"),
    ("ann", (2, 2), "tea"),
    ("ann", (2, 20), "bread"),
    ("bob", (1, 5), "bread"),
    ("bob", (1, 6), "bread"),
    ("bob", (1, 7), "bread"),
    ("bob", (3, 1), "soap"),
    ("eve", (2, 10), "tea"),
]
CATEGORIES = {"tea": "drinks", "soap": "care", "bread": "bakery"}
CITY = {"ann": "Chengdu", "bob": "Wuhan", "eve": None}


def _day(month, day, hour=12):
    return datetime(2026, month, day, hour, tzinfo=UTC)


def _connection(lines, weather=()):
    connection = duckdb.connect()
    connection.sql("SET TimeZone = 'UTC'")
    count = len(lines)
    tables = {
        "orders": {
            "line_id": [f"l{number}" for number in range(count)],
            "order_id": [f"o{number}" for number in range(count)],
            "ts": pa.array([_day(*day) for _, day, _ in lines], pa.timestamp("us", "UTC")),
            "received_at": pa.nulls(count, pa.timestamp("us", "UTC")),
            "member_id": [member for member, _, _ in lines],
            "store_id": ["s"] * count,
            "channel": ["pos"] * count,
            "product_id": [product for _, _, product in lines],
            "quantity": [1] * count,
            "amount_fen": [100] * count,
            "discount_fen": [0] * count,
            "coupon_discount_fen": [0] * count,
            "margin_fen": pa.nulls(count, pa.int64()),
            "offer_id": pa.nulls(count, pa.string()),
        },
        "products": {
            "product_id": list(CATEGORIES),
            "category": list(CATEGORIES.values()),
            "brand": pa.nulls(3, pa.string()),
        },
        "members": {"member_id": list(CITY), "city": list(CITY.values())},
    }
    if weather:
        tables["weather"] = {
            "city": [city for city, _, _ in weather],
            "day": [_day(*day).date() for _, day, _ in weather],
            "temperature_c": [warmth for *_, warmth in weather],
            "rain_mm": [0.0] * len(weather),
        }
    for name, columns in tables.items():
        connection.register(name, pa.table(columns))
    return connection


def _rows(connection, asked=ASKED):
    return task_rows(SimpleNamespace(name="next", rows=asked.rows), connection)


def _lists(rows):
    lists = {}
    for row in rows.to_pylist():
        lists.setdefault(row["list_id"], set()).add(row["category"])
    return lists


def test_candidates_are_the_members_own_and_everyones_of_before():
    lists = _lists(_rows(_connection(LINES)))
    assert lists == {
        "ann/2026-02-01": {"care", "drinks", "bakery"},
        "bob/2026-02-01": {"bakery"},
        "ann/2026-03-01": {"care", "drinks", "bakery"},
        "bob/2026-03-01": {"bakery"},
        "eve/2026-03-01": {"drinks", "bakery"},
    }


def test_what_comes_later_changes_no_earlier_list():
    known = [line for line in LINES if line[1] < (2, 1)]
    early = _rows(_connection([*known, ("ann", (1, 31), "soap")]))
    late = _rows(_connection([*LINES, ("ann", (1, 31), "soap")]))
    first = pc.equal(late["as_of"], pa.scalar(_day(2, 1, 0), late["as_of"].type))
    assert early.to_pylist() == late.filter(first).to_pylist()


def test_a_label_counts_what_was_bought_in_the_month_candidates_or_not():
    connection = _connection([*LINES, ("ann", (2, 28), "soap")])
    labels = {row["row_id"]: row for row in connection.sql(ASKED.label.sql).to_arrow_table().to_pylist()}
    assert set(labels) == {
        "ann/2026-02-01/bakery",
        "ann/2026-02-01/care",
        "ann/2026-02-01/drinks",
        "bob/2026-02-01/bakery",
    }
    assert {name: row["label"] for name, row in labels.items()} == {
        "ann/2026-02-01/bakery": 1,
        "ann/2026-02-01/care": 1,
        "ann/2026-02-01/drinks": 1,
        "bob/2026-02-01/bakery": 0,
    }
    ann, bob = labels["ann/2026-02-01/care"], labels["bob/2026-02-01/bakery"]
    assert (ann["relevant"], ann["repeats"], ann["closes_at"]) == (3, 2, _day(3, 1, 0))
    assert (bob["relevant"], bob["repeats"]) == (0, 0)


def test_without_weather_its_columns_are_null_and_with_it_days_that_are_over_count():
    assert set(_rows(_connection(LINES))["week_temperature_c"].to_pylist()) == {None}
    weather = [
        ("Chengdu", (1, 3), 4.0),
        ("Chengdu", (1, 9), 10.0),
        ("Chengdu", (1, 12), 14.0),
        ("Chengdu", (1, 29), 20.0),
        ("Chengdu", (1, 30), 22.0),
        ("Chengdu", (1, 31), 90.0),
    ]
    rows = {row["row_id"]: row for row in _rows(_connection(LINES, weather)).to_pylist()}
    care, drinks = rows["ann/2026-02-01/care"], rows["ann/2026-02-01/drinks"]
    assert care["week_temperature_c"] == 21.0
    assert (care["category_temperature_gap_c"], drinks["category_temperature_gap_c"]) == (9.0, 17.0)
    assert rows["bob/2026-02-01/bakery"]["week_temperature_c"] is None


def test_features_of_a_candidate_are_those_of_member_and_category():
    connection = _connection(LINES)
    table = compute(NEXT_CATEGORY, connection, _rows(connection))
    rows = {row["row_id"]: row for row in table.to_pylist()}
    care, bakery = rows["ann/2026-02-01/care"], rows["ann/2026-02-01/bakery"]
    assert care["member_category_order_line_count_lifetime"] == 2
    assert care["member_category_basket_share_90d"] == pytest.approx(2 / (3 + 1))
    assert bakery["member_category_order_line_count_lifetime"] == 0
    assert (bakery["category_order_line_count_30d"], bakery["category_distinct_member_30d"]) == (3, 1)
    assert bakery["store_category_order_line_count_30d"] == 3


def test_products_carry_their_category():
    connection = _connection(LINES)
    asked = NextPurchase("product_id", warm_up=1, own=2, top=1)
    rows = _rows(connection, asked)
    assert dict(zip(rows["product_id"].to_pylist(), rows["category"].to_pylist(), strict=True)) == CATEGORIES
    features = compute(NEXT_PRODUCT, connection, rows)
    shares = {row["row_id"]: row["product_share_of_category"] for row in features.to_pylist()}
    assert shares["ann/2026-02-01/soap"] == 1.0
    assert shares["eve/2026-03-01/bread"] is None


@pytest.fixture
def booklets():
    connection = _connection(LINES)
    offers = {
        "offer_id": ["booklet-1", "coupon-1-11", "coupon-1-12", "booklet-2", "coupon-2-11", "coupon-2-13"],
        "kind": ["type_a", "coupon", "coupon", "type_a", "coupon", "coupon"],
        "category": pa.nulls(6, pa.string()),
        "brand": pa.nulls(6, pa.string()),
        "product_ids": [["tea"], ["tea"], ["soap"], ["tea"], ["tea"], ["soap", "bread"]],
        "campaign_id": ["1", "1", "1", "2", "2", "2"],
    }
    tables = {
        "offers": offers,
        "campaigns": {
            "campaign_id": ["1", "2"],
            "starts_at": pa.array([_day(1, 10), _day(2, 10)], pa.timestamp("us", "UTC")),
            "ends_at": pa.array([_day(1, 30), _day(2, 28)], pa.timestamp("us", "UTC")),
        },
        "sends": {
            "send_id": ["1-ann", "1-bob", "2-ann"],
            "ts": pa.array([_day(1, 10), _day(1, 10), _day(2, 10)], pa.timestamp("us", "UTC")),
            "member_id": ["ann", "bob", "ann"],
            "offer_id": ["booklet-1", "booklet-1", "booklet-2"],
            "campaign_id": ["1", "1", "2"],
            "arm": ["treated"] * 3,
        },
        "redemptions": {"send_id": ["1-ann"], "ts": pa.array([_day(1, 12)], pa.timestamp("us", "UTC"))},
        "coupon_redemptions": {
            "send_id": ["1-ann", "1-bob", "2-ann"],
            "offer_id": ["coupon-1-12", "coupon-1-11", "coupon-2-13"],
            "ts": pa.array([_day(1, 12), _day(1, 20), _day(2, 20)], pa.timestamp("us", "UTC")),
        },
    }
    for name, columns in tables.items():
        connection.register(name, pa.table(columns))
    return connection


def test_a_booklet_lists_its_coupons_with_what_was_used_before(booklets):
    rows = {
        row["row_id"]: row
        for row in task_rows(SimpleNamespace(name="rank", rows=COUPONS_OF_BOOKLETS), booklets).to_pylist()
    }
    assert set(rows) == {"1-ann/11", "1-ann/12", "1-bob/11", "1-bob/12", "2-ann/11", "2-ann/13"}
    assert all(row["booklet_coupon_count"] == 2 for row in rows.values())
    assert rows["1-ann/12"]["coupon_redemption_count"] == 0
    assert rows["2-ann/11"]["coupon_redemption_count"] == 1
    soap = rows["2-ann/13"]
    assert (soap["coupon_redemption_count"], soap["coupon_category_redemption_count"]) == (0, 1)
    assert soap["member_coupon_category_redemption_count"] == 1
    assert soap["coupon_product_count"] == 2


def test_a_coupon_is_used_within_its_campaign(booklets):
    labels = {row["row_id"]: row for row in booklets.sql(COUPON_USED.sql).to_arrow_table().to_pylist()}
    assert {name for name, row in labels.items() if row["label"]} == {"1-ann/12", "1-bob/11", "2-ann/13"}
    assert {row["relevant"] for row in labels.values()} == {1}
    assert labels["2-ann/11"]["closes_at"] == _day(2, 28)


def test_a_coupons_features_are_of_its_own_products(booklets):
    rows = task_rows(SimpleNamespace(name="rank", rows=COUPONS_OF_BOOKLETS), booklets)
    found = {row["row_id"]: row for row in compute(COUPON_RANK, booklets, rows).to_pylist()}
    assert found["2-ann/11"]["member_offer_offer_line_count_90d"] == 2
    assert found["2-ann/13"]["member_offer_distinct_offer_line_product_365d"] == 1
    assert found["2-ann/13"]["member_coupon_product_share_365d"] == 0.5
