"""Organised bonus hunters (线报群): ordinary people with their own phones who strike together when prizes rise.

A chat tells them of a launch or a better prize within a minute; each scans a few codes from a shared list and cashes
out at once. For the rest they live as shoppers do. Its shadow: launch crowds and live-stream crowds, who do come early.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from data.world.trade import SECOND_US, Crew, Duty, gathered, turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.trade import Records


def _crew() -> Crew:
    return Crew(
        share=0.12,
        scans_an_account=17.0,
        accounts=(12, 900),
        accounts_a_phone=(1, 1),
        accounts_a_payee=(1, 2),
        working=1.0,
        bold=0.15,
        mix=0.35,
        proxies=0.0,
        local=False,
        fresh=0.1,
        brought=0.0,
        brought_by_first=0.8,
        cash_out_h=0.3,
        code_share=0.30,
        account_fen=0.0,
        phone_fen_week=0.0,
        scan_fen=1.0,
    )


@dataclass(frozen=True)
class BonusHunters:
    """A chat's habits; assumed.

    Attributes:
        crew: How its rings are made up.
        strikes: Chance that a chat takes up a rise of prizes.
        taking_part: Share of its members who are there.
        scans_a_strike: Mean codes that each of them scans.
        alert_s: Median seconds from the rise to the first word of it in the chat.
        after_s: Median seconds from that word to a member's first scan.
        after_sigma: Spread of the logarithm of these.
        gap_s: Median seconds between a member's scans.
        shared: Share of scans of a code that another of the chat was given too.
        linked: Share of codes opened as links from the list, outside live streams, where all are.
        taken: Codes used of one crate.
    """

    crew: Crew = field(default_factory=_crew)
    strikes: float = 0.75
    taking_part: float = 0.55
    scans_a_strike: float = 1.8
    alert_s: float = 90.0
    after_s: float = 420.0
    after_sigma: float = 1.0
    gap_s: float = 50.0
    shared: float = 0.06
    linked: float = 0.35
    taken: int = 6

    def day(self, duty: Duty) -> Records:
        """A strike at each rise; between them each lives as a shopper."""
        drafts = [self._strike(duty, opening) for opening in duty.supply.openings(duty.day)]
        return gathered([*drafts, duty.ordinary(self._shopping(duty))])

    def _strike(self, duty: Duty, opening: np.void) -> Records:
        """Whoever is there scans from the list; `pace` below 1 sends fewer, later."""
        generator, rings = duty.generator, duty.rings
        struck = generator.random(rings.size) < self.strikes
        present = generator.binomial(rings["accounts"], np.minimum(self.taking_part * rings["pace"], 1.0)) * struck
        member_of, rank = turns(present)
        begins = (generator.random(rings.size) * rings["accounts"]).astype(np.int64)
        people = duty.ranked(member_of, begins[member_of] + rank)
        scans = 1 + generator.poisson((self.scans_a_strike - 1.0) * np.sqrt(rings["greed"])[member_of], people.size)
        who, turn = turns(scans)
        owner = member_of[who]
        drafts = duty.draft(owner, people[who])
        duty.at_home(drafts)
        alert = self.alert_s * generator.lognormal(0.0, 0.6, rings.size)[owner]
        after = self.after_s / rings["pace"][owner] * generator.lognormal(0.0, self.after_sigma, people.size)[who]
        gaps = turn * self.gap_s * generator.lognormal(0.0, 0.8, who.size)
        length = float(opening["until"] - opening["at"]) / SECOND_US
        late = np.minimum(alert + after + gaps, length * generator.uniform(0.3, 1.0, who.size))
        drafts["at"] = opening["at"] + (late * SECOND_US).astype(np.int64)
        cities = np.full(rings.size, -1)
        batch, serial = duty.loose_codes(owner, cities, self.taken, int(opening["campaign"]))
        again = np.flatnonzero((generator.random(owner.size) < self.shared) & (np.r_[-1, owner[:-1]] == owner))
        batch[again], serial[again] = batch[again - 1], serial[again - 1]
        drafts["batch"], drafts["serial"] = batch, serial
        drafts["linked"] = bool(opening["linked"]) | (generator.random(owner.size) < self.linked)
        return drafts

    def _shopping(self, duty: Duty) -> NDArray[np.int64]:
        """Scans of one's own shopping: the share `mix` of what a ring does in the long run."""
        return np.asarray(duty.generator.binomial(duty.scans, np.minimum(duty.rings["mix"], 1.0)), np.int64)
