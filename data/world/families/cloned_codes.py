"""Cloned codes (复制码): codes photographed in shops before the goods are sold, then scanned by others.

A few accounts scan them first; the same picture is sold in several cities, so the code is tried again from afar, and
the buyer of the goods finds it used. Its shadow: honest repeats, and travellers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from data.world.trade import SHELVED, Crew, Duty, hours, paced, sittings, turns

if TYPE_CHECKING:
    from data.world.trade import Records


def _crew() -> Crew:
    return Crew(
        share=0.09,
        scans_an_account=32.0,
        accounts=(3, 120),
        accounts_a_phone=(1, 2),
        accounts_a_payee=(1, 4),
        working=0.5,
        bold=0.65,
        mix=0.15,
        proxies=0.10,
        local=False,
        fresh=0.4,
        brought=0.0,
        brought_by_first=0.8,
        cash_out_h=8.0,
        code_share=0.15,
        account_fen=80.0,
        phone_fen_week=0.5,
        scan_fen=0.6,
    )


@dataclass(frozen=True)
class ClonedCodes:
    """A photographer's habits; assumed.

    Attributes:
        crew: How its rings are made up.
        scans_a_turn: Pictures that one account buys at a time.
        tries: Mean scans of one picture; each by another account where the ring has enough.
        gap_s: Median seconds between the pictures that an account scans at a time.
        first_hour: Earliest local hour of a picture's first scan.
        last_hour: Latest.
        resold_h: Median hours from the first scan of a picture to each further one.
        resold_sigma: Spread of the logarithm of these.
        linked: Share opened from the text of the code instead of the picture.
    """

    crew: Crew = field(default_factory=_crew)
    scans_a_turn: int = 2
    tries: float = 1.7
    gap_s: float = 25.0
    first_hour: float = 9.5
    last_hour: float = 22.0
    resold_h: float = 3.0
    resold_sigma: float = 1.1
    linked: float = 0.15

    def day(self, duty: Duty) -> Records:
        """Pictures of the day are scanned by the first buyer, then tried by those who bought them too."""
        generator, rings = duty.generator, duty.rings
        wanted = np.ceil(duty.scans / self.tries).astype(np.int64)
        pictures, taken = shelved(duty, wanted)
        tries = 1 + generator.poisson(self.tries - 1.0, pictures.size)
        picture, turn = turns(np.asarray(tries, np.int64))
        owner = np.repeat(np.arange(rings.size), taken)[picture]
        ring_of, shown = turns(taken)
        begins = (generator.random(rings.size) * rings["accounts"]).astype(np.int64)[ring_of]
        sitting = duty.greedily(ring_of, shown, self.scans_a_turn)
        drafts = duty.draft(owner, duty.ranked(owner, (begins + sitting)[picture] + turn))
        duty.at_home(drafts)
        begun, run = sittings(ring_of, sitting)
        within = paced(generator, np.bincount(run), np.full(begun.size, self.gap_s), 1.0)
        moment = hours(generator.uniform(self.first_hour, self.last_hour, begun.size))[run] + within
        wait = self.resold_h / rings["pace"][owner] * generator.lognormal(0.0, self.resold_sigma, owner.size)
        drafts["at"] = duty.midnight + moment[picture] + hours(np.where(turn > 0, wait, 0.0))
        drafts["batch"], drafts["serial"] = pictures["batch"][picture], pictures["serial"][picture]
        drafts["linked"] = generator.random(owner.size) < self.linked
        return duty.covered(owner, drafts)


def shelved(duty: Duty, wanted: Records) -> tuple[Records, Records]:
    """Codes on sale where each ring works: SHELVED in order of rings, and how many each got."""
    cities = duty.roster["city"][duty.rings["first"]]
    lots = [
        duty.shelf.sample(duty.generator, int(city), int(count)) for city, count in zip(cities, wanted, strict=True)
    ]
    return np.concatenate([*lots, np.empty(0, SHELVED)]), np.array([len(lot) for lot in lots], np.int64)
