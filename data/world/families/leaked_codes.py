"""Leaked code packages (码包泄露): files of codes that never saw a product, sold as lists of links.

The lists are tried before the batch is activated, and emptied as soon as it is. Its shadow: links shared in chats, live
streams, and the odd honest scan that meets a batch not yet active.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from data.world.trade import HOUR_US, Crew, Duty, paced, sittings

if TYPE_CHECKING:
    from data.world.trade import Records


def _crew() -> Crew:
    return Crew(
        share=0.11,
        scans_an_account=14.0,
        accounts=(6, 600),
        accounts_a_phone=(1, 3),
        accounts_a_payee=(1, 6),
        working=0.4,
        bold=0.7,
        mix=0.12,
        proxies=0.25,
        local=False,
        fresh=0.5,
        brought=0.1,
        brought_by_first=0.8,
        cash_out_h=4.0,
        code_share=0.25,
        account_fen=100.0,
        phone_fen_week=1.0,
        scan_fen=0.5,
    )


@dataclass(frozen=True)
class LeakedCodes:
    """A list buyer's habits; leaked packages are named by the trade's own reports (notes/risk.md §1).

    Attributes:
        crew: How its rings are made up.
        lists: Most lists worked on a day.
        scans_a_turn: Links that a member takes at a time.
        first_hour: Earliest local hour at which a list is posted.
        last_hour: Latest.
        rush_h: Median hours from the posting to a scan.
        rush_sigma: Spread of the logarithm of these.
        gap_s: Median seconds between the links that a member takes at a time.
        linked: Share opened from the list itself; the others are shown on a screen and scanned.
    """

    crew: Crew = field(default_factory=_crew)
    lists: int = 4
    scans_a_turn: int = 2
    first_hour: float = 8.0
    last_hour: float = 21.0
    rush_h: float = 1.2
    rush_sigma: float = 1.0
    gap_s: float = 20.0
    linked: float = 0.75

    def day(self, duty: Duty) -> Records:
        """Lists are posted; members take links from them until they run dry."""
        owner, turn = duty.planned()
        generator, rings = duty.generator, duty.rings
        begins = (generator.random(rings.size) * rings["accounts"]).astype(np.int64)
        taken = duty.greedily(owner, turn, self.scans_a_turn)
        drafts = duty.draft(owner, duty.ranked(owner, begins[owner] + taken))
        duty.at_home(drafts)
        leaks = duty.supply.leaks(generator, rings.size * self.lists, duty.midnight)
        if leaks.batch.size == 0:
            return drafts[:0]
        posted = generator.uniform(self.first_hour, self.last_hour, leaks.batch.size) * HOUR_US
        chosen = owner * self.lists + (generator.random(owner.size) ** 2 * self.lists).astype(np.int64)
        rush = self.rush_h / rings["pace"][owner] * generator.lognormal(0.0, self.rush_sigma, owner.size) * HOUR_US
        begun, run = sittings(owner, taken)
        together = rush[begun][run]
        within = paced(generator, np.bincount(run), np.full(begun.size, self.gap_s), 1.0)
        drafts["at"] = duty.midnight + (posted[chosen[begun][run]] + together).astype(np.int64) + within
        drafts["batch"] = leaks.batch[chosen]
        drafts["serial"] = leaks.first[chosen] + generator.integers(0, leaks.length[chosen])
        drafts["linked"] = generator.random(owner.size) < self.linked
        return duty.covered(owner, drafts)
