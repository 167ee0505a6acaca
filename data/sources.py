"""Where the tables of a brand are read from: a folder, or a prefix of an object store, of Parquet and CSV files.

A table is one file (`orders.parquet`) or one folder of parts (`orders/part-0.parquet`, `orders/part-1.csv`). Reading is
lazy: opening a folder only lists it, and a connection holds views, so nothing larger than a query's own needs is ever
in memory.
"""

from __future__ import annotations

import hashlib
import tempfile
import zoneinfo
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb

from data.contracts import TABLES
from data.csv_text import UnreadableFile
from data.errors import DataError, UsageError
from data.kinds import MACROS
from data.parts import SUFFIXES, open_part
from data.storage import storage_of
from data.views import misfits, view_sql

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from data.parts import Part
    from data.storage import Entry, Storage

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Refusal:
    """Something listed in a folder that cannot be a table, with what was expected instead."""

    table: str
    path: str
    found: str
    expected: str
    fix: str


@dataclass(frozen=True)
class DataSet:
    """The tables of a brand, listed but not read.

    Attributes:
        root: the folder or prefix.
        files: the parts of each table, in name order.
        time_zone: the zone in which times without an offset were written; None refuses them.
        refusals: what bears a table's name and cannot be read as one.
    """

    root: str
    files: Mapping[str, tuple[str, ...]]
    time_zone: str | None = None
    refusals: tuple[Refusal, ...] = field(default=())

    def connect(self, memory_limit: str | None = None) -> duckdb.DuckDBPyConnection:
        """A fresh connection in which every table is a view of its name, with the types of `data.contracts`.

        Optional columns that a file lacks are nulls of their type; further columns pass through as they are (out of a
        CSV as text), and so do tables that no contract knows. Times are UTC, and so is the session. A value that breaks
        its kind stops the query that meets it; `data.checks` names them all beforehand. Names of Python variables are
        no tables here: register a relation to query it.

        Args:
            memory_limit: most that a query may hold in memory, such as "2GB", before it spills to the temporary folder.

        Raises:
            DataError: a file cannot be read, or its columns cannot carry the contract; all such faults in one message.
        """
        connection = self.bare_connection(memory_limit)
        problems = [f"{refusal.path}: found {refusal.found}; expected {refusal.expected}" for refusal in self.refusals]
        storage = storage_of(self.root)
        for name, paths in self.files.items():
            parts, unread = _open_parts(connection, storage, paths)
            unfit = [f"{part.path}: {fault.text()}" for part in parts for fault in misfits(name, part, self.time_zone)]
            problems += unread + unfit
            if not unread and not unfit:
                connection.execute(view_sql(name, tuple(parts), self.time_zone))
        if problems:
            connection.close()
            listed = "\n".join(f"  {problem}" for problem in problems)
            raise DataError(f"{self.root}: {len(problems)} faults; `shepherd check` looks for more\n{listed}")
        return connection

    def bare_connection(self, memory_limit: str | None = None) -> duckdb.DuckDBPyConnection:
        """A connection that reaches the files and reads clocks, without views: for checks, which judge each file."""
        settings: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "python_enable_replacements": False,
            "temp_directory": str(Path(tempfile.gettempdir()) / f"shepherd-{uuid4().hex}"),
        }
        if memory_limit is not None:
            settings["memory_limit"] = memory_limit
        connection = duckdb.connect(config=settings)
        connection.execute("SET TimeZone = 'UTC'")
        storage_of(self.root).register(connection)
        for macro in MACROS:
            connection.execute(macro)
        return connection

    def relative(self, path: str) -> str:
        """A part's path as seen from the root, for messages."""
        return path.removeprefix(self.root).lstrip("/")

    def content_hash(self) -> str:
        """The sha256 over the zone, the tables' and parts' names and their bytes: two equal hashes, the same data."""
        digest = hashlib.sha256(f"{self.time_zone}\0".encode())
        storage = storage_of(self.root)
        for table in sorted(self.files):
            for path in self.files[table]:
                digest.update(f"{table}\0{PurePosixPath(path).name}\0".encode())
                with storage.open(path) as file:
                    inner = hashlib.sha256()
                    while chunk := file.read(_CHUNK):
                        inner.update(chunk)
                digest.update(inner.digest())
        return digest.hexdigest()


