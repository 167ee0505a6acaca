from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.contracts import TABLES
from data.errors import DataError, UsageError
from data.kinds import SQL_TYPES
from data.sources import open_folder

Tables = dict[str, dict[str, Any]]
Writer = Callable[..., Path]

STORES = "store_id,lat,lon,opened_on,area_m2,staff\na,31.1,121.2,2020-01-01,,4\n"


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, object]]:
    return connection.sql(query).to_arrow_table().to_pylist()


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/", recursive=True)


def test_a_table_is_a_file_or_a_folder_of_parts_and_strangers_pass(sound: Tables, write: Writer) -> None:
    root = write({**sound, "orders/part-0": sound["orders"], "mystery": {"x": [1]}})
    (root / "orders.parquet").unlink()
    (root / "orders" / "part-1.csv").write_text("line_id,order_id\n")
    (root / "orders" / "_SUCCESS").touch()
    (root / "truth").mkdir()
    (root / "README.md").touch()
    found = open_folder(root)
    assert found.files["orders"] == (str(root / "orders/part-0.parquet"), str(root / "orders/part-1.csv"))
    assert set(found.files) == {*sound, "mystery"}
    assert not found.refusals


def test_connecting_gives_every_table_the_types_of_its_contract(sound: Tables, write: Writer) -> None:
    connection = open_folder(write({**sound, "mystery": {"x": [1]}})).connect(memory_limit="1GB")
    for name in sound:
        described = connection.execute(f"DESCRIBE {name}").fetchall()
        expected = {column.name: SQL_TYPES[column.kind] for column in TABLES[name].columns}
        assert {
            column: kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ") for column, kind, *_ in described
        } == expected
    assert rows(connection, "SELECT received_at, margin_fen FROM orders LIMIT 1") == [
        {"received_at": None, "margin_fen": None}
    ]
    assert rows(connection, "FROM mystery") == [{"x": 1}]
    assert connection.sql("SELECT ts FROM orders").to_arrow_table().schema.field("ts").type == pa.timestamp("us", "UTC")


def test_csv_reads_as_its_contract_and_further_columns_pass_as_text(tmp_path: Path) -> None:
    (tmp_path / "stores.csv").write_text("\ufeff" + STORES.replace("\n", "\r\n"), encoding="utf-8")
    assert rows(open_folder(tmp_path).connect(), "FROM stores") == [
        {
            "store_id": "a",
            "lat": 31.1,
            "lon": 121.2,
            "opened_on": date(2020, 1, 1),
            "closed_on": None,
            "format": None,
            "area_m2": None,
            "chain": None,
            "staff": "4",
        }
    ]


def test_parts_of_different_shapes_are_one_table(tmp_path: Path) -> None:
    folder = tmp_path / "stores"
    folder.mkdir()
    (folder / "a.csv").write_text(STORES)
    place = {"lat": [1.0], "lon": [2], "opened_on": [date(2021, 1, 1)]}
    pq.write_table(pa.table({"store_id": [7], **place, "chain": ["Leaf"]}), folder / "b.parquet")
    pq.write_table(pa.table({**place, "store_id": pa.array(["c"]).dictionary_encode()}), folder / "c.parquet")
    connection = open_folder(tmp_path).connect()
    assert rows(connection, "SELECT store_id, chain, staff, lon FROM stores ORDER BY store_id") == [
        {"store_id": "7", "chain": "Leaf", "staff": None, "lon": 2.0},
        {"store_id": "a", "chain": None, "staff": "4", "lon": 121.2},
        {"store_id": "c", "chain": None, "staff": None, "lon": 2.0},
    ]


def test_an_object_store_is_read_in_place(memory: fsspec.AbstractFileSystem, sound: Tables, write: Writer) -> None:
    local = write(sound)
    for path in local.iterdir():
        memory.pipe(f"/brand/{path.name}", path.read_bytes())
    memory.pipe("/brand/stores/part-0.csv", STORES.encode())
    found = open_folder("memory://brand/")
    connection = found.connect()
    assert rows(connection, "SELECT sum(amount_fen)::BIGINT AS paid FROM orders") == [{"paid": 2150}]
    assert rows(connection, "SELECT staff FROM stores") == [{"staff": "4"}]
    assert found.relative(found.files["stores"][0]) == "stores/part-0.csv"
    memory.rm("/brand/stores", recursive=True)
    assert open_folder("memory://brand").content_hash() == open_folder(local).content_hash()


def test_the_content_hash_follows_names_and_bytes_and_nothing_else(sound: Tables, write: Writer) -> None:
    first = open_folder(write(sound, "first")).content_hash()
    assert open_folder(write(sound, "second")).content_hash() == first
    renamed = write(sound, "third")
    (renamed / "sends.parquet").rename(renamed / "sent.parquet")
    assert open_folder(renamed).content_hash() != first
    sound["orders"]["amount_fen"] = [500, 1200, 451]
    assert open_folder(write(sound, "fourth")).content_hash() != first


