"""Events sent twice: which ids counted within the last 35 days, in flat arrays that a snapshot can hold."""

# mypy: disable-error-code="no-any-return, arg-type, return-value"
# To mypy an element of an array is a numpy scalar; to the compiler it is an integer like any other.

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from data.contracts import REPEAT_DAYS
from data.errors import DataError
from features.kernel import Int64, compiled

if TYPE_CHECKING:
    from collections.abc import Mapping

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
_SEPARATOR: Final = "\x1f"


def mark(log: str, columns: tuple[str, ...], event: Mapping[str, object]) -> str | None:
    """The id of an event as one text; None where it has none, or a part of it is null.

    Raises:
        DataError: When a column of it is missing.
    """
    try:
        if len(columns) == 1:
            value = event[columns[0]]
            return value if value is None or isinstance(value, str) else str(value)
        values = [event[column] for column in columns]
    except KeyError:
        missing = ", ".join(column for column in columns if column not in event)
        raise DataError(f"an event of log {log}: its id, column {missing}, is missing") from None
    return None if not values or None in values else _SEPARATOR.join(map(str, values))


class Repeats:
    """Remembers by their digests the ids that counted; those older than 35 days fall away when room is needed.

    Attributes:
        table: Open addressing behind one word, the number of places taken: two words of the digest and the instant that
            counted; a first word of 0 is free.
    """

    def __init__(self, table: Int64 | None = None) -> None:
        """Empty, or with the table of a snapshot."""
        self.table = np.zeros(1 + _WORDS * _SMALLEST, np.int64) if table is None else table

    def make_room(self, at: int) -> None:
        """Lets go of ids that are older than 35 days at an instant, and grows if that is not enough."""
        held = self.table[1:].reshape(-1, _WORDS)
        held = np.ascontiguousarray(held[(held[:, 0] != 0) & (held[:, 2] >= at - _SPAN)])
        self.table = np.zeros(1 + _WORDS * max(_SMALLEST, 2 * len(held)), np.int64)
        _refill(self.table, held.reshape(-1))


@compiled
def crowded(table: Int64, more: int) -> bool:
    """Whether so many ids more would not leave a quarter of the table free."""
    return 4 * (table[0] + more) > len(table) // _WORDS * 3


@compiled
def known(table: Int64, high: int, low: int, at: int) -> bool:
    """Whether an id counted within the 35 days up to an instant."""
    place = _place(table, high, low)
    return table[place] != 0 and at <= table[place + 2] + _SPAN


@compiled
def note(table: Int64, high: int, low: int, at: int) -> None:
    """Counts an id at an instant."""
    place = _place(table, high, low)
    if table[place] == 0:
        table[0] += 1
    table[place] = high
    table[place + 1] = low
    table[place + 2] = at


@compiled
def _place(table: Int64, high: int, low: int) -> int:
    """The place of a digest, or the free one where it belongs."""
    places = np.uint64(len(table) // _WORDS)
    place = 1 + _WORDS * np.int64(((np.uint64(low) >> np.uint64(32)) * places) >> np.uint64(32))
    while table[place] != 0 and (table[place] != high or table[place + 1] != low):
        place += _WORDS
        if place == len(table):
            place = np.int64(1)
    return place


@compiled
def _refill(table: Int64, held: Int64) -> None:
    for entry in range(len(held) // _WORDS):
        note(table, held[_WORDS * entry], held[_WORDS * entry + 1], held[_WORDS * entry + 2])
