"""One part of a table: a Parquet or CSV file, what columns it holds, and how SQL reads it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from data import csv_text
from data.csv_text import Defect, UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data.storage import Storage

SUFFIXES = (".parquet", ".csv")
_PARQUET_MARK = b"PAR1"


@dataclass(frozen=True)
class Part:
    """One readable file of a table.

    Attributes:
        path: where it lies.
        columns: DuckDB's type of each column, in file order; a CSV has only VARCHAR.
    """

    path: str
    columns: Mapping[str, str]

    @property
    def is_text(self) -> bool:
        """Whether values come as text (CSV), so that every kind has to be read out of it."""
        return self.path.endswith(".csv")


def open_part(connection: duckdb.DuckDBPyConnection, storage: Storage, path: str) -> Part:
    """Look at a file's columns and no further.

    Raises:
        UnreadableFile: truncated, no Parquet, no header line, a column named twice.
    """
    if path.endswith(".csv"):
        with storage.open(path) as file:
            return Part(path, dict.fromkeys(csv_text.header(file), "VARCHAR"))
    _require_parquet_marks(storage, path)
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(_verbatim(path))})").fetchall()
    except duckdb.Error as error:
        raise UnreadableFile(unreadable(error)) from error
    return Part(path, {name: kind for name, kind, *_ in described})


def unreadable(error: duckdb.Error) -> Defect:
    """What to say of a file whose reading stopped."""
    return _broken_off(f"a file that cannot be read to its end ({str(error).partition(chr(10))[0]})")


def _require_parquet_marks(storage: Storage, path: str) -> None:
    with storage.open(path) as file:
        first = file.read(4)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 4, 0))
        last = file.read(4)
    if first != _PARQUET_MARK:
        raise UnreadableFile(_broken_off(f"{size:,} bytes that do not begin as Parquet does"))
    if last != _PARQUET_MARK:
        raise UnreadableFile(_broken_off(f"a Parquet file that breaks off after {size:,} bytes"))


def _broken_off(found: str) -> Defect:
    fix = "write or copy it again; it may have been cut off while it was written or moved"
    return Defect(found, "a complete Parquet or CSV file", fix)


def scan(parts: tuple[Part, ...]) -> str:
    """The SQL table function that reads parts which share their columns; rows keep the order of the file."""
    paths = f"[{', '.join(literal(_verbatim(part.path)) for part in parts)}]"
    if not parts[0].is_text:
        return f"read_parquet({paths}, hive_partitioning = false)"
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in parts[0].columns)
    return (
        f"read_csv({paths}, columns = {{{columns}}}, header = true, auto_detect = false, delim = ',', "
        "quote = '\"', escape = '\"', nullstr = '', hive_partitioning = false)"
    )


def _verbatim(path: str) -> str:
    """A path in which no character stands for others, as it does to DuckDB in `sales[1].csv`."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)


def literal(text: str) -> str:
    """Text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
