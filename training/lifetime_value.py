"""How often a member will still buy, whether they are still there, and what they will be worth.

Who bought every week and has been silent for two months is gone; who bought twice a year and has been silent for two
months is not. BG/NBD (Fader, Hardie and Lee, "Counting your customers the easy way", Marketing Science 24, 2005) says
it with four numbers for all members: purchases come at each member's own rate (gamma with shape r and rate alpha), and
after each of them the member leaves with a chance of their own (beta with a and b). What a purchase is worth is the
gamma-gamma model (Fader and Hardie, "The gamma-gamma model of monetary value", note 025, 2013): each member's mean is
drawn towards that of all, the further the fewer purchases tell it.

Both are fitted by maximum likelihood with the slopes written out. The expected number of purchases is usually given by
a hypergeometric function, which overflows for frequent buyers and where nearly nobody leaves. It is a mean over chances
to leave, and taken as that here: by 64 quantiles, within 1e-5 of the other, and defined for all parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import betaincinv, betaln, digamma, gammaln

from data.errors import DataError, UsageError
from training.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from training.purchase_history import Histories

    Reals = NDArray[np.float64]

NORMAL_95: Final = 1.959964
LEAST_MEMBERS: Final = 20
"""With fewer members nothing is fitted."""

_BOUND: Final = 12.0
"""Logarithms of parameters stay within this: beyond it the model no longer changes (nobody ever leaves, say)."""

_STEP: Final = 1e-4
_NODES: Final = 64
_LEAST_CHANCE: Final = 1e-12
_AT_ONCE: Final = 100_000
_MONTH_DAYS: Final = 30.0


@dataclass(frozen=True)
class PurchaseModel:
    """BG/NBD for all members of a brand.

    Attributes:
        r: Shape of the purchase rates.
        alpha: Their rate, in the histories' unit of time.
        a: Of the chance to leave after a purchase: beta's first.
        b: Its second.
        log_likelihood: At these parameters, the published form; of the histories it was fitted to.
        covariance: Of the logarithms of r, alpha, a and b, shape (4, 4): White's, which holds where the model is only
            nearly right; 0 for one that the data drive to its bound.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    covariance: Reals

    @classmethod
    def fit(cls, histories: Histories) -> PurchaseModel:
        """The likeliest parameters.

        Raises:
            DataError: There are too few members, nobody bought twice, or the search finds no end.
        """
        found, likelihood, covariance = _likeliest(
            lambda logs: _purchase_likelihood(np.exp(logs), histories),
            start=np.log([1.0, max(float(np.median(histories.age)), 1e-6), 1.0, 1.0]),
            needs="members with purchases on two days and more",
            enough=len(histories.frequency) >= LEAST_MEMBERS and bool((histories.frequency > 0).any()),
        )
        r, alpha, a, b = map(float, np.exp(found))
        return cls(r, alpha, a, b, likelihood, covariance)

    def alive(self, histories: Histories) -> Reals:
        """The chance that each member has not left, shape (members,); 1 for who never came back to leave."""
        return _alive(self._parameters(), histories)

    def purchases(self, histories: Histories, ahead: float) -> Reals:
        """Purchases to be expected of each member over the time ahead, shape (members,)."""
        return _expected(self._parameters(), histories, ahead)

    def purchases_between(self, histories: Histories, ahead: float) -> tuple[Reals, Reals]:
        """The 95 % interval of `purchases` for each member, lower and upper ends: of the expectation, not of chance.

        How the parameters could have come out (delta method on the logarithm, so that no end is negative); what a
        member will really do scatters around the expectation.
        """
        expected = self.purchases(histories, ahead)
        slope = _slopes(lambda logs: _expected(np.exp(logs), histories, ahead), np.log(self._parameters()))
        error = np.sqrt(np.einsum("im,ij,jm->m", slope, self.covariance, slope))
        relative = np.divide(error, expected, out=np.zeros(len(expected)), where=expected > 0)
        return expected * np.exp(-NORMAL_95 * relative), expected * np.exp(NORMAL_95 * relative)

    def intervals(self) -> dict[str, Interval]:
        """Each parameter with its 95 % interval."""
        return _intervals(("r", "alpha", "a", "b"), self._parameters(), self.covariance)

    def _parameters(self) -> Reals:
        return np.array([self.r, self.alpha, self.a, self.b])


