"""Coupons: which are offered, in which waves they are sent, to whom by lot, to whom by a naive policy, and to whom not.

A wave goes out every other week and a bit, so that its coupons run out before the next. In each wave a share of the
members takes part in an experiment: an offer drawn uniformly, then sent or withheld with a logged chance. The others
are left to a naive policy, which courts those who redeemed before and those who spend the most, and logs no chance.
A few members, the same in all waves, are the holdout: an offer is drawn for them too, and never sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.effects import EffectSettings
from data.world.offers import OFFERS, Offer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Records = NDArray[np.void]

COUPON_CAMPAIGN: Final = np.dtype([("campaign", "i4"), ("starts_at", "i8"), ("ends_at", "i8"), ("budget_fen", "i8")])
"""One campaign of coupons: it draws no prizes, so it has no odds."""


@dataclass(frozen=True)
class CouponSettings:
    """How coupons are sent, all assumed but in the ranges that chains publish.

    Attributes:
        offers: the coupons; every wave sends all of them.
        first_day: day of the first wave; every_days: days between waves.
        every_days: see first_day.
        window_days: days on which a coupon holds, from the day after it was sent.
        holdout: share of members never sent anything.
        random_share: share of the others who take part in a wave's experiment.
        treated: chance there that the offer is sent.
        courted: share of the rest whom the naive policy sends something.
        memory_days: days of spending that the policy looks at.
        redeemer_bonus_fen: an earlier redemption counts to it like so much spending.
        send_hour: local hour at which a wave begins to go out; it takes send_hours.
        send_hours: see send_hour.
        effects: how people respond.
    """

    offers: tuple[Offer, ...] = OFFERS
    first_day: int = 10
    every_days: int = 16
    window_days: int = 14
    holdout: float = 0.05
    random_share: float = 0.6
    treated: float = 0.7
    courted: float = 0.35
    memory_days: int = 60
    redeemer_bonus_fen: int = 6000
    send_hour: float = 9.5
    send_hours: float = 2.5
    effects: EffectSettings = field(default_factory=EffectSettings)


def wave_days(settings: CouponSettings, days: int) -> tuple[int, ...]:
    """Day on which each wave is sent, in a world of so many days; the last windows may be cut off by its end."""
    return tuple(range(settings.first_day, days - 1, settings.every_days))


def judged_wave(settings: CouponSettings, days: int) -> int:
    """The wave of which the truth is told: the last one whose window lies wholly inside the world, else the first."""
    whole = [place for place, day in enumerate(wave_days(settings, days)) if day + 1 + settings.window_days <= days]
    return whole[-1] if whole else 0


def experiment_campaign(wave: int) -> int:
    """Place among the coupon campaigns of a wave's experiment; the naive policy's is the next."""
    return 1 + 2 * wave


HOLDOUT_CAMPAIGN: Final = 0
"""Place among the coupon campaigns of the holdout, which lasts as long as the world."""


def coupon_campaigns(settings: CouponSettings, days: int, campaigns_offset: int) -> Records:
    """The campaigns that coupons are sent in: COUPON_CAMPAIGN, numbered from `campaigns_offset`.

    The holdout comes first, then for each wave its experiment and the naive policy. A campaign ends when the last
    coupon of it does. The budget is what a tenth of the members would redeem; nothing stops at it.
    """
    waves = wave_days(settings, days)
    made = np.zeros(1 + 2 * len(waves), COUPON_CAMPAIGN)
    made["campaign"] = campaigns_offset + np.arange(len(made))
    made["starts_at"][0], made["ends_at"][0] = START_US, START_US + DAY_US * days
    sent = np.repeat(np.array(waves, np.int64), 2)
    made["starts_at"][1:] = START_US + DAY_US * sent
    made["ends_at"][1:] = START_US + DAY_US * (sent + 1 + settings.window_days)
    made["budget_fen"] = np.where(np.arange(len(made)) == 0, 0, 50_000_000)
    return made
