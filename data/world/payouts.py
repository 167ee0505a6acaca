"""Prize money on its way out: members let it gather, and withdraw all of it to an account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PAYOUT: Final = np.dtype([("at", "i8"), ("member", "i8"), ("account", "i8"), ("amount_fen", "i8")])

_PURSE: Final = np.dtype([("balance", "i8"), ("account", "i8"), ("cash_out_fen", "i8"), ("cash_out_us", "i8")])


@dataclass(frozen=True)
class Purses:
    """What each member has won and not yet withdrawn; on disk, a record a member."""

    _purses: NDArray[Any]

    @classmethod
    def of(cls, path: Path, members: int) -> Purses:
        """Empty purses of so many members, kept in a file."""
        return cls(np.memmap(path, _PURSE, "w+", shape=(members,)))

    def open(self, members: NDArray[Any]) -> None:
        """Take in members (records of `MEMBER`) before they win anything."""
        number = members["member"]
        for name in ("account", "cash_out_fen", "cash_out_us"):
            self._purses[name][number] = members[name]

    def pay_in(self, member: NDArray[np.int64], prize_fen: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[Any]:
        """Prizes won, in order of time; gives the payouts (records of `PAYOUT`) that they bring about.

        A prize that lifts a balance to what its member withdraws at is followed, after the time that the member lets
        pass, by a payout of the whole balance as it stood then.
        """
        won = np.flatnonzero(prize_fen > 0)
        won = won[np.argsort(member[won], kind="stable")]
        paid: list[NDArray[Any]] = []
        while len(won):
            purse = self._purses[member[won]]
            first = np.flatnonzero(np.diff(member[won], prepend=-1))
            total = np.cumsum(prize_fen[won])
            length = np.diff(first, append=len(won))
            balance = purse["balance"] + total - np.repeat(total[first] - prize_fen[won[first]], length)
            reaches = balance >= np.maximum(purse["cash_out_fen"], 1)
            place = np.where(reaches, np.arange(len(won)), len(won))
            reached = np.minimum.reduceat(place, first)
            last = first + length - 1
            withdrawn = reached < len(won)
            self._purses["balance"][member[won[first]]] = np.where(withdrawn, 0, balance[last])
            chosen = reached[withdrawn]
            paid.append(_payouts(member[won[chosen]], purse[chosen], balance[chosen], at[won[chosen]]))
            won = won[np.arange(len(won)) > np.repeat(reached, length)]
        return np.concatenate(paid) if paid else np.empty(0, PAYOUT)


def _payouts(
    member: NDArray[np.int64], purse: NDArray[Any], amount_fen: NDArray[np.int64], reached: NDArray[np.int64]
) -> NDArray[Any]:
    payouts = np.empty(len(member), PAYOUT)
    payouts["at"] = reached + purse["cash_out_us"]
    payouts["member"] = member
    payouts["account"] = purse["account"]
    payouts["amount_fen"] = amount_fen
    return payouts
