"""Which of three coupons beside an order are used, and how much is bought (Data Mining Cup 2015).

Each order came with three coupons. The official error is, over the orders of the class file, the sum of four squared
misses, each divided by the square of the mean of what was foretold: the three uses and the value of the basket. A
miss of a basket of EUR 10 000 so outweighs hundreds of coupons, and the two parts are shown beside the whole.

A coupon is one row that knows what came of earlier orders: of the member, the coupon, the brand and the product group.
In the week of the class file nothing more becomes known. Settings were chosen on the last four stretches of 700
training orders, each foretold from the orders before it.

    python -m benchmarks.three_coupons
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from benchmarks.shown import of_sums, print_figures
from training.calibrate import Sigmoid
from training.interval import Resampling
from training.learner import Binary, raw_scores

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Columns = Mapping[str, Array]

SLOTS: Final = (1, 2, 3)
LEARNER: Final = Binary(
    parameters={
        "learning_rate": 0.03,
        "num_iterations": 400,
        "num_leaves": 4,
        "min_data_in_leaf": 50,
        "feature_fraction": 0.3,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
    }
)
LARGEST_BASKET: Final = 5_000.0
"""Larger baskets count as this one in a member's mean: one of EUR 135 828 says nothing of the next."""

_SEED: Final = 6
_FOLDER: Final = "three_coupons"
_FILES: Final = ("train.parquet", "class.parquet", "realclass.parquet")
_PRIOR_ORDERS, _PRIOR_RATE = 4, 0.2
_HISTORY: Final = MappingProxyType(
    {
        "member": "member",
        "member_slot": "member, slot",
        "member_brand": "member, brand",
        "member_kind": "member, kind",
        "member_coupon": "member, coupon",
        "coupon": "coupon",
        "brand_slot": "brand, slot",
        "kind_slot": "kind, slot",
        "categories_slot": "categories, slot",
        "price_slot": "round(price), slot",
        "reward_slot": "reward, slot",
        "slot": "slot",
    }
)
"""Of what it is counted how often coupons were shown and used in earlier orders."""


