"""Device farms (设备农场): racks of old phones in a room, a few accounts on each, worked by operators in shifts.

Its shadow among honest people: families that share a phone, market stalls, carrier NAT. An account scans little and a
phone holds no more accounts than a household does, so only the whole, one line and one rhythm, gives it away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from data.world.trade import Crew, Duty, hours, paced

if TYPE_CHECKING:
    from data.world.trade import Records


def _crew() -> Crew:
    return Crew(
        share=0.15,
        scans_an_account=9.0,
        accounts=(12, 900),
        accounts_a_phone=(2, 6),
        accounts_a_payee=(3, 12),
        working=0.5,
        bold=0.7,
        mix=0.10,
        proxies=0.06,
        local=True,
        fresh=0.6,
        brought=0.25,
        brought_by_first=0.8,
        cash_out_h=10.0,
        code_share=0.30,
        account_fen=150.0,
        phone_fen_week=2.0,
        scan_fen=0.8,
    )


@dataclass(frozen=True)
class DeviceFarm:
    """A farm's habits; assumed, after the trade's own reports of phone racks.

    Attributes:
        crew: How its rings are made up.
        scans_a_turn: Codes that an account scans when its turn comes.
        gap_s: Median seconds between two scans of an operator.
        gap_sigma: Spread of the logarithm of these gaps; large, for operators take breaks.
        hour_sd: How far a shift begins from its usual hour, in hours.
        phones_an_operator: Phones that one pair of hands looks after.
        linked: Share of codes opened from a list of links instead of by the camera.
        taken: Codes used of one crate; the rest is sold on.
    """

    crew: Crew = field(default_factory=_crew)
    scans_a_turn: int = 2
    gap_s: float = 75.0
    gap_sigma: float = 1.3
    hour_sd: float = 0.8
    phones_an_operator: int = 25
    linked: float = 0.35
    taken: int = 6

    def day(self, duty: Duty) -> Records:
        """Operators take phone after phone and give each account its turn."""
        owner, turn = duty.planned()
        generator, rings = duty.generator, duty.rings
        begins = (generator.random(rings.size) * rings["accounts"]).astype(np.int64)
        drafts = duty.draft(owner, duty.ranked(owner, begins[owner] + duty.greedily(owner, turn, self.scans_a_turn)))
        hands = 1.0 + rings["phones"] // self.phones_an_operator
        shift = rings["hour"] + generator.normal(0.0, self.hour_sd, rings.size)
        gaps = paced(generator, duty.scans, self.gap_s / (hands * rings["pace"] * rings["greed"]), self.gap_sigma)
        drafts["at"] = duty.midnight + hours(shift)[owner] + gaps
        cities = duty.roster["city"][rings["first"]].astype(np.int64)
        drafts["batch"], drafts["serial"] = duty.loose_codes(owner, cities, self.taken)
        drafts["linked"] = generator.random(owner.size) < self.linked
        return duty.covered(owner, drafts, at_home=False)
