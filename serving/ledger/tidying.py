"""Moves what was committed from SQLite's journal into its file beside the commits, a little at a time.

Left to the commits, every few thousandth of them did all of it at once, and who waited for that one waited 35 ms. The
journal begins anew only when all of it was moved, which never comes to pass while one commit follows the other, and
whoever moves the last of it waits until the disk has everything that was moved before. So when the journal is long,
commits are held up for one short turn: for what came since the last one, after the disk has the rest. A disk that was
slow to take the rest would make that turn a long one; then it is put off, and the journal may become longer.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Final

from serving.ledger.file import FILE, connect

if TYPE_CHECKING:
    from serving.ledger.ledger import Ledger

SECONDS: Final = 0.25
LONG_PAGES: Final = 8_000
"""At so many pages the journal is to begin anew; commits would see to that themselves at four times as many."""
SLOW_SECONDS: Final = 0.05


class Tidying:
    """A thread that tidies up behind the commits of a ledger until it is stopped.

    Args:
        ledger: Which this process has open for writing.
        turn: Held by whoever commits.
    """

    def __init__(self, ledger: Ledger, turn: threading.Lock) -> None:
        self._ledger, self._turn = ledger, turn
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger tidying", daemon=True)
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """End the thread; what is left in the journal stays there until the ledger is closed."""
        self._stopping.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        done = self._ledger.last
        connection: sqlite3.Connection | None = None
        while not self._stopping.wait(SECONDS):
            last = self._ledger.last
            if last == done:
                continue
            # A disk that takes nothing: the writer meets it too, and says so.
            with contextlib.suppress(sqlite3.Error, OSError):
                connection = connection or connect(self._ledger.folder / FILE, writing=True)
                if _moved(connection) >= LONG_PAGES and self._flushed() < SLOW_SECONDS:
                    with self._turn:
                        _moved(connection)
                done = last
        if connection is not None:
            connection.close()

    def _flushed(self) -> float:
        """Lets the disk take what was moved; answers how many seconds that took."""
        began = time.perf_counter()
        self._ledger.flush()
        return time.perf_counter() - began


def _moved(connection: sqlite3.Connection) -> int:
    """Moves what it can without waiting for anybody; answers how many pages the journal has."""
    pages: int = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
    return pages
