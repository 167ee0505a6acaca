"""The event logs against plain Python over the same rows."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError
from data.logs import LOGS
from data.sources import open_folder

Rows = list[dict[str, Any]]
START = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("line_id", "order_id", "member_id", "product_id", "store_id", "channel", "offer_id")
        ),
        *((name, pa.timestamp("us", "UTC")) for name in ("ts", "received_at")),
        *((f"{name}_fen", pa.int64()) for name in ("amount", "discount", "coupon_discount", "margin")),
        ("quantity", pa.int64()),
    ]
)
PRODUCTS = pa.table(
    {
        "product_id": ["tea", "milk", "coal", "odd"],
        "category": ["drinks", "drinks", "fuel", None],
        "brand": ["Leaf", "Cow", "Leaf", None],
    }
)
OFFERS = pa.table(
    {
        "offer_id": ["listed", "drinks", "leaf", "leaf drinks", "all", "none"],
        "kind": ["a", "b", "b", "b", "c", "d"],
        "product_ids": pa.array([["tea", "odd", "tea"], None, None, None, None, []], pa.list_(pa.string())),
        "category": [None, "drinks", None, "drinks", None, None],
        "brand": [None, None, "Leaf", "Leaf", None, None],
    }
)
HOLDS = {
    "listed": {"tea", "odd"},
    "drinks": {"tea", "milk"},
    "leaf": {"tea", "coal"},
    "leaf drinks": {"tea"},
    "all": {"tea", "milk", "coal", "odd"},
    "none": set(),
}
CATEGORY = dict(zip(*PRODUCTS.select(["product_id", "category"]).to_pydict().values(), strict=True))


@contextmanager
def shop(given_lines: Rows) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own for each example: one kept by hypothesis would outlive the interpreter."""
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as opened:
        opened.execute("SET TimeZone = 'UTC'")
        opened.register("products", PRODUCTS)
        opened.register("offers", OFFERS)
        opened.register("orders", pa.Table.from_pylist(given_lines, ORDERS))
        yield opened


def log(connection: duckdb.DuckDBPyConnection, name: str, restrict: str | None = None) -> Rows:
    LOGS[name].require(connection)
    rows: Rows = connection.sql(LOGS[name].sql(restrict)).to_arrow_table().to_pylist()
    return rows


def counted_once(lines: Rows) -> Rows:
    """The judge: walk each id's arrivals, and let one count only when 35 days have passed since the last that did."""
    counted: dict[str, datetime] = {}
    kept: Rows = []
    for line in sorted(lines, key=lambda line: (line["received_at"] or line["ts"], line["ts"])):
        seen_at = line["received_at"] or line["ts"]
        last = counted.get(line["line_id"])
        if last is None or seen_at > last + timedelta(days=35):
            counted[line["line_id"]] = seen_at
            kept.append({**line, "seen_at": seen_at})
    return kept


moments = (
    st.sampled_from([START + timedelta(days=days) for days in (0, 35, 36, 70, 71)])
    | st.integers(0, 100).map(lambda days: START + timedelta(days=days))
    | st.integers(0, 40).map(lambda half_days: START + timedelta(hours=12 * half_days))
)
lines = st.lists(
    st.fixed_dictionaries(
        {
            "line_id": st.sampled_from("abcdef"),
            "order_id": st.sampled_from("12"),
            "ts": moments,
            "received_at": st.none() | moments,
            "member_id": st.sampled_from(["ann", "bo", None]),
            "product_id": st.sampled_from(["tea", "milk", "coal", "odd", "unlisted"]),
            "quantity": st.integers(0, 9),
            "amount_fen": st.integers(0, 10**6),
            "discount_fen": st.none() | st.integers(0, 10**6),
            "offer_id": st.sampled_from(["listed", None]),
        }
    ),
    max_size=14,
    unique_by=lambda line: (line["line_id"], line["received_at"] or line["ts"], line["ts"]),
)


def essence(row: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("line_id", "seen_at", "ts", "member_id", "amount_fen", *names))


