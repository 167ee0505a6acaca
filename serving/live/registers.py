"""What a scan is joined with: the rows of members, batches, campaigns and products by their key, held compactly.

A million members take some 60 bytes each: columns of Arrow, and a sorted array of hashes to find a key in. A row is put
together when it is asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from data.contracts import TABLES
from data.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from data.contracts import Kind

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "members": ("registered_at", "referrer_id", "phone_prefix", "city"),
    "batches": ("activated_at", "shipped_at", "region", "first_serial", "last_serial"),
    "campaigns": ("starts_at", "time_zone", "prize_odds"),
    "products": ("category", "brand"),
}
"""What the logs of scans and orders are joined with, by table."""

_ARROW: Final[Mapping[Kind, pa.DataType]] = {
    "text": pa.string(),
    "instant": pa.timestamp("us", tz="UTC"),
    "integer": pa.int64(),
    "money": pa.int64(),
    "real": pa.float64(),
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FEW: Final = 1 << 16
_KEPT: Final = 8_192
_CHUNK: Final = 1 << 16
_NULL: Final = -(1 << 63)


class Register:
    """The rows of one table.

    Args:
        table: Its columns, with the types of `data.contracts`.
        key: The column that names a row; of several rows with one key, one is found.
    """

    def __init__(self, table: pa.Table, key: str) -> None:
        self._keys = table[key].combine_chunks()
        if self._keys.null_count:
            raise DataError(f"register {key}: found {self._keys.null_count} rows without a key, expected none")
        hashes = np.empty(len(self._keys), np.int64)
        for start in range(0, len(self._keys), _CHUNK):
            part = self._keys.slice(start, _CHUNK).to_pylist()
            hashes[start : start + len(part)] = [hash(one) for one in part]
        order = np.argsort(hashes, kind="stable").astype(np.int32)
        self._hashes, self._places = memoryview(hashes[order]), memoryview(order)  # type: ignore[arg-type] # buffers
        self._cells = tuple((name, _cells(table[name])) for name in table.column_names if name != key)
        self.row = lru_cache(maxsize=_KEPT)(self._row)
        """The row of a key by column, None where there is none; not to be changed."""

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._keys)

    def _row(self, key: str) -> dict[str, Any] | None:
        wanted = hash(key)
        place = bisect_left(self._hashes, wanted)
        while place < len(self._hashes) and self._hashes[place] == wanted:
            number = self._places[place]
            if self._keys[number].as_py() == key:
                return {name: cell(number) for name, cell in self._cells}
            place += 1
        return None


class Registers:
    """The registers of a folder; a table that is missing has no rows.

    Attributes:
        members: Shoppers as the folder knows them; those who join later are in `serving.live.members`.
        batches: Batches of printed codes.
        campaigns: Campaigns.
        products: Products.
    """

    def __init__(self, tables: Mapping[str, pa.Table] | None = None) -> None:
        made = {name: Register((tables or {}).get(name, _none(name)), _key(name)) for name in COLUMNS}
        self.members, self.batches = made["members"], made["batches"]
        self.campaigns, self.products = made["campaigns"], made["products"]

    @staticmethod
    def read(folder: Path) -> Registers:
        """Read the tables of a folder, each one Parquet or CSV file or a folder of parts.

        Raises:
            DataError: There is no such folder, or tables cannot be read or lack columns; all of them are named.
        """
        if not folder.is_dir():
            raise DataError(
                f"Registers {folder}: found no such folder, expected the tables {', '.join(COLUMNS)}; set "
                "SHEPHERD_TABLES to the folder that holds them."
            )
        tables, problems = {}, []
        for name in COLUMNS:
            try:
                tables[name] = _table(folder, name)
            except (DataError, OSError, pa.ArrowException) as error:
                problems.append(f"{name}: {str(error).partition(chr(10))[0]}")
        if problems:
            raise DataError(
                f"Registers {folder}: {'; '.join(problems)}; expected tables as `shepherd check` wants them: mend them "
                "and start again."
            )
        return Registers(tables)


def _key(name: str) -> str:
    return TABLES[name].key[0]


def _type(name: str, column: str) -> pa.DataType:
    return _ARROW[TABLES[name].column(column).kind]


def _none(name: str) -> pa.Table:
    return pa.table({column: pa.array([], _type(name, column)) for column in (_key(name), *COLUMNS[name])})


def _table(folder: Path, name: str) -> pa.Table:
    place = folder / name
    listed = sorted(place.iterdir()) if place.is_dir() else [folder / f"{name}{end}" for end in (".parquet", ".csv")]
    paths = [path for path in listed if path.suffix in {".parquet", ".csv"} and path.is_file()]
    parts = [_columns(_read(path, name), name) for path in paths]
    return pa.concat_tables(parts) if parts else _none(name)


def _read(path: Path, name: str) -> pa.Table:
    wanted = (_key(name), *COLUMNS[name])
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:  # pq.read_table would import pandas
            return file.read([column for column in wanted if column in file.schema_arrow.names])
    types = {column: _type(name, column) for column in wanted}
    options = pa_csv.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""])
    return pa_csv.read_csv(path, convert_options=options)


def _columns(table: pa.Table, name: str) -> pa.Table:
    """Key and columns with their types; null where an optional one is missing."""
    made: dict[str, pa.Array[Any] | pa.ChunkedArray[Any]] = {}
    for column in (_key(name), *COLUMNS[name]):
        kind, declared = _type(name, column), TABLES[name].column(column)
        if column in table.column_names:
            found = table[column]
            if pa.types.is_timestamp(found.type) and found.type.tz is None:
                raise DataError(f"{column} holds times without a zone, expected UTC")
            made[column] = found.cast(kind)
        elif declared.optional:
            made[column] = pa.array([None] * len(table), kind)
        else:
            raise DataError(f"found no column {column}")
    return pa.table(made)


def _cells(column: pa.ChunkedArray[Any]) -> Callable[[int], Any]:
    """Gives the value of a row as Python has it; None is null."""
    if pa.types.is_timestamp(column.type):
        instants = _integers(column.cast(pa.int64()))
        return lambda row: None if (at := instants[row]) == _NULL else _EPOCH + timedelta(microseconds=at)
    if pa.types.is_integer(column.type):
        numbers = _integers(column)
        return lambda row: None if (number := numbers[row]) == _NULL else number
    if pa.types.is_string(column.type):
        coded: Any = pc.dictionary_encode(column).combine_chunks()
        if len(coded.dictionary) < _FEW:
            words = [*coded.dictionary.to_pylist(), None]
            codes = _integers(pa.chunked_array([coded.indices.cast(pa.int64())]), -1, np.dtype(np.int32))
            return lambda row: words[codes[row]]
    values = column.combine_chunks()
    return lambda row: values[row].as_py()


def _integers(column: pa.ChunkedArray[Any], null: int = _NULL, kind: np.dtype[Any] | None = None) -> memoryview:
    filled: Any = pc.fill_null(column, pa.scalar(null, pa.int64()))
    filled = filled.combine_chunks()
    plain = pa.Array.from_buffers(filled.type, len(filled), [None, filled.buffers()[1]], offset=filled.offset)
    return memoryview(np.from_dlpack(plain).astype(kind or np.int64))  # type: ignore[arg-type] # an array is a buffer
