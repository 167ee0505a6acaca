"""Referral stars (拉新): one account brings dozens of newcomers who exist for the newcomer's prize.

The children register one after another, scan once or twice within the hour, and are hardly seen again; some share a
phone, and some bring children of their own. Its shadow: honest people who are simply popular, whose friends stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from data.world.trade import HOUR_US, SECOND_US, Crew, Duty, gathered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.trade import Records


def _crew() -> Crew:
    return Crew(
        share=0.09,
        scans_an_account=2.6,
        accounts=(8, 1500),
        accounts_a_phone=(1, 4),
        accounts_a_payee=(2, 10),
        working=1.0,
        bold=0.0,
        mix=0.05,
        proxies=0.15,
        local=True,
        fresh=1.0,
        brought=1.0,
        brought_by_first=0.55,
        cash_out_h=8.0,
        code_share=0.30,
        account_fen=15.0,
        phone_fen_week=0.2,
        scan_fen=0.5,
    )


@dataclass(frozen=True)
class ReferralStar:
    """A star's habits; assumed.

    Attributes:
        crew: How its rings are made up.
        at_once: Scans of a child within the hour of joining: most.
        first_wait_s: Median seconds from joining to the first scan.
        comes_back: Chance a day that a child scans again in its first days.
        days_back: How many days that is.
        away: Share of the children who live on their own, with a phone of their own.
        linked: Share of codes opened from the link that invited them.
        taken: Codes used of one crate.
    """

    crew: Crew = field(default_factory=_crew)
    at_once: int = 2
    first_wait_s: float = 400.0
    comes_back: float = 0.16
    days_back: int = 7
    away: float = 0.45
    linked: float = 0.3
    taken: int = 8

    def day(self, duty: Duty) -> Records:
        """Those who joined today scan soon after; those of the last days come back now and then."""
        age = duty.day - duty.roster["joins"]
        working = np.full(int(duty.roster["ring"].max(initial=-1)) + 1, -1)
        working[duty.rings["ring"]] = np.arange(duty.rings.size)
        owner = working[duty.roster["ring"]]
        young = np.flatnonzero((owner >= 0) & (age >= 0) & (age <= self.days_back) & (duty.roster["rank"] > 0))
        return gathered([self._newcomers(duty, young[age[young] == 0], owner), self._back(duty, young, age, owner)])

    def _newcomers(self, duty: Duty, joined: NDArray[np.int64], owner: NDArray[np.int64]) -> Records:
        generator = duty.generator
        accounts = np.repeat(joined, generator.integers(1, self.at_once + 1, joined.size))
        drafts = self._scanned(duty, accounts, owner)
        again = np.r_[False, np.diff(accounts) == 0][: accounts.size]
        wait = self.first_wait_s * generator.lognormal(0.0, 1.1, accounts.size) * SECOND_US
        wait += again * generator.lognormal(4.0, 1.0, accounts.size) * SECOND_US
        drafts["at"] = duty.roster["registered_at"][accounts] + wait.astype(np.int64)
        return drafts

    def _back(self, duty: Duty, young: NDArray[np.int64], age: NDArray[np.int32], owner: NDArray[np.int64]) -> Records:
        generator = duty.generator
        accounts = young[(generator.random(young.size) < self.comes_back) & (age[young] > 0)]
        drafts = self._scanned(duty, accounts, owner)
        moment = 8.0 + 14.0 * generator.beta(2.0, 1.6, accounts.size)
        drafts["at"] = duty.midnight + (moment * HOUR_US).astype(np.int64)
        return drafts

    def _scanned(self, duty: Duty, accounts: NDArray[np.int64], owner: NDArray[np.int64]) -> Records:
        owners = owner[accounts]
        drafts = duty.draft(owners, accounts)
        away = self.lives_away(duty.roster["member"][accounts])
        drafts["phone"] = np.where(away, accounts, drafts["phone"])
        drafts["line"] = np.where(away, accounts, drafts["line"])
        for axis in ("lat", "lon"):
            drafts[axis] = np.where(away, duty.roster[axis][accounts], drafts[axis])
        cities = duty.roster["city"][duty.rings["first"]].astype(np.int64)
        drafts["batch"], drafts["serial"] = duty.loose_codes(owners, cities, self.taken)
        drafts["linked"] = duty.generator.random(accounts.size) < self.linked
        return drafts

    def lives_away(self, members: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which children are real acquaintances, the same whenever asked."""
        mixed = (members.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
        return np.asarray(mixed.astype(np.float64) / 2.0**24 < self.away)
