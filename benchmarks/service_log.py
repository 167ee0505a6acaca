"""A service's log of any size, written without the service: many scans of many members, as it would have logged them.

Only the decisions' records are left out, which recovery does not read: ten million of them are 25 GB. Scans follow a
small world's, each of a member in turn, over three times the days of the longest window of a scan: the state has to
hold the last third of them, and every member is seen within each window of a month.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.dataset import dataset

from serving.ledger.ledger import Entry, Ledger, following
from serving.live.bodies import ScanBody, content
from serving.live.intake import Intake
from serving.live.registers import Registers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from serving.ledger.vault import MemberKey

DAYS: Final = 90
"""Over so many days the scans are spread; the longest window of a scan sees 30."""
_COMMIT: Final = 100
_NETWORKS: Final = 200_000
_TABLES: Final = ("batches", "campaigns", "products")
_CITIES: Final = ("Shenyang", "Guangzhou", "Chengdu", "Wuhan")
_TEMPLATES: Final = 10_000


def bodies(world: Path, scan_id: str) -> list[bytes]:
    """The scans of a world as callers send them, each under the id that is given."""
    table = dataset(world / "scans").to_table()
    rows = table.select([name for name in table.column_names if name != "received_at"]).to_pylist()
    return [
        json.dumps(
            {
                name: value.isoformat() if isinstance(value, datetime) else value
                for name, value in row.items()
                if value is not None
            }
            | {"scan_id": scan_id}
        ).encode()
        for row in rows
    ]


def write_tables(world: Path, folder: Path, members: int) -> None:
    """The registers of a world for as many members."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _TABLES:
        pq.write_table(dataset(_path(world, name)).to_table(), folder / f"{name}.parquet")
    joined = datetime.now(UTC) - timedelta(days=400)
    table = pa.table(
        {
            "member_id": [_member(number) for number in range(members)],
            "registered_at": pa.array(
                [joined + timedelta(seconds=number) for number in range(members)], pa.timestamp("us", tz="UTC")
            ),
            "phone_prefix": [f"1{3_000_000_000 + number // 7}"[:7] for number in range(members)],
            "city": [_CITIES[number % len(_CITIES)] for number in range(members)],
        }
    )
    pq.write_table(table, folder / "members.parquet")


def write_log(world: Path, tables: Path, folder: Path, *, scans: int, members: int) -> None:
    """Log scans of members in turn, evenly over the last `DAYS` days, in commits of 100; finds a whole log again."""
    done = folder.with_suffix(".json")
    if done.exists() and json.loads(done.read_text()) == {"scans": scans, "members": members}:
        return
    ledger = Ledger.open(folder)
    try:
        intake = Intake(Registers.read(tables), ledger.vault)
        step = DAYS * 86_400 * 1_000_000 // scans
        entries = _entries(ledger, intake, templates(world), scans, members, step)
        batch: list[Entry] = []
        for entry in entries:
            batch.append(entry)
            if len(batch) == _COMMIT:
                ledger.commit(batch)
                batch = []
        if batch:
            ledger.commit(batch)
    finally:
        ledger.close()
    done.write_text(json.dumps({"scans": scans, "members": members}))


def templates(world: Path) -> list[ScanBody]:
    """The scans that those of the log follow."""
    return [msgspec.json.decode(body, type=ScanBody) for body in bodies(world, "S")[:_TEMPLATES]]


def scan(follows: Sequence[ScanBody], number: int, members: int) -> ScanBody:
    """The scan of a number: like one of the world's, of the member whose turn it is, of a code that is its own."""
    owner = number % members
    return msgspec.structs.replace(
        follows[number % len(follows)],
        scan_id=f"B{number:012d}",
        member_id=_member(owner),
        device_id=f"D{owner:09d}",
        ip=_address(number % _NETWORKS),
        code_id=f"C{number:012d}",
    )


def _entries(
    ledger: Ledger, intake: Intake, follows: Sequence[ScanBody], scans: int, members: int, step: int
) -> Iterator[Entry]:
    place, vault = ledger.last, ledger.vault
    begun = time.time_ns() // 1_000 - scans * step
    met: dict[int, MemberKey] = {}  # the vault remembers some, but they come in turn, each after all others
    for number in range(place.sequence, scans):
        sent = scan(follows, number, members)
        place = following(place, begun + number * step)
        member = met.get(number % members)
        if member is None:
            member = met[number % members] = vault.member(_member(number % members))
        event = intake.scan(sent, place.seen_at, member.alias)
        identity, digest = vault.identity("scans", sent.scan_id), vault.digest(content(sent))
        yield Entry(place.sequence, place.seen_at, "scans", identity, digest, (("scans", event),), member, b"")


def _member(number: int) -> str:
    return f"M{number:09d}"


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _path(world: Path, name: str) -> Path:
    folder = world / name
    return folder if folder.is_dir() else world / f"{name}.parquet"
