"""Lists of members as files: read from text and tables, written whole or not at all."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from data.errors import UsageError
from data.member_list import read_list, write_table


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".parquet"])
def test_a_list_is_read_from_text_and_tables(tmp_path, suffix):
    path, ids = tmp_path / f"list{suffix}", ["007", "b", "007", "c"]
    if suffix == ".txt":
        path.write_text("\ufeff007\r\nb\n\n007\n c \n", encoding="utf-8")
    elif suffix == ".csv":
        pa_csv.write_csv(pa.table({"other": [1, 2, 3, 4], "member_id": ids}), path)
    else:
        pq.write_table(pa.table({"member_id": ids}), path)

    assert read_list(path) == ("007", "b", "c")


@pytest.mark.parametrize(
    ("name", "held", "message"),
    [
        ("list.txt", None, "found no such file"),
        ("list.txt", b"\n\n", "found no id"),
        ("list.txt", b"\xff\xfe\x00", "found no column member_id"),
        ("list.csv", b"id\n1\n", "found no column member_id"),
        ("list.parquet", b"no table", "found no column member_id"),
    ],
)
def test_what_is_no_list_is_wrong_usage(tmp_path, name, held, message):
    if held is not None:
        (tmp_path / name).write_bytes(held)

    with pytest.raises(UsageError, match=message):
        read_list(tmp_path / name)


def test_a_table_is_written_whole_as_its_name_says(tmp_path):
    table = pa.table({"member_id": ["a", "b"], "score": [0.5, 0.25]})
    write_table(table, tmp_path / "out" / "ranked.parquet")
    write_table(table, tmp_path / "out" / "ranked.csv")

    assert pq.read_table(tmp_path / "out" / "ranked.parquet") == table
    assert pa_csv.read_csv(tmp_path / "out" / "ranked.csv") == table
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ranked.csv", "ranked.parquet"]
    with pytest.raises(UsageError, match=r"expected \.parquet or \.csv"):
        write_table(table, tmp_path / "ranked.xlsx")
