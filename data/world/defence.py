"""Who blocks scans while the world runs: any judge of a day's scans, and the limits that operators start with."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes = NDArray[np.int64]
    Flags = NDArray[np.bool_]

_COLUMNS: Final = ("member_id", "device_id", "ip", "status")


@dataclass(frozen=True)
class Chances:
    """How likely each scan is stopped where that hangs on who made it, as at a check that most honest people pass.

    Attributes:
        honest: The chance where an honest person made it, shape (scans,).
        wool: The chance where the wool party did, shape (scans,).
    """

    honest: NDArray[np.float64]
    wool: NDArray[np.float64]


class Defence(Protocol):
    """Who decides which scans are paid, a part of a day at a time and in order."""

    def judge(self, day: int, scans: pa.Table) -> NDArray[np.bool_] | Chances:
        """Which scans of a day are blocked, given as the tables show them and in order of arrival.

        Args:
            day: Counted from 0; it never falls from call to call. A day may come in several parts.
            scans: Rows of the table `scans`; `prize_fen` is what each would win if it were paid.
        """


@runtime_checkable
class Listener(Defence, Protocol):
    """A defence that also hears what else reaches the brand's books."""

    def told(self, table: str, rows: pa.Table) -> None:
        """Rows of a table other than those of cities, stores and sites, as they are written.

        Lasting facts and all members come before the first day, also those who join later: `registered_at` says when.
        Purchases and sendings of a part of a day come before its scans are judged, and these again after it with what
        they won; verdicts and payouts of a day come after all of its scans.
        """


@dataclass(frozen=True)
class NaiveSettings:
    """Most that is paid before a limit blocks the rest; assumed, after what operators set in their first week.

    Attributes:
        member_scans: Scans of a member on a day.
        member_failures: Scans of a member on a day of codes that were used, inactive or forged.
        device_scans: Scans on a phone on a day.
        device_members: Members on a phone within `window_days`.
        address_scans: Scans from an address on a day; high, since carriers hide thousands behind one.
        address_members: Members at an address on a day; high likewise.
        window_days: Days over which a phone's members are remembered, today among them.
    """

    member_scans: int = 10
    member_failures: int = 4
    device_scans: int = 14
    device_members: int = 3
    address_scans: int = 60
    address_members: int = 25
    window_days: int = 7


class NaiveRules:
    """Velocity and sharing limits, counted as scans come in; a scan beyond any of them is blocked.

    Days are those of the calls. A value that a phone or a network withholds counts towards nothing.
    """

    def __init__(self, settings: NaiveSettings | None = None) -> None:
        self.settings = settings or NaiveSettings()
        self._day = -1
        self._today: list[pa.Table] = []
        self._before: deque[pa.Table] = deque(maxlen=max(self.settings.window_days - 1, 0))

    def judge(self, day: int, scans: pa.Table) -> NDArray[np.bool_]:
        """Which of these scans lie beyond a limit, given all that came before them."""
        self._turn_to(day)
        seen = scans.select(_COLUMNS)
        earlier = sum(table.num_rows for table in self._today)
        self._today.append(seen)
        whole = pa.concat_tables(self._today)
        member, device, address = (_numbered(whole, name) for name in _COLUMNS[:3])
        failed = ~np.asarray(pc.equal(whole["status"], pa.scalar("valid")), np.bool_)
        limits = self.settings
        blocked = (
            (_nth(member) > limits.member_scans)
            | (_nth(np.where(failed, member, -1)) > limits.member_failures)
            | (_nth(device) > limits.device_scans)
            | (_nth(address) > limits.address_scans)
            | (_others(address, member) > limits.address_members)
        )
        return np.asarray(blocked[earlier:] | self._crowded_phones()[earlier:], np.bool_)

    def _crowded_phones(self) -> Flags:
        """Today's scans on phones that more members than allowed have used by then."""
        window = pa.concat_tables([*self._before, *self._today])
        today = sum(table.num_rows for table in self._today)
        members = _others(_numbered(window, "device_id"), _numbered(window, "member_id"))
        return np.asarray(members[window.num_rows - today :] > self.settings.device_members, np.bool_)

    def _turn_to(self, day: int) -> None:
        if day == self._day:
            return
        if day < self._day:
            raise ValueError(f"judge: found day {day} after day {self._day}, expected days in order")
        for _ in range(min(day - self._day, self.settings.window_days)):
            if self._before.maxlen:
                self._before.append(_pairs(self._today))
            self._today = []
        self._day = day


def _pairs(tables: list[pa.Table]) -> pa.Table:
    """The phones and members of a day, each pair once."""
    if not tables:
        nothing: dict[str, Any] = {name: pa.array([], pa.string()) for name in _COLUMNS}
        return pa.table(nothing)
    whole = pa.concat_tables(tables)
    _, first = np.unique(
        _numbered(whole, "device_id") * (whole.num_rows + 1) + _numbered(whole, "member_id"), return_index=True
    )
    return whole.take(pa.array(np.sort(first)))


def _numbered(table: pa.Table, name: str) -> Codes:
    """Small numbers for the texts of a column, -1 for nulls."""
    texts: pa.Array[Any] = pa.chunked_array([*table[name].chunks, pa.array([], pa.string())]).combine_chunks()
    encoded: pa.Array[Any] = pc.index_in(texts, pc.unique(texts.drop_null()))
    return np.asarray(encoded.fill_null(-1), np.int64)


def _nth(key: Codes) -> Codes:
    """The how-manieth of its key each row is, from 1; 0 for rows without a key.

    >>> _nth(np.array([7, 8, 7, -1, 7])).tolist()
    [1, 1, 2, 0, 3]
    """
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    rank = np.empty(key.size, np.int64)
    rank[order] = np.arange(key.size) - np.searchsorted(ordered, ordered) + 1
    return np.where(key < 0, 0, rank)


def _others(key: Codes, who: Codes) -> Codes:
    """How many different people have shared the key of each row by then; 0 for rows without a key or a person.

    >>> _others(np.array([7, 7, 7, 8]), np.array([1, 1, 2, 1])).tolist()
    [1, 1, 2, 1]
    """
    known = (key >= 0) & (who >= 0)
    pair = np.where(known, key * (who.max(initial=0) + 1) + who, -1)
    new = known & (_nth(pair) == 1)
    order = np.argsort(key, kind="stable")
    total = np.cumsum(new[order])
    ordered = key[order]
    start = np.searchsorted(ordered, ordered)
    people = np.empty(key.size, np.int64)
    people[order] = total - np.where(start > 0, total[start - 1], 0)
    return np.where(known, people, 0)
