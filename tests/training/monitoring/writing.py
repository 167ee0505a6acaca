"""A log written entry by entry, without a service: decisions made elsewhere, and rows of other tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from serving.ledger.ledger import Entry, Ledger
from serving.ledger.record import Record, encode_record
from serving.live.event_desk import record_of
from tests.serving.live.conftest import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MICROSECONDS = 1_000_000


class Sent(NamedTuple):
    """A row of a table, as it is sent."""

    table: str
    row: Any


def write_log(home: Path, entries: Iterable[tuple[int, str, str, str | None, Record | Sent]]) -> None:
    """Commit entries to the ledger of a home.

    Args:
        home: Where `ledger` is made.
        entries: Second, log, id, member and what is kept of each, in order; instants have to rise.
    """
    ledger = Ledger.open(home / "ledger", SECRET)
    made = []
    for place, (second, log, name, member_id, kept) in enumerate(entries, start=1):
        identity = ledger.vault.identity(log, name)
        record = record_of(*kept, identity) if isinstance(kept, Sent) else kept
        member = None if member_id is None else ledger.vault.member(member_id)
        seen_at = second * MICROSECONDS + place
        digest = ledger.vault.digest(name.encode())
        made.append(Entry(place, seen_at, log, identity, digest, (), member, encode_record(record)))
    if made:
        ledger.commit(made)
    ledger.close()
