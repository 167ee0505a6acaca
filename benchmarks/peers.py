"""The same 34 features in polars and in DuckDB, as someone who knows each of them well would write them.

Both get the Arrow tables that our engine gets and give an Arrow table with a row a scan in the given order. Polars is
many times faster over integer keys in key order than over text in time order, so it gets them numbered and sorted, once
a key. DuckDB works on ranges of integer microseconds, since its days are those of a calendar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from benchmarks.compared import DEVICE_CAMPAIGN

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_SECOND: Final = 1_000_000
_PERIODS: Final = {"5m": "5m", "1h": "1h", "1d": "24h", "7d": "168h", "30d": "720h", "lifetime": "36500d"}
_KEYS: Final = ("member_id", "device_id", "ip", "code_id", "campaign_id")


def _scans(name: str) -> pl.Expr:
    return pl.len().alias(name)


def _prizes(name: str) -> pl.Expr:
    return pl.col("prize_fen").sum().alias(name)


def _different(column: str, name: str) -> pl.Expr:
    return pl.col(column).drop_nulls().n_unique().alias(name)


_FAMILIES: Final = {
    ("member_id",): {
        "5m": [_scans("member_scan_count_5m")],
        "1h": [_scans("member_scan_count_1h")],
        "1d": [
            _scans("member_scan_count_1d"),
            _prizes("member_sum_prize_fen_1d"),
            _different("cell_id", "member_distinct_cell_1d"),
        ],
        "7d": [_scans("member_scan_count_7d"), _different("device_id", "member_distinct_device_7d")],
        "30d": [
            _scans("member_scan_count_30d"),
            _prizes("member_sum_prize_fen_30d"),
            pl.col("prize_fen").mean().alias("member_mean_prize_fen_30d"),
            pl.col("prize_fen").std().alias("member_std_prize_fen_30d"),
            pl.col("gap").std().alias("member_std_scan_gap_seconds_30d"),
            pl.col("linked").mean().alias("member_scan_share_linked_30d"),
        ],
        "lifetime": [_scans("member_scan_count_lifetime")],
    },
    ("device_id",): {
        "1h": [_scans("device_scan_count_1h")],
        "1d": [_scans("device_scan_count_1d"), _different("member_id", "device_distinct_member_1d")],
        "7d": [
            _scans("device_scan_count_7d"),
            _different("member_id", "device_distinct_member_7d"),
            _prizes("device_sum_prize_fen_7d"),
        ],
    },
    ("ip",): {
        "1h": [_scans("ip_scan_count_1h")],
        "1d": [
            _scans("ip_scan_count_1d"),
            _different("member_id", "ip_distinct_member_1d"),
            _different("device_id", "ip_distinct_device_1d"),
        ],
    },
    ("code_id",): {
        "30d": [_different("member_id", "code_distinct_member_30d")],
        "lifetime": [_scans("code_scan_count_lifetime")],
    },
    DEVICE_CAMPAIGN: {
        "1d": [_scans("device_campaign_scan_count_1d")],
        "7d": [_scans("device_campaign_scan_count_7d"), _prizes("device_campaign_sum_prize_fen_7d")],
    },
}


def polars_answers(scans: pa.Table, orders: pa.Table) -> pa.Table:
    """The 34 features by polars: one rolling pass a key and window, orders joined as of."""
    asked, bought = _numbered(scans, orders)
    families = [_family(asked, key) for key in _FAMILIES]
    return pl.concat([*families, _orders(asked, bought)], how="horizontal").to_arrow()


def _numbered(scans: pa.Table, orders: pa.Table) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Integers for text, and instants in one clock."""
    asked = pl.DataFrame(scans).drop("scan_id").with_row_index("row")
    bought = pl.DataFrame(orders).drop("line_id")
    members = pl.concat([asked["member_id"], bought["member_id"]]).cast(pl.Categorical).to_physical()
    others = [pl.col(name).cast(pl.Categorical).to_physical() for name in (*_KEYS[1:], "cell_id")]
    clock = pl.col("seen_at").dt.replace_time_zone(None)
    asked = asked.with_columns(
        members[: len(asked)].alias("member_id"), *others, clock, (pl.col("entry") == "link").alias("linked")
    )
    return asked, bought.with_columns(members[len(asked) :].alias("member_id"), clock)


