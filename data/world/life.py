"""The honest life of a block of members over all days: what they buy, what they are sent, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from data.world.answers import Answers
from data.world.coupons import CouponSettings, judged_wave, wave_days
from data.world.effects import Truth, draw_hidden
from data.world.occasions import OCCASION, OccasionSettings, draw_elsewhere
from data.world.orders import MINI_PROGRAM, OrderSettings, draw_orders
from data.world.records import LINE, REDEMPTION
from data.world.sending import draw_wave
from data.world.streams import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.almanac import Almanac
    from data.world.orders import Lines, Shops, Visits
    from data.world.people import People
    from data.world.products import Products

    Wholes = NDArray[np.int64]
    Records = NDArray[np.void]

NUMBERS_A_BLOCK: Final = 2**28
"""Orders, lines and sends of block b are numbered from b * 2**28."""


@dataclass(frozen=True)
class LifeSettings:
    """How people buy, how they are courted with coupons, and where else they buy own-brand units."""

    orders: OrderSettings = field(default_factory=OrderSettings)
    coupons: CouponSettings = field(default_factory=CouponSettings)
    occasions: OccasionSettings = field(default_factory=OccasionSettings)


@dataclass(frozen=True)
class Shopping:
    """What all honest people shop in.

    Attributes:
        city: the stores.
        almanac: the days.
        products: the range.
        campaigns_offset: number of the first coupon campaign (`data.world.coupons.coupon_campaigns`).
        seed: of the world.
    """

    city: Shops
    almanac: Almanac
    products: Products
    campaigns_offset: int
    seed: int


@dataclass(frozen=True)
class Life:
    """What a block of members did; lines and sends in order of time.

    Attributes:
        lines: LINE.
        sends: SEND.
        redemptions: REDEMPTION.
        effects: EFFECT of every member and offer, of the coupons of `data.world.coupons.judged_wave`.
        occasions: OCCASION: each own-brand unit in somebody's hands.
    """

    lines: Records
    sends: Records
    redemptions: Records
    effects: Records
    occasions: Records


def life(settings: LifeSettings, shopping: Shopping, block: int, people: People) -> Life:
    """Lives a block of members through all days.

    Args:
        settings: of the preset.
        shopping: what they live in.
        block: which block; together with the seed it fixes everything.
        people: its members.
    """
    city, almanac, products = shopping.city, shopping.almanac, shopping.products
    seed = shopping.seed
    coupons = settings.coupons
    natural = draw_orders(settings.orders, city, almanac, products, people, stream(seed, "orders", block))
    answers = Answers(settings, city, almanac, products, people, natural)
    hidden = draw_hidden(stream(seed, "hidden-effects", block), len(people), len(coupons.offers))
    truth = Truth(settings.orders, coupons, almanac, products, people, hidden)
    sends = _live_waves(coupons, almanac, people, truth, answers, (seed, block))
    sends["campaign"] += shopping.campaigns_offset
    visits, lines, used = answers.baskets()
    made, place = _written(lines, visits, products, people, block)
    return Life(
        lines=made,
        sends=sends,
        redemptions=_redeemed(made, used[place]),
        effects=truth.effects(wave_days(coupons, almanac.days)[judged_wave(coupons, almanac.days)]),
        occasions=_occasions(settings, city, almanac, products, people, (visits, lines), stream(seed, "else", block)),
    )


def _live_waves(
    settings: CouponSettings, almanac: Almanac, people: People, truth: Truth, answers: Answers, where: tuple[int, int]
) -> Records:
    """Sends every wave and lets people answer; SEND in order of time."""
    seed, block = where
    holdout = stream(seed, "holdout", block).random(len(people)) < settings.holdout
    waves: list[Records] = []
    running = block * NUMBERS_A_BLOCK
    for place, day in enumerate(wave_days(settings, almanac.days)):
        chance = stream(seed, "sends", block, place)
        persons, sent = draw_wave(settings, people, (place, day), holdout, answers.history(day), chance)
        sent["send"] = running + np.arange(len(sent))
        running += len(sent)
        answers.wave(day, (persons, sent), truth.wave(day), stream(seed, "answers", block, place))
        waves.append(sent[np.argsort(sent["at"], kind="stable")])
    return np.concatenate(waves)


def _written(lines: Lines, visits: Visits, products: Products, people: People, block: int) -> tuple[Records, Wholes]:
    """LINE records in order of time, and the place among `lines` that each comes from."""
    at = np.where(lines.second, visits.second_at[lines.visit], visits.at[lines.visit])
    basket = 2 * lines.visit + lines.second
    place = np.lexsort((basket, at))
    lines, at, basket = lines.take(place), at[place], basket[place]
    fresh = np.concatenate([[True], basket[1:] != basket[:-1]])[: len(basket)]
    made = np.empty(len(lines), LINE)
    made["line"] = block * NUMBERS_A_BLOCK + np.arange(len(lines))
    made["order"] = block * NUMBERS_A_BLOCK + np.cumsum(fresh) - 1
    made["at"] = at
    made["member"] = np.where(visits.card[lines.visit], people.members["member"][visits.person[lines.visit]], -1)
    made["store"], made["channel"] = visits.store[lines.visit], visits.channel[lines.visit]
    made["product"], made["quantity"], made["offer"] = lines.product, lines.quantity, lines.offer
    value = lines.quantity * products.price_fen[lines.product]
    made["coupon_discount_fen"] = lines.face_fen
    made["discount_fen"] = np.floor(value * lines.deal).astype(np.int64) + lines.face_fen
    made["amount_fen"] = value - made["discount_fen"]
    made["margin_fen"] = lines.quantity * products.margin_fen[lines.product] - made["discount_fen"]
    return made, place


def _redeemed(lines: Records, send: Wholes) -> Records:
    used = send >= 0
    made = np.empty(np.count_nonzero(used), REDEMPTION)
    made["send"], made["at"], made["order"] = send[used], lines["at"][used], lines["order"][used]
    return made


def _occasions(
    settings: LifeSettings,
    city: Shops,
    almanac: Almanac,
    products: Products,
    people: People,
    baskets: tuple[Visits, Lines],
    generator: np.random.Generator,
) -> Records:
    """Own-brand units from own channels, by those without a card too, and from elsewhere: OCCASION in no order."""
    visits, lines = baskets
    own = np.flatnonzero(products.own[lines.product])
    unit = np.repeat(own, lines.quantity[own])
    visit = lines.visit[unit]
    person, store = visits.person[visit], visits.store[visit]
    made = np.empty(len(unit), OCCASION)
    made["at"] = np.where(lines.second[unit], visits.second_at[visit], visits.at[visit])
    made["member"], made["product"] = people.members["member"][person], lines.product[unit]
    made["store"], made["city"] = store, people.city[person]
    delivered = visits.channel[visit] == MINI_PROGRAM
    made["lat"] = np.where(delivered, people.lat[person], city.store_lat[store])
    made["lon"] = np.where(delivered, people.lon[person], city.store_lon[store])
    return np.concatenate([made, draw_elsewhere(settings.occasions, almanac, products, people, generator)])
