"""A small sound brand, and a way to write folders of any tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Columns = Mapping[str, Iterable[object] | pa.Array]
Writer = Callable[..., Path]

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MAY = datetime(2026, 5, 1, 2, tzinfo=UTC)
JULY = datetime(2026, 7, 1, tzinfo=UTC)

SOUND: Mapping[str, Columns] = {
    "campaigns": {
        "campaign_id": ["summer"],
        "starts_at": [MAY],
        "ends_at": [JULY],
        "time_zone": ["Asia/Shanghai"],
    },
    "members": {"member_id": ["ann", "bo"], "registered_at": [MAY, None]},
    "products": {"product_id": ["tea", "milk"], "category": ["drinks", None], "brand": ["Leaf", None]},
    "orders": {
        "line_id": ["1-a", "1-b", "2-a"],
        "order_id": ["1", "1", "2"],
        "ts": [MAY, MAY, MAY],
        "member_id": ["ann", "ann", None],
        "product_id": ["tea", "milk", "tea"],
        "quantity": [1, 2, 1],
        "amount_fen": [500, 1200, 450],
        "discount_fen": [0, 100, 50],
    },
    "offers": {
        "offer_id": ["ten-off"],
        "kind": ["coupon"],
        "product_ids": [["tea", "milk"]],
        "starts_at": [MAY],
        "ends_at": [JULY],
    },
    "sends": {
        "send_id": ["s1", "s2"],
        "ts": [MAY, MAY],
        "member_id": ["ann", "bo"],
        "offer_id": ["ten-off", "ten-off"],
        "campaign_id": ["summer", "summer"],
        "arm": ["treated", "control"],
    },
    "redemptions": {"send_id": ["s1"], "ts": [MAY]},
}


@pytest.fixture
def sound() -> dict[str, dict[str, Iterable[object] | pa.Array]]:
    """The tables of the small brand, to spoil at will."""
    return {table: dict(columns) for table, columns in SOUND.items()}


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes tables, each as NAME.parquet, and bytes as they are, into a folder and gives the folder."""

    def written(tables: Mapping[str, Columns | bytes], folder: str = "brand") -> Path:
        root = tmp_path / folder
        for name, content in tables.items():
            path = root / (name if isinstance(content, bytes) else f"{name}.parquet")
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                pq.write_table(pa.table(dict(content)), path)
        return root

    return written
