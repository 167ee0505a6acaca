"""How sure a figure is: the unit that is independent is drawn again and again, and the middle 95 % is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.metrics import Judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from training.metrics import Metric

RESAMPLES = 1_000
CELLS_AT_ONCE = 8_000_000


@dataclass(frozen=True)
class Interval:
    """A figure on all rows, and the middle 95 % of it over the resamples."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """The three numbers, for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        """The figure with its interval.

        >>> str(Interval(0.84, 0.81, 0.8666))
        '0.840 [0.810, 0.867]'
        """
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Resampling:
    """Draws of whole units (households, rings, blocks) with replacement.

    Attributes:
        units: Code of the unit of each row, shape (rows,).
        generator: Where chance comes from.
        resamples: How many draws.
    """

    units: NDArray[np.int64]
    generator: np.random.Generator
    resamples: int = RESAMPLES

    def weights(self) -> Iterator[NDArray[np.float64]]:
        """How often each row counts in each draw: blocks of shape (some draws, rows), that memory stays bounded."""
        codes, inverse = np.unique(self.units, return_inverse=True)
        for drawn in self._draws(len(codes), len(self.units)):
            yield drawn[:, inverse].astype(np.float64)

    def sums(self, values: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
        """The sum of each column of values (rows, columns) in each draw: blocks of shape (some draws, columns).

        The draws are those of `weights`. Each unit is summed once, so that a million rows take no longer to draw than
        their units.
        """
        codes, inverse = np.unique(self.units, return_inverse=True)
        of_unit = np.stack([np.bincount(inverse, column, len(codes)) for column in values.T], axis=1)
        for drawn in self._draws(len(codes), len(codes)):
            yield drawn.astype(np.float64) @ of_unit

    def _draws(self, units: int, width: int) -> Iterator[NDArray[np.int64]]:
        """How often each unit is drawn, in blocks of shape (some draws, units) for cells as wide as that."""
        block = max(1, CELLS_AT_ONCE // max(1, width))
        for start in range(0, self.resamples, block):
            size = min(block, self.resamples - start)
            yield self.generator.multinomial(units, np.full(units, 1 / units), size=size)


def compare(
    label: NDArray[np.float64],
    scores: Mapping[str, NDArray[np.float64]],
    metrics: Sequence[Metric],
    resampling: Resampling,
) -> dict[str, dict[str, Interval]]:
    """Every metric of every score, on the same draws, and each score's gain over the first (paired).

    Args:
        label: 0 or 1, shape (rows,).
        scores: The model first, then what it is held against.
        metrics: What to measure.
        resampling: The draws.

    Returns:
        For each name in `scores` its metrics; for each but the first also `gain_METRIC`, the first score's lead over
        it, positive where the first is better.
    """
    measures = {
        (name, metric.name): _measure(Judged(label, score), metric)
        for name, score in scores.items()
        for metric in metrics
    }
    whole = {key: float(measure(np.ones((1, len(label))))[0]) for key, measure in measures.items()}
    draws: dict[tuple[str, str], list[NDArray[np.float64]]] = {key: [] for key in measures}
    for weights in resampling.weights():
        for key, measure in measures.items():
            draws[key].append(measure(weights))
    drawn = {key: np.concatenate(parts) for key, parts in draws.items()}
    return {name: _figures(name, next(iter(scores)), metrics, whole, drawn) for name in scores}


def of_mean(values: NDArray[np.float64], resampling: Resampling) -> Interval:
    """The mean of a value a row (fen earned, say), with its interval."""
    return of_means(values[:, None], resampling)[0]


def of_means(values: NDArray[np.float64], resampling: Resampling) -> tuple[Interval, ...]:
    """The mean of each column of several values a row, shape (rows, columns), all on the same draws."""
    counted = np.column_stack((values, np.ones(len(values))))
    sums = np.concatenate(list(resampling.sums(counted)))
    drawn = sums[:, :-1] / sums[:, -1:]
    return tuple(_interval(float(whole), column) for whole, column in zip(values.mean(axis=0), drawn.T, strict=True))


def _measure(judged: Judged, metric: Metric) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda weights: metric.measure(judged, weights)


def _figures(
    name: str,
    first: str,
    metrics: Sequence[Metric],
    whole: Mapping[tuple[str, str], float],
    drawn: Mapping[tuple[str, str], NDArray[np.float64]],
) -> dict[str, Interval]:
    figures = {metric.name: _interval(whole[name, metric.name], drawn[name, metric.name]) for metric in metrics}
    if name == first:
        return figures
    for metric in metrics:
        sign = 1.0 if metric.greater_is_better else -1.0
        ours, theirs = (first, metric.name), (name, metric.name)
        figures[f"gain_{metric.name}"] = _interval(
            sign * (whole[ours] - whole[theirs]), sign * (drawn[ours] - drawn[theirs])
        )
    return figures


def _interval(value: float, drawn: NDArray[np.float64]) -> Interval:
    usable = drawn[~np.isnan(drawn)]
    if not len(usable):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.percentile(usable, [2.5, 97.5])
    return Interval(value, float(low), float(high))
