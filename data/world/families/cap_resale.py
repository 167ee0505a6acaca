"""Bottle-cap resale (收瓶盖): recyclers sell caps by the sack, and a few people scan them one after another.

The codes are genuine and were never scanned; they come as serial runs, from a region far from where they are scanned.
Its shadow: heavy fans, who scan dozens a week, and warehouse staff, who scan the runs of an opened case.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from data.world.trade import SHORTEST_RUN, Crew, Duty, hours, paced, turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.trade import Records


def _crew() -> Crew:
    return Crew(
        share=0.13,
        scans_an_account=75.0,
        accounts=(2, 60),
        accounts_a_phone=(1, 2),
        accounts_a_payee=(1, 4),
        working=0.7,
        bold=0.7,
        mix=0.10,
        proxies=0.0,
        local=True,
        fresh=0.4,
        brought=0.0,
        brought_by_first=0.8,
        cash_out_h=20.0,
        code_share=0.35,
        account_fen=100.0,
        phone_fen_week=2.0,
        scan_fen=0.6,
    )


@dataclass(frozen=True)
class CapResale:
    """A cap buyer's habits; caps bought from recyclers are named by the trade's own reports (notes/risk.md §1).

    Attributes:
        crew: How its rings are made up.
        scans_a_turn: Caps that one of them scans before another takes over.
        gap_s: Median seconds between two caps.
        gap_sigma: Spread of the logarithm of these gaps.
        hour_sd: How far a sitting begins from its usual hour, in hours.
        shuffled: How far a cap strays from its place in the run, in caps: a sack is no roll.
        near: Chance that a sack comes from the ring's own city after all.
    """

    crew: Crew = field(default_factory=_crew)
    scans_a_turn: int = 5
    gap_s: float = 150.0
    gap_sigma: float = 1.5
    hour_sd: float = 2.0
    shuffled: float = 5.0
    near: float = 0.15

    def day(self, duty: Duty) -> Records:
        """Each sits down with a sack and works through its runs."""
        owner, turn = duty.planned()
        generator, rings = duty.generator, duty.rings
        begins = (generator.random(rings.size) * rings["accounts"]).astype(np.int64)
        drafts = duty.draft(owner, duty.ranked(owner, begins[owner] + duty.greedily(owner, turn, self.scans_a_turn)))
        sitting = rings["hour"] + generator.normal(0.0, self.hour_sd, rings.size)
        gaps = paced(generator, duty.scans, self.gap_s / (rings["pace"] * rings["greed"]), self.gap_sigma)
        drafts["at"] = duty.midnight + hours(sitting)[owner] + gaps
        drafts["batch"], drafts["serial"] = self._runs(duty)
        return duty.covered(owner, drafts, at_home=False)

    def _runs(self, duty: Duty) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Whole runs in nearly their order, from a supplier elsewhere; what is left of a sack is thrown away."""
        generator, rings = duty.generator, duty.rings
        cities = int(duty.roster["city"].max()) + 1
        home = duty.roster["city"][rings["first"]].astype(np.int64)
        supplier = (home + 1 + rings["ring"] % max(cities - 1, 1)) % cities
        source = np.where(generator.random(rings.size) < self.near, home, supplier)
        sacks = np.repeat(np.arange(rings.size), -(-duty.scans // SHORTEST_RUN))
        crates = duty.supply.crates(generator, source[sacks], duty.midnight)
        crate, place = turns(crates.length)
        ring = sacks[crate]
        rank = np.arange(ring.size) - np.searchsorted(ring, ring)
        used = rank < duty.scans[ring]
        crate, place, ring, rank = crate[used], place[used], ring[used], rank[used]
        order = np.lexsort((rank + generator.normal(0.0, self.shuffled, rank.size), ring))
        return crates.batch[crate[order]], crates.first[crate[order]] + place[order]
