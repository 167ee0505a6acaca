"""The chain: every entry carries a hash over its own stored bytes and the hash before it.

Whoever alters, removes or inserts an entry has to work out every later hash again, and then the last one is another
than the one that was noted elsewhere. It is over ciphertext, so that it holds after a member's key is gone.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

BEGINNING: Final = bytes(32)
"""The hash before the first entry."""

_FIXED: Final = struct.Struct("<32sqqq16sqqq")


class Stored(NamedTuple):
    """Every stored byte of an entry.

    Attributes:
        sequence: Its place in the one order.
        seen_at: Its instant, microseconds since 1970 UTC.
        owner: Whose it is, masked.
        identity: Keyed hash of its log and id.
        log: Its log.
        sealed: Digest and decision, sealed.
        block: The sealed events of its commit, where it is the commit's last entry; else empty.
    """

    sequence: int
    seen_at: int
    owner: int
    identity: bytes
    log: bytes
    sealed: bytes
    block: bytes


@dataclass(frozen=True)
class Broken:
    """An entry whose hash is not the one that follows from what is stored.

    Attributes:
        sequence: Its place.
        what: What differs.
    """

    sequence: int
    what: str


@dataclass(frozen=True)
class ChainReport:
    """What a walk along the chain found.

    Attributes:
        entries: How many there are.
        last: The place of the last.
        head: Its hash in hexadecimal digits: note it elsewhere, and a log that was cut short shows.
        broken: Where the chain does not hold, in order.
    """

    entries: int
    last: int
    head: str
    broken: tuple[Broken, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.broken


def link(before: bytes, entry: Stored) -> bytes:
    """The hash of an entry, 32 bytes, from the one before it."""
    lengths = len(entry.log), len(entry.sealed), len(entry.block)
    fixed = _FIXED.pack(before, entry.sequence, entry.seen_at, entry.owner, entry.identity, *lengths)
    return hashlib.sha256(b"".join((fixed, entry.log, entry.sealed, entry.block))).digest()


def walk(entries: Iterable[tuple[Stored, bytes]], noted: str | None = None) -> ChainReport:
    """Works every hash out again.

    After a break it goes on from the stored hash, so that each altered entry is named once.

    Args:
        entries: Every entry in order, with its stored hash.
        noted: The head that was noted when the log was last looked at, if it should be found again.
    """
    before, place, instant, count = BEGINNING, 0, -(1 << 63), 0
    broken: list[Broken] = []
    seen = noted is None
    for entry, stored in entries:
        count += 1
        if entry.sequence <= place or entry.seen_at <= instant:
            broken.append(Broken(entry.sequence, f"its place or instant is not after entry {place}"))
        if len(entry.identity) != 16 or link(before, entry) != stored:
            broken.append(
                Broken(entry.sequence, f"its hash does not follow from its bytes and the hash of entry {place}")
            )
        before, place, instant = stored, entry.sequence, entry.seen_at
        seen = seen or stored.hex() == noted
    if not seen:
        broken.append(Broken(place, f"no entry has the noted hash {noted}: the log was cut short or written anew"))
    return ChainReport(count, place, before.hex(), tuple(broken))