def measure(real: Path, resamples: int = 1_000) -> dict[str, Any] | None:
    """The official error on the class file, against foretelling the means of the training orders.

    Args:
        real: The folder of real sets.
        resamples: How many draws of members.

    Returns:
        For `coupons`, `basket` and `official` (both): `error`, `error_of_means` and `saved`, the share of the latter
        that is saved, with their intervals; `orders`. None without the data.
    """
    paths = [real / _FOLDER / name for name in _FILES]
    if not all(path.is_file() for path in paths):
        return None
    names, table = read(*paths)
    generator = np.random.default_rng(_SEED)
    asked = table["asked"] == 1
    booster = LEARNER.fit(names, _matrix(names, table, ~asked), table["used"][~asked], {}, generator)
    chance = Sigmoid().apply(raw_scores(booster, _matrix(names, table, asked)))
    columns = {"orders": np.ones(int(asked.sum()) // len(SLOTS))}
    for slot in SLOTS:
        of_slot = table["slot"] == slot
        used, usual = table["used"][asked & of_slot], float(table["used"][~asked & of_slot].mean())
        columns |= _misses(f"coupon{slot}", used, chance[of_slot[asked]], usual)
    first = table["slot"] == SLOTS[0]
    known, wanted = first & ~asked, first & asked
    foretold = baskets(table["member"][known], table["basket"][known], table["member"][wanted])
    columns |= _misses("basket", table["basket"][wanted], foretold, float(table["basket"][known].mean()))
    return errors(columns, Resampling(table["member"][wanted].astype(np.int64), generator, resamples))


def baskets(member: Array, value: Array, asked: Array) -> Array:
    """The value of a member's next basket: the mean of theirs and of one more, which is everybody's mean.

    Args:
        member: Who made each known order, as a number.
        value: Its basket, in EUR.
        asked: Whose next basket is asked for.
    """
    usual = np.minimum(value, LARGEST_BASKET)
    size = int(max(member.max(), asked.max())) + 1
    count = np.bincount(member.astype(np.intp), minlength=size)
    total = np.bincount(member.astype(np.intp), usual, minlength=size)
    mean: Array = ((total + usual.mean()) / (count + 1))[asked.astype(np.intp)]
    return mean


def errors(columns: Columns, resampling: Resampling) -> dict[str, Any]:
    """The official error and its two parts, from what was missed in each order.

    Args:
        columns: `orders` (1 each), and of each of `coupon1`..`coupon3` and `basket`: the value itself, `NAME_ours` and
            `NAME_means`, the squared misses; shape (orders,) each.
        resampling: Draws of the orders.
    """
    coupons = tuple(f"coupon{slot}" for slot in SLOTS)
    parts = {"coupons": coupons, "basket": ("basket",), "official": (*coupons, "basket")}

    def figures(sums: Columns) -> Columns:
        found: dict[str, Array] = {}
        for part, names in parts.items():
            ours, means = (
                np.sum([sums[f"{name}_{who}"] * (sums["orders"] / sums[name]) ** 2 for name in names], axis=0)
                for who in ("ours", "means")
            )
            found |= {f"{part}/error": ours, f"{part}/error_of_means": means, f"{part}/saved": 1 - ours / means}
        return found

    found = of_sums(columns, figures, resampling)
    shown: dict[str, Any] = {part: {} for part in parts}
    for name, figure in found.items():
        part, _, which = name.partition("/")
        shown[part][which] = figure
    return {**shown, "orders": len(columns["orders"])}


def read(train: Path, asked: Path, answers: Path) -> tuple[list[str], dict[str, Array]]:
    """The names of the features, and every column of one row a coupon, by order and slot; a null is NaN.

    Beside the features: `asked` (of the class file), `member` as a number, `used` and `basket`.
    """
    with duckdb.connect() as connection:
        connection.execute(f"""
            CREATE TABLE orders AS
            SELECT *, false AS asked FROM read_parquet('{train}')
            UNION ALL BY NAME SELECT *, true AS asked FROM read_parquet('{asked}')
        """)
        shown = " UNION ALL ".join(map(_of_slot, SLOTS))
        table = connection.sql(f"""
            SELECT facts.* EXCLUDE (orderID, used, basket), coalesce(facts.used, CASE slot
                WHEN 1 THEN answers.coupon1Used WHEN 2 THEN answers.coupon2Used ELSE answers.coupon3Used END) AS used,
                coalesce(facts.basket, answers.basketValue) AS basket
            FROM ({_facts(shown)}) AS facts LEFT JOIN read_parquet('{answers}') AS answers USING (orderID)
            ORDER BY orderID, slot
        """).fetchnumpy()
    columns = {name: np.ma.filled(np.ma.asarray(one, np.float64), np.nan) for name, one in table.items()}
    return [name for name in columns if name not in {"asked", "member", "used", "basket"}], columns


def _of_slot(slot: int) -> str:
    others = [other for other in SLOTS if other != slot]
    beside = ", ".join(
        f"{fact}{other} AS {fact}_beside_{place}"
        for place, other in enumerate(others, 1)
        for fact in ("price", "reward")
    )
    return f"""
        SELECT orderID, asked, {slot} AS slot, orderTime::TIMESTAMP AS ts, couponsReceived::TIMESTAMP AS received,
            userID AS member, couponID{slot} AS coupon, price{slot} AS price, basePrice{slot} AS base_price,
            reward{slot} AS reward, premiumProduct{slot} AS premium, brand{slot} AS brand, productGroup{slot} AS kind,
            categoryIDs{slot} AS categories, coupon{slot}Used AS used, basketValue AS basket, {beside}
        FROM orders
    """


def _facts(shown: str) -> str:
    history = ", ".join(
        f"count(used) OVER {_earlier(of)} AS {name}_shown,"
        f" (coalesce(sum(used) OVER {_earlier(of)}, 0) + {_PRIOR_ORDERS * _PRIOR_RATE})"
        f" / (count(used) OVER {_earlier(of)} + {_PRIOR_ORDERS}) AS {name}_rate"
        for name, of in _HISTORY.items()
    )
    return f"""
        SELECT orderID, asked, dense_rank() OVER (ORDER BY member) - 1 AS member, used, basket, slot,
            price, base_price, price / nullif(base_price, 0) AS price_ratio, reward, premium,
            price_beside_1, price_beside_2, reward_beside_1, reward_beside_2,
            price / (price_beside_1 + price_beside_2) AS price_share,
            len(string_split(categories, ',')) AS category_count, brand IS NULL AS no_brand,
            epoch(ts - received) / 60 AS minutes, hour(ts) AS hour, dayofweek(ts) AS weekday,
            hour(received) AS hour_received, date_diff('day', received, ts) AS days,
            avg(ln(least(basket, {LARGEST_BASKET}))) OVER {_earlier("member")} AS member_basket,
            date_diff('hour', max(ts) OVER {_earlier("member")}, ts) AS hours_since_order,
            {history}
        FROM ({shown})
    """


def _earlier(of: str) -> str:
    return f"(PARTITION BY {of} ORDER BY orderID RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"


def _matrix(names: list[str], table: Columns, rows: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.column_stack([table[name][rows] for name in names]).astype(np.float32)


def _misses(name: str, truth: Array, ours: Array, usual: float) -> dict[str, Array]:
    return {name: truth, f"{name}_ours": (truth - ours) ** 2, f"{name}_means": (truth - usual) ** 2}


def main() -> None:
    """Measures and prints."""
    print_figures("python -m benchmarks.three_coupons", "Which of three coupons beside an order are used.", measure)


if __name__ == "__main__":
    main()
