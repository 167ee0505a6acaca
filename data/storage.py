"""Where files lie: a folder on this machine, or a prefix of an object store."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from data.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb


@dataclass(frozen=True)
class Entry:
    """One thing in a folder; `path` is what DuckDB and `Storage.open` take."""

    name: str
    path: str
    is_folder: bool


class Storage(Protocol):
    """What a reader needs of a place that holds files."""

    def entries(self, folder: str) -> Iterator[Entry] | None:
        """What lies directly in a folder, by name; None if there is no such folder."""

    def open(self, path: str) -> BinaryIO:
        """The bytes of one file."""

    def register(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let a connection read paths of this place."""


class _Local:
    def entries(self, folder: str) -> Iterator[Entry] | None:
        root = Path(folder)
        if not root.is_dir():
            return None
        return (Entry(path.name, str(path), path.is_dir()) for path in sorted(root.iterdir()))

    def open(self, path: str) -> BinaryIO:
        return Path(path).open("rb")

    def register(self, connection: duckdb.DuckDBPyConnection) -> None:
        """DuckDB reads local files by itself."""


class _ObjectStore:
    def __init__(self, root: str) -> None:
        # Imported when asked for: few data sets live in an object store, and its drivers are slow to import.
        self._scheme = root.partition("://")[0]
        self._files: Any = importlib.import_module("fsspec").filesystem(self._scheme)

    def entries(self, folder: str) -> Iterator[Entry] | None:
        if not self._files.isdir(folder):
            return None
        listed = sorted((item["name"].rstrip("/"), item["type"]) for item in self._files.ls(folder, detail=True))
        return (
            Entry(name.rpartition("/")[2], f"{self._scheme}://{name.lstrip('/')}", kind == "directory")
            for name, kind in listed
        )

    def open(self, path: str) -> BinaryIO:
        opened: BinaryIO = self._files.open(path, "rb")
        return opened

    def register(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.register_filesystem(self._files)


def storage_of(root: str) -> Storage:
    """The place a root names: with a scheme such as `s3://` an object store, without one this machine.

    Raises:
        DataError: no driver for the scheme is installed.
    """
    if "://" not in root:
        return _Local()
    try:
        return _ObjectStore(root)
    except (ImportError, ValueError) as error:
        scheme = root.partition("://")[0]
        raise DataError(
            f"{root}: found no driver for {scheme}:// ({error}); expected one that fsspec knows; "
            "install the fsspec driver of that store, or copy the folder to this machine"
        ) from error