def open_folder(root: str | os.PathLike[str], time_zone: str | None = None) -> DataSet:
    """List the tables of a folder or object-store prefix; nothing is read yet.

    A file of another name than the contracts' is a table too and passes through; other folders are left alone, and so
    are names that begin with `.` or `_`.

    Args:
        root: a folder, or a prefix such as `s3://bucket/brand`.
        time_zone: the zone of times written without an offset, such as Asia/Shanghai; None refuses such times.

    Raises:
        DataError: there is no such folder, or no table in it.
        UsageError: no such time zone.
    """
    if time_zone is not None and time_zone not in zoneinfo.available_timezones():
        raise UsageError(f"time zone: found {time_zone!r}; expected a name such as Asia/Shanghai or UTC")
    place = str(root).rstrip("/") if "://" in str(root) else str(Path(root))
    storage = storage_of(place)
    entries = storage.entries(place)
    if entries is None:
        raise DataError(f"{place}: found no such folder; expected one that holds tables as Parquet or CSV files")
    files: dict[str, tuple[str, ...]] = {}
    refusals: list[Refusal] = []
    for entry in entries:
        if entry.name.startswith((".", "_")):
            continue
        name, listed = _table(storage, entry)
        if isinstance(listed, Refusal):
            refusals.append(listed)
        elif listed and name in files:
            refusals.append(_twice(name, entry, files[name]))
        elif listed:
            files[name] = listed
    if not files and not refusals:
        raise DataError(
            f"{place}: found no table; expected files such as orders.parquet or orders.csv, or folders of parts such "
            f"as orders/part-0.parquet; known tables: {', '.join(TABLES)}"
        )
    return DataSet(place, files, time_zone, tuple(refusals))


def _table(storage: Storage, entry: Entry) -> tuple[str, tuple[str, ...] | Refusal]:
    if entry.is_folder:
        return entry.name, _folder(storage, entry) if entry.name in TABLES else ()
    name = entry.name.partition(".")[0]
    if entry.name.endswith(SUFFIXES):
        return entry.name.rpartition(".")[0], (entry.path,)
    return name, _unsupported(name, entry.path) if name in TABLES else ()


def _folder(storage: Storage, folder: Entry) -> tuple[str, ...] | Refusal:
    parts = list(_visible(storage, folder.path))
    for part in parts:
        if part.is_folder or not part.name.endswith(SUFFIXES):
            return _unsupported(folder.name, part.path)
    if not parts:
        return Refusal(
            folder.name, folder.path, "a folder without parts", "Parquet or CSV parts", "add its parts, or remove it"
        )
    return tuple(part.path for part in parts)


def _visible(storage: Storage, folder: str) -> Iterator[Entry]:
    return (entry for entry in storage.entries(folder) or () if not entry.name.startswith((".", "_")))


def _unsupported(table: str, path: str) -> Refusal:
    return Refusal(
        table,
        path,
        f"{PurePosixPath(path).name}, which is neither Parquet nor CSV",
        "files that end in .parquet or .csv",
        "write it as Parquet (best) or as plain CSV in UTF-8",
    )


def _twice(table: str, entry: Entry, first: tuple[str, ...]) -> Refusal:
    return Refusal(
        table,
        entry.path,
        f"the table a second time, beside {PurePosixPath(first[0]).name}",
        "one file or one folder of parts a table",
        "put both into one folder of parts, or remove one",
    )


def _open_parts(
    connection: duckdb.DuckDBPyConnection, storage: Storage, paths: tuple[str, ...]
) -> tuple[list[Part], list[str]]:
    parts: list[Part] = []
    problems: list[str] = []
    for path in paths:
        try:
            parts.append(open_part(connection, storage, path))
        except UnreadableFile as error:
            problems.append(f"{path}: {error}")
    return parts, problems
