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


def test_the_journal_begins_anew_while_one_commit_follows_the_other(
    monkeypatch: pytest.MonkeyPatch, folder: Path, open_desk: Callable
) -> None:
    monkeypatch.setattr(tidying, "SECONDS", 0.02)
    monkeypatch.setattr(tidying, "LONG_PAGES", 50)
    desk = open_desk(folder)
    journal, until = folder / f"{FILE}-wal", time.monotonic() + 20
    marks, number = {journal_mark(journal)}, 0
    while len(marks) < 4 and time.monotonic() < until:
        for _ in range(20):  # no pause in which a lone checkpoint would find everything moved
            desk.writer.submit(desk.entry(number), lambda: None)
            number += 1
        while desk.writer.depth > 100:
            time.sleep(0.001)
        marks.add(journal_mark(journal))
    assert desk.writer.drain(20)

    assert len(marks) >= 4
    assert desk.ledger.verify().entries == number
    assert desk.close()


def test_commits_wait_for_the_last_of_it(monkeypatch: pytest.MonkeyPatch, folder: Path, open_desk: Callable) -> None:
    monkeypatch.setattr(tidying, "SECONDS", 0.02)
    monkeypatch.setattr(tidying, "LONG_PAGES", 1)
    held: list[bool] = []
    moved = tidying._moved
    desk = open_desk(folder)
    turn = desk.writer._turn

    def watched(connection: sqlite3.Connection) -> int:
        held.append(turn.locked())
        return moved(connection)

    monkeypatch.setattr(tidying, "_moved", watched)
    desk.ask(1)
    until = time.monotonic() + 5
    while len(held) < 2 and time.monotonic() < until:
        time.sleep(0.02)

    assert held[:2] == [False, True]
    assert not turn.locked()
    desk.ask(2)
    assert desk.close()


def test_on_a_slow_disk_commits_are_not_held_up(
    monkeypatch: pytest.MonkeyPatch, folder: Path, open_desk: Callable
) -> None:
    monkeypatch.setattr(tidying, "SECONDS", 0.01)
    monkeypatch.setattr(tidying, "LONG_PAGES", 1)
    monkeypatch.setattr(tidying, "SLOW_SECONDS", 0.02)
    flushed: list[bool] = []
    desk = open_desk(folder)
    turn = desk.writer._turn

    def slowly() -> None:
        time.sleep(0.03)
        flushed.append(turn.locked())

    monkeypatch.setattr(desk.ledger, "flush", slowly)
    with turn:  # whoever wanted it would wait here for ever
        desk.ledger.commit([desk.entry(1)])
        until = time.monotonic() + 5
        while len(flushed) < 1 and time.monotonic() < until:
            time.sleep(0.01)
        desk.ledger.commit([desk.entry(2)])
        while len(flushed) < 2 and time.monotonic() < until:
            time.sleep(0.01)

    assert len(flushed) >= 2
    assert desk.close()


def journal_mark(journal: Path) -> bytes:
    """What SQLite writes anew at the head of its journal when it begins again: the number of times, and two salts."""
    return journal.read_bytes()[12:24]
