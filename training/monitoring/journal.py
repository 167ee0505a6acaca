"""The decision log read from a moment on, beside whoever writes it: nothing is locked, made or changed."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from data.errors import DataError, DependencyDown, UsageError
from serving.ledger.file import FILE, connect
from serving.ledger.ledger import Ledger
from serving.ledger.record import decode_record
from serving.ledger.vault import SECRET_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from serving.ledger.record import Record

SCANS: Final = "scans"
DECISIONS: Final = "decisions"
_ROWS_AT_ONCE: Final = 256
_PAGE: Final = "SELECT sequence, seen_at, log, identity FROM entries WHERE sequence > ? ORDER BY sequence LIMIT ?"
_NEXT: Final = "SELECT sequence, seen_at FROM entries WHERE sequence >= ? ORDER BY sequence LIMIT 1"
_OLDEST: Final = "SELECT seen_at FROM entries WHERE log = ? ORDER BY sequence LIMIT 1"
_NEWEST: Final = "SELECT seen_at FROM entries WHERE log = ? ORDER BY sequence DESC LIMIT 1"


class Line(NamedTuple):
    """One entry of the log.

    Attributes:
        seen_at: When it came in, microseconds since 1970 UTC.
        log: What it is to whoever sent it, such as `scans`.
        record: What is kept of it; None where its member was forgotten, or nothing is.
        forgotten: Whether its member was forgotten.
    """

    seen_at: int
    log: str
    record: Record | None
    forgotten: bool


class Journal:
    """The entries of a log in their order; make one with `open_journal`."""

    def __init__(self, ledger: Ledger, rows: sqlite3.Connection) -> None:
        self._ledger, self._rows = ledger, rows

    def span(self, log: str) -> tuple[int, int] | None:
        """When the oldest and the newest entry of a log came in; None where there is none."""
        oldest, newest = (self._rows.execute(query, (log,)).fetchone() for query in (_OLDEST, _NEWEST))
        return None if newest is None else (int(oldest[0]), int(newest[0]))

    def lines(self, since: int) -> Iterator[Line]:
        """Every entry that came in at `since` or later, microseconds since 1970 UTC.

        Raises:
            DataError: An entry was altered, or is not of this release.
        """
        after = self._before(since)
        while rows := self._rows.execute(_PAGE, (after, _ROWS_AT_ONCE)).fetchall():
            after = rows[-1][0]
            yield from (self._line(seen_at, log, identity) for _, seen_at, log, identity in rows if seen_at >= since)

    def _line(self, seen_at: int, log: str, identity: bytes) -> Line:
        found = self._ledger.find(identity)
        if found is None or found.record is None:
            return Line(seen_at, log, None, found is not None and found.forgotten)
        try:
            return Line(seen_at, log, decode_record(found.record), forgotten=False)
        except msgspec.DecodeError as error:
            raise DataError(f"log entry {identity.hex()}: its record is not of this release: {error}") from error

    def _before(self, since: int) -> int:
        """A place after which the first entry of that instant stands: places and instants rise together."""
        low, high = 0, 1 + int(self._rows.execute("SELECT coalesce(max(sequence), 0) FROM entries").fetchone()[0])
        while low < high:
            middle = (low + high) // 2
            found = self._rows.execute(_NEXT, (middle,)).fetchone()
            if found is None or found[1] >= since:
                high = middle
            else:
                low = middle + 1
        return low - 1


@contextmanager
def open_journal(folder: Path, secret: str | None = None) -> Iterator[Journal]:
    """The log of a folder while inside.

    Args:
        folder: Where `shepherd serve` writes it.
        secret: `SHEPHERD_SECRET`; that of the folder if not given.

    Raises:
        DataError: There is none, or it is damaged.
        UsageError: The secret is another, or nobody says it.
        DependencyDown: The disk does not give it.
    """
    if (folder / FILE).is_file() and secret is None and not (folder / SECRET_FILE).is_file():
        raise UsageError(
            f"ledger {folder}: found no secret in {SECRET_FILE}, expected the one that the log was written under; give "
            "it as SHEPHERD_SECRET"
        )
    try:
        ledger = Ledger.read(folder, secret)
    except DependencyDown as error:
        if _is_damage(error.__cause__):
            raise _damaged(folder, error) from error
        raise
    try:
        rows = connect(folder / FILE, writing=False)
        try:
            yield Journal(ledger, rows)
        except sqlite3.Error as error:
            if _is_damage(error):
                raise _damaged(folder, error) from error
            raise DependencyDown(f"ledger {folder}: SQLite says {error}; mend the disk and call again.") from error
        finally:
            rows.close()
    finally:
        ledger.close()


def _is_damage(error: BaseException | None) -> bool:
    """Whether the file is not as it was written, rather than out of reach for now."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)


def _damaged(folder: Path, error: Exception) -> DataError:
    return DataError(
        f"ledger {folder}: found a damaged file ({error}), expected one as it was written; bring a copy back. "
        "`shepherd replay --all` says what else differs."
    )
