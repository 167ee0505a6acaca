"""What was committed moves into the file beside the commits, and a stop ends that."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

from serving.ledger import tidying
from serving.ledger.file import FILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def entries_in_the_file_alone(folder: Path, aside: Path) -> int:
    """How many entries a copy of the file has without its journal."""
    aside.write_bytes((folder / FILE).read_bytes())
    with sqlite3.connect(aside) as alone:
        try:
            return int(alone.execute("SELECT count(*) FROM entries").fetchone()[0])
        except sqlite3.OperationalError:  # not even the table is there yet
            return 0
        finally:
            aside.unlink()


def test_what_was_committed_moves_into_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path, open_desk: Callable
) -> None:
    monkeypatch.setattr(tidying, "SECONDS", 0.02)
    desk = open_desk(folder)
    desk.many(range(40))

    until = time.monotonic() + 5
    while (found := entries_in_the_file_alone(folder, tmp_path / "copy")) < 40 and time.monotonic() < until:
        time.sleep(0.02)
    desk.many(range(40, 60))

    assert found == 40
    assert desk.ledger.verify().holds
    assert desk.close()
    assert not desk.writer._tidying._thread.is_alive()


def test_it_does_not_touch_the_keys_in_memory(
    monkeypatch: pytest.MonkeyPatch, folder: Path, open_desk: Callable
) -> None:
    monkeypatch.setattr(tidying, "SECONDS", 0.02)
    desk = open_desk(folder)
    desk.many(range(40))
    time.sleep(0.2)
    known = desk.ledger.vault.known("ann")

    desk.many(range(40, 60))

    assert desk.ledger.vault.known("ann") is known
    desk.close()
