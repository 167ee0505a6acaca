"""Store clerks (店员套码): staff who scan the goods on their own shelves, for themselves and their relatives.

They scan in the shop, over its network, in opening hours, a few codes a day. Its shadow: market stalls that scan for
customers, warehouse staff, and everybody who scans at the till.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from data.world.families.cloned_codes import shelved
from data.world.trade import Crew, Duty, hours, paced, turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.trade import Records


def _crew() -> Crew:
    return Crew(
        share=0.09,
        scans_an_account=55.0,
        accounts=(2, 60),
        accounts_a_phone=(1, 3),
        accounts_a_payee=(1, 4),
        working=0.65,
        bold=0.3,
        mix=0.20,
        proxies=0.0,
        local=True,
        fresh=0.2,
        brought=0.1,
        brought_by_first=0.8,
        cash_out_h=24.0,
        code_share=0.0,
        account_fen=40.0,
        phone_fen_week=0.0,
        scan_fen=1.5,
    )


@dataclass(frozen=True)
class StoreClerks:
    """A clerk's habits; assumed.

    Attributes:
        crew: How its rings are made up.
        opens: Local hour from which they scan.
        closes: Local hour until which they do.
        scans_a_turn: Codes scanned on one account before the next.
        gap_s: Median seconds between two scans; a clerk has other work.
        gap_sigma: Spread of the logarithm of these gaps.
        shops_network: Share of scans in reach of the shop's wireless network.
        choice: Codes on sale in the city from among which the nearest to the shop is taken.
    """

    crew: Crew = field(default_factory=_crew)
    opens: float = 8.5
    closes: float = 21.5
    scans_a_turn: int = 2
    gap_s: float = 240.0
    gap_sigma: float = 1.2
    shops_network: float = 0.7
    choice: int = 3

    def day(self, duty: Duty) -> Records:
        """A quiet moment in the shift, and a few codes off the shelf."""
        generator, rings = duty.generator, duty.rings
        batch, serial, taken = self._off_the_shelf(duty)
        owner, turn = turns(taken)
        begins = (generator.random(rings.size) * rings["accounts"]).astype(np.int64)
        drafts = duty.draft(owner, duty.ranked(owner, begins[owner] + duty.greedily(owner, turn, self.scans_a_turn)))
        place = duty.roster[drafts["account"]]
        drafts["lat"], drafts["lon"] = place["store_lat"], place["store_lon"]
        drafts["line"] = -1
        drafts["store"] = np.where(generator.random(owner.size) < self.shops_network, place["store"], -1)
        moment = generator.uniform(self.opens, self.closes - 1.0, rings.size)
        at = hours(moment)[owner] + paced(
            generator, taken, self.gap_s / (rings["pace"] * rings["greed"]), self.gap_sigma
        )
        drafts["at"] = duty.midnight + np.minimum(at, hours(self.closes - generator.uniform(0.0, 1.0, owner.size)))
        drafts["batch"], drafts["serial"] = batch, serial
        return duty.covered(owner, drafts)

    def _off_the_shelf(self, duty: Duty) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Of the codes on sale in the city those nearest to each ring's shop."""
        codes, found = shelved(duty, duty.scans * self.choice)
        ring = np.repeat(np.arange(found.size), found)
        shop = duty.roster[duty.rings["first"]]
        north = codes["lat"] - shop["store_lat"][ring]
        east = (codes["lon"] - shop["store_lon"][ring]) * np.cos(np.radians(codes["lat"]))
        order = np.lexsort((np.hypot(north, east), ring))
        ring = ring[order]
        rank = np.arange(ring.size) - np.searchsorted(ring, ring)
        nearest = order[rank < duty.scans[ring]]
        taken = np.minimum(found, duty.scans)
        return codes["batch"][nearest].astype(np.int64), codes["serial"][nearest], taken
