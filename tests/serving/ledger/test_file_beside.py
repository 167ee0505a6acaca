"""The pages by which ids are found are known before they are asked for, and reading them ahead disturbs nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serving.ledger.beside import _runs, leaves
from serving.ledger.file import FILE, connect
from serving.ledger.ledger import Ledger
from tests.serving.ledger.conftest import SECRET

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

ENTRIES = 3_000
_IS_LOCKED = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)  # where SQLite's readers have their shares
    except OSError:
        print("locked")
    else:
        print("free")
"""


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def log(folder: Path, open_desk: Callable) -> Iterator[sqlite3.Connection]:
    """A log of some thousand entries, all of it in the file."""
    desk = open_desk(folder)
    desk.many(range(ENTRIES))
    assert desk.close()
    connection = connect(folder / FILE, writing=False)
    yield connection
    connection.close()


def pages_of(path: Path, connection: sqlite3.Connection, name: str) -> tuple[list[int], int, dict[int, bytes]]:
    root, size = connection.execute(
        "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = ?", (name,)
    ).fetchone()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = leaves(descriptor, root, size)
        return found, root, {page: os.pread(descriptor, size, (page - 1) * size) for page in (root, *found)}
    finally:
        os.close(descriptor)


def test_every_id_stands_on_a_page_that_is_read_ahead(folder: Path, log: sqlite3.Connection) -> None:
    found, root, content = pages_of(folder / FILE, log, "sqlite_autoindex_entries_1")

    together = b"".join(content.values())
    ids = [identity for (identity,) in log.execute("SELECT identity FROM entries")]
    pages = log.execute("PRAGMA page_count").fetchone()[0]
    assert len(ids) == ENTRIES
    assert all(identity in together for identity in ids)
    assert root not in found
    assert found == sorted(set(found))
    assert 10 < len(found) < pages / 4  # not what the entries hold besides


def test_a_tree_of_one_page_is_that_page(folder: Path, log: sqlite3.Connection) -> None:
    found, root, _ = pages_of(folder / FILE, log, "keys")

    assert found == [root]


def test_what_is_no_tree_any_more_ends_it(tmp_path: Path) -> None:
    odd = b"\x05" + b"\xff" * 4_095  # an inner page of so many cells as fit nowhere, all beyond the end of the file
    path = tmp_path / "odd"
    path.write_bytes(bytes(4_096) + odd)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert leaves(descriptor, 2, 4_096) == [2]
        assert leaves(descriptor, 9, 4_096) == [9]
    finally:
        os.close(descriptor)


def test_neighbours_are_asked_for_at_once() -> None:
    assert list(_runs([2, 3, 4, 7, 9, 10])) == [(2, 3), (7, 1), (9, 2)]
    assert list(_runs([])) == []


def test_it_takes_no_lock_away_from_others(folder: Path, open_desk: Callable) -> None:
    """As long as the ledger is open another process must see that it is, or it would take the journal away."""
    desk = open_desk(folder)
    desk.many(range(500))
    desk.ledger._beside._thread.join(10)

    held = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-c", _IS_LOCKED, str(folder / FILE)], capture_output=True, text=True, check=True
    )

    assert held.stdout.strip() == "locked"
    assert desk.close()


def test_it_ends_with_the_ledger_and_lets_go_of_the_file(folder: Path, open_desk: Callable) -> None:
    before = open_files()
    desk = open_desk(folder)
    desk.many(range(ENTRIES))
    assert desk.close()

    ledger = Ledger.open(folder, SECRET)
    assert ledger.verify().holds
    ledger.close()

    assert not ledger._beside._thread.is_alive()
    assert open_files() == before