@dataclass(frozen=True)
class SpendModel:
    """Gamma-gamma: what a purchase of each member is worth.

    Attributes:
        p: Shape of a member's own purchases.
        q: Shape of how members differ.
        v: Its scale, in the unit of the amounts.
        log_likelihood: At these parameters.
        covariance: Of the logarithms of p, q and v, shape (3, 3).
    """

    p: float
    q: float
    v: float
    log_likelihood: float
    covariance: Reals

    @classmethod
    def fit(cls, histories: Histories) -> SpendModel:
        """The likeliest parameters, by members who came back.

        Raises:
            DataError: Too few members came back and paid something, or the search finds no end.
        """
        told = (histories.frequency > 0) & (histories.mean_amount > 0)
        count, mean = histories.frequency[told], histories.mean_amount[told]
        unit = float(mean.mean()) if told.any() else 1.0
        found, likelihood, covariance = _likeliest(
            lambda logs: _spend_likelihood(np.exp(logs), count, mean / unit),
            start=np.log([2.0, 3.0, 1.0]),
            needs="members who came back and paid",
            enough=int(told.sum()) >= LEAST_MEMBERS,
        )
        p, q, v = map(float, np.exp(found))
        return cls(p, q, v * unit, likelihood - len(mean) * float(np.log(unit)), covariance)

    def mean_amount(self, histories: Histories) -> Reals:
        """What a purchase of each member is worth on average, shape (members,), in the unit of the amounts.

        Raises:
            UsageError: The spread between members is so wide (q up to 1) that who never came back has no mean.
        """
        if self.q <= 1:
            raise UsageError(
                f"SpendModel: found q = {self.q:.3f}, expected more than 1; the amounts are too uneven for a mean. Cap "
                "the largest purchases, or use the median member's."
            )
        told = np.where(histories.mean_amount > 0, histories.frequency, 0.0)
        mean: Reals = self.p * (self.v + told * histories.mean_amount) / (self.p * told + self.q - 1)
        return mean

    def intervals(self) -> dict[str, Interval]:
        """Each parameter with its 95 % interval."""
        return _intervals(("p", "q", "v"), np.array([self.p, self.q, self.v]), self.covariance)


def lifetime_value(
    purchases: PurchaseModel,
    spend: SpendModel,
    histories: Histories,
    days: float,
    margin: float,
    yearly_discount: float = 0.0,
) -> Reals:
    """What each member will earn over the days ahead, in fen of margin, shape (members,); histories in days.

    Args:
        purchases: How often they will buy.
        spend: What a purchase is worth.
        histories: What is known of each member.
        days: How far ahead; one to three years are usual, further is a guess.
        margin: Share of an amount that is earned.
        yearly_discount: Share that money loses by coming a year later; taken month by month.

    Raises:
        UsageError: The days ahead are none, or the discount is no share.
    """
    if not (days > 0 and 0 <= yearly_discount < 1):
        raise UsageError(
            f"lifetime value: found {days} days and a yearly discount of {yearly_discount}, expected more than 0 days "
            "and a share from 0 to below 1."
        )
    ends = np.append(np.arange(_MONTH_DAYS, days, _MONTH_DAYS), days) if yearly_discount else np.array([days])
    bought, begun, total = np.zeros(len(histories.frequency)), 0.0, np.zeros(len(histories.frequency))
    for end in map(float, ends):
        by_then = purchases.purchases(histories, end)
        total += (by_then - bought) * (1 - yearly_discount) ** ((begun + end) / 2 / 365)
        bought, begun = by_then, end
    return total * margin * spend.mean_amount(histories)


def _purchase_likelihood(parameters: Reals, histories: Histories) -> tuple[Reals, Reals]:
    """Log-likelihood of each member, and its slopes in the logarithms of r, alpha, a, b: (members,), (4, members)."""
    r, alpha, a, b = parameters
    # Many members share a frequency, and gamma functions are the dear part.
    count, place = np.unique(histories.frequency, return_inverse=True)
    came = histories.frequency > 0
    left_over = np.where(came, b + histories.frequency - 1, 1.0)
    whole = gammaln(r + count) - gammaln(r) + r * np.log(alpha) + betaln(a, b + count) - betaln(a, b)
    staying = -(r + histories.frequency) * np.log(alpha + histories.age)
    leaving = np.log(a / left_over) - (r + histories.frequency) * np.log(alpha + histories.recency)
    leaving = np.where(came, leaving, -np.inf)
    either = np.logaddexp(staying, leaving)
    stays, leaves = np.exp(staying - either), np.exp(leaving - either)
    both = digamma(a + b) - digamma(a + b + count)
    age, recency = alpha + histories.age, alpha + histories.recency
    slope = np.stack(
        (
            (digamma(r + count) - digamma(r) + np.log(alpha))[place] - stays * np.log(age) - leaves * np.log(recency),
            r / alpha - (r + histories.frequency) * (stays / age + leaves / recency),
            both[place] + leaves / a,
            (both + digamma(b + count) - digamma(b))[place] - leaves / left_over,
        )
    )
    return whole[place] + either, slope * parameters[:, None]


