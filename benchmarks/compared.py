"""The 34 features that all engines are asked for: 31 over scans, 3 over orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from features.spec import (
    DAY,
    DAYS_30,
    GAP,
    HOUR,
    LIFETIME,
    MIN_5,
    WEEK,
    FeatureSet,
    Log,
    Where,
    count,
    distinct,
    mean,
    share,
    since,
    std,
    sum_,
)

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from benchmarks.log import SkewedLog

DEVICE_CAMPAIGN: Final = ("device_id", "campaign_id")
SCANS: Final = Log("arrived_scans", entities=("member_id", "device_id", "ip", "code_id", DEVICE_CAMPAIGN), noun="scan")
ORDERS: Final = Log("arrived_orders", entities=("member_id",), noun="order")
LINKED: Final = Where("entry", "==", "link", "linked")

COMPARED: Final = FeatureSet(
    count(SCANS, by="member_id", over=(MIN_5, HOUR, DAY, WEEK, DAYS_30, LIFETIME)),
    sum_(SCANS, "prize_fen", by="member_id", over=(DAY, DAYS_30)),
    mean(SCANS, "prize_fen", by="member_id", over=DAYS_30),
    std(SCANS, "prize_fen", by="member_id", over=DAYS_30),
    distinct(SCANS, "device_id", by="member_id", over=WEEK),
    distinct(SCANS, "cell_id", by="member_id", over=DAY),
    std(SCANS, GAP, by="member_id", over=DAYS_30),
    share(SCANS, where=LINKED, by="member_id", over=DAYS_30),
    since(SCANS, by="member_id"),
    count(SCANS, by="device_id", over=(HOUR, DAY, WEEK)),
    distinct(SCANS, "member_id", by="device_id", over=(DAY, WEEK)),
    sum_(SCANS, "prize_fen", by="device_id", over=WEEK),
    since(SCANS, by="device_id"),
    count(SCANS, by="ip", over=(HOUR, DAY)),
    distinct(SCANS, "member_id", by="ip", over=DAY),
    distinct(SCANS, "device_id", by="ip", over=DAY),
    count(SCANS, by="code_id", over=LIFETIME),
    distinct(SCANS, "member_id", by="code_id", over=DAYS_30),
    count(SCANS, by=DEVICE_CAMPAIGN, over=(DAY, WEEK)),
    sum_(SCANS, "prize_fen", by=DEVICE_CAMPAIGN, over=WEEK),
    since(ORDERS, by="member_id"),
    count(ORDERS, by="member_id", over=LIFETIME),
    sum_(ORDERS, "amount_fen", by="member_id", over=LIFETIME),
)

SCAN_COLUMNS: Final = ("member_id", "device_id", "ip", "code_id", "campaign_id", "cell_id", "entry", "prize_fen")
ORDER_COLUMNS: Final = ("member_id", "amount_fen")


def arrived(log: SkewedLog) -> tuple[pa.Table, pa.Table]:
    """The scans and orders of a log in memory, with the instant of arrival as `seen_at`: what every engine is given."""
    pieces = list(log.pieces())
    return (
        _columns(pa.concat_tables([scans for scans, _ in pieces]), "scan_id", SCAN_COLUMNS),
        _columns(pa.concat_tables([orders for _, orders in pieces]), "line_id", ORDER_COLUMNS),
    )


def _columns(table: pa.Table, identity: str, columns: tuple[str, ...]) -> pa.Table:
    chosen = table.select([identity, "received_at", *columns]).combine_chunks()
    return chosen.rename_columns([identity, "seen_at", *columns])


def questions(scans: pa.Table) -> pa.Table:
    """Every scan asks about its own keys at its own instant."""
    keys = ["member_id", "device_id", "ip", "code_id", "campaign_id"]
    return scans.select(["scan_id", "seen_at", *keys]).rename_columns(["row_id", "as_of", *keys])


def relations(connection: duckdb.DuckDBPyConnection, folder: Path) -> duckdb.DuckDBPyRelation:
    """A log that `SkewedLog.write` wrote, as relations of a connection; and its questions, in the order of arrival."""
    for name, table, identity, columns in (
        (SCANS.name, "scans", "scan_id", SCAN_COLUMNS),
        (ORDERS.name, "orders", "line_id", ORDER_COLUMNS),
    ):
        listed = ", ".join((identity, "received_at AS seen_at", *columns))
        connection.execute(f"CREATE VIEW {name} AS SELECT {listed} FROM read_parquet('{folder}/{table}/*.parquet')")
    return connection.sql(
        f"SELECT scan_id AS row_id, seen_at AS as_of, member_id, device_id, ip, code_id, campaign_id FROM {SCANS.name}"
    )
