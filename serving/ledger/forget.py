"""Forgetting a member: the key goes, and with it whatever was sealed under it, and whose the numbers were.

State and log stay as they are to the bit. It works beside a running service, which lets go of its copy of the key
before its next commit, at the latest a moment later.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from data.errors import DependencyDown
from serving.ledger.file import FILE, connect
from serving.ledger.ledger import Ledger

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_PATIENCE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Forgotten:
    """What forgetting a member did.

    Attributes:
        known: Whether there was a key.
        records: How many records nobody can read any more; which ones nobody can tell now.
        readable: How many of them could still be read afterwards, by the very code that reads them for the service:
            the proof, 0.
    """

    known: bool
    records: int
    readable: int


def forget(folder: Path, secret: str | None, member_id: str, patience: float = _PATIENCE_SECONDS) -> Forgotten:
    """Deletes a member's key, also from what SQLite still keeps of it, and looks whether anything opens without it.

    Args:
        folder: Of the ledger.
        secret: `SHEPHERD_SECRET`; None where it lies in the folder.
        member_id: The member.
        patience: Seconds to wait for a service that reads just then.

    Raises:
        DataError: There is no ledger.
        UsageError: The secret is another.
        DependencyDown: The key is deleted, and yet SQLite could not clear its journal; run it again.
    """
    ledger = Ledger.read(folder, secret)
    try:
        key = ledger.vault.known(member_id)
        identities = [] if key is None else ledger.owned(key.alias)
        deleting = connect(folder / FILE, writing=True)
        try:
            deleting.execute("DELETE FROM keys WHERE slot = ?", (ledger.vault.slot(member_id),))
            _clear(deleting, patience, folder)
        finally:
            deleting.close()
        ledger.vault.drop()
        found = [ledger.find(identity) for identity in identities]
        return Forgotten(
            known=key is not None,
            records=len(identities),
            readable=sum(one is not None and not one.forgotten for one in found),
        )
    finally:
        ledger.close()


def _clear(connection: sqlite3.Connection, patience: float, folder: Path) -> None:
    """Brings the journal, in which the key may stand, into the file, where it was overwritten, and empties it."""
    deadline = time.monotonic() + patience
    connection.execute("PRAGMA busy_timeout = 50")  # while it waits nobody commits: wait often instead of long
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            raise DependencyDown(
                f"ledger {folder}: the key is deleted, but a long read keeps SQLite's journal, in which it may still "
                "stand; run the same again when that is over"
            )
        time.sleep(_PAUSE_SECONDS)