def _spend_likelihood(parameters: Reals, count: Reals, mean: Reals) -> tuple[Reals, Reals]:
    """Log-likelihood of each member's mean amount, and its slopes in the logarithms of p, q, v."""
    p, q, v = parameters
    px, scale = p * count, v + count * mean
    value = (
        gammaln(px + q) - gammaln(px) - gammaln(q) + q * np.log(v) + (px - 1) * np.log(mean) + px * np.log(count)
    ) - (px + q) * np.log(scale)
    joint = digamma(px + q) - np.log(scale)
    slope = np.stack(
        (
            count * (joint - digamma(px) + np.log(mean) + np.log(count)),
            joint - digamma(q) + np.log(v),
            q / v - (px + q) / scale,
        )
    )
    return value, slope * parameters[:, None]


def _alive(parameters: Reals, histories: Histories) -> Reals:
    r, alpha, a, b = parameters
    came = histories.frequency > 0
    left_over = np.where(came, b + histories.frequency - 1, 1.0)
    odds = np.log(a / left_over) + (r + histories.frequency) * np.log(
        (alpha + histories.age) / (alpha + histories.recency)
    )
    chance: Reals = np.where(came, np.exp(-np.logaddexp(0.0, odds)), 1.0)
    return chance


def _expected(parameters: Reals, histories: Histories, ahead: float) -> Reals:
    """Purchases to be expected over the time ahead."""
    r, alpha, a, b = parameters
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    place = (node + 1) / 2
    # Nodes crowd at both ends, where a quantile may rise like a small or a large power.
    share, weight = place**2 * (3 - 2 * place), 3 * weight * place * (1 - place)
    count, which = np.unique(histories.frequency, return_inverse=True)
    leaves = np.maximum(betaincinv(a, b + count[:, None], share), _LEAST_CHANCE)
    if_alive = np.empty(len(which))
    for start in range(0, len(which), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        chance, shape = leaves[which[rows]], r + histories.frequency[rows, None]
        ahead_of_it = ahead / (alpha + histories.age[rows, None])
        # Of a member with that chance to leave: the integral of their rate, over the gamma of rates.
        if_alive[rows] = (-np.expm1(-shape * np.log1p(chance * ahead_of_it)) / chance) @ weight
    expected: Reals = if_alive * _alive(parameters, histories)
    return expected


def _likeliest(
    likelihood: Callable[[Reals], tuple[Reals, Reals]], start: Reals, needs: str, *, enough: bool
) -> tuple[Reals, float, Reals]:
    """Logarithms of the likeliest parameters, the log-likelihood there, and their covariance."""
    from scipy.optimize import minimize

    if not enough:
        raise DataError(f"purchase histories: found too few {needs}, expected {LEAST_MEMBERS}; give a longer log.")

    def mean_loss(logs: Reals) -> tuple[float, Reals]:
        value, slope = likelihood(logs)
        return -float(value.mean()), -slope.mean(axis=1)

    bounds = [(-_BOUND, _BOUND)] * len(start)
    done = minimize(mean_loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-13, "gtol": 1e-8})
    if not np.isfinite(done.fun) or not (done.success or np.abs(done.jac).max() < 1e-4):
        raise DataError(
            f"purchase histories: found no likeliest parameters ({done.message}); expected the search to end. Check "
            "the frequencies, recencies and ages for odd values."
        )
    found = np.asarray(done.x, np.float64)
    value, slope = likelihood(found)
    return found, float(value.sum()), _covariance(likelihood, found, slope)


def _covariance(likelihood: Callable[[Reals], tuple[Reals, Reals]], found: Reals, slope: Reals) -> Reals:
    """White, "Maximum likelihood estimation of misspecified models", Econometrica 50, 1982: the sandwich."""
    free = np.flatnonzero(np.abs(found) < _BOUND - 1e-3)
    curve = _slopes(lambda logs: likelihood(logs)[1].sum(axis=1), found)[np.ix_(free, free)]
    inside = np.linalg.pinv((curve + curve.T) / 2, hermitian=True)
    covariance = np.zeros((len(found), len(found)))
    covariance[np.ix_(free, free)] = inside @ (slope[free] @ slope[free].T) @ inside
    return covariance


def _slopes(function: Callable[[Reals], Reals], at: Reals) -> Reals:
    """Slope of each value of a function in each argument, by central differences: shape (arguments, values)."""
    steps = _STEP * np.eye(len(at))
    return np.stack([(function(at + step) - function(at - step)) / (2 * _STEP) for step in steps])


def _intervals(names: tuple[str, ...], parameters: Reals, covariance: Reals) -> dict[str, Interval]:
    wide = np.exp(NORMAL_95 * np.sqrt(np.diag(covariance)))
    return {
        name: Interval(float(value), float(value / factor), float(value * factor))
        for name, value, factor in zip(names, parameters, wide, strict=True)
    }
