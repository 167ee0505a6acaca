"""A brand that is easy to see through: two cities, two products, and honest shoppers who scan what they bought once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.codes.examination import examine
from data.sources import open_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from data.codes.report import CodesReport

START = datetime(2026, 3, 2, 2, tzinfo=UTC)
PLACES = {"Hangzhou": (30.25, 120.15), "Chengdu": (30.65, 104.07)}
BATCHES_A_CITY = 40
CODES_A_BATCH = 200
SOLD_A_BATCH = 12


@dataclass
class Brand:
    """Scans to add to, and the tables around them."""

    scans: list[dict[str, Any]] = field(default_factory=list)
    members: dict[str, str] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)

    def scan(self, member: str, batch: str, serial: int, at: datetime, **facts: Any) -> None:
        """One scan where the member lives, unless told otherwise; the status follows from what came before."""
        lat, lon = PLACES[facts.pop("city", None) or self.members[member]]
        row = {
            "scan_id": f"s{len(self.scans)}",
            "ts": at,
            "member_id": member,
            "device_id": f"phone of {member}",
            "ip": "10.1.2.3",
            "code_id": f"{batch}#{serial}",
            "batch_id": batch,
            "serial": serial,
            "product_id": self.batches[batch]["product_id"] if batch in self.batches else None,
            "campaign_id": "always",
            "lat": lat,
            "lon": lon,
            "entry": "camera",
            "status": "valid",
            "prize_fen": 0,
        }
        self.scans.append(row | facts)

    def activated(self, batch: str) -> datetime:
        """When the codes of a batch became valid."""
        at: datetime = self.batches[batch]["activated_at"]
        return at

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """All tables, as rows."""
        always = {"starts_at": START, "ends_at": START + timedelta(days=99), "time_zone": "Asia/Shanghai"}
        return {
            "scans": self.scans,
            "members": [
                {"member_id": name, "registered_at": START - timedelta(days=100), "city": city}
                for name, city in self.members.items()
            ],
            "batches": list(self.batches.values()),
            "campaigns": [{"campaign_id": name} | always for name in ("always", "sale")],
            "products": [{"product_id": name, "category": "drinks", "brand": "Leaf"} for name in ("tea", "milk")],
        }


@pytest.fixture
def brand() -> Brand:
    """Nobody does anything wrong: each batch is sold in its city from the fifth day on, code by code."""
    made = Brand()
    for city in PLACES:
        for number in range(30):
            made.members[f"{city} {number}"] = city
        for number in range(BATCHES_A_CITY):
            batch = f"{city} batch {number}"
            shipped = START + timedelta(hours=12 * number)
            made.batches[batch] = {
                "batch_id": batch,
                "product_id": "tea" if number % 2 else "milk",
                "shipped_at": shipped,
                "activated_at": shipped + timedelta(hours=6),
                "region": city,
                "first_serial": 1_000,
                "last_serial": 1_000 + CODES_A_BATCH - 1,
            }
            for turn in range(SOLD_A_BATCH):
                who = f"{city} {(7 * number + 11 * turn) % 30}"
                at = shipped + timedelta(days=5 + turn, hours=turn)
                made.scan(who, batch, 1_000 + (37 * turn + number) % CODES_A_BATCH, at)
    return made


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., CodesReport]:
    """Examines a brand, written with or without some of its columns."""

    def examined(brand: Brand, *, without: Mapping[str, tuple[str, ...]] | None = None) -> CodesReport:
        folder = tmp_path / f"brand-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for name, rows in brand.tables().items():
            pq.write_table(
                pa.Table.from_pylist(rows).drop_columns([*(without or {}).get(name, ())]), folder / f"{name}.parquet"
            )
        return examine(open_folder(folder))

    return examined
