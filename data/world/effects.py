"""What a coupon truly does to each member: who buys anyway, who is persuaded, who never buys, and who is put off.

Without a coupon a member buys something it is good for, in its window, with the chance that follows from the process of
`data.world.orders`. Sent, it wins some who would not have bought (`gains`), puts off some who would (`loses`), and is
redeemed by part of those who buy. Gains and losses hang on behaviour that tables show (tastes, cadence, habit lost, eye
for prices and promotions, the mini program) and on a part of each member and offer that nothing shows; that part is
integrated out for what the tables could reveal, had they been kept for ever: a short history shows behaviour less well.
The simulated orders follow these very chances. Left out: purchases that a coupon only brings forward, habits that it
forms, and coupons passed on to others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from data.world.almanac import DAY_US, START_US
from data.world.margins import Money
from data.world.offers import scopes
from data.world.orders import category_shares, last_days
from data.world.records import EFFECT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.almanac import Almanac
    from data.world.coupons import CouponSettings
    from data.world.orders import OrderSettings
    from data.world.people import People
    from data.world.products import Products

    Floats = NDArray[np.float64]
    Wholes = NDArray[np.int64]
    Records = NDArray[np.void]

_GRID: Final = np.linspace(-14.0, 14.0, 2801)


@dataclass(frozen=True)
class EffectSettings:
    """How people respond; assumed, with the mean effect in the range of published coupon tests (1 to 5 points).

    Chances are logistic in scores; what a trait adds to a score is for one standard deviation of it.

    Attributes:
        alignment: how redemption and effect go together: 1 aligned, 0 unrelated, -1 opposed.
        propensity_log: mean of the logarithm of a shopper's chance to buy anyway, and propensity_spread: its standard
            deviation; the standardised logarithm is the shopper's propensity.
        propensity_spread: see propensity_log.
        propensity_stranger: propensity of members who never order.
        propensity_deal: what the share of lines bought on promotion adds to it, to make the redeemer's score: those who
            would buy anyway and look out for promotions redeem.
        gain: greatest chance that a coupon wins a purchase.
        gain_base: score of an average shopper; gain_stranger: how much lower that of members who never order is.
        gain_stranger: see gain_base.
        gain_depth: for 10 points more of face value to threshold.
        gain_price: for the eye for prices.
        gain_mini: for the share of orders through the mini program, whose users are in touch without a coupon.
        gain_own: for the share of own label bought, where the coupon is for own label.
        gain_lapsed: for a shopper who has lost the habit.
        gain_new: for those who joined in the last new_days days.
        new_days: see gain_new.
        gain_redeemer: for the redeemer's score whatever the alignment, and gain_aligned: times the alignment. The first
            makes up for what cannot be won from those who buy anyway, so that 0 is unrelated.
        gain_aligned: see gain_redeemer.
        gain_opposed: for all, where the alignment is -1, so that the three worlds have effects of one size.
        gain_hidden: standard deviation of the hidden part of the score.
        loss: greatest chance that a coupon puts off a purchase.
        loss_base: score of an average member.
        loss_price: for the eye for prices.
        loss_aligned: for the redeemer's score, times the alignment.
        loss_hidden: standard deviation of the hidden part.
        redeem_base: score of redeeming, for those who buy anyway; redeem_deal: for the share of lines on promotion.
        redeem_deal: see redeem_base.
        redeem_won: chance that one who was won redeems; the others forget, and pay the full price.
        companions: mean further lines in the basket of a purchase that was won.
    """

    alignment: float = 0.0
    propensity_log: float = -2.15
    propensity_spread: float = 1.3
    propensity_stranger: float = -1.0
    propensity_deal: float = 0.65
    gain: float = 0.6
    gain_base: float = -3.0
    gain_stranger: float = 1.2
    gain_depth: float = 0.35
    gain_price: float = 0.5
    gain_mini: float = -0.5
    gain_own: float = 0.4
    gain_lapsed: float = -0.7
    gain_new: float = 0.5
    new_days: int = 45
    gain_redeemer: float = 0.5
    gain_aligned: float = 1.15
    gain_opposed: float = -0.6
    gain_hidden: float = 1.0
    loss: float = 0.36
    loss_base: float = -1.4
    loss_price: float = -1.1
    loss_aligned: float = -1.0
    loss_hidden: float = 1.0
    redeem_base: float = 0.35
    redeem_deal: float = 0.6
    redeem_won: float = 0.9
    companions: float = 2.8


@dataclass(frozen=True)
class Responses:
    """Chances of one wave; every array is by person and offer.

    Attributes:
        buys: that a purchase is made without the coupon.
        gains: that the coupon wins one where none would have been made.
        loses: that it puts off those that would have been made.
        redeems: that one who would have bought anyway, and was not put off, redeems.
    """

    buys: Floats
    gains: Floats
    loses: Floats
    redeems: Floats


@dataclass(frozen=True)
class Hidden:
    """What nothing shows of each member (row) and offer (column): standard normal scores."""

    gain: Floats
    loss: Floats


def draw_hidden(generator: np.random.Generator, people: int, offers: int) -> Hidden:
    """The hidden part of so many people and offers, independent of everything and of each other."""
    return Hidden(generator.standard_normal((people, offers)), generator.standard_normal((people, offers)))


class Truth:
    """Everything about some people and the coupons that does not change from wave to wave.

    Args:
        orders: how they shop.
        coupons: what is offered, and how people respond.
        almanac: of the world.
        products: the range.
        people: who.
        hidden: what nothing shows of them.
    """

    def __init__(
        self,
        orders: OrderSettings,
        coupons: CouponSettings,
        almanac: Almanac,
        products: Products,
        people: People,
        hidden: Hidden,
    ) -> None:
        self._orders, self._coupons, self._settings = orders, coupons, coupons.effects
        self._almanac, self._people, self._hidden = almanac, people, hidden
        self._traits = _Traits.of(people)
        self._good_for, self._own_only = scopes(coupons.offers)
        self._shares = category_shares(people, products)
        self._money = Money(orders, coupons, products, self._good_for, self._own_only)

    def wave(self, day: int) -> Responses:
        """The chances for coupons sent on a day of the world, over their window or what the world leaves of it."""
        return self._responses(*self._scores(day))

    def effects(self, day: int) -> Records:
        """EFFECT records of coupons sent on a day: every member by every offer, members slowest."""
        days, settings = self._days(day), self._settings
        buys, gain, loss = self._scores(day)
        answer = self._responses(buys, gain, loss)
        likely_gains = settings.gain * _likely(gain, settings.gain_hidden)
        likely_loses = settings.loss * _likely(loss, settings.loss_hidden)
        target, top_up, won = self._money.expected(self._people, self._shares, self._local(days))
        target *= self._visits(days) * self._lines(days)
        face = np.array([offer.face_fen for offer in self._coupons.offers], float)
        sure = settings.redeem_won

        def margin(gains: Floats, loses: Floats) -> Floats:
            earned: Floats = (1.0 - answer.buys) * gains * (won - sure * face) - loses * target
            earned += answer.buys * (1.0 - loses) * answer.redeems * (top_up - face)
            return earned

        def treated(gains: Floats, loses: Floats) -> Floats:
            return answer.buys * (1.0 - loses) + (1.0 - answer.buys) * gains

        count = len(face)
        made = np.empty(answer.buys.size, EFFECT)
        made["member"] = np.repeat(self._people.members["member"], count)
        made["offer"] = np.tile(np.arange(count), len(self._people))
        made["buys_untreated"] = answer.buys.ravel()
        made["buys_treated"] = treated(answer.gains, answer.loses).ravel()
        redeemed = answer.buys * (1.0 - answer.loses) * answer.redeems
        made["redeems_treated"] = (redeemed + (1.0 - answer.buys) * answer.gains * sure).ravel()
        made["margin_fen"] = margin(answer.gains, answer.loses).ravel()
        made["revealed_margin_fen"] = margin(likely_gains, likely_loses).ravel()
        made["revealed_buys"] = (treated(likely_gains, likely_loses) - answer.buys).ravel()
        return made

    def _responses(self, buys: Floats, gain: Floats, loss: Floats) -> Responses:
        settings, hidden = self._settings, self._hidden
        redeem = settings.redeem_base + settings.redeem_deal * self._traits.deal
        return Responses(
            buys=buys,
            gains=settings.gain * _logistic(gain + settings.gain_hidden * hidden.gain),
            loses=settings.loss * _logistic(loss + settings.loss_hidden * hidden.loss),
            redeems=np.broadcast_to(_logistic(redeem)[:, None], buys.shape),
        )

    def _days(self, day: int) -> Wholes:
        return np.arange(day + 1, min(day + 1 + self._coupons.window_days, self._almanac.days))

    def _local(self, days: Wholes) -> Floats:
        """Demand of each person for each category in these days, relative to a mean line at 18 C."""
        pace = self._almanac.visits[:, days]
        demand = np.einsum("cd,cdk->ck", pace, self._almanac.category[:, days]) / pace.sum(axis=1)[:, None]
        made: Floats = self._shares * demand[self._people.city]
        return made

    def _lines(self, days: Wholes) -> Floats:
        """Mean lines that each offer is good for on an attempted visit, by person and offer."""
        scope = np.where(self._own_only, self._people.own_share[:, None], 1.0)
        made: Floats = (self._local(days) @ self._good_for.T) * scope
        made *= (self._orders.lines * self._people.basket)[:, None]
        return made

    def _visits(self, days: Wholes) -> Floats:
        """Expected attempted visits with a card in these days, a column by person."""
        people = self._people
        upto = np.pad(np.cumsum(self._almanac.visits[:, days], axis=1), ((0, 0), (1, 0)))
        # Whoever joins after the wave is judged as if they had been there: only the habit lost counts.
        end = np.clip(last_days(people, self._almanac.days) - days[0], 0, len(days))
        keen = upto[people.city, end]
        tired = upto[people.city, -1] - keen
        made: Floats = people.cadence * (1.0 - self._orders.no_card) * (keen + self._orders.lapsed * tired)
        return made[:, None]

    def _bought(self, mean_lines: Floats, days: Wholes) -> Floats:
        """Chance that an attempted visit buys something the offer is good for, averaged over the days.

        Demand for it moves within the window; two days, a standard deviation below and above its mean, stand for all
        (Gauss-Hermite with two nodes, exact for cubics).
        """
        pace = self._almanac.visits[:, days, None]
        moved = self._almanac.category[:, days] @ (self._good_for / self._good_for.sum(axis=1, keepdims=True)).T
        mean = (pace * moved).sum(axis=1) / pace.sum(axis=1)
        spread = np.sqrt((pace * (moved - mean[:, None]) ** 2).sum(axis=1) / pace.sum(axis=1)) / mean
        sway, shape = spread[self._people.city], self._orders.lines_shape
        below = (1.0 + mean_lines * (1.0 - sway) / shape) ** -shape
        above = (1.0 + mean_lines * (1.0 + sway) / shape) ** -shape
        made: Floats = 1.0 - (below + above) / 2.0
        return made

    def _redeemer(self, buys: Floats) -> Floats:
        """Who is seen to redeem, as a score of mean 0: people who would buy anyway and look out for promotions."""
        settings = self._settings
        score = np.clip((np.log(buys + 0.005) - settings.propensity_log) / settings.propensity_spread, -2.0, 2.0)
        score = np.where(self._people.cadence[:, None] > 0, score, settings.propensity_stranger)
        made: Floats = score + settings.propensity_deal * self._traits.deal[:, None]
        return made

    def _scores(self, day: int) -> tuple[Floats, Floats, Floats]:
        """Chance to buy anyway, and what behaviour says of gain and loss, by person and offer."""
        settings, people, traits, days = self._settings, self._people, self._traits, self._days(day)
        buys = 1.0 - np.exp(-self._visits(days) * self._bought(self._lines(days), days))
        midnight = START_US + DAY_US * (day + 1)
        person = (
            settings.gain_base
            + settings.gain_opposed * max(-settings.alignment, 0.0)
            - settings.gain_stranger * (people.cadence == 0)
            + settings.gain_price * traits.price
            + settings.gain_mini * traits.mini
            + settings.gain_lapsed * ((people.lapse_us < midnight) & (people.cadence > 0))
            + settings.gain_new * (people.members["registered_at"] >= midnight - DAY_US * settings.new_days)
        )
        depth = np.array([offer.face_fen / offer.threshold_fen for offer in self._coupons.offers])
        offer = settings.gain_depth * (depth - 0.2) / 0.1 + settings.gain_own * traits.own[:, None] * self._own_only
        redeemer = self._redeemer(buys)
        tilt = settings.gain_redeemer + settings.gain_aligned * settings.alignment
        loss = settings.loss_base + settings.loss_price * traits.price
        tilted = settings.loss_aligned * settings.alignment * redeemer
        return buys, person[:, None] + offer + tilt * redeemer, loss[:, None] + tilted


@dataclass(frozen=True)
class _Traits:
    """Behaviour of each person, standardised over the people that `data.world.people` draws by its defaults.

    Members who never order show none of it, so theirs is that of the average.
    """

    deal: Floats
    mini: Floats
    price: Floats
    own: Floats

    @classmethod
    def of(cls, people: People) -> _Traits:
        orders = people.cadence > 0
        return cls(
            deal=np.where(orders, (people.deal_share - 0.22) / 0.185, 0.0),
            mini=np.where(orders, (people.mini_share - 0.3) / 0.284, 0.0),
            price=np.where(orders, (people.price_eye - 0.45) / 0.266, 0.0),
            own=np.where(orders, (people.own_share - 0.42) / 0.233, 0.0),
        )


def _logistic(score: Floats) -> Floats:
    made: Floats = 1.0 / (1.0 + np.exp(-score))
    return made


def _likely(score: Floats, spread: float) -> Floats:
    """Mean of the logistic of the score plus a normal of that spread (32 nodes, read off a fine grid)."""
    nodes, weights = hermegauss(32)
    mean = _logistic(_GRID[:, None] + spread * nodes) @ (weights / weights.sum())
    made: Floats = np.interp(score, _GRID, mean)
    return made
