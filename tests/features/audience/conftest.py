"""A made-up brand with every kind of trouble: late, repeated and nameless purchases, nulls, and what is yet to come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.sources import open_folder

AT = datetime(2025, 6, 1, tzinfo=UTC)
INSTANT = pa.timestamp("us", tz="UTC")


@pytest.fixture(scope="session")
def moment():
    return AT


@pytest.fixture(scope="session")
def brand_rows():
    """The tables as lists of dicts, for a judge that reads them one by one."""
    draw = np.random.default_rng(11)

    def pick(*values):
        return values[draw.integers(len(values))]

    members = [
        {
            "member_id": f"m{number:02}",
            "registered_at": pick(None, *(AT + timedelta(days=days) for days in (-400, -30, -10, 0, 5))),
            "city": pick("Chengdu", "Wuhan", "成都", None),
            "channel": pick("scan", "friend", None),
            "opted_out": pick(0, 1, None),
        }
        for number in range(40)
    ]
    products = [
        {"product_id": f"p{number}", "category": category, "brand": brand}
        for number, (category, brand) in enumerate(
            [("kiwifruit", "ours"), ("kiwifruit", "theirs"), ("milk", "ours"), ("milk", None), (None, "theirs")]
        )
    ]
    orders = []
    for number in range(260):
        days = pick(-200, -90, -60, -30, -29, -5, -1, 0, 3)
        ts = AT + timedelta(days=days, microseconds=pick(0, -1, 1))
        orders.append(
            {
                "line_id": f"l{number}",
                "order_id": f"o{number // 2}",
                "ts": ts,
                "received_at": pick(None, ts + timedelta(days=2), AT + timedelta(days=1)),
                "member_id": pick(None, *(f"m{one:02}" for one in draw.integers(32, size=6))),
                "store_id": pick("s1", "s2", None),
                "channel": pick("pos", "mini_program"),
                "product_id": f"p{draw.integers(5)}",
                "quantity": int(draw.integers(4)),
                "amount_fen": int(draw.integers(5)) * 100,
            }
        )
    for first, second in zip(orders[::2], orders[1::2], strict=True):  # two lines a basket
        second |= {name: first[name] for name in ("ts", "received_at", "member_id", "store_id", "channel")}
    for number in range(0, 260, 9):  # sent again two days later: it counts once, when it came first
        again = dict(orders[number])
        again["ts"] += timedelta(days=2)
        again["received_at"] = None if again["received_at"] is None else again["received_at"] + timedelta(days=2)
        orders.append(again)
    return {"members": members, "products": products, "orders": orders}


@pytest.fixture(scope="session")
def brand(brand_rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("brand")
    for name, rows in brand_rows.items():
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        table = pa.table(
            {
                key: pa.array(values, INSTANT) if key.endswith(("_at", "ts")) else values
                for key, values in columns.items()
            }
        )
        pq.write_table(table, folder / f"{name}.parquet")
    return open_folder(folder)
