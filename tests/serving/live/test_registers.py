"""Registers find rows by key, from Parquet and CSV alike, and say what is wrong with a folder at once."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from data.errors import DataError
from serving.live.registers import Register, Registers

if TYPE_CHECKING:
    from pathlib import Path

INSTANT = pa.timestamp("us", "UTC")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def members() -> pa.Table:
    return pa.table(
        {
            "member_id": ["ann", "bo", "cy"],
            "registered_at": pa.array([NOON, None, NOON], INSTANT),
            "city": ["Wuhan", None, "Wuhan"],
        }
    )


@pytest.fixture(params=["file", "parts", "csv"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "csv":
        pa_csv.write_csv(members(), tmp_path / "members.csv")
    elif request.param == "file":
        pq.write_table(members(), tmp_path / "members.parquet")
    else:
        (tmp_path / "members").mkdir()
        for part in range(2):
            pq.write_table(members().slice(2 * part, 2), tmp_path / "members" / f"part-{part}.parquet")
    return tmp_path


def test_a_row_has_its_values_and_an_optional_column_that_is_missing_is_null(folder: Path) -> None:
    registers = Registers.read(folder)

    assert registers.members.row("ann") == {
        "registered_at": NOON,
        "referrer_id": None,
        "phone_prefix": None,
        "city": "Wuhan",
    }
    assert registers.members.row("bo") == dict.fromkeys(("registered_at", "referrer_id", "phone_prefix", "city"))
    assert registers.members.row("dee") is None
    assert registers.batches.row("ann") is None
    assert (len(registers.members), len(registers.products)) == (3, 0)


def test_all_that_is_wrong_with_a_folder_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "members.parquet").write_bytes(b"PAR1 no more")
    pq.write_table(pa.table({"campaign_id": ["c"]}), tmp_path / "campaigns.parquet")

    with pytest.raises(DataError, match=r"(?s)members: .*campaigns: found no column starts_at.*shepherd check"):
        Registers.read(tmp_path)
    with pytest.raises(DataError, match=r"found no such folder.*SHEPHERD_TABLES"):
        Registers.read(tmp_path / "nowhere")


def test_many_rows_are_found_in_microseconds() -> None:
    count = 50_000
    table = pa.table(
        {
            "member_id": [f"member-{number}" for number in range(count)],
            "referrer_id": [f"member-{number // 2}" for number in range(count)],
        }
    )
    register = Register(table, "member_id")

    began = time.process_time()
    found = [register._row(f"member-{number}") for number in range(0, count, 5)]
    each = (time.process_time() - began) / len(found)

    assert [row and row["referrer_id"] for row in found] == [f"member-{number // 2}" for number in range(0, count, 5)]
    assert each < 200e-6
