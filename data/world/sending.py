"""Who is sent which coupon in a wave: by lot, by the naive policy, or nothing because of the holdout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.coupons import HOLDOUT_CAMPAIGN, experiment_campaign
from data.world.offers import scopes
from data.world.records import SEND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.coupons import CouponSettings
    from data.world.people import People

    Flags = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Wholes = NDArray[np.int64]
    Records = NDArray[np.void]


@dataclass(frozen=True)
class History:
    """What the naive policy knows of each member before a wave.

    Attributes:
        spent_fen: spent of late, by member and category.
        redemptions: coupons redeemed so far.
        last_offer: the one redeemed last; -1 for none.
    """

    spent_fen: Floats
    redemptions: Wholes
    last_offer: Wholes


def draw_wave(
    settings: CouponSettings,
    people: People,
    wave: tuple[int, int],
    holdout: Flags,
    history: History,
    generator: np.random.Generator,
) -> tuple[Wholes, Records]:
    """The sends of one wave.

    Args:
        settings: of the coupons.
        people: to whom.
        wave: its place among the waves, and its day.
        holdout: who is never sent anything.
        history: what the naive policy goes by.
        generator: of this wave.

    Returns:
        Places of the people, ascending, each at most once; and their SEND records, `send` and the offset of the
        campaign still to be given.
    """
    place, day = wave
    midnight = START_US + DAY_US * day
    reachable = (people.members["registered_at"] < midnight) & ~people.members["opted_out"]
    count = len(people)
    drawn = generator.random(count) < settings.random_share
    offer, treated = generator.integers(0, len(settings.offers), count), generator.random(count) < settings.treated
    hour = settings.send_hour + settings.send_hours * generator.random(count)
    tried = reachable & drawn & ~holdout
    courted = naive_policy(settings, history, reachable & ~drawn & ~holdout)
    sent = np.zeros(count, SEND)
    sent["at"] = midnight + (hour * (DAY_US // 24)).astype(np.int64)
    sent["member"] = people.members["member"]
    sent["offer"] = np.where(courted >= 0, courted, offer)
    sent["treated"] = (tried & treated) | (courted >= 0)
    sent["offer_propensity"] = np.where(courted >= 0, np.nan, 1.0 / len(settings.offers))
    arm = np.where(treated, settings.treated, 1.0 - settings.treated)
    sent["propensity"] = np.where(courted >= 0, np.nan, np.where(holdout, 1.0, arm))
    experiment = experiment_campaign(place)
    sent["campaign"] = np.where(holdout, HOLDOUT_CAMPAIGN, np.where(courted >= 0, experiment + 1, experiment))
    places = np.flatnonzero(tried | (courted >= 0) | (reachable & holdout))
    return places, sent[places]


def naive_policy(settings: CouponSettings, history: History, among: Flags) -> Wholes:
    """The offer that each member is courted with; -1 for none.

    Those who redeemed before and those who spend the most come first. They get what they redeemed last, else the
    greatest face value in the category they spend the most on. It is the policy of most shops, and it pays people for
    what they would have bought anyway.
    """
    good_for, _ = scopes(settings.offers)
    faces = np.array([offer.face_fen for offer in settings.offers])
    faces_of_one = np.where(good_for.sum(axis=1) == 1, faces, 0)
    best = np.argmax(np.where(good_for, faces_of_one[:, None], -1), axis=0)
    score = history.spent_fen.sum(axis=1) + settings.redeemer_bonus_fen * history.redemptions
    places = np.flatnonzero(among & (score > 0))
    first = places[np.argsort(-score[places], kind="stable")][: int(settings.courted * np.count_nonzero(among))]
    offer = np.where(history.last_offer >= 0, history.last_offer, best[np.argmax(history.spent_fen, axis=1)])
    courted = np.full(len(among), -1)
    courted[first] = offer[first]
    return courted
