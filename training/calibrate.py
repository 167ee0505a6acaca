"""From a raw score to a probability that can be multiplied with money.

Every calibrator is plain numbers, applied by one fixed formula that the exported graph repeats.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sigmoid:
    """A logistic curve: probability = 1 / (1 + exp(-(slope * raw + intercept))); 1 and 0 are LightGBM's own.

    Few parameters, so it holds on small data; it can stretch and shift a score, not bend it.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that give no probability."""
        if not (np.isfinite(self.slope) and np.isfinite(self.intercept)):
            raise UsageError(
                f"Sigmoid: found slope {self.slope} and intercept {self.intercept}, expected finite numbers; fit it "
                "again on finite raw scores."
            )

    def apply(self, raw: Array) -> Array:
        """Give the probability of each raw score; any shape, float64."""
        with np.errstate(over="ignore"):
            probability: Array = 1.0 / (1.0 + np.exp(-(self.slope * raw + self.intercept)))
        return probability


@dataclass(frozen=True)
class Isotonic:
    """A rising polygon through knots: probability `y` at raw score `x`, flat outside.

    Follows any monotone shape, and needs some thousand rows to be worth it.

    Attributes:
        x: Raw scores of the knots, strictly rising, at least two.
        y: Probabilities at the knots, never falling, between 0 and 1.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse knots that are no rising polygon of probabilities."""
        x, y = np.array(self.x), np.array(self.y)
        problems = []
        if x.ndim != 1 or x.shape != y.shape or x.size < 2:
            problems.append(f"found {x.size} scores and {y.size} probabilities, expected equally many, at least two")
        if not (np.isfinite(x).all() and (np.diff(x) > 0).all()):
            problems.append("found raw scores that are not finite and strictly rising")
        if not ((y >= 0).all() and (y <= 1).all() and (np.diff(y) >= 0).all()):
            problems.append("found probabilities outside 0 to 1 or falling")
        if problems:
            raise UsageError("Isotonic: " + "; ".join(problems) + "; take the knots from fit_isotonic.")

    @property
    def slopes(self) -> tuple[float, ...]:
        """Rise of the probability per unit of raw score between a knot and the next."""
        return tuple((np.diff(self.y) / np.diff(self.x)).tolist())

    def apply(self, raw: Array) -> Array:
        """Give the probability of each raw score; any shape, float64."""
        x, y, slopes = np.array(self.x), np.array(self.y), np.array(self.slopes)
        inside = np.clip(raw, x[0], x[-1])
        knot = np.clip(np.searchsorted(x, inside, side="right") - 1, 0, x.size - 2)
        probability: Array = np.clip(y[knot] + (inside - x[knot]) * slopes[knot], y[0], y[-1])
        return probability


@dataclass(frozen=True)
class Spline:
    """A logistic curve that bends: log-odds `y` at raw score `x`, straight between knots and on beyond the ends.

    Fitted, it rises everywhere, so the rows at the very top keep their order and none is called certain: a cap on harm
    of one in a thousand is decided among those.

    Attributes:
        x: Raw scores of the knots, strictly rising, at least two.
        y: Log-odds at the knots, never falling.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse knots that are no rising line of log-odds."""
        x, y = np.array(self.x), np.array(self.y)
        problems = []
        if x.ndim != 1 or x.shape != y.shape or x.size < 2:
            problems.append(f"found {x.size} scores and {y.size} log-odds, expected equally many, at least two")
        if not (np.isfinite(x).all() and (np.diff(x) > 0).all()):
            problems.append("found raw scores that are not finite and strictly rising")
        if not (np.isfinite(y).all() and (np.diff(y) >= 0).all()):
            problems.append("found log-odds that are not finite or falling")
        if problems:
            raise UsageError("Spline: " + "; ".join(problems) + "; take the knots from fit_spline.")

    @property
    def slopes(self) -> tuple[float, ...]:
        """Rise of the log-odds per unit of raw score between a knot and the next."""
        return tuple((np.diff(self.y) / np.diff(self.x)).tolist())

    def apply(self, raw: Array) -> Array:
        """Give the probability of each raw score; any shape, float64."""
        x, y, slopes = np.array(self.x), np.array(self.y), np.array(self.slopes)
        knot = np.clip(np.searchsorted(x, raw, side="right") - 1, 0, x.size - 2)
        with np.errstate(over="ignore"):
            probability: Array = 1.0 / (1.0 + np.exp(-(y[knot] + (raw - x[knot]) * slopes[knot])))
        return probability


Calibrator = Sigmoid | Isotonic | Spline

TAILS = (0.9, 0.7, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.003)
STIFFNESS = 3.0
RISES = (0.05, 50.0)


def fit_sigmoid(raw: Array, label: NDArray[np.number]) -> Sigmoid:
    """Fit the logistic curve by maximum likelihood, with Platt's smoothed targets so that it stays finite.

    Args:
        raw: Raw scores of rows that the model was not fitted on, shape (rows,).
        label: 1 where the outcome happened, 0 where not, shape (rows,).

    Raises:
        DataError: Shapes differ, a score is not finite, or a label is neither 0 nor 1.
    """
    from sklearn.linear_model import LogisticRegression

    score, outcome = _checked(raw, label)
    target = _smoothed(outcome)
    # A soft target is a row that counts partly as a yes and partly as a no; the score is standardised for the solver.
    centre, spread = float(score.mean()), float(score.std()) or 1.0
    column = np.tile((score - centre) / spread, 2)[:, None]
    answer = np.repeat((1, 0), score.size)
    share = np.concatenate((target, 1 - target))
    curve = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1_000).fit(column, answer, sample_weight=share)
    slope, intercept = float(curve.coef_[0, 0]), float(curve.intercept_[0])
    return Sigmoid(slope / spread, intercept - slope * centre / spread)


def fit_isotonic(raw: Array, label: NDArray[np.number]) -> Isotonic:
    """Fit the rising polygon by pooling adjacent violators; arguments and errors as in `fit_sigmoid`.

    A single distinct score gives a flat line at the mean of the labels.
    """
    from sklearn.isotonic import IsotonicRegression

    score, outcome = _checked(raw, label)
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(score, outcome)
    x, y = np.asarray(fitted.X_thresholds_, dtype=np.float64), np.asarray(fitted.y_thresholds_, dtype=np.float64)
    if x.size == 1:
        x, y = np.array([x[0], x[0] + 1.0 + abs(x[0])]), np.array([y[0], y[0]])
    return Isotonic(tuple(x.tolist()), tuple(np.maximum.accumulate(y).tolist()))


def fit_spline(raw: Array, label: NDArray[np.number]) -> Spline:
    """Fit the bent line by maximum likelihood, with Platt's smoothed targets; arguments and errors as in `fit_sigmoid`.

    Knots lie at the scores that nine tenths, half, ... three in a thousand of the rows reach, so that it may bend where
    decisions are made. Each bend costs likelihood by its square, so with few rows it stays a logistic curve.
    """
    from scipy.optimize import minimize

    score, outcome = _checked(raw, label)
    knots = np.unique(np.quantile(score, [1 - tail for tail in TAILS]))
    if knots.size < 2:
        knots = np.array([knots[0], knots[0] + 1.0 + abs(knots[0])])
    spread = float(score.std()) or 1.0
    rises, target = _rises(score, knots) / spread, _smoothed(outcome)

    def loss(parts: Array) -> tuple[float, Array]:
        odds, bends = parts[0] + rises @ parts[1:], np.diff(parts[1:])
        off = 1.0 / (1.0 + np.exp(-np.clip(odds, -700, 700))) - target
        slope = off @ rises
        slope[1:] += 2 * STIFFNESS * bends
        slope[:-1] -= 2 * STIFFNESS * bends
        value = np.logaddexp(0.0, odds) - target * odds
        return float(value.sum() + STIFFNESS * bends @ bends), np.concatenate(([off.sum()], slope))

    start = np.concatenate(([0.0], np.ones(knots.size - 1)))
    limits = [(None, None), *[RISES] * (knots.size - 1)]
    found = minimize(loss, start, jac=True, bounds=limits, method="L-BFGS-B", options={"maxiter": 2_000})
    height = found.x[0] + _rises(knots, knots) @ found.x[1:] / spread
    return Spline(tuple(knots.tolist()), tuple(np.maximum.accumulate(height).tolist()))


def _smoothed(outcome: Array) -> Array:
    """Platt's targets: as if one more yes and one more no had been seen, so that nothing is certain."""
    yes = outcome.sum()
    target: Array = np.where(outcome == 1, (yes + 1) / (yes + 2), 1 / (outcome.size - yes + 2))
    return target


