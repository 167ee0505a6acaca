"""Events sent twice: which ids counted within the last 35 days, in flat arrays that a snapshot can hold."""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from data.contracts import REPEAT_DAYS
from features.kernel import Int64, compiled

if TYPE_CHECKING:
    from collections.abc import Mapping

Digest: TypeAlias = tuple[int, int]

IDENTITIES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "scans": ("scan_id",),
        "scan_labels": ("scan_id",),
        "payouts": ("payout_id",),
        "registrations": ("member_id",),
        "referrals": ("child_id", "generation"),
        "orders": ("line_id",),
        "baskets": ("order_id",),
        "sends": ("send_id",),
        "redemptions": ("send_id",),
        "offer_lines": ("line_id", "offer_id"),
        "offer_category_lines": ("line_id", "offer_id"),
    }
)
"""For each log of `data.logs` the columns that make an event the same event."""

_SPAN: Final = REPEAT_DAYS * 86_400_000_000
_WORDS: Final = 3
_SMALLEST: Final = 1 << 10


class Repeats:
    """Remembers by a digest of 127 bits the ids that counted; those older than 35 days fall away when room is needed.

    Attributes:
        table: Open addressing: two words of the digest and the instant that counted; a first word of 0 is free.
        used: How many places are taken.
    """

    def __init__(self, table: Int64 | None = None) -> None:
        """Empty, or with the table of a snapshot."""
        self.table = np.zeros(_WORDS * _SMALLEST, np.int64) if table is None else table
        self.used = int(np.count_nonzero(self.table[::_WORDS]))

    def known(self, digest: Digest, at: int) -> bool:
        """Whether the id counted within the 35 days up to an instant."""
        place = _find(self.table, *digest)
        return bool(self.table[_WORDS * place] != 0) and at <= int(self.table[_WORDS * place + 2]) + _SPAN

    def note(self, digest: Digest, at: int) -> None:
        """Counts an id at an instant."""
        if 2 * self.used >= len(self.table) // _WORDS:
            self._make_room(at)
        self.used += _note(self.table, *digest, at)

    def _make_room(self, at: int) -> None:
        held = self.table.reshape(-1, _WORDS)
        held = np.ascontiguousarray(held[(held[:, 0] != 0) & (held[:, 2] >= at - _SPAN)])
        places = _SMALLEST
        while places < 4 * len(held):
            places *= 2
        self.table = np.zeros(_WORDS * places, np.int64)
        _refill(self.table, held.reshape(-1))
        self.used = len(held)


def digest(log: str, identity: tuple[object, ...]) -> Digest:
    """What stands for the id of an event of a log; equal for equal ids, and for no others that will ever be met."""
    text = "\x1f".join([log, *map(str, identity)])
    made = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return int.from_bytes(made[:8], "little", signed=True) | 1, int.from_bytes(made[8:], "little", signed=True)


@compiled
def _find(table: Int64, high: int, low: int) -> int:
    """The place of a digest, or the free one where it belongs."""
    mask = len(table) // 3 - 1
    place = (low >> 7) & mask
    while table[3 * place] != 0 and not (table[3 * place] == high and table[3 * place + 1] == low):
        place = (place + 1) & mask
    return place


@compiled
def _note(table: Int64, high: int, low: int, at: int) -> int:
    """Writes an id and its instant; 1 where it takes a new place, else 0."""
    place = _find(table, high, low)
    fresh = table[3 * place] == 0
    table[3 * place] = high
    table[3 * place + 1] = low
    table[3 * place + 2] = at
    return 1 if fresh else 0


@compiled
def _refill(table: Int64, held: Int64) -> None:
    for entry in range(len(held) // 3):
        _note(table, held[3 * entry], held[3 * entry + 1], held[3 * entry + 2])
