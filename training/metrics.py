"""How well a score does, each metric over many weightings of the rows at once, so that an interval costs one pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TINY = 1e-15


@dataclass(frozen=True)
class Judged:
    """Scores and what turned out to be true, sorted once, highest score first.

    Attributes:
        label: 0 or 1, shape (rows,).
        score: Higher means likelier 1; a probability where the metric asks for one. Shape (rows,).
    """

    label: NDArray[np.float64]
    score: NDArray[np.float64]

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """Row numbers, highest score first."""
        return np.argsort(-self.score, kind="stable")

    @cached_property
    def tie_ends(self) -> NDArray[np.intp]:
        """Positions, in that order, of the last row of each run of equal scores."""
        ranked = self.score[self.order]
        return np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))

    def curve(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """True and false positives taken in down to each distinct score.

        Args:
            weights: How often each row counts, shape (resamples, rows).

        Returns:
            Two arrays of shape (resamples, distinct scores).
        """
        sorted_weights = weights[:, self.order]
        positive = np.cumsum(sorted_weights * self.label[self.order], axis=1)[:, self.tie_ends]
        everything = np.cumsum(sorted_weights, axis=1)[:, self.tie_ends]
        return positive, everything - positive


Measure = Callable[[Judged, "NDArray[np.float64]"], "NDArray[np.float64]"]


@dataclass(frozen=True)
class Metric:
    """A named measure of scores against the truth.

    Attributes:
        name: As it appears in tracked runs.
        measure: Takes what is judged and weights of shape (resamples, rows); gives one value a resample, NaN where it
            has no meaning (no row of one of the classes).
        greater_is_better: Which way is up.
    """

    name: str
    measure: Measure
    greater_is_better: bool = True

    def of(self, label: NDArray[np.float64], score: NDArray[np.float64]) -> float:
        """The value with every row counted once."""
        return float(self.measure(Judged(label, score), np.ones((1, len(label))))[0])


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    share = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share


def _roc_auc(judged: Judged, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    positive, negative = judged.curve(weights)
    gained = np.diff(negative, axis=1, prepend=0.0)
    before = np.concatenate([np.zeros((len(weights), 1)), positive[:, :-1]], axis=1)
    area = (gained * (before + positive) / 2).sum(axis=1)
    return _share(area, positive[:, -1] * negative[:, -1])


def _average_precision(judged: Judged, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    positive, negative = judged.curve(weights)
    precision = np.nan_to_num(_share(positive, positive + negative))
    area = (np.diff(positive, axis=1, prepend=0.0) * precision).sum(axis=1)
    return _share(area, positive[:, -1])


def _tpr_at(judged: Judged, weights: NDArray[np.float64], *, false_positive_rate: float) -> NDArray[np.float64]:
    positive, negative = judged.curve(weights)
    allowed = negative <= false_positive_rate * negative[:, -1:]
    reached = np.where(allowed, positive, 0.0).max(axis=1)
    return np.where(negative[:, -1] > 0, _share(reached, positive[:, -1]), np.nan)


def _log_loss(judged: Judged, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    probability = np.clip(judged.score, TINY, 1 - TINY)
    loss = -(judged.label * np.log(probability) + (1 - judged.label) * np.log1p(-probability))
    return _share(weights @ loss, weights.sum(axis=1))


def _brier(judged: Judged, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return _share(weights @ (judged.score - judged.label) ** 2, weights.sum(axis=1))


roc_auc = Metric("roc_auc", _roc_auc)
"""The chance that a row that came true is ranked above one that did not; equal scores count half."""

average_precision = Metric("average_precision", _average_precision)
"""Precision averaged over the rows that came true, down the ranking; the base rate is what chance gives."""

log_loss = Metric("log_loss", _log_loss, greater_is_better=False)
"""Mean surprise of calibrated probabilities, in nats."""

brier = Metric("brier", _brier, greater_is_better=False)
"""Mean squared error of calibrated probabilities."""


def tpr_at(false_positive_rate: float) -> Metric:
    """The share of true rows found while at most this share of the others is.

    >>> tpr_at(0.001).name
    'tpr_at_fpr_0.001'
    """
    if not 0 < false_positive_rate < 1:
        raise UsageError(f"tpr_at needs a rate between 0 and 1, found {false_positive_rate}")
    return Metric(f"tpr_at_fpr_{false_positive_rate:g}", partial(_tpr_at, false_positive_rate=false_positive_rate))


def precision_a_day(day: NDArray[np.int64], alerts: int) -> Metric:
    """The share of true rows among the highest scores of each day, as many as reviewers can look at.

    Args:
        day: The day of each row that will be judged, in their order, shape (rows,).
        alerts: How many are looked at a day; all of them on a day that has fewer.
    """
    if alerts < 1:
        raise UsageError(f"precision_a_day needs at least one alert a day, found {alerts}")
    return Metric(f"precision_at_{alerts}_a_day", partial(_precision_a_day, day=day, alerts=alerts))


def _precision_a_day(
    judged: Judged, weights: NDArray[np.float64], *, day: NDArray[np.int64], alerts: int
) -> NDArray[np.float64]:
    order = np.lexsort((-judged.score, day))
    ranked, days = weights[:, order], day[order]
    before = np.cumsum(ranked, axis=1) - ranked
    first = np.searchsorted(days, days, side="left")
    looked_at = np.clip(alerts - (before - before[:, first]), 0, ranked)
    return _share(looked_at @ judged.label[order], looked_at.sum(axis=1))
