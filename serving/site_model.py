"""The forecast of a site in plain arrays: ridge, trees and nearest stores blended, and an interval that is honest.

The logarithm of yearly revenue is a blend, with weights that sum to 1, of

- ridge: a straight line in standardised features;
- trees: a small forest whose effects go one way where the trade knows which (its graph is run by the caller);
- analogs: the mean of the most similar stores, the nearer the more; features count as the ridge weighs them.

The model was fitted once on all stores and once without each fold of neighbouring stores (and their surroundings). The
fold models give the interval, by CV+ (Barber, Candes, Ramdas and Tibshirani, "Predictive inference with the
jackknife+", Annals of Statistics 2021): what each held-out store was missed by is put around what the model without
its fold says of the site. At least 1 - 2 a of the truth lies inside for exchangeable stores, about 1 - a in practice.

Every sum runs over one row, so that a site's answer has the same bits alone as among thousands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from serving.site_nearby import Nearby

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MEMBERS: Final = ("ridge", "trees", "analogs")
NEAREST_FOR_RANGE: Final = 3
_BLOCK: Final = 1 << 21
_SOFTEN: Final = 0.3
_TOUCHING: Final = 1e-300
"""Distance of stores that are alike in all: the inverses of some hundred million still add up to a number."""


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one feature is put on the common scale: log1p where it is skewed, then less `centre`, over `spread`.

    Attributes:
        logarithm: Whether log1p is taken first; such a feature is never negative.
        usual: What stands in for an unknown value, after the logarithm: the median of the stores.
        centre: Mean over the stores.
        spread: Standard deviation over the stores; 1 for a feature that is the same everywhere.
    """

    logarithm: bool
    usual: float
    centre: float
    spread: float