def _family(asked: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """The features of one key in the order of the scans; null where the key is."""
    known = pl.all_horizontal(pl.col(one).is_not_null() for one in key)
    history = asked.filter(known).sort(*key, "seen_at", maintain_order=True)
    parts = [history.select("row")]
    if key in (("member_id",), ("device_id",)):
        before = history.select("row", "seen_at", *key).rolling(
            "seen_at", period=_PERIODS["lifetime"], closed="left", group_by=key
        )
        last = before.agg(pl.col("seen_at").last().alias("last"))["last"]
        history = history.with_columns(((pl.col("seen_at") - last).dt.total_microseconds() // _SECOND).alias("gap"))
        parts.append(history.select(pl.col("gap").alias(f"{key[0].removesuffix('_id')}_scan_since")))
    for window, expressions in _FAMILIES[key].items():
        rolled = history.rolling("seen_at", period=_PERIODS[window], closed="left", group_by=key).agg(expressions)
        parts.append(rolled.drop("seen_at", *key))
    answered = pl.concat(parts, how="horizontal")
    return pl.concat([answered, asked.filter(~known).select("row")], how="diagonal").sort("row").drop("row")


def _orders(asked: pl.DataFrame, bought: pl.DataFrame) -> pl.DataFrame:
    running = bought.filter(pl.col("member_id").is_not_null()).with_columns(
        pl.col("amount_fen").cum_count().over("member_id").alias("member_order_count_lifetime"),
        pl.col("amount_fen").cum_sum().over("member_id").alias("member_sum_amount_fen_lifetime"),
        pl.col("seen_at").alias("last"),
    )
    joined = asked.select("row", "seen_at", "member_id").join_asof(
        running.drop("amount_fen"), on="seen_at", by="member_id", allow_exact_matches=False, check_sortedness=False
    )
    known = pl.col("member_id").is_not_null()
    names = ("member_order_count_lifetime", "member_sum_amount_fen_lifetime")
    since = (pl.col("seen_at") - pl.col("last")).dt.total_microseconds() // _SECOND
    totals = [pl.when(known).then(pl.col(name).fill_null(0)).alias(name) for name in names]
    return joined.select(since.alias("member_order_since"), *totals)


_DUCKDB: Final = """
    WITH asked AS (
        SELECT row_number() OVER () AS row, epoch_us(seen_at) AS moment, * EXCLUDE (scan_id, seen_at) FROM arrived_scans
    ),
    gapped AS (
        SELECT *, (moment - max(moment) OVER (
            PARTITION BY member_id ORDER BY moment RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )) // 1000000 AS gap
        FROM asked
    ),
    windowed AS (SELECT row, moment, member_id, {columns} FROM gapped),
    bought AS (
        SELECT member_id, epoch_us(seen_at) AS bought_at,
               row_number() OVER running AS number, sum(amount_fen) OVER running AS total
        FROM arrived_orders WHERE member_id IS NOT NULL
        WINDOW running AS (PARTITION BY member_id ORDER BY seen_at ROWS UNBOUNDED PRECEDING)
    ),
    last_bought AS (
        SELECT member_id, bought_at, max(number) AS number, arg_max(total, number) AS total FROM bought GROUP BY ALL
    )
    SELECT windowed.* EXCLUDE (row, moment, member_id),
           (moment - bought_at) // 1000000 AS member_order_since,
           CASE WHEN windowed.member_id IS NOT NULL THEN coalesce(number, 0) END AS member_order_count_lifetime,
           CASE WHEN windowed.member_id IS NOT NULL THEN coalesce(total, 0) END AS member_sum_amount_fen_lifetime
    FROM windowed ASOF LEFT JOIN last_bought
    ON windowed.member_id = last_bought.member_id AND windowed.moment > last_bought.bought_at
    ORDER BY row
"""

_LENGTHS: Final = {
    "5m": 300 * _SECOND,
    "1h": 3_600 * _SECOND,
    "1d": 86_400 * _SECOND,
    "7d": 7 * 86_400 * _SECOND,
    "30d": 30 * 86_400 * _SECOND,
    "lifetime": None,
}

_ASKED: Final = (
    *((("member_id",), f"member_scan_count_{window}", "count(*) {over}", window) for window in _LENGTHS),
    (("member_id",), "member_sum_prize_fen_1d", "coalesce(sum(prize_fen) {over}, 0)", "1d"),
    (("member_id",), "member_sum_prize_fen_30d", "coalesce(sum(prize_fen) {over}, 0)", "30d"),
    (("member_id",), "member_mean_prize_fen_30d", "avg(prize_fen) {over}", "30d"),
    (("member_id",), "member_std_prize_fen_30d", "stddev_samp(prize_fen) {over}", "30d"),
    (("member_id",), "member_distinct_device_7d", "count(DISTINCT device_id) {over}", "7d"),
    (("member_id",), "member_distinct_cell_1d", "count(DISTINCT cell_id) {over}", "1d"),
    (("member_id",), "member_std_scan_gap_seconds_30d", "stddev_samp(gap) {over}", "30d"),
    (("member_id",), "member_scan_share_linked_30d", "avg((entry = 'link')::INTEGER) {over}", "30d"),
    (("member_id",), "member_scan_since", "(moment - max(moment) {over}) // 1000000", "lifetime"),
    (("device_id",), "device_scan_count_1h", "count(*) {over}", "1h"),
    (("device_id",), "device_scan_count_1d", "count(*) {over}", "1d"),
    (("device_id",), "device_scan_count_7d", "count(*) {over}", "7d"),
    (("device_id",), "device_distinct_member_1d", "count(DISTINCT member_id) {over}", "1d"),
    (("device_id",), "device_distinct_member_7d", "count(DISTINCT member_id) {over}", "7d"),
    (("device_id",), "device_sum_prize_fen_7d", "coalesce(sum(prize_fen) {over}, 0)", "7d"),
    (("device_id",), "device_scan_since", "(moment - max(moment) {over}) // 1000000", "lifetime"),
    (("ip",), "ip_scan_count_1h", "count(*) {over}", "1h"),
    (("ip",), "ip_scan_count_1d", "count(*) {over}", "1d"),
    (("ip",), "ip_distinct_member_1d", "count(DISTINCT member_id) {over}", "1d"),
    (("ip",), "ip_distinct_device_1d", "count(DISTINCT device_id) {over}", "1d"),
    (("code_id",), "code_scan_count_lifetime", "count(*) {over}", "lifetime"),
    (("code_id",), "code_distinct_member_30d", "count(DISTINCT member_id) {over}", "30d"),
    (DEVICE_CAMPAIGN, "device_campaign_scan_count_1d", "count(*) {over}", "1d"),
    (DEVICE_CAMPAIGN, "device_campaign_scan_count_7d", "count(*) {over}", "7d"),
    (DEVICE_CAMPAIGN, "device_campaign_sum_prize_fen_7d", "coalesce(sum(prize_fen) {over}, 0)", "7d"),
)


def duckdb_answers(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The 34 features by DuckDB: range windows, and orders by its as-of join."""
    columns = ",\n".join(_windowed(*one) for one in _ASKED)
    answers: pa.Table = connection.sql(_DUCKDB.format(columns=columns)).to_arrow_table()
    return answers


def _windowed(key: tuple[str, ...], name: str, expression: str, window: str) -> str:
    length = _LENGTHS[window]
    reach = "UNBOUNDED" if length is None else str(length)
    over = f"OVER (PARTITION BY {', '.join(key)} ORDER BY moment RANGE BETWEEN {reach} PRECEDING AND 1 PRECEDING)"
    known = " AND ".join(f"{one} IS NOT NULL" for one in key)
    return f"CASE WHEN {known} THEN {expression.format(over=over)} END AS {name}"
