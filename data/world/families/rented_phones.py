"""Rented phones (真机众包): ordinary people lend their phones to a task board, each at home, for a fee a task.

The board releases tasks in bursts, a proxy in other people's homes changes the address at every scan, and the winnings
of several members go to one account of the board's. Its shadow: live-stream crowds, and travellers who change networks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from data.world.trade import SECOND_US, Crew, Duty, hours

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.trade import Records


def _crew() -> Crew:
    return Crew(
        share=0.14,
        scans_an_account=9.0,
        accounts=(15, 900),
        accounts_a_phone=(1, 2),
        accounts_a_payee=(5, 15),
        working=0.45,
        bold=0.4,
        mix=0.20,
        proxies=0.85,
        local=False,
        fresh=0.35,
        brought=0.0,
        brought_by_first=0.8,
        cash_out_h=6.0,
        code_share=0.30,
        account_fen=80.0,
        phone_fen_week=0.5,
        scan_fen=2.0,
    )


@dataclass(frozen=True)
class RentedPhones:
    """A board's habits; assumed, after descriptions of crowd-work boards for real phones.

    Attributes:
        crew: How its rings are made up.
        burst_minutes: Shortest and longest time over which a burst of tasks is taken up.
        bursts: Most bursts on a day.
        first_hour: Earliest local hour of a burst.
        last_hour: Latest.
        linked: Share of codes handed out as links; the others are photographed from a screen.
        near: Share of tasks matched to the member's own city.
        taken: Codes used of one crate.
    """

    crew: Crew = field(default_factory=_crew)
    burst_minutes: tuple[float, float] = (10.0, 40.0)
    bursts: int = 3
    first_hour: float = 10.0
    last_hour: float = 22.5
    linked: float = 0.5
    near: float = 0.7
    taken: int = 2

    def day(self, duty: Duty) -> Records:
        """Tasks are put up; whoever is free takes one, does it at home, and rarely takes a second."""
        owner, turn = duty.planned()
        generator, rings = duty.generator, duty.rings
        begins = (generator.random(rings.size) * rings["accounts"]).astype(np.int64)
        stride = 1 + 2 * generator.integers(0, 50, rings.size)
        drafts = duty.draft(owner, duty.ranked(owner, begins[owner] + duty.greedily(owner, turn, 0.6) * stride[owner]))
        duty.at_home(drafts)
        drafts["at"] = duty.midnight + self._moments(duty, owner)
        home = duty.roster["city"][drafts["account"]].astype(np.int64)
        near = generator.random(owner.size) < self.near
        drafts["batch"], drafts["serial"] = duty.loose_codes(owner, np.full(rings.size, -1), self.taken)
        crates = duty.supply.crates(generator, home[near], duty.midnight)
        drafts["batch"][near] = crates.batch
        drafts["serial"][near] = crates.first + generator.integers(0, crates.length)
        drafts["linked"] = generator.random(owner.size) < self.linked
        return duty.covered(owner, drafts)

    def _moments(self, duty: Duty, owner: NDArray[np.int64]) -> NDArray[np.int64]:
        """When each task is done: soon after its burst, thinning out towards its end."""
        generator, rings = duty.generator, duty.rings
        shape = (rings.size, self.bursts)
        opening = hours(generator.uniform(self.first_hour, self.last_hour, shape))
        length = generator.uniform(*self.burst_minutes, shape) / rings["pace"][:, None]
        burst = (generator.random(owner.size) ** 2 * self.bursts).astype(np.int64)
        within = length[owner, burst] * generator.beta(1.1, 2.2, owner.size)
        return np.asarray(opening[owner, burst] + within * 60 * SECOND_US, np.int64)
