"""From a raw score to a probability that can be multiplied with money.

Both calibrators are plain numbers, applied by one fixed formula that the exported graph repeats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from data.errors import DataError, UsageError

if TYPE_CHECKING:
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


Calibrator = Sigmoid | Isotonic


def fit_sigmoid(raw: Array, label: NDArray[np.number]) -> Sigmoid:
    """Fit the logistic curve by maximum likelihood, with Platt's smoothed targets so that it stays finite.

    Args:
        raw: Raw scores of rows that the model was not fitted on, shape (rows,).
        label: 1 where the outcome happened, 0 where not, shape (rows,).

    Raises:
        DataError: Shapes differ, a score is not finite, or a label is neither 0 nor 1.
    """
    score, outcome = _checked(raw, label)
    yes = outcome.sum()
    target = np.where(outcome == 1, (yes + 1) / (yes + 2), 1 / (outcome.size - yes + 2))
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
    score, outcome = _checked(raw, label)
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(score, outcome)
    x, y = np.asarray(fitted.X_thresholds_, dtype=np.float64), np.asarray(fitted.y_thresholds_, dtype=np.float64)
    if x.size == 1:
        x, y = np.array([x[0], x[0] + 1.0 + abs(x[0])]), np.array([y[0], y[0]])
    return Isotonic(tuple(x.tolist()), tuple(np.maximum.accumulate(y).tolist()))


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