@settings(deadline=None, max_examples=60)
@given(lines)
def test_orders_are_lines_as_they_arrived_with_category_and_brand(given_lines: Rows) -> None:
    with shop(given_lines) as connection:
        rows = log(connection, "orders")
    expected = [(*essence(line), CATEGORY.get(line["product_id"])) for line in counted_once(given_lines)]
    assert sorted((essence(row, "category") for row in rows), key=str) == sorted(expected, key=str)


@settings(deadline=None, max_examples=60)
@given(lines)
def test_a_basket_is_its_lines_summed_from_the_first_arrival(given_lines: Rows) -> None:
    with shop(given_lines) as connection:
        rows = {row["order_id"]: row for row in log(connection, "baskets")}
    baskets = defaultdict(list)
    for line in counted_once(given_lines):
        baskets[line["order_id"]].append(line)
    assert set(rows) == set(baskets)
    for order_id, own in baskets.items():
        row, discounts = rows[order_id], [line["discount_fen"] for line in own if line["discount_fen"] is not None]
        assert row["seen_at"] == min(line["seen_at"] for line in own)
        assert row["amount_fen"] == sum(line["amount_fen"] for line in own)
        assert row["discount_fen"] == (sum(discounts) if discounts else None)
        assert (row["lines"], row["products"]) == (len(own), len({line["product_id"] for line in own}))
        assert row["margin_fen"] is None


@settings(deadline=None, max_examples=60)
@given(lines, st.sets(st.tuples(st.sampled_from(["ann", "bo", None]), st.sampled_from([*HOLDS, "unheard", None]))))
def test_offer_logs_hold_the_asked_pairs_and_no_others(
    given_lines: Rows, asked: set[tuple[str | None, str | None]]
) -> None:
    columns = {"member_id": [member for member, _ in asked], "offer_id": [offer for _, offer in asked]}
    schema = pa.schema([("member_id", pa.string()), ("offer_id", pa.string())])
    with shop(given_lines) as connection:
        connection.register("asked", pa.concat_tables([pa.table(columns, schema)] * 2))
        found = {name: log(connection, name, "asked") for name in ("offer_lines", "offer_category_lines")}
    by_product, by_category = [], []
    for line in counted_once(given_lines):
        for member, offer in asked:
            if member is None or member != line["member_id"] or offer not in HOLDS:
                continue
            if line["product_id"] in HOLDS[offer]:
                by_product.append((*essence(line), offer, line["offer_id"]))
            category = CATEGORY.get(line["product_id"])
            if category is not None and category in {CATEGORY[product] for product in HOLDS[offer]}:
                by_category.append((*essence(line), offer, line["offer_id"]))
    for name, expected in (("offer_lines", by_product), ("offer_category_lines", by_category)):
        rows = [essence(row, "offer_id", "used_offer_id") for row in found[name]]
        assert sorted(rows, key=str) == sorted(expected, key=str), name


def test_an_offer_log_without_a_restriction_holds_every_pair() -> None:
    line = {"line_id": "a", "order_id": "1", "ts": START, "member_id": "ann", "product_id": "tea"}
    with shop([line]) as connection:
        rows = log(connection, "offer_lines")
    assert {row["offer_id"] for row in rows} == {"listed", "drinks", "leaf", "leaf drinks", "all"}


def test_sends_and_redemptions_carry_what_they_were_about(sound: dict[str, Any], write: Callable[..., Path]) -> None:
    sound["redemptions"]["kind"] = ["a further column, which makes way"]
    with open_folder(write(sound)).connect() as connection:
        sends = {row["send_id"]: row for row in log(connection, "sends")}
        (redemption,) = log(connection, "redemptions")
    assert {send_id: (row["kind"], row["arm"]) for send_id, row in sends.items()} == {
        "s1": ("coupon", "treated"),
        "s2": ("coupon", "control"),
    }
    assert (redemption["member_id"], redemption["offer_id"], redemption["kind"]) == ("ann", "ten-off", "coupon")
    assert redemption["seen_at"] == redemption["ts"]


def test_a_log_names_every_table_that_is_missing() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE sends (send_id VARCHAR)")
        with pytest.raises(DataError, match=r"log redemptions: found no table redemptions, offers; expected"):
            LOGS["redemptions"].require(connection)
