"""The log of everything that was acknowledged: one SQLite file, written by one process at a time.

Four tables. `entries` has what an entry is found and counted by; `sealed` its content, under its member's key; `blocks`
the events of a whole commit, under the deployment's key, from which the state comes back; `keys` the members' keys.
Nothing in it names anybody.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any, Final, Literal

from data.errors import DataError, DependencyDown, UsageError
from serving.ledger.beside import Beside
from serving.ledger.blocks import decode_events, encode_events
from serving.ledger.chain import BEGINNING, Stored, link, walk
from serving.ledger.entry import Batch, Entry, Found, Place, following
from serving.ledger.file import FILE, FORMAT, connect, create, locked
from serving.ledger.vault import NOBODY, KeyRow, Vault, read_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import TextIOWrapper
    from pathlib import Path

    from serving.ledger.chain import ChainReport
    from serving.ledger.vault import MemberKey

__all__ = ["Batch", "Entry", "Found", "Ledger", "Place", "following"]

Durability = Literal["process", "full"]
DIGEST: Final = 16
_ROWS_AT_ONCE: Final = 256
_FIND: Final = """
    SELECT sequence, owner, CAST(content AS BLOB) FROM entries JOIN sealed USING (sequence) WHERE identity = ?
"""
_KEEP_KEY: Final = "INSERT INTO keys VALUES (?, ?, ?)"
_FULL: Final = "full"
_HISTORY: Final = "history"


class Ledger:
    """The log; open it with `Ledger.open`.

    One thread finds and asks the vault, one other thread commits (`serving.ledger.writer`).

    Attributes:
        folder: Where it lies.
        vault: Its secrets.
        members: How many members have a key: whoever was met and not forgotten.
    """

    def __init__(self, folder: Path, secret: bytes, durability: Durability, lock: TextIOWrapper | None) -> None:
        """Use `open` or `read`."""
        self.folder = folder
        self._lock = lock
        if lock is not None:
            self._writing = create(folder / FILE, full=durability == _FULL)
        self._reading = connect(folder / FILE, writing=False)
        if lock is None:
            self._writing = self._reading
        self.vault = Vault.open(secret, self)
        self._recognise(first=lock is not None)
        self._queued: dict[bytes, Entry] = {}
        self._version = self._data_version()
        self._doubtful = False
        self._head, self._last = BEGINNING, Place(0, 0)
        self._find_head()
        self._beside = None if lock is None else Beside(folder / FILE, self._writing)
        self.members = self._keys()

    @classmethod
    def open(cls, folder: Path, secret: str | None = None, durability: Durability = "process") -> Ledger:
        """The ledger of a folder, which is made where there is none; this process's until it is closed.

        Args:
            folder: Where it lies.
            secret: `SHEPHERD_SECRET`; see `serving.ledger.vault.read_secret`.
            durability: `process`: what was committed outlives a killed process; `full`: a loss of power, too.

        Raises:
            UsageError: Another process has it open, the folder cannot be written, or the secret is another.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = locked(folder)
        except OSError as error:
            raise UsageError(
                f"ledger {folder}: cannot be written ({error.strerror}); expected a folder of our own on a disk with "
                "room. Mend that, or name another by SHEPHERD_LEDGER."
            ) from error
        try:
            return cls(folder, read_secret(folder, secret), durability, lock)
        except sqlite3.Error as error:
            lock.close()
            raise _unreadable(folder, error) from error
        except BaseException:
            lock.close()
            raise

    @classmethod
    def read(cls, folder: Path, secret: str | None = None) -> Ledger:
        """The ledger of a folder, only to look at it, also while a service writes to it.

        Raises:
            DataError: There is none.
            UsageError: The secret is another.
        """
        if not (folder / FILE).is_file():
            raise DataError(f"ledger {folder}: found no {FILE}; expected the folder that `shepherd serve` writes to.")
        try:
            return cls(folder, read_secret(folder, secret), "process", None)
        except sqlite3.Error as error:
            raise _unreadable(folder, error) from error

    @property
    def last(self) -> Place:
        """The place of the last entry that a commit holds; (0, 0) where there is none."""
        return self._last

    def find(self, identity: bytes) -> Found | None:
        """An entry by its identity, also one that waits for its commit; None where there is none.

        Raises:
            DataError: Its content was altered.
        """
        queued = self._queued.get(identity)
        if queued is not None:
            return Found(queued.digest, queued.record or None, False, queued.sequence, committed=False)  # noqa: FBT003
        row = self._reading.execute(_FIND, (identity,)).fetchone()
        return None if row is None else self._found(identity, *row)

    def identities(self, log: str) -> Iterator[bytes]:
        """The identities of all entries of a log, in order."""
        query = "SELECT sequence, identity FROM entries WHERE sequence > ? AND log = ? ORDER BY sequence LIMIT ?"
        for _, identity in self._pages(query, 0, log):
            yield identity

    def count(self, log: str) -> int:
        """How many entries of a log there are."""
        counted: int = self._reading.execute("SELECT count(*) FROM entries WHERE log = ?", (log,)).fetchone()[0]
        return counted

    def entries(self, after: int = 0) -> Iterator[Batch]:
        """The events of all commits after a place, in order, to rebuild the state from.

        Raises:
            DataError: A block was altered.
        """
        query = """
            SELECT sequence, seen_at, CAST(content AS BLOB) FROM blocks JOIN entries USING (sequence)
            WHERE sequence > ? ORDER BY sequence LIMIT ?
        """
        for sequence, seen_at, content in self._pages(query, after):
            yield Batch(Place(sequence, seen_at), decode_events(self._unsealed_block(sequence, content)))

    def at(self, sequence: int) -> tuple[int, bytes] | None:
        """Instant and hash of the entry at a place; None where there is none."""
        query = "SELECT seen_at, chain FROM entries WHERE sequence = ?"
        found: tuple[int, bytes] | None = self._reading.execute(query, (sequence,)).fetchone()
        return found

    def verify(self, noted: str | None = None) -> ChainReport:
        """Works the chain out again from every stored byte.

        Args:
            noted: The head that was noted elsewhere, if it should be found again.
        """
        return walk(self._stored(), noted)

    def owned(self, alias: int) -> list[bytes]:
        """The identities of the entries of the member with this number; every entry is looked at."""
        query = "SELECT sequence, owner, identity FROM entries WHERE sequence > ? ORDER BY sequence LIMIT ?"
        masked = self.vault.masked
        return [one for sequence, owner, one in self._pages(query, 0) if masked(owner, sequence) == alias]

    def queue(self, entry: Entry) -> None:
        """Takes note of an entry that will be committed; `find` sees it from now on."""
        self._queued[entry.identity] = entry

    def commit(self, entries: Sequence[Entry]) -> None:
        """Writes entries, all or none of them.

        Raises:
            sqlite3.Error: The disk does not take them; they may be handed in again.
            DataError: An event holds what no state takes in; none of them was written.
        """
        writing, fresh = self._writing, self.vault.fresh()
        try:
            writing.execute("BEGIN IMMEDIATE")
            if self._doubtful:
                self._find_head()
                self._doubtful = False
            self.notice()
            head = self._write([entry for entry in entries if entry.sequence > self._last.sequence], fresh)
            writing.execute("COMMIT")
        except BaseException:
            self._doubtful = True
            with contextlib.suppress(sqlite3.Error):
                writing.execute("ROLLBACK")
            raise
        self._head, self._last = head, Place(entries[-1].sequence, entries[-1].seen_at)
        for member in fresh:
            self._kept(member)
        for entry in entries:
            if entry.member is not None:
                self._kept(entry.member)
            self._queued.pop(entry.identity, None)

    def keep_keys(self) -> None:
        """Writes the keys that no commit holds yet, without an entry; while no writer runs.

        Raises:
            sqlite3.Error: The disk does not take them.
        """
        fresh = self.vault.fresh()
        with self._transaction() as writing:
            writing.executemany(_KEEP_KEY, [(key.alias, key.slot, key.wrapped) for key in fresh])
        for key in fresh:
            self._kept(key)

    @property
    def history(self) -> int | None:
        """The last instant of what the state had seen before the first entry; None where it began with the log."""
        row = self._reading.execute("SELECT value FROM about WHERE name = ?", (_HISTORY,)).fetchone()
        return None if row is None else int(row[0])

    def begin_after(self, seen_at: int) -> None:
        """Notes that the state had seen events up to an instant before the log's first entry; while no writer runs."""
        with self._transaction() as writing:
            writing.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (_HISTORY, b"%d" % seen_at))

    def notice(self) -> None:
        """Lets go of the keys in memory where another process wrote to the file, since it may have deleted some."""
        version = self._data_version()
        if version != self._version:
            self._version = version
            self.vault.drop()
            self.members = self._keys()

    def by_slot(self, slot: bytes) -> KeyRow | None:
        """For the vault."""
        return _key(self._reading.execute("SELECT alias, slot, wrapped FROM keys WHERE slot = ?", (slot,)))

    def by_alias(self, alias: int) -> KeyRow | None:
        """For the vault."""
        return _key(self._reading.execute("SELECT alias, slot, wrapped FROM keys WHERE alias = ?", (alias,)))

    def flush(self) -> None:
        """As `Beside.flush`; of a ledger that is only looked at there is nothing."""
        if self._beside is not None:
            self._beside.flush()

    def close(self) -> None:
        """Lets go of the file; another process may open it."""
        self._reading.close()
        self._writing.close()  # as the last one, it empties the journal
        if self._beside is not None:
            self._beside.close()
        if self._lock is not None:
            self._lock.close()

    def _write(self, entries: Sequence[Entry], fresh: Sequence[MemberKey]) -> bytes:
        """Everything of some entries, and keys not yet stored, into the open transaction; answers the last hash."""
        head, vault, sequence = self._head, self.vault, self._last.sequence
        # Also of members whom only another's event names, such as who brought whom: their numbers must stay theirs.
        keys = {member.alias: (member.alias, member.slot, member.wrapped) for member in fresh if not member.stored}
        rows: list[tuple[int, int, int, bytes, str, bytes]] = []
        contents: list[tuple[int, bytes]] = []
        block = encode_events((entry.seen_at, entry.events) for entry in entries if entry.events)
        sealed_block = b""
        if block:
            sequence = entries[-1].sequence
            sealed_block = vault.deployment.seal(block, _block_bound(sequence))
        for place, entry in enumerate(entries, 1):
            member, seal, alias = entry.member, vault.deployment.seal, NOBODY
            if member is not None:
                seal, alias = member.seal, member.alias
                if not member.stored:
                    keys[alias] = (alias, member.slot, member.wrapped)
            sealed = seal(entry.digest + entry.record, _bound(entry.sequence, entry.identity))
            owner = vault.masked(alias, entry.sequence)
            its_block = sealed_block if place == len(entries) else b""
            stored = Stored(entry.sequence, entry.seen_at, owner, entry.identity, entry.log.encode(), sealed, its_block)
            head = link(head, stored)
            rows.append((entry.sequence, entry.seen_at, owner, entry.identity, entry.log, head))
            contents.append((entry.sequence, sealed))
        writing = self._writing
        if keys:
            writing.executemany(_KEEP_KEY, keys.values())
        writing.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", rows)
        writing.executemany("INSERT INTO sealed VALUES (?, ?)", contents)
        if sealed_block:
            writing.execute("INSERT INTO blocks VALUES (?, ?)", (sequence, sealed_block))
        return head

    def _found(self, identity: bytes, sequence: int, owner: int, content: bytes) -> Found:
        alias = self.vault.masked(owner, sequence)
        bound = _bound(sequence, identity)
        if alias == NOBODY:
            opened = self.vault.deployment.unseal(content, bound)
        else:
            member = self.vault.of_alias(alias)
            if member is None:
                return Found(b"", None, forgotten=True, sequence=sequence)
            opened = member.unseal(content, bound)
        return Found(opened[:DIGEST], opened[DIGEST:] or None, forgotten=False, sequence=sequence)

    def _unsealed_block(self, sequence: int, content: bytes) -> bytes:
        try:
            return self.vault.deployment.unseal(content, _block_bound(sequence))
        except DataError as error:
            raise DataError(f"ledger {self.folder}, the commit that ends with entry {sequence}: {error}") from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """What is written inside is kept as a whole, or not at all."""
        writing = self._writing
        writing.execute("BEGIN IMMEDIATE")
        try:
            yield writing
            writing.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                writing.execute("ROLLBACK")
            raise

    def _stored(self) -> Iterator[tuple[Stored, bytes]]:
        query = """
            SELECT sequence, CAST(seen_at AS INTEGER), CAST(owner AS INTEGER), CAST(identity AS BLOB),
                CAST(log AS BLOB), CAST(coalesce(sealed.content, '') AS BLOB),
                CAST(coalesce(blocks.content, '') AS BLOB), CAST(chain AS BLOB)
            FROM entries LEFT JOIN sealed USING (sequence) LEFT JOIN blocks USING (sequence)
            WHERE sequence > ? ORDER BY sequence LIMIT ?
        """
        for *fields, chain in self._pages(query, -(1 << 63)):
            yield Stored(*fields), chain

    def _pages(self, query: str, after: int, *given: object) -> Iterator[Any]:
        """Rows in order of their sequence, some at a time, so that no long read keeps SQLite's journal from ending."""
        while rows := self._reading.execute(query, (after, *given, _ROWS_AT_ONCE)).fetchall():
            after = rows[-1][0]
            yield from rows

    def _find_head(self) -> None:
        query = "SELECT sequence, seen_at, chain FROM entries ORDER BY sequence DESC LIMIT 1"
        row = self._writing.execute(query).fetchone()
        if row is not None:
            self._last, self._head = Place(row[0], row[1]), row[2]

    def _kept(self, member: MemberKey) -> None:
        """Takes note that a commit holds a key."""
        self.members += not member.stored
        self.vault.kept(member)

    def _keys(self) -> int:
        counted: int = self._writing.execute("SELECT count(*) FROM keys").fetchone()[0]
        return counted

    def _data_version(self) -> int:
        version: int = self._writing.execute("PRAGMA data_version").fetchone()[0]
        return version

    def _recognise(self, *, first: bool) -> None:
        """Sees that the file is of this format and secret; writes down both in a new one."""
        mine = {"format": FORMAT, "secret": self.vault.fingerprint}
        if first:
            self._writing.executemany("INSERT OR IGNORE INTO about VALUES (?, ?)", mine.items())
        found = dict(self._reading.execute("SELECT name, value FROM about").fetchall())
        if found.get("format") != mine["format"]:
            raise UsageError(
                f"ledger {self.folder}: was written in format {found.get('format')!r}, expected {FORMAT!r}."
            )
        if found.get("secret") != mine["secret"]:
            raise UsageError(
                f"ledger {self.folder}: was written under another secret; expected the one of its first start. Give "
                "that one as SHEPHERD_SECRET, or name another folder by SHEPHERD_LEDGER."
            )


def _unreadable(folder: Path, error: sqlite3.Error) -> DependencyDown:
    return DependencyDown(f"ledger {folder}: SQLite says {error}; mend the disk, or bring a copy back.")


def _key(cursor: sqlite3.Cursor) -> KeyRow | None:
    row = cursor.fetchone()
    return None if row is None else KeyRow(*row)


def _bound(sequence: int, identity: bytes) -> bytes:
    """What the content of an entry is bound to: its own place and id."""
    return sequence.to_bytes(8, "little") + identity


def _block_bound(sequence: int) -> bytes:
    return b"block" + sequence.to_bytes(8, "little")
