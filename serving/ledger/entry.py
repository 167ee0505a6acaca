"""What the log is made of: places in the one order, entries, and what is found of them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from serving.ledger.blocks import Columns
    from serving.ledger.vault import MemberKey


class Place(NamedTuple):
    """Where an entry stands in the one order, from 1, and its instant in microseconds since 1970 UTC."""

    sequence: int
    seen_at: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was acknowledged.

    Attributes:
        sequence: Its place in the one order; above that of the entry before.
        seen_at: Its instant, microseconds since 1970 UTC; above that of the entry before.
        log: What it is to whoever sent it, such as `scans`.
        identity: `Vault.identity` of its log and id.
        digest: `Vault.digest` of its content.
        events: What the state took in of it, (log of the state, event), in that order. Values are whole numbers, text
            or None; aliases stand for what is personal. `seen_at` is the entry's.
        member: Whose it is; None where it has no member.
        record: The decision as `serving.ledger.record` encodes it, or nothing.
    """

    sequence: int
    seen_at: int
    log: str
    identity: bytes
    digest: bytes
    events: tuple[tuple[str, dict[str, object]], ...]
    member: MemberKey | None
    record: bytes


class Found(NamedTuple):
    """An entry that was found again.

    Attributes:
        digest: Of its content; empty where it is forgotten.
        record: The decision; None where there was none, or it is forgotten.
        forgotten: Whether its member's key is gone.
        sequence: Its place.
        committed: Whether a commit holds it; before that it must not be acknowledged.
    """

    digest: bytes
    record: bytes | None
    forgotten: bool
    sequence: int
    committed: bool = True


class Batch(NamedTuple):
    """The events of a commit, or of what is left of it after a place.

    Attributes:
        last: The place of the commit's last entry.
        events: By log.
    """

    last: Place
    events: dict[str, Columns]


def following(last: Place, clock: int) -> Place:
    """The next place: instants strictly rise, whatever the clock does.

    >>> following(Place(7, 1_000), 1_500), following(Place(7, 1_000), 400)
    (Place(sequence=8, seen_at=1500), Place(sequence=8, seen_at=1001))
    """
    return Place(last.sequence + 1, max(clock, last.seen_at + 1))
