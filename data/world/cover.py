"""The ordinary side of the wool party: what the people behind its accounts buy, and the coupons that they are sent.

Hunters, clerks and lenders of phones are shoppers too; accounts registered for the purpose seldom are. Without this an
account that never orders would give the wool party away.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.world.hashes import uniform
from data.world.people import BLOCK, draw_people
from data.world.records import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from data.world.city import City
    from data.world.people import People, PeopleSettings

_BLOCKS_A_FAMILY: Final = 1 << 16


@dataclass(frozen=True)
class CoverSettings:
    """Share of each family's accounts behind which somebody shops as other people do; assumed.

    Attributes:
        device_farm: of accounts on racks of phones in a room.
        rented_phones: of accounts of people who lend their own phones to a task board.
        cap_resale: of accounts that scan bottle caps bought by the sack.
        leaked_codes: of accounts that empty lists of codes that never saw a product.
        referral_star: of referral stars and the newcomers they bring for the prize.
        bonus_hunters: of people with phones of their own who strike together when prizes rise.
        flash_bots: of accounts that a script drives in flash sales.
        cloned_codes: of accounts that scan codes photographed in shops before the goods are sold.
        store_clerks: of staff who scan their own shelves.
    """

    device_farm: float = 0.15
    rented_phones: float = 0.9
    cap_resale: float = 0.6
    leaked_codes: float = 0.3
    referral_star: float = 0.35
    bonus_hunters: float = 1.0
    flash_bots: float = 0.4
    cloned_codes: float = 0.6
    store_clerks: float = 1.0


def shoppers(
    settings: CoverSettings, people: PeopleSettings, city: City, days: int, seed: int, members: NDArray[Any]
) -> Iterator[tuple[int, People]]:
    """The people behind the accounts of the wool party, a block at a time, each with a number for its chance.

    They are those that the accounts were dealt to, drawn again; those who do not shop have no cadence.

    Args:
        settings: Who shops.
        people: How people differ.
        city: Where they live.
        days: Length of the world.
        seed: Seed of the world.
        members: MEMBER records of all accounts, in order of number, those of a family in one run.
    """
    for family in np.unique(members["family"]).tolist():
        accounts = members[members["family"] == family]
        numbers = range(int(accounts["member"][0]), int(accounts["member"][-1]) + 1)
        drawn = draw_people(people, city, days, seed, "wool", family, numbers)
        shops = uniform(seed, "wool shops", accounts["member"]) < getattr(settings, FAMILIES[family])
        drawn = replace(drawn, members=accounts, cadence=np.where(shops, drawn.cadence, 0.0))
        for turn, first in enumerate(range(0, len(drawn), BLOCK)):
            part = slice(first, first + BLOCK)
            yield (
                family * _BLOCKS_A_FAMILY + turn,
                replace(drawn, **{one.name: getattr(drawn, one.name)[part] for one in fields(drawn)}),
            )
