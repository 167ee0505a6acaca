"""Tables come out as they went in, in parts that open one at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.sources import open_folder
from data.world import writer as written
from data.world.scan_table import chosen, instants
from data.world.writer import TableWriter


def _columns(first, count):
    number = np.arange(first, first + count)
    return {
        "campaign_id": pa.array([f"c{one}" for one in number], pa.string()),
        "starts_at": instants(1_741_000_000_000_000 + number),
        "ends_at": instants(1_742_000_000_000_000 + number),
        "time_zone": chosen(pa.array(["Asia/Shanghai", "UTC"]), number % 2),
        "prize_odds": pa.array(number / 1e9, mask=number % 3 == 0),
        "budget_fen": pa.array(number),
    }


@pytest.mark.parametrize("layout", ["file", "parts", "csv"])
def test_every_layout_reads_back_alike(tmp_path, monkeypatch, layout):
    monkeypatch.setattr(written, "ROW_GROUP", 50)
    monkeypatch.setattr(written, "PART", 100)
    table = TableWriter(tmp_path, "campaigns", layout)
    for first, count in ((0, 30), (30, 0), (30, 290), (320, 17)):
        table.write(_columns(first, count))
    table.close()

    with open_folder(tmp_path).connect() as connection:
        found = connection.sql("SELECT * FROM campaigns").to_arrow_table()

    assert table.rows == 337
    assert found["campaign_id"].to_pylist() == [f"c{one}" for one in range(337)]
    assert found["time_zone"].to_pylist() == [("Asia/Shanghai", "UTC")[one % 2] for one in range(337)]
    assert found["prize_odds"].null_count == 113
    assert [one.microsecond for one in found["starts_at"].to_pylist()] == list(range(337))
    parts = 1 if layout == "file" else 4
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == parts


def test_row_groups_are_bounded_and_texts_are_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(written, "ROW_GROUP", 50)
    table = TableWriter(tmp_path, "campaigns", "file")
    table.write(_columns(0, 230))
    table.close()
    file = pq.ParquetFile(tmp_path / "campaigns.parquet")

    assert [file.metadata.row_group(group).num_rows for group in range(5)] == [50, 50, 50, 50, 30]
    assert file.schema_arrow.field("time_zone").type == pa.string()


def test_a_table_without_rows_leaves_nothing(tmp_path):
    table = TableWriter(tmp_path, "campaigns")
    table.write(_columns(0, 0))
    table.close()

    assert list(tmp_path.iterdir()) == []
