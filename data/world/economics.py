"""What the wool party's trades cost and yield, week by week, and when a ring gives up.

A code costs a share of the prize it may win: caps and links are sold for small change, priced by brand and odds
(notes/risk.md §1). A blocked scan costs like any other and pays nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.trade import Crew, Records

OUTCOME: Final = np.dtype([("scans", "i8"), ("blocked", "i8"), ("prize_fen", "i8")])
"""What happened to each ring on a day: a row a ring, in order of rings."""

BALANCE: Final = np.dtype(
    [
        ("scans", "i8"),
        ("blocked", "i8"),
        ("yield_fen", "f8"),
        ("cost_fen", "f8"),
        ("week_scans", "i8"),
        ("week_blocked", "i8"),
        ("week_yield_fen", "f8"),
        ("week_cost_fen", "f8"),
        ("losing_weeks", "i4"),
    ]
)
"""The books of each ring: over its life, and of the week that runs."""

WEEK: Final = 7


@dataclass(frozen=True)
class EconomicsSettings:
    """When a ring gives up; assumed.

    Attributes:
        losing_weeks: Weeks of loss in a row after which it quits.
        least_scans: Fewer scans prove nothing, for prizes are lumpy: the week's account then runs on into the next.
        patience: Part of a week's costs that may be lost before the week counts as losing.
    """

    losing_weeks: int = 2
    least_scans: int = 20
    patience: float = 0.25


class Books:
    """The books of all rings, kept day by day."""

    def __init__(self, settings: EconomicsSettings, rings: Records, crews: tuple[Crew, ...]) -> None:
        """Opens the books: `crews` by family number less one; setting up costs accounts."""
        self._settings = settings
        self._crew = rings["family"].astype(np.int64) - 1
        self._code_share = np.array([crew.code_share for crew in crews])[self._crew]
        self._scan = np.array([crew.scan_fen for crew in crews])[self._crew]
        self._account = np.array([crew.account_fen for crew in crews])[self._crew]
        self._phone = np.array([crew.phone_fen_week for crew in crews])[self._crew]
        self.balance = np.zeros(rings.size, BALANCE)
        self.balance["cost_fen"] = rings["accounts"] * self._account

    def enter(self, outcome: Records, mean_prize_fen: NDArray[np.float64]) -> None:
        """Books a day's scans, prizes and running costs.

        Args:
            outcome: OUTCOME of the day.
            mean_prize_fen: Mean prize that the codes scanned by each ring could win, which sets what they cost.
        """
        cost = outcome["scans"] * (self._scan + self._code_share * mean_prize_fen)
        for span in ("", "week_"):
            self.balance[f"{span}scans"] += outcome["scans"]
            self.balance[f"{span}blocked"] += outcome["blocked"]
            self.balance[f"{span}yield_fen"] += outcome["prize_fen"]
            self.balance[f"{span}cost_fen"] += cost

    def charge(self, rings: NDArray[np.bool_], cost_fen: NDArray[np.float64]) -> None:
        """Books what an adaptation costs the rings that make it."""
        for span in ("", "week_"):
            self.balance[f"{span}cost_fen"][rings] += cost_fen[rings]

    def price_of_accounts(self, accounts: NDArray[np.int64]) -> NDArray[np.float64]:
        """What so many new accounts cost each ring, in fen."""
        return np.asarray(accounts * self._account, np.float64)

    def price_of_phones(self, phones: NDArray[np.int64]) -> NDArray[np.float64]:
        """What so many phones cost each ring a week, in fen."""
        return np.asarray(phones * self._phone, np.float64)

    def close_week(self, rings: Records) -> NDArray[np.bool_]:
        """Closes the week of rings at work and says which of them give up."""
        settings, balance = self._settings, self.balance
        self.charge(balance["week_scans"] > 0, self.price_of_phones(rings["phones"]))
        telling = balance["week_scans"] >= settings.least_scans
        lost = telling & (balance["week_yield_fen"] < balance["week_cost_fen"] * (1.0 - settings.patience))
        balance["losing_weeks"] = np.where(telling, (balance["losing_weeks"] + 1) * lost, balance["losing_weeks"])
        for name in ("week_scans", "week_blocked", "week_yield_fen", "week_cost_fen"):
            balance[name][telling] = 0
        return np.asarray(balance["losing_weeks"] >= settings.losing_weeks)
