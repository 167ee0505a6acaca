"""Histories count days with a purchase as they were known at a moment, in the shop's own days."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import DataError, UsageError
from data.sources import open_folder
from training.purchase_history import Histories, read_histories

STAMP = pa.timestamp("us", tz="UTC")


def _at(day, hour=12):
    return datetime(2025, 5, day, hour, tzinfo=UTC)


LINES = [  # order, member, bought, arrived, fen
    ("a1", "ann", _at(1), None, 500),
    ("a1", "ann", _at(1), None, 300),
    ("a2", "ann", _at(4, 8), None, 400),
    ("a3", "ann", _at(4, 13), None, 200),  # the same day: one purchase
    ("a4", "ann", _at(9, 17), None, 900),  # in Shanghai the tenth
    ("b1", "bob", _at(2), None, 100),
    ("c1", "cid", _at(3), _at(21), 100),  # not known yet
    ("d1", None, _at(3), None, 100),
    ("e1", "eve", _at(20), None, 100),  # the moment itself
]


@pytest.fixture
def brand(tmp_path):
    order, member, at, arrived, fen = zip(*LINES, strict=True)
    lines = {
        "line_id": [f"l{number}" for number in range(len(LINES))],
        "order_id": order,
        "member_id": member,
        "ts": pa.array(at, STAMP),
        "received_at": pa.array(arrived, STAMP),
        "product_id": ["p"] * len(LINES),
        "quantity": [1] * len(LINES),
        "amount_fen": fen,
    }
    pq.write_table(pa.table(lines), tmp_path / "orders.parquet")
    return open_folder(tmp_path)


def test_days_with_a_purchase_are_counted_as_known_at_the_moment(brand):
    with brand.connect() as connection:
        found = read_histories(connection, _at(20))
        shanghai = read_histories(connection, _at(20), "Asia/Shanghai")
    assert found.member.tolist() == ["ann", "bob"]
    assert found.frequency.tolist() == [2, 0]
    assert found.recency.tolist() == [8, 0]
    assert found.age.tolist() == [19.5, 18.5]
    assert found.mean_amount.tolist() == [750, 0]
    assert shanghai.recency.tolist() == [9, 0]
    assert shanghai.age == pytest.approx(found.age + 8 / 24)


def test_a_moment_before_all_purchases_or_without_a_zone_is_refused(brand):
    with brand.connect() as connection:
        with pytest.raises(DataError, match="no purchase of a member before 2025-05-01"):
            read_histories(connection, _at(1))
        with pytest.raises(UsageError, match="without a time zone"):
            read_histories(connection, datetime(2025, 5, 1))  # noqa: DTZ001 - what is refused


def test_histories_that_cannot_be_are_refused_with_all_their_faults():
    names, good = np.array(["a", "b"], object), np.array([1.0, 2.0])
    with pytest.raises(DataError, match=r"1 members whose frequency .*; 1 members whose last purchase .*never came"):
        Histories(names, np.array([0.5, 0.0]), np.array([9.0, 1.0]), good, good)
    with pytest.raises(DataError, match="columns of 2, 1, 2, 2, 2 rows"):
        Histories(names, good[:1], good, good, good)
