"""The file of the ledger: its tables, how it is opened, and that one process at a time writes to it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from typing import TYPE_CHECKING, Final

from data.errors import UsageError

if TYPE_CHECKING:
    from io import TextIOWrapper
    from pathlib import Path

FILE: Final = "ledger.sqlite"
LOCK: Final = "ledger.lock"
FORMAT: Final = b"1"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    sequence INTEGER PRIMARY KEY, seen_at INTEGER NOT NULL, owner INTEGER NOT NULL, identity BLOB NOT NULL UNIQUE,
    log TEXT NOT NULL, chain BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS sealed (sequence INTEGER PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS blocks (sequence INTEGER PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS keys (alias INTEGER PRIMARY KEY, slot BLOB NOT NULL UNIQUE, wrapped BLOB NOT NULL);
"""
_BUSY_SECONDS: Final = 10
_PAGES_A_CHECKPOINT: Final = 32_000
_CACHE_KIBIBYTES: Final = 64 * 1024


def create(path: Path, *, full: bool) -> sqlite3.Connection:
    """The connection that writes, to a file that is made where there is none.

    Args:
        path: The file.
        full: Whether a commit waits until the disk has it, so that it outlives a loss of power.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = connect(path, writing=True)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_A_CHECKPOINT}")
    connection.executescript(_SCHEMA)
    return connection


def connect(path: Path, *, writing: bool) -> sqlite3.Connection:
    """A connection that may be used by any one thread at a time.

    Without a map of the file in memory: of a disk with much read-ahead, each page that is touched there brings
    megabytes along.
    """
    connection = sqlite3.connect(
        path if writing else f"{path.absolute().as_uri()}?mode=ro",
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        uri=not writing,
    )
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
    connection.execute("PRAGMA secure_delete = ON")  # a deleted key is overwritten, not only unlinked
    return connection


def locked(folder: Path) -> TextIOWrapper:
    """The lock of a folder, this process's until it is closed or the process ends, however it ends.

    Raises:
        UsageError: Another process has it; it is named.
    """
    lock = (folder / LOCK).open("a+", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        other = lock.read().strip() or "unknown"
        lock.close()
        raise UsageError(
            f"ledger {folder}: process {other} has it open, and one process at a time writes. Stop that one, or name "
            "another folder by SHEPHERD_LEDGER."
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock
