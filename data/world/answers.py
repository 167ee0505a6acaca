"""What comes of coupons in people's hands: purchases won, put off, and redeemed, written into their baskets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from data.world.offers import scopes
from data.world.orders import category_shares, draw_lines, draw_visits, joined_lines, joined_visits
from data.world.sending import History

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.almanac import Almanac
    from data.world.effects import Responses
    from data.world.life import LifeSettings
    from data.world.orders import Lines, Shops, Visits
    from data.world.people import People
    from data.world.products import Products

    Flags = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Wholes = NDArray[np.int64]
    Records = NDArray[np.void]


class Answers:
    """The baskets of some people, changed wave by wave by the coupons they were sent.

    Waves come in order of time, and the windows of their coupons do not overlap.

    Args:
        settings: how people buy.
        city: its stores.
        almanac: of the world.
        products: the range.
        people: who.
        natural: their visits and lines had nobody sent them anything, in order of time.
    """

    def __init__(
        self,
        settings: LifeSettings,
        city: Shops,
        almanac: Almanac,
        products: Products,
        people: People,
        natural: tuple[Visits, Lines],
    ) -> None:
        self._settings, self._city, self._almanac = settings, city, almanac
        self._products, self._people = products, people
        self._visits, self._lines = natural
        self._good_for, self._own_only = scopes(settings.coupons.offers)
        self._threshold = np.array([offer.threshold_fen for offer in settings.coupons.offers])
        self._face = np.array([offer.face_fen for offer in settings.coupons.offers])
        self._shares = category_shares(people, products)
        self._person = self._visits.person[self._lines.visit]
        self._card = self._visits.card[self._lines.visit]
        self._day = self._visits.day[self._lines.visit]
        self._category = products.category[self._lines.product]
        self._own = products.own[self._lines.product]
        self._kept = np.ones(len(self._lines), bool)
        self._send = np.full(len(self._lines), -1)
        self._redemptions = np.zeros(len(people), np.int64)
        self._last_offer = np.full(len(people), -1)
        self._won: list[tuple[Visits, Lines, Wholes]] = []

    def history(self, day: int) -> History:
        """What the retailer knows of these people before a day: purchases nobody asked for, and redemptions."""
        first, last = np.searchsorted(self._day, [day - self._settings.coupons.memory_days, day])
        known = first + np.flatnonzero((self._kept & self._card)[first:last])
        value = self._lines.quantity[known] * self._products.price_fen[self._lines.product[known]]
        key = self._person[known] * self._products.categories + self._category[known]
        spent = np.bincount(key, value, len(self._people) * self._products.categories).astype(np.float64)
        return History(spent.reshape(len(self._people), -1), self._redemptions.copy(), self._last_offer.copy())

    def wave(self, day: int, sent: tuple[Wholes, Records], chances: Responses, generator: np.random.Generator) -> None:
        """Lets people answer the coupons sent on a day.

        Args:
            day: of the world.
            sent: places of the people and their SEND records, numbered.
            chances: of this wave.
            generator: of this wave.
        """
        given = sent[1]["treated"]
        person, send, offer = sent[0][given], sent[1]["send"][given], sent[1]["offer"][given].astype(np.int64)
        lines = self._targets(day, person, offer)
        buyers, place = np.unique(self._person[lines], return_index=True)
        first_line = np.full(len(self._people), -1)
        first_line[buyers] = lines[place]
        buys = first_line[person] >= 0
        luck = generator.random((4, len(person)))
        lost = buys & (luck[0] < chances.loses[person, offer])
        redeems = buys & ~lost & (luck[1] < chances.redeems[person, offer])
        won = ~buys & (luck[2] < chances.gains[person, offer])
        put_off = np.zeros(len(self._people), bool)
        put_off[person[lost]] = True
        self._kept[lines[put_off[self._person[lines]]]] = False
        self._redeem(first_line[person[redeems]], send[redeems], offer[redeems])
        uses = won & (luck[3] < self._settings.coupons.effects.redeem_won)
        self._win(day, person[won], offer[won], np.where(uses, send, -1)[won], generator)
        self._redemptions[person[redeems | uses]] += 1
        self._last_offer[person[redeems | uses]] = offer[redeems | uses]

    def baskets(self) -> tuple[Visits, Lines, Wholes]:
        """All visits, their lines, and for each line the send that was redeemed on it; -1 for none."""
        kept = np.flatnonzero(self._kept)
        visits, lines, sends = [self._visits], [self._lines.take(kept)], [self._send[kept]]
        before = len(self._visits)
        for more, bought, send in self._won:
            visits.append(more)
            lines.append(replace(bought, visit=bought.visit + before))
            sends.append(send)
            before += len(more)
        return joined_visits(visits), joined_lines(lines), np.concatenate(sends)

    def _targets(self, day: int, person: Wholes, offer: Wholes) -> Wholes:
        """Places of the lines, in order of time, that the coupon in their buyer's hands is good for."""
        held = np.full(len(self._people), -1)
        held[person] = offer
        first, last = np.searchsorted(self._day, [day + 1, day + 1 + self._settings.coupons.window_days])
        part = slice(first, last)
        mine = held[self._person[part]]
        good = (mine >= 0) & self._card[part] & self._good_for[mine, self._category[part]]
        made: Wholes = first + np.flatnonzero(good & (self._own[part] | ~self._own_only[mine]))
        return made

    def _redeem(self, lines: Wholes, send: Wholes, offer: Wholes) -> None:
        baskets = self._lines
        baskets.quantity[lines] = np.maximum(baskets.quantity[lines], self._pieces(baskets.product[lines], offer))
        baskets.offer[lines] = offer
        baskets.face_fen[lines] = self._face[offer]
        self._send[lines] = send

    def _pieces(self, product: Wholes, offer: Wholes) -> Wholes:
        """Pieces that reach the threshold."""
        made: Wholes = -(-self._threshold[offer] // self._products.price_fen[product])
        return made

    def _win(self, day: int, person: Wholes, offer: Wholes, send: Wholes, generator: np.random.Generator) -> None:
        """Adds the purchases that coupons won: the line that reaches the threshold, and what else goes along."""
        coupons, people = self._settings.coupons, self._people
        on = day + 1 + generator.integers(0, coupons.window_days, len(person))
        inside = np.flatnonzero(on < self._almanac.days)
        person, offer, send, on = person[inside], offer[inside], send[inside], on[inside]
        visits = draw_visits(self._settings.orders, self._city, people, person, on, generator)
        visits = replace(visits, card=np.ones(len(visits), bool))
        more = generator.poisson(coupons.effects.companions, len(visits))
        visit = np.concatenate([np.arange(len(visits)), np.repeat(np.arange(len(visits)), more)])
        own = generator.random(len(visit)) < people.own_share[person[visit]]
        own[: len(visits)] |= self._own_only[offer]
        weights = self._shares[person[visit]]
        weights[: len(visits)] *= self._good_for[offer]
        upto = np.cumsum(weights, axis=1)
        category = (generator.random(len(visit))[:, None] * upto[:, -1:] >= upto).sum(axis=1)
        lines = draw_lines(self._settings.orders, self._products, people, visits, (visit, category, own), generator)
        target = slice(0, len(visits))
        lines.quantity[target] = np.maximum(lines.quantity[target], self._pieces(lines.product[target], offer))
        lines.offer[target] = np.where(send >= 0, offer, -1)
        lines.face_fen[target] = np.where(send >= 0, self._face[offer], 0)
        self._won.append((visits, lines, np.concatenate([send, np.full(len(visit) - len(visits), -1)])))