def _rises(score: Array, knots: Array) -> Array:
    """How far each score has come along each piece, the outer ones being endless; shape (rows, pieces)."""
    low, high = knots[:-1].copy(), knots[1:].copy()
    low[0], high[-1] = -np.inf, np.inf
    return np.clip(score[:, None], low, high) - np.where(np.isinf(low), knots[1], knots[:-1])


CALIBRATIONS: Mapping[str, Callable[[Array, NDArray[np.number]], Calibrator]] = MappingProxyType(
    {"sigmoid": fit_sigmoid, "isotonic": fit_isotonic, "spline": fit_spline}
)
"""How raw scores of held-out rows become a calibrator, by the name that a learner gives."""


def _checked(raw: Array, label: NDArray[np.number]) -> tuple[Array, Array]:
    score, outcome = np.asarray(raw, dtype=np.float64), np.asarray(label, dtype=np.float64)
    problems = []
    if score.ndim != 1 or score.shape != outcome.shape or not score.size:
        problems.append(f"found shapes {score.shape} and {outcome.shape}, expected the same number of rows, at least 1")
    if not np.isfinite(score).all():
        problems.append(f"found {np.count_nonzero(~np.isfinite(score))} scores that are not finite")
    if not np.isin(outcome, (0.0, 1.0)).all():
        problems.append(f"found {np.count_nonzero(~np.isin(outcome, (0.0, 1.0)))} labels that are neither 0 nor 1")
    if problems:
        raise DataError("Calibration: " + "; ".join(problems) + "; pass raw scores and 0/1 labels of held-out rows.")
    return score, outcome
