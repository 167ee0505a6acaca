"""The coupon features on a shop small enough to count by hand."""

from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from features.batch import compute
from features.offer import OFFER
from features.rfm import RFM

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def _ago(**span):
    return NOW - timedelta(**span)


LINES = [  # line, order, ts, product, amount, discount, coupon discount
    ("l1", "o1", _ago(days=100), "tea", 300, 0, 0),
    ("l2", "o1", _ago(days=100), "soap", 700, 100, 0),
    ("l3", "o2", _ago(days=40), "tea", 200, 0, None),
    ("l4", "o3", _ago(days=10), "tea", 150, 50, 50),
    ("l4", "o3", _ago(days=9), "tea", 150, 50, 50),  # sent twice: counts once
    ("l5", "o3", _ago(days=10), "coffee", 350, 0, 0),
    ("l6", "o4", NOW, "tea", 9_999, 0, 0),  # the very instant: not yet known
]


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        connection.sql("SET TimeZone = 'UTC'")
        tables = {
            "orders": {
                "line_id": [line for line, *_ in LINES],
                "order_id": [order for _, order, *_ in LINES],
                "ts": [ts for _, _, ts, *_ in LINES],
                "received_at": pa.nulls(len(LINES), pa.timestamp("us", "UTC")),
                "member_id": ["ann"] * len(LINES),
                "store_id": ["s"] * len(LINES),
                "channel": ["pos"] * len(LINES),
                "product_id": [product for *_, product, _, _, _ in LINES],
                "quantity": [1] * len(LINES),
                "amount_fen": [amount for *_, amount, _, _ in LINES],
                "discount_fen": [discount for *_, discount, _ in LINES],
                "coupon_discount_fen": [coupon for *_, coupon in LINES],
                "margin_fen": pa.nulls(len(LINES), pa.int64()),
                "offer_id": pa.nulls(len(LINES), pa.string()),
            },
            "products": {
                "product_id": ["tea", "coffee", "soap"],
                "category": ["drinks", "drinks", "care"],
                "brand": pa.nulls(3, pa.string()),
            },
            "offers": {
                "offer_id": ["tea-coupon"],
                "kind": ["coupon"],
                "category": pa.nulls(1, pa.string()),
                "brand": pa.nulls(1, pa.string()),
                "product_ids": [["tea"]],
            },
            "sends": {
                "send_id": ["s1", "s2", "s3", "s4"],
                "ts": [_ago(days=200), _ago(days=12), _ago(days=5), NOW],
                "member_id": ["ann"] * 4,
                "offer_id": ["tea-coupon"] * 4,
                "campaign_id": ["c"] * 4,
                "arm": ["treated", "treated", "control", "treated"],
            },
            "redemptions": {"send_id": ["s2"], "ts": [_ago(days=10)], "order_id": ["o3"]},
        }
        for name, columns in tables.items():
            connection.register(name, pa.table(columns))
        yield connection


def _row(**changed):
    row = {"row_id": 1, "as_of": NOW, "member_id": "ann", "offer_id": "tea-coupon", "campaign_days": 30}
    return pa.Table.from_pylist([row | {"offer_product_count": 1} | changed])


DAY = 86_400


def test_counted_by_hand(connection):
    (found,) = compute(RFM + OFFER, connection, _row()).select((RFM + OFFER).names).to_pylist()
    gaps = [60 * DAY, 30 * DAY]
    expected = {
        "member_basket_since": 10 * DAY,
        "member_basket_since_first": 100 * DAY,
        "member_basket_count_30d": 1,
        "member_basket_count_90d": 2,
        "member_basket_count_365d": 3,
        "member_basket_count_lifetime": 3,
        "member_sum_amount_fen_30d": 500,
        "member_sum_amount_fen_90d": 700,
        "member_sum_amount_fen_365d": 1_700,
        "member_sum_amount_fen_lifetime": 1_700,
        "member_mean_amount_fen_90d": 350,
        "member_mean_amount_fen_365d": 1_700 / 3,
        "member_mean_basket_gap_seconds_lifetime": np.mean(gaps),
        "member_std_basket_gap_seconds_lifetime": np.std(gaps, ddof=1),
        "member_entropy_category_90d": 0,
        "member_entropy_category_365d": -(0.8 * np.log(0.8) + 0.2 * np.log(0.2)),
        "member_order_line_share_discounted_90d": 1 / 3,
        "member_order_line_share_discounted_365d": 2 / 5,
        "member_order_line_share_couponed_90d": 1 / 3,
        "member_order_line_share_couponed_365d": 1 / 5,
        "member_recency_over_cadence": 10 / 45,
        "member_frequency_trend": 1 / 2,
        "member_offer_offer_line_count_30d": 1,
        "member_offer_offer_line_count_90d": 2,
        "member_offer_offer_line_count_365d": 3,
        "member_offer_sum_offer_line_amount_fen_365d": 650,
        "member_offer_distinct_offer_line_product_365d": 1,
        "member_offer_offer_category_line_count_30d": 2,
        "member_offer_sum_offer_category_line_amount_fen_365d": 1_000,
        "member_offer_distinct_offer_category_line_product_365d": 2,
        "member_offer_wallet_share_offer_line_30d": 150 / 500,
        "member_offer_wallet_share_offer_category_line_365d": 1_000 / 1_700,
        "member_send_count_treated_14d": 1,
        "member_send_count_treated_365d": 2,
        "member_redemption_count_14d": 1,
        "member_redemption_count_lifetime": 1,
        "member_redemption_rate": 1.1 / 3,
        "member_offer_fatigue_14d": 0,
        "member_offer_fatigue_30d": 0,
        "member_redemption_since": 10 * DAY,
        "member_send_since_treated": 12 * DAY,
        "offer_product_count": 1,
        "campaign_days": 30,
    }
    assert {name: found[name] for name in expected} == {name: float(np.float32(one)) for name, one in expected.items()}


def test_a_stranger_has_no_history_and_a_null_member_no_features(connection):
    (stranger,) = compute(RFM + OFFER, connection, _row(member_id="bo")).to_pylist()
    assert stranger["member_basket_count_365d"] == 0.0
    assert stranger["member_basket_since"] is None
    assert stranger["member_offer_wallet_share_offer_line_365d"] is None
    assert stranger["member_redemption_rate"] == pytest.approx(0.1)
    nobody = _row().set_column(2, "member_id", pa.nulls(1, pa.string()))
    (unknown,) = compute(RFM, connection, nobody).select(RFM.names).to_pylist()
    assert set(unknown.values()) == {None}


def test_every_feature_says_what_it_means_in_a_phrase_of_its_own():
    features = list(RFM + OFFER)
    assert len({feature.meaning for feature in features}) == len(features)
    assert all(feature.unit and feature.null_rule for feature in features)
