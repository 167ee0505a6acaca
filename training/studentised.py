"""How sure a ratio or a difference is whose rows are few and uneven: intervals that know their own error in each draw.

The middle 95 % of the draws (`training.interval`) lies too low where a few heavy rows make the figure, as they do in a
mean of rare purchases weighted by small chances: the draws that lack those rows come out low, and are sure of it. The
studentised bootstrap (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 12.5) asks of each draw
how many of its own standard errors it lies off, which sets most of that right. Rows of a kind that the log happens to
lack are in no draw: so intervals are wider too by as much as Student's distribution is wider than the normal one, going
by how few units the error rests on. `python -m benchmarks.estimators` prints how often they hold.

The error of a draw comes from the figure's slopes in the sums it is made of, which `Figure` carries along (delta
method), and from the sums of products of what each unit adds, so that nothing is resampled twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from training.interval import Interval, Resampling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A figure made of sums over rows, in each draw, with its slope in each of the sums.

    Attributes:
        value: Shape (draws,); not a number where it is divided by nothing.
        slope: Shape (draws, sums).
    """

    value: Reals
    slope: Reals

    def __add__(self, other: Figure) -> Figure:
        """The sum of two."""
        return Figure(self.value + other.value, self.slope + other.slope)

    def __sub__(self, other: Figure) -> Figure:
        """How far one lies above the other."""
        return Figure(self.value - other.value, self.slope - other.slope)

    def __mul__(self, other: Figure) -> Figure:
        """One times the other."""
        return Figure(self.value * other.value, self.slope * other.value[:, None] + other.slope * self.value[:, None])

    def __truediv__(self, other: Figure) -> Figure:
        """One over the other."""
        over = np.divide(1.0, other.value, out=np.full(len(other.value), np.nan), where=other.value != 0)
        value = self.value * over
        return Figure(value, (self.slope - value[:, None] * other.slope) * over[:, None])

    def where(self, holds: NDArray[np.bool_]) -> Figure:
        """The figure in the draws where that holds, and a certain 0 in the others."""
        return Figure(np.where(holds, self.value, 0.0), np.where(holds[:, None], self.slope, 0.0))


Measure: TypeAlias = "Callable[[tuple[Figure, ...]], Figure]"
"""A figure out of the sums of the columns; it may not change when every row comes twice (a ratio, not a total)."""


def studentised(columns: Reals, measures: Sequence[Measure], resampling: Resampling) -> tuple[Interval, ...]:
    """Figures with their 95 % intervals, all on the same draws of whole units.

    A draw in which a figure has no error or is not defined, such as one without any purchase, has nothing to be
    measured in and is left out. A figure that no row changes is certain: both ends are the figure.

    Args:
        columns: What each row adds to each sum, shape (rows, sums).
        measures: The figures, each a function of the sums.
        resampling: Draws of the units of the rows.

    Returns:
        An interval a measure; the ends are not a number where no draw tells anything.
    """
    codes, inverse = np.unique(resampling.units, return_inverse=True)
    of_unit = np.stack([np.bincount(inverse, column, len(codes)) for column in columns.T], axis=1)
    one, other = np.triu_indices(columns.shape[1])
    told = np.hstack((of_unit, of_unit[:, one] * of_unit[:, other]))
    of_units = Resampling(np.arange(len(codes)), resampling.generator, resampling.resamples)
    drawn = np.concatenate(list(of_units.sums(told)))
    whole = np.concatenate((columns.sum(axis=0), told[:, columns.shape[1] :].sum(axis=0)))[None]
    found = []
    for measure in measures:
        figure, error = _measured(whole, measure)
        drawn_figure, drawn_error = _measured(drawn, measure)
        freedom = _freedom(of_unit @ figure.slope[0])
        found.append(_interval(figure.value, error, drawn_figure.value, drawn_error, freedom))
    return tuple(found)


def _measured(told: Reals, measure: Measure) -> tuple[Figure, Reals]:
    """A figure in each draw and its standard error, out of the sums and the sums of products (draws, both)."""
    size = int((np.sqrt(8 * told.shape[1] + 9) - 3) / 2)
    sums, products = told[:, :size], told[:, size:]
    slopes = np.broadcast_to(np.eye(size)[:, None], (size, len(told), size))
    figure = measure(tuple(map(Figure, sums.T, slopes)))
    one, other = np.triu_indices(size)
    twice = np.where(one == other, 1.0, 2.0)
    # A figure that stays when all rows come twice is flat along the sums themselves, so no mean has to be taken off.
    variance = (figure.slope[:, one] * figure.slope[:, other] * products * twice).sum(axis=1)
    return figure, np.sqrt(np.maximum(variance, 0.0))


def _freedom(moved: Reals) -> float:
    """How many normal rows would tell the error as well, by how far each unit moves the figure.

    Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2, 1946.
    """
    squares = moved**2
    return 2 * effective_rows(squares) if np.isfinite(moved).all() else float("nan")


def effective_rows(weight: Reals) -> float:
    """How many equally weighted rows would say as much (Kish, "Survey sampling", 1965).

    >>> effective_rows(np.array([2.0, 2.0, 0.0]))
    2.0
    """
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares else 0.0


def _interval(value: Reals, error: Reals, drawn: Reals, errors: Reals, freedom: float) -> Interval:
    whole, off = float(value[0]), float(error[0])
    if off == 0:
        return Interval(whole, whole, whole)
    usable = np.isfinite(drawn) & (errors > 0)
    if not usable.any() or np.isnan(off):
        return Interval(whole, float("nan"), float("nan"))
    from scipy import stats

    wider = float(stats.t.ppf(0.975, max(freedom, 1.0)) / stats.norm.ppf(0.975))
    far, near = wider * np.percentile((drawn[usable] - whole) / errors[usable], (97.5, 2.5), method="weibull")
    return Interval(whole, whole - float(far) * off, whole - float(near) * off)