class Linear(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ridge regression in standardised features; its coefficients also say what likeness of stores rests on."""

    intercept: float
    coefficients: tuple[float, ...]


class SiteModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All constants of a forecast; the stores that it rests on stand in the bundle's table of learned stores.

    Attributes:
        target: What is forecast, in words: window, maturity and season.
        columns: The common scale, one for each feature.
        whole: Ridge on all stores.
        folds: Ridge without each fold.
        weights: Of ridge, trees and analogs, 0 or more, sum 1, by what each said of held-out stores.
        neighbours: How many stores the analogs average.
        smearing: Mean of exp(what held-out stores were missed by): turns the exponential of a forecast logarithm, a
            median, into a mean (Duan, "Smearing estimate", JASA 1983).
        furthest: Distance to the nearest stores, by `range_distance`, that 99 % of the stores have to the others.
        nearby: What stores around a site add to all that; None where they tell nothing.
    """

    target: str
    columns: tuple[Column, ...]
    whole: Linear
    folds: tuple[Linear, ...]
    weights: tuple[float, float, float]
    neighbours: int
    smearing: float
    furthest: float
    nearby: Nearby | None = None


@dataclass(frozen=True)
class Learned:
    """The stores that a model was learned from; arrays of one length.

    Attributes:
        features: Their features, float32, shape (stores, features).
        log_revenue: Logarithm of what each sells in a year, fen.
        fold: The fold that each was held out in.
        barred: Which stores the model without each fold did not see, shape (folds, stores).
        missed: Log revenue less what the model without its fold said.
        left: What is left of that when the stores around, beyond its fold, have been heard; None for all of it.
    """

    features: NDArray[np.float32]
    log_revenue: Floats
    fold: NDArray[np.int64]
    barred: NDArray[np.bool_]
    missed: Floats
    left: Floats | None = None

    @property
    def unexplained(self) -> Floats:
        """What each store was missed by in the end: what intervals are made of."""
        return self.missed if self.left is None else self.left


def scaled(columns: Sequence[Column], features: NDArray[np.float32]) -> Floats:
    """Features on the common scale, shape as `features`; unknown ones at their usual value."""
    values = features.astype(np.float64)
    for place, column in enumerate(columns):
        one = np.log1p(np.maximum(values[:, place], 0.0)) if column.logarithm else values[:, place]
        known = np.where(np.isnan(one), column.usual, one)
        values[:, place] = (known - column.centre) / column.spread
    return values


def line(linear: Linear, rows: Floats) -> Floats:
    """What a ridge says of standardised rows, shape (rows,)."""
    said: Floats = (rows * np.array(linear.coefficients)).sum(axis=1) + linear.intercept
    return said


def likeness(linear: Linear) -> Floats:
    """How much a step along each standardised feature tells stores apart: the size of its coefficient."""
    weigh: Floats = np.abs(np.array(linear.coefficients))
    return weigh


def distances(rows: Floats, stores: Floats, weigh: Floats) -> Floats:
    """Weighted distances in standardised features, shape (rows, stores)."""
    apart = np.empty((len(rows), len(stores)))
    step = max(1, _BLOCK // max(stores.size, 1))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        apart[block] = np.sqrt((((rows[block, None, :] - stores) * weigh) ** 2).sum(axis=2))
    return apart


def nearest(apart: Floats, count: int) -> tuple[NDArray[np.intp], Floats]:
    """The nearest stores of each row, nearest first, and what each counts; both (rows, count), counts sum to 1.

    A store counts by 1 over its distance, softened by a part of the distance of the last one.
    """
    picked = np.argsort(apart, axis=1, kind="stable")[:, :count]
    far = np.take_along_axis(apart, picked, axis=1)
    weight = 1.0 / (far + _SOFTEN * far[:, -1:] + _TOUCHING)
    return picked, weight / weight.sum(axis=1, keepdims=True)


def analogs(linear: Linear, rows: Floats, stores: Floats, log_revenue: Floats, count: int) -> Floats:
    """What the most similar stores sell, shape (rows,)."""
    picked, weight = nearest(distances(rows, stores, likeness(linear)), min(count, len(stores)))
    said: Floats = (log_revenue[picked] * weight).sum(axis=1)
    return said


def blended(weights: Sequence[float], ridge: Floats, trees: Floats, near: Floats) -> Floats:
    """The blend, shape (rows,)."""
    return weights[0] * ridge + weights[1] * trees + weights[2] * near


def log_forecast(model: SiteModel, learned: Learned, features: NDArray[np.float32], trees: Floats) -> Floats:
    """The logarithm of yearly revenue by the model of all stores, shape (rows,).

    Args:
        model: The constants.
        learned: The stores.
        features: Float32, shape (rows, features), NaN for unknown.
        trees: Raw scores of the forest of all stores, shape (rows,).
    """
    rows, stores = scaled(model.columns, features), scaled(model.columns, learned.features)
    return _said(model, model.whole, rows, stores, learned.log_revenue, trees)


def fold_forecasts(model: SiteModel, learned: Learned, features: NDArray[np.float32], trees: Floats) -> Floats:
    """The same by the model without each fold, shape (rows, folds); `trees` of their forests, of that shape."""
    rows, stores = scaled(model.columns, features), scaled(model.columns, learned.features)
    said = np.empty((len(rows), len(model.folds)))
    for fold, linear in enumerate(model.folds):
        seen = ~learned.barred[fold]
        said[:, fold] = _said(model, linear, rows, stores[seen], learned.log_revenue[seen], trees[:, fold])
    return said


def cv_plus(
    said: Floats, fold: NDArray[np.int64], missed: Floats, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The CV+ interval of each row; ends are infinite where the stores are too few for the level.

    Args:
        said: What the model without each fold says of each row, shape (rows, folds).
        fold: The fold of each store, shape (stores,).
        missed: What each store was missed by, signed; its size counts.
        level: Share of the truth to be inside, such as 0.9.
    """
    size, around = np.abs(missed), said[:, fold]
    beyond = int(np.ceil(level * (len(size) + 1)))
    if beyond > len(size):
        wide = np.full(len(said), np.inf)
        return -wide, wide
    low = np.sort(around - size, axis=1)[:, len(size) - beyond]
    high = np.sort(around + size, axis=1)[:, beyond - 1]
    return low, high


def range_distance(rows: Floats, stores: Floats, *, themselves: bool = False) -> Floats:
    """Mean distance of each standardised row to its nearest stores, every feature counting alike, shape (rows,).

    Args:
        rows: Standardised, shape (rows, features).
        stores: Standardised, shape (stores, features).
        themselves: Whether the rows are the stores: each then leaves itself out.
    """
    apart = distances(rows, stores, np.ones(stores.shape[1]))
    if themselves:
        np.fill_diagonal(apart, np.inf)
    near: Floats = np.sort(apart, axis=1)[:, :NEAREST_FOR_RANGE].mean(axis=1)
    return near


def _said(model: SiteModel, linear: Linear, rows: Floats, stores: Floats, log_revenue: Floats, trees: Floats) -> Floats:
    near = analogs(linear, rows, stores, log_revenue, model.neighbours)
    return blended(model.weights, line(linear, rows), trees, near)
