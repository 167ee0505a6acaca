"""How well a score ranks members by what an offer changes, on members of whom some got the offer by lot.

Nobody is seen both with and without the offer, so the effect of a set of members is the mean of its treated rows less
that of its control rows. Every figure below follows from how these two means move down the ranking, highest score
first. Let n rows have a score of at least s, n_T of them treated and n_C not, with outcomes that sum to y_T and y_C:

* Qini curve: q(s) = y_T - y_C * n_T / n_C, outcomes that the offer added among the treated (Radcliffe, "Using control
  groups to target on predicted lift", Direct Marketing Analytics Journal, 2007)
* gain curve: g(s) = (y_T / n_T - y_C / n_C) * n, outcomes that offers to all of these would add (Gutierrez and Gerardy,
  "Causal inference and uplift modelling: a review of the literature", PMLR 67, 2016)

Both start at nothing and go straight from one distinct score to the next: rows of equal score come in together, so no
figure hangs on the order of rows. While one arm is still missing at the top the effect is not known, and the curve goes
straight to the first score where it is, as it does in causalml (0.18, `metrics/visualize.py`); scikit-uplift (0.5.1,
`metrics/metrics.py`) takes the missing mean for 0 there. With known propensities that differ between rows each counts
by its stabilised inverse propensity (Robins, Hernan and Brumback, "Marginal structural models and causal inference in
epidemiology", Epidemiology 11, 2000), so that one propensity for all changes nothing.

The outcome is the label that `training.interval.compare` is given; it may be an amount.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError, UsageError
from training.metrics import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.metrics import Judged

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Arms:
    """Who got the offer, and how likely that was.

    Attributes:
        treated: 1 where the row got the offer, 0 where it did not, shape (rows,).
        propensity: The chance with which each row was to get it, known and strictly between 0 and 1, shape (rows,);
            None where it was the same for all.
    """

    treated: Array
    propensity: Array | None = None

    def __post_init__(self) -> None:
        """Refuse arms that cannot be compared."""
        problems = []
        if not np.isin(self.treated, (0.0, 1.0)).all():
            problems.append("found values of treated other than 0 and 1")
        elif len(np.unique(self.treated)) < 2:
            problems.append(f"found {len(self.treated)} rows of one arm, expected rows of both")
        if self.propensity is not None:
            if self.propensity.shape != self.treated.shape:
                problems.append(f"found {self.propensity.shape} propensities for {self.treated.shape} rows")
            if not ((self.propensity > 0) & (self.propensity < 1)).all():
                problems.append("found propensities that are not between 0 and 1: rows that were sure of an arm")
        if problems:
            raise DataError("Arms: " + "; ".join(problems) + "; leave out rows that no lot was drawn for.")

    @property
    def counted(self) -> tuple[Array, Array]:
        """What each row counts as treated and as control, shape (rows,) each: one of the two is 0."""
        treated, control = self.treated.astype(np.float64), 1.0 - self.treated
        if self.propensity is None:
            return treated, control
        usual = float(self.propensity.mean())
        return treated * usual / self.propensity, control * (1 - usual) / (1 - self.propensity)


@dataclass(frozen=True)
class Ranked:
    """Sums from the top down to each distinct score, nothing first: shape (resamples, distinct scores + 1) each.

    Attributes:
        rows: Rows taken in.
        treated: Rows of the treated arm, each by what it counts.
        control: Those of the control arm.
        treated_sum: Outcomes of the treated arm.
        control_sum: Those of the control arm.
    """

    rows: Array
    treated: Array
    control: Array
    treated_sum: Array
    control_sum: Array

    @staticmethod
    def of(judged: Judged, weights: Array, arms: Arms, outcome: Array | None = None) -> Ranked:
        """Takes the rows in by their score.

        Args:
            judged: The scores; its label is the outcome.
            weights: How often each row counts, shape (resamples, rows).
            arms: Who of the same rows got the offer.
            outcome: Another outcome of theirs, such as the cost, shape (rows,).
        """
        ranked = weights[:, judged.order]
        value = (judged.label if outcome is None else outcome)[judged.order]
        treated, control = (arm[judged.order] for arm in arms.counted)

        def down_to(each: Array) -> Array:
            sums = np.cumsum(ranked * each, axis=1)[:, judged.tie_ends]
            return np.concatenate((np.zeros((len(weights), 1)), sums), axis=1)

        ones = np.ones(len(value))
        return Ranked(*map(down_to, (ones, treated, control, treated * value, control * value)))

    def at(self, share: float) -> Ranked:
        """The same sums down to one share of the rows; of a run of equal scores it takes in the part that fits."""
        wanted = share * self.rows[:, -1]

        def read(column: Array) -> Array:
            found = [np.interp(*one) for one in zip(wanted, self.rows, column, strict=True)]
            return np.array(found)[:, None]

        columns = (self.rows, self.treated, self.control, self.treated_sum, self.control_sum)
        return Ranked(*map(read, columns))

    def less(self, other: Ranked) -> Ranked:
        """What was taken in between the other's depth and this one's."""
        return Ranked(
            self.rows - other.rows,
            self.treated - other.treated,
            self.control - other.control,
            self.treated_sum - other.treated_sum,
            self.control_sum - other.control_sum,
        )

    @property
    def effect(self) -> Array:
        """The mean effect on the rows taken in; NaN while an arm is missing."""
        known = (self.treated > 0) & (self.control > 0)
        empty = np.full(self.rows.shape, np.nan)
        treated = np.divide(self.treated_sum, self.treated, out=empty.copy(), where=known)
        effect: Array = treated - np.divide(self.control_sum, self.control, out=empty, where=known)
        return effect

    @property
    def gain(self) -> Array:
        """What offers to all rows taken in would add."""
        return self._from_nothing(self.effect * self.rows)

    @property
    def qini(self) -> Array:
        """What the offer added among the treated rows taken in."""
        return self._from_nothing(self.effect * self.treated)

    @property
    def qini_coefficient(self) -> Array:
        """As `qini` has it, one value a resample."""
        curve = self.qini
        lead: Array = (self._area(curve) - curve[:, -1] / 2) / self.treated[:, -1]
        return lead

    @property
    def auuc(self) -> Array:
        """As `auuc` has it, one value a resample."""
        added: Array = self._area(self.gain) / self.rows[:, -1]
        return added

    def _area(self, curve: Array) -> Array:
        """The area under a curve over the share of rows, one value a resample."""
        area: Array = np.trapezoid(curve, self.rows, axis=1) / self.rows[:, -1]
        return area

    def _from_nothing(self, curve: Array) -> Array:
        """The curve from 0, straight over what is not known at the top; NaN throughout where no effect is known."""
        known = ~np.isnan(curve)
        first = np.argmax(known, axis=1)[:, None]
        height, rows = np.take_along_axis(curve, first, axis=1), np.take_along_axis(self.rows, first, axis=1)
        straight = np.divide(height * self.rows, rows, out=np.full(curve.shape, np.nan), where=rows > 0)
        return np.where(known, curve, straight)


def qini(arms: Arms) -> Metric:
    """Outcomes that a ranking adds beyond a ranking by lot, a treated row, over all depths at once (Qini coefficient).

    The area between the Qini curve and the straight line to its end, over the share of rows, divided by the number of
    treated rows: Q of Radcliffe and Surry ("Real-world uplift modelling with significance-based uplift trees", 2011),
    who divide by rows twice. It has the unit of the outcome; by lot it is 0, and less than 0 if the ranking is upside
    down. Times treated rows and rows it is the area before scikit-uplift's division; times treated rows it is
    causalml's `qini_score` without `normalize`, but for a factor (rows + 1) / rows.
    """
    return Metric("qini", partial(_qini, arms=arms))


def qini_of_perfect(arms: Arms) -> Metric:
    """The Qini coefficient as a share of what knowing every outcome would give: scikit-uplift's `qini_auc_score`.

    Only for outcomes of 0 and 1. The perfect ranking puts treated buyers first and control buyers last, so that it
    counts chance as skill; the share is small even for a good model.

    Raises:
        DataError: While judging, an outcome is neither 0 nor 1.
    """
    return Metric("qini_of_perfect", partial(_qini_of_perfect, arms=arms))


def auuc(arms: Arms) -> Metric:
    """Outcomes a row that a ranking adds, over all depths at once: the area under the gain curve over shares of rows.

    By lot it is half the effect on everybody. It is causalml's `auuc_score` without `normalize` divided by rows, with
    the last point counted half, as the trapezoid has it.
    """
    return Metric("auuc", partial(_auuc, arms=arms))


def uplift_at(arms: Arms, share: float) -> Metric:
    """The mean effect on the share of rows with the highest scores, ranked over both arms together.

    scikit-uplift's `uplift_at_k` with `strategy="overall"`, where the share is a whole number of rows; of a run of
    equal scores each row counts with the part that fits.

    >>> uplift_at(Arms(np.array([0.0, 1.0])), 0.3).name
    'uplift_at_0.3'
    """
    if not 0 < share <= 1:
        raise UsageError(f"uplift_at: found the share {share}, expected more than 0 and at most 1")
    return Metric(f"uplift_at_{share:g}", partial(_uplift_at, arms=arms, share=share))


def aucc(arms: Arms, cost: Array) -> Metric:
    """What a ranking buys for a budget, over all budgets at once: the area under added value against added cost.

    Both are gain curves, divided by what offers to everybody would add and cost, so that a ranking by lot has about
    0.5 (area under the cost curve; Du, Lee and Ghaffarizadeh, "Improve user retention with causal learning", PMLR 104,
    2019). The label is the value; rank by value for money. NaN where offers to everybody add or cost nothing.

    Args:
        arms: Who got the offer.
        cost: What each row cost, 0 where nothing was redeemed, shape (rows,).
    """
    return Metric("aucc", partial(_aucc, arms=arms, cost=cost))


def _qini(judged: Judged, weights: Array, *, arms: Arms) -> Array:
    return Ranked.of(judged, weights, arms).qini_coefficient


def _qini_of_perfect(judged: Judged, weights: Array, *, arms: Arms) -> Array:
    if not np.isin(judged.label, (0.0, 1.0)).all():
        raise DataError(
            "qini_of_perfect: found outcomes other than 0 and 1, expected a yes or no; use qini for amounts."
        )
    ranked = Ranked.of(judged, weights, arms)
    end, bought = ranked.qini[:, -1], ranked.treated_sum[:, -1]
    first = weights @ (judged.label * arms.treated)
    last = weights @ (judged.label * (1 - arms.treated))
    rows = ranked.rows[:, -1]
    perfect = (first * bought / 2 + (rows - first - last) * bought + last * (bought + end) / 2) / rows - end / 2
    actual = ranked.qini_coefficient * ranked.treated[:, -1]
    share: Array = np.divide(actual, perfect, out=np.full(len(weights), np.nan), where=perfect > 0)
    return share


def _auuc(judged: Judged, weights: Array, *, arms: Arms) -> Array:
    return Ranked.of(judged, weights, arms).auuc


def _uplift_at(judged: Judged, weights: Array, *, arms: Arms, share: float) -> Array:
    return Ranked.of(judged, weights, arms).at(share).effect[:, 0]


def _aucc(judged: Judged, weights: Array, *, arms: Arms, cost: Array) -> Array:
    value = Ranked.of(judged, weights, arms).gain
    spent = Ranked.of(judged, weights, arms, cost).gain
    corner = value[:, -1] * spent[:, -1]
    sound = (value[:, -1] > 0) & (spent[:, -1] > 0)
    area = np.trapezoid(value, spent, axis=1)
    share: Array = np.divide(area, corner, out=np.full(len(weights), np.nan), where=sound)
    return share
