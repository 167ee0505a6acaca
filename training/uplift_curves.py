"""The pictures of an uplift score, with intervals: what it adds down the ranking, for what budget, and if it is right.

The curves are those of `training.uplift_metrics`, read at shares of the rows; intervals resample whole units, and each
draw is ranked anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from training.interval import Interval
from training.metrics import Judged
from training.uplift_metrics import Ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from training.interval import Resampling
    from training.uplift_metrics import Arms

    Array = NDArray[np.float64]

TENTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class QiniPoint:
    """How much the offer added down to one depth of the ranking.

    Attributes:
        share: Share of the rows taken in, highest score first.
        added: Outcomes added among the treated of these, a treated row of all (the Qini curve).
        by_lot: What a ranking by lot adds there: the straight line to the end.
    """

    share: float
    added: Interval
    by_lot: float


@dataclass(frozen=True)
class BudgetPoint:
    """What offers down to one depth of the ranking add and cost.

    Attributes:
        share: Share of the rows that get the offer, best first.
        cost: What that costs beyond no offer, a row of all.
        value: What that adds, a row of all.
        roi: What is added for each unit of cost; NaN where the cost is not above 0.
    """

    share: float
    cost: Interval
    value: Interval
    roi: Interval


@dataclass(frozen=True)
class Tenth:
    """Whether the effect that was said of a tenth of the rows came true.

    Attributes:
        predicted: Mean effect that was said.
        observed: Mean outcome of its treated rows less that of its control rows.
    """

    predicted: float
    observed: Interval


def qini_curve(
    arms: Arms, outcome: Array, score: Array, resampling: Resampling, shares: Sequence[float] = TENTHS
) -> tuple[QiniPoint, ...]:
    """The Qini curve at some depths.

    Args:
        arms: Who got the offer.
        outcome: What came of each row, shape (rows,).
        score: The ranking, shape (rows,).
        resampling: The draws.
        shares: Depths, as shares of the rows.
    """

    def read(judged: Judged, weights: Array) -> Array:
        ranked = Ranked.of(judged, weights, arms)
        return _read(ranked.rows, ranked.qini, (*shares, 1.0)) / ranked.treated[:, -1:]

    *added, end = _drawn(read, Judged(outcome, score), resampling)
    return tuple(QiniPoint(share, one, share * end.value) for share, one in zip(shares, added, strict=True))


def budget_curve(
    arms: Arms, value: Array, cost: Array, score: Array, resampling: Resampling, shares: Sequence[float] = TENTHS
) -> tuple[BudgetPoint, ...]:
    """Added margin against added cost, down a ranking by value for money.

    Args:
        arms: Who got the offer.
        value: What each row earned, before the cost, shape (rows,).
        cost: What its offer cost, 0 where nothing was redeemed, shape (rows,).
        score: The ranking, shape (rows,).
        resampling: The draws.
        shares: Depths, as shares of the rows.
    """

    def read(judged: Judged, weights: Array) -> Array:
        earned, spent = Ranked.of(judged, weights, arms), Ranked.of(judged, weights, arms, cost)
        rows = earned.rows[:, -1:]
        added, paid = _read(earned.rows, earned.gain, shares) / rows, _read(earned.rows, spent.gain, shares) / rows
        roi = np.divide(added, paid, out=np.full(paid.shape, np.nan), where=paid > 0)
        return np.concatenate((paid, added, roi), axis=1)

    found = _drawn(read, Judged(value, score), resampling)
    return tuple(BudgetPoint(share, *found[place :: len(shares)]) for place, share in enumerate(shares))


def calibration(
    arms: Arms, outcome: Array, effect: Array, resampling: Resampling, parts: int = 10
) -> tuple[Tenth, ...]:
    """Predicted against observed effect by tenth of the ranking, highest predicted effect first.

    A run of equal predictions on the border of two tenths is shared between them. Arguments as in `qini_curve`; the
    effect is in units of the outcome.
    """
    borders = np.arange(1, parts + 1) / parts

    def read(judged: Judged, weights: Array) -> Array:
        ranked = Ranked.of(judged, weights, arms)
        down_to = [ranked.at(float(border)) for border in (0.0, *borders)]
        return np.concatenate([this.less(last).effect for last, this in pairwise(down_to)], axis=1)

    order = np.sort(effect)[::-1]
    said = np.interp(np.append(0.0, borders) * len(order), np.arange(len(order) + 1), np.append(0.0, np.cumsum(order)))
    observed = _drawn(read, Judged(outcome, effect), resampling)
    return tuple(
        Tenth(float(mean), one) for mean, one in zip(np.diff(said) * parts / len(order), observed, strict=True)
    )


def _read(rows: Array, curve: Array, shares: Sequence[float]) -> Array:
    """A curve at shares of the rows of each resample, shape (resamples, shares)."""
    return np.array([np.interp(np.array(shares) * of[-1], of, one) for of, one in zip(rows, curve, strict=True)])


def _drawn(read: Callable[[Judged, Array], Array], judged: Judged, resampling: Resampling) -> tuple[Interval, ...]:
    """Several figures on all rows, each with its interval over the draws."""
    whole = read(judged, np.ones((1, len(judged.score))))[0]
    drawn = np.concatenate([read(judged, weights) for weights in resampling.weights()])
    return tuple(_interval(float(value), column) for value, column in zip(whole, drawn.T, strict=True))


def _interval(value: float, drawn: Array) -> Interval:
    known = drawn[~np.isnan(drawn)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return Interval(value, float(low), float(high))
