"""Members' keys, shared: every scorer keeps a copy of those that it met, and lets go of it when the stream says so."""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING, Final

from serving.ledger.file import FILE, connect
from serving.ledger.vault import NOBODY, KeyRow
from serving.stream.link import packed

if TYPE_CHECKING:
    from pathlib import Path

    from serving.ledger.ledger import Ledger
    from serving.ledger.vault import MemberKey, Seal
    from serving.stream.link import Draft, Link

_SLOT, _ALIAS = 16, 8
_WORD: Final = (1 << 64) - 1
_logger = logging.getLogger("serving")


class Members:
    """The keys of one scorer beside those of all.

    Args:
        ledger: Its ledger, which keeps copies.
        link: Its way to the others.
    """

    def __init__(self, ledger: Ledger, link: Link) -> None:
        self._ledger, self._vault, self._link = ledger, ledger.vault, link
        self._drawn: dict[bytes, MemberKey] = {}

    def of(self, member_id: str) -> MemberKey:
        """The key of a member; a new one, which is theirs once an entry with it was appended, where there is none."""
        found = self._vault.known(member_id)
        if found is None:
            slot = self._vault.slot(member_id)
            found = self._drawn.get(slot)
            if found is None:
                found = self._drawn[slot] = self._vault.draw(member_id)
        return found

    def told(self, keys: list[MemberKey]) -> tuple[tuple[KeyRow, bool], ...]:
        """The keys that an entry names, each with whether it was drawn here and the others cannot know it."""
        return tuple((KeyRow(key.alias, key.slot, key.wrapped), key.slot in self._drawn) for key in keys)

    def appended(self, draft: Draft) -> None:
        """The keys that an entry brought are its members' from now on."""
        for row, _ in draft.keys:
            key = self._drawn.pop(row.slot, None)
            if key is not None:
                self._vault.accept(key)

    def corrected(self, slot: bytes, row: bytes) -> None:
        """Takes another's key for ours, or lets go of ours where there is none any more."""
        self._drawn.pop(slot, None)
        known = self._ledger.by_slot(slot)
        if not row or (known is not None and packed(known) != row):
            self.forgotten(slot)
        if row:
            self._vault.adopt(_key_row(slot, row))

    def forgotten(self, slot: bytes) -> None:
        """Deletes a copy, also of a key that no commit holds yet."""
        self._drawn.pop(slot, None)
        self._vault.release(slot)
        delete(self._ledger.folder, slot)
        self._vault.drop()

    def owner(self, member: MemberKey | None, identity: bytes) -> bytes:
        """Whose an entry is, masked, as the stream holds it."""
        alias = NOBODY if member is None else member.alias
        return self._vault.masked(alias, _number(identity)).to_bytes(_ALIAS, "little", signed=True)

    async def seal_of(self, owner: bytes, identity: bytes) -> MemberKey | Seal | None:
        """What opens what is kept of an entry; None where its member was forgotten."""
        alias = self._vault.masked(int.from_bytes(owner, "little", signed=True), _number(identity)) & _WORD
        if alias == NOBODY:
            return self._vault.deployment
        found = self._vault.of_alias(alias)
        if found is None:
            row = await self._link.key(alias.to_bytes(_ALIAS, "little"))
            if row is not None:
                found = self._vault.adopt(_key_row(row[:_SLOT], row[_SLOT:]))
        return found


def delete(folder: Path, slot: bytes) -> None:
    """Deletes a key from a ledger beside which a service may run, and what the journal still has of it, if it can."""
    deleting = connect(folder / FILE, writing=True)
    try:
        deleting.execute("DELETE FROM keys WHERE slot = ?", (slot,))
        deleting.execute("PRAGMA busy_timeout = 50")
        if deleting.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            _logger.warning("a deleted key may stand in the ledger's journal until its next checkpoint")
    except sqlite3.Error as error:
        _logger.error("a key that was to be forgotten is still in the ledger: %s", error)  # noqa: TRY400
        raise
    finally:
        deleting.close()


def _number(identity: bytes) -> int:
    return int.from_bytes(identity[:7], "little")


def _key_row(slot: bytes, row: bytes) -> KeyRow:
    return KeyRow(int.from_bytes(row[:_ALIAS], "little"), slot, row[_ALIAS:])
