"""Real clicks on advertisements through the scan features, by nothing but a mapping of their columns.

A click is mapped to a scan by link: an address, a model of phone and a system are a member's phone; the same with an
app is a member, since one phone may hold several accounts; the app is the campaign and its product, the channel the
batch, app and channel the code. Clicks carry no place, no prize and no referrer, so what asks for these stays empty.
Whether an install followed is no verdict on the click, and is not used.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import pyarrow.compute as pc

from data.questions import SCANS
from data.sources import open_folder
from features.batch import compute
from features.replay import replay_check
from features.scan import SCAN

if TYPE_CHECKING:
    from data.sources import DataSet

REPLAYED: Final = 20_000
"""Clicks that are also replayed one by one."""

_FILE: Final = Path("clicks", "slice_a.parquet")
_INSTANT: Final = "TIMESTAMPTZ"
_TABLES: Final = {
    "scans": """
        SELECT 'click-' || number AS scan_id, ts, phone || '-' || app AS member_id, phone AS device_id,
            concat_ws('.', ip // 16777216 % 256, ip // 65536 % 256, ip // 256 % 256, ip % 256) AS ip,
            app || '-' || channel AS code_id, 'channel-' || channel AS batch_id, 'app-' || app AS product_id,
            'app-' || app AS campaign_id, 'link' AS entry, device || '/' || os AS user_agent,
            'valid' AS status, 0 AS prize_fen
        FROM clicks
    """,
    "members": f"""
        SELECT DISTINCT phone || '-' || app AS member_id, NULL::{_INSTANT} AS registered_at FROM clicks
    """,
    "batches": f"""
        SELECT DISTINCT 'channel-' || channel AS batch_id, 'app-' || min(app) AS product_id,
            NULL::{_INSTANT} AS activated_at FROM clicks GROUP BY channel
    """,
    "products": "SELECT DISTINCT 'app-' || app AS product_id, 'app' AS category, 'app' AS brand FROM clicks",
    "campaigns": """
        SELECT 'app-' || app AS campaign_id, min(ts) AS starts_at, max(ts) + INTERVAL 1 SECOND AS ends_at,
            'Asia/Shanghai' AS time_zone
        FROM clicks GROUP BY app
    """,
    "payouts": f"""
        SELECT '' AS payout_id, NULL::{_INSTANT} AS ts, '' AS member_id, '' AS account_id, 0 AS amount_fen LIMIT 0
    """,
    "scan_labels": f"SELECT '' AS scan_id, 0 AS is_wool, NULL::{_INSTANT} AS landed_at, '' AS origin LIMIT 0",
}


def clicks(real: Path) -> dict[str, Any] | None:
    """How the scan features take real bursts; None without the data.

    Args:
        real: The folder of real sets.

    Returns:
        `clicks`; `features` in all, those that are `filled` in at least one row and those that `vary`; `mismatches`
        between history and replay over `values` values of the first clicks, replayed one by one; and the busiest phone
        and address, in clicks within five minutes.
    """
    if not (real / _FILE).is_file():
        return None
    with tempfile.TemporaryDirectory(prefix="shepherd-clicks-") as folder:
        return _measured(mapped(real / _FILE, Path(folder)))


def mapped(source: Path, folder: Path) -> DataSet:
    """The tables of a brand that stand for the clicks of a Parquet file, written into a folder."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"""
            CREATE TABLE clicks AS
            SELECT *, concat_ws('-', ip, device, os) AS phone, click_time::{_INSTANT} AS ts,
                row_number() OVER (ORDER BY click_time, ip, app, device, os, channel) AS number
            FROM read_parquet('{source}')
        """)
        for name, sql in _TABLES.items():
            connection.execute(f"COPY ({sql}) TO '{folder / name}.parquet' (FORMAT parquet)")
    return open_folder(folder)


def _measured(brand: DataSet) -> dict[str, Any]:
    with brand.connect() as connection:
        rows = connection.sql(f"SELECT * FROM ({SCANS.sql}) ORDER BY as_of, row_id").to_arrow_table()
        values = compute(SCAN, connection, rows)
        replayed = replay_check(SCAN, connection, rows.slice(0, REPLAYED))
    known = {name: values[name].drop_null() for name in SCAN.names}
    return {
        "clicks": values.num_rows,
        "features": len(SCAN.names),
        "filled": sum(len(column) > 0 for column in known.values()),
        "vary": sum(pc.count_distinct(column).as_py() > 1 for column in known.values()),
        "mismatches": replayed.mismatches,
        "values": replayed.values,
        "busiest": {
            name: int(np.nanmax(values[name].to_numpy())) for name in ("member_scan_count_5m", "ip_scan_count_5m")
        },
    }
