"""Moves what was committed from SQLite's journal into its file beside the commits, a little at a time.

Left to the commits, every few thousandth of them did all of it at once, and who waited for that one waited 35 ms. They
still do what is left, which is then little, so that the journal stays as short as it was.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING, Final

from serving.ledger.file import FILE, connect

if TYPE_CHECKING:
    from serving.ledger.ledger import Ledger

SECONDS: Final = 0.25


class Tidying:
    """A thread that tidies up behind the commits of a ledger until it is stopped.

    Args:
        ledger: Which this process has open for writing.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
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
            with contextlib.suppress(sqlite3.Error):  # a disk that takes nothing: the writer meets it too, and says so
                connection = connection or connect(self._ledger.folder / FILE, writing=True)
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                done = last
        if connection is not None:
            connection.close()