@settings(deadline=None)
@given(changed=st.integers(0, 2), by=st.integers(1, 10**9))
def test_the_content_hash_moves_with_any_value(changed: int, by: int) -> None:
    files = fsspec.filesystem("memory")
    hashes = []
    for amount in (0, by):
        amounts = [amount if row == changed else 5 for row in range(3)]
        files.pipe("/hashed/any.csv", f"x\n{amounts}\n".encode())
        hashes.append(open_folder("memory://hashed").content_hash())
    files.rm("/hashed", recursive=True)
    assert hashes[0] != hashes[1]


def test_naive_times_need_a_zone(sound: Tables, write: Writer) -> None:
    sound["sends"]["ts"] = [datetime(2026, 5, 1, 10), datetime(2026, 5, 1, 11)]  # noqa: DTZ001
    root = write(sound)
    with pytest.raises(DataError, match=r"sends\.parquet: column ts: found TIMESTAMP without a time zone; .*time_zone"):
        open_folder(root).connect()
    connection = open_folder(root, "Asia/Shanghai").connect()
    assert rows(connection, "SELECT min(ts) AS first FROM sends") == [{"first": datetime(2026, 5, 1, 2, tzinfo=UTC)}]


def test_a_value_that_breaks_its_kind_stops_the_query(tmp_path: Path) -> None:
    (tmp_path / "redemptions.csv").write_text("send_id,ts\na,2026-05-01T10:00:00\n")
    with pytest.raises(duckdb.Error, match=r"redemptions\.ts: found 2026-05-01T10:00:00, expected an instant"):
        rows(open_folder(tmp_path).connect(), "FROM redemptions")


def test_all_unfit_files_are_named_at_once(sound: Tables, write: Writer) -> None:
    del sound["campaigns"]["time_zone"]
    sound["members"]["member_id"] = [1.5, 2.5]
    root = write(sound)
    (root / "stores.xlsx").touch()
    (root / "offers.csv").touch()
    (root / "batches").mkdir()
    (root / "products.parquet").write_bytes(b"PAR1 and then no more")
    (root / "cells.csv").write_text("cell_id,cell_id\n")
    (root / "sites.csv").write_text("")
    with pytest.raises(DataError) as refused:
        open_folder(root).connect()
    message = str(refused.value).replace(str(root), "brand")
    assert message.splitlines()[0] == "brand: 9 faults; `shepherd check` looks for more"
    for fault in (
        "brand/stores.xlsx: found stores.xlsx, which is neither Parquet nor CSV",
        "brand/offers.csv: found an empty file",
        "brand/offers.parquet: found the table a second time, beside offers.csv",
        "brand/batches: found a folder without parts",
        "brand/products.parquet: found a Parquet file that breaks off after 21 bytes",
        "brand/cells.csv: found two columns named cell_id",
        "brand/sites.csv: found an empty file",
        "brand/campaigns.parquet: column time_zone: found columns campaign_id, starts_at, ends_at",
        "brand/members.parquet: column member_id: found the type DOUBLE; expected text; store it as a string",
    ):
        assert fault in message


def test_names_are_taken_to_the_letter(sound: Tables, write: Writer) -> None:
    root = write(sound, "copy [1] of 'brand' *?")
    (root / "stores").mkdir()
    (root / "stores" / "a[b].csv").write_text(STORES)
    (root / "x*.parquet").write_bytes((root / "members.parquet").read_bytes())
    connection = open_folder(root).connect()
    assert rows(connection, "SELECT store_id FROM stores") == [{"store_id": "a"}]
    assert rows(connection, 'SELECT count(*) AS n FROM "x*"') == [{"n": 2}]


def test_a_folder_that_is_not_there_or_holds_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no such folder"):
        open_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"found no table; expected files such as orders\.parquet"):
        open_folder(tmp_path)
    with pytest.raises(DataError, match="found no driver for nosuch://"):
        open_folder("nosuch://brand")
    with pytest.raises(UsageError, match="found 'Beijing'; expected a name such as Asia/Shanghai"):
        open_folder(tmp_path, "Beijing")


def test_names_of_python_variables_are_no_tables(sound: Tables, write: Writer) -> None:
    stores = pa.table({"x": [1]})
    connection = open_folder(write(sound)).connect()
    with pytest.raises(duckdb.CatalogException):
        connection.execute("FROM stores")
    connection.register("stores", stores)
    assert rows(connection, "FROM stores") == [{"x": 1}]


def test_the_same_files_read_in_another_zone_are_other_data(tmp_path):
    (tmp_path / "orders.csv").write_text("line_id\n")
    assert open_folder(tmp_path, "UTC").content_hash() != open_folder(tmp_path, "Asia/Shanghai").content_hash()
