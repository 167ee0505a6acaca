"""Flash-sale bots (秒杀脚本): scripts on many accounts that ask for the deal in the first seconds.

The trade reports sales in which 96 % of the requests are abnormal. Its shadow: honest shoppers who wait for the second
the sale opens, many of them behind one carrier's address.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from data.world.trade import SECOND_US, Crew, Duty, gathered, turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.trade import Records


def _crew() -> Crew:
    return Crew(
        share=0.08,
        scans_an_account=6.0,
        accounts=(12, 3000),
        accounts_a_phone=(1, 4),
        accounts_a_payee=(2, 12),
        working=1.0,
        bold=0.6,
        mix=0.15,
        proxies=0.7,
        local=False,
        fresh=0.55,
        brought=0.0,
        brought_by_first=0.8,
        cash_out_h=2.0,
        code_share=0.0,
        account_fen=40.0,
        phone_fen_week=0.1,
        scan_fen=0.5,
    )


ABNORMAL: Final = 0.96
"""Share of the requests of a flash sale that the trade reports as abnormal on the worst days."""


def overrun(honest_requests: float) -> FlashBots:
    """Bots in such numbers that 96 % of the requests of a sale are theirs.

    Args:
        honest_requests: Mean requests of an honest shopper who tries.
    """
    crew = replace(_crew(), accounts=(12, 100_000), accounts_a_thousand=170.0)
    return FlashBots(crew=crew, requests_a_shopper=ABNORMAL / (1.0 - ABNORMAL) * honest_requests)


@dataclass(frozen=True)
class FlashBots:
    """A script's habits; assumed.

    Attributes:
        crew: How its rings are made up.
        taking_part: Share of a ring's accounts that ask in one sale.
        requests: Mean requests of each of them.
        open_s: Median seconds from the opening to an account's first request.
        open_sigma: Spread of the logarithm of these.
        again_s: Median seconds between its requests.
        again_sigma: Spread of the logarithm of these.
        requests_a_shopper: Requests for each honest shopper who is expected, all rings together; 0 leaves it to the
            sizes of the rings.
    """

    crew: Crew = field(default_factory=_crew)
    taking_part: float = 0.85
    requests: float = 1.8
    open_s: float = 7.0
    open_sigma: float = 0.9
    again_s: float = 6.0
    again_sigma: float = 0.7
    requests_a_shopper: float = 0.0

    def day(self, duty: Duty) -> Records:
        """At each sale every account asks a few times; between sales a little shopping keeps the accounts warm."""
        sales = [self._requests(duty, sale) for sale in duty.supply.sales(duty.day)]
        shopping = duty.generator.binomial(duty.scans, np.minimum(duty.rings["mix"], 1.0))
        return gathered([*sales, duty.ordinary(np.asarray(shopping, np.int64))])

    def _requests(self, duty: Duty, sale: np.void) -> Records:
        generator, rings = duty.generator, duty.rings
        present = generator.binomial(rings["accounts"], self.taking_part)
        member_of, rank = turns(present)
        people = duty.ranked(member_of, rank)
        asked = 1 + generator.poisson(self._further_requests(duty, member_of), people.size)
        who, turn = turns(np.asarray(asked, np.int64))
        owner = member_of[who]
        drafts = duty.draft(owner, people[who])
        duty.at_home(drafts)
        slower = 1.0 / rings["pace"][owner]
        first = self.open_s * generator.lognormal(0.0, self.open_sigma, people.size)[who]
        gaps = turn * self.again_s / rings["greed"][owner] * generator.lognormal(0.0, self.again_sigma, who.size)
        drafts["at"] = sale["at"] + ((first + gaps) * slower * SECOND_US).astype(np.int64)
        drafts["campaign"] = sale["campaign"]
        drafts["linked"] = True
        drafts["batch"], drafts["serial"] = duty.supply.tickets(int(sale["campaign"]), who.size)
        kept: Records = drafts[drafts["at"] < sale["until"]]
        return kept

    def _further_requests(self, duty: Duty, member_of: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean requests of each account beyond its first, given the place of its ring among those at work."""
        if self.requests_a_shopper > 0:
            wanted = self.requests_a_shopper * duty.supply.shoppers_a_sale / max(member_of.size, 1)
            return np.full(member_of.size, max(wanted - 1.0, 0.0))
        return np.asarray((self.requests - 1.0) * duty.rings["greed"][member_of], np.float64)
