"""From stores to a forecast that has been judged where it does not know the neighbourhood.

Nested throughout: what is said of a held-out fold comes from members, weights and interval that were made without it.
The model without folds k and l serves both as the inner model of k and of l, so that all pairs are fitted once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from training.formulas import Learned, SiteModel, cv_plus, range_distance, scaled
from training.sites.members import Stores, blend, common_scale, fit_members
from training.sites.nearby import fit_nearby, foretold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from training.formulas import Nearby
    from training.sites.folds import Folds
    from training.sites.members import Members, Recipe

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]
    Where = tuple[Floats, Floats]

LEVELS = (0.8, 0.9)
RANGE_QUANTILE = 0.99


@dataclass(frozen=True)
class HeldOut:
    """What was said of every store while its fold was held out; logarithms of yearly revenue, shape (stores,).

    Attributes:
        blend: The forecast, with weights and surface found among the other folds.
        members: Ridge, trees and analogs, shape (stores, 3).
        smearing: Factor of each store's fold that turns the exponential into a mean.
        intervals: Ends by level, both (stores,).
    """

    blend: Floats
    members: Floats
    smearing: Floats
    intervals: Mapping[float, tuple[Floats, Floats]]

    @property
    def revenue_fen(self) -> Floats:
        """The mean forecast, fen a year."""
        return np.exp(self.blend) * self.smearing

    def at(self, stores: NDArray[np.bool_]) -> HeldOut:
        """What was said of some of the stores."""
        ends = {level: (low[stores], high[stores]) for level, (low, high) in self.intervals.items()}
        return HeldOut(self.blend[stores], self.members[stores], self.smearing[stores], ends)


@dataclass(frozen=True)
class Fitted:
    """A forecast ready to be exported.

    Attributes:
        model: Its constants.
        learned: The stores that it rests on.
        whole: Members of all stores.
        without: Members without each fold.
    """

    model: SiteModel
    learned: Learned
    whole: Members
    without: tuple[Members, ...]


def known_stores(names: tuple[str, ...], features: NDArray[np.float32], log_revenue: Floats) -> Stores:
    """Stores with their features on the common scale."""
    return Stores(names, features, scaled(common_scale(features), features), log_revenue)


def fit_sites(
    stores: Stores, folds: Folds, recipe: Recipe, seed: int, target: str = "", *, where: Where | None = None
) -> Fitted:
    """Members on all stores and without each fold, the blend, and what held-out stores were missed by.

    Args:
        stores: All stores.
        folds: How they are held out.
        recipe: How members are made.
        seed: Where chance starts.
        target: What is forecast, in words.
        where: Degrees of the stores, so that a site's neighbours are heard; None hears none.
    """
    everyone = np.arange(len(stores.log_revenue))
    whole = fit_members(stores, everyone, recipe, folds.fold, seed)
    without = tuple(fit_members(stores, folds.learned(one), recipe, folds.fold, seed) for one in range(folds.count))
    said = _out_of_fold(stores, folds, range(folds.count), without, recipe)
    weights = blend(said, stores.log_revenue, usable(recipe, len(everyone)))
    missed = stores.log_revenue - said @ np.array(weights)
    nearby = None if where is None else fit_nearby(*where, missed)
    left = missed - _heard(nearby, where, missed, folds)
    model = SiteModel(
        target=target,
        columns=common_scale(stores.features),
        whole=whole.linear,
        folds=tuple(each.linear for each in without),
        weights=weights,
        neighbours=recipe.neighbours,
        smearing=float(np.exp(left).mean()),
        furthest=float(np.quantile(range_distance(stores.rows, stores.rows, themselves=True), RANGE_QUANTILE)),
        nearby=nearby,
    )
    learned = Learned(stores.features, stores.log_revenue, folds.fold, folds.barred, missed, left)
    return Fitted(model, learned, whole, without)


def held_out(
    stores: Stores,
    folds: Folds,
    recipe: Recipe,
    seed: int,
    *,
    where: Where | None = None,
    without: Sequence[Members] | None = None,
    advance: Callable[[], None] | None = None,
) -> HeldOut:
    """Judge by nested folds: what is said of a fold knows nothing of it, down to weights and interval.

    Args:
        stores: All stores.
        folds: How they are held out.
        recipe: How members are made.
        seed: Where chance starts.
        where: Degrees of the stores, so that neighbours beyond the buffer are heard; None hears none.
        without: Members without each fold, if fitted already.
        advance: Called after each fit.
    """
    numbers = range(folds.count)
    outer = without or [fit_members(stores, folds.learned(one), recipe, folds.fold, seed) for one in numbers]
    pairs = {}
    for one, other in combinations(numbers, 2):
        pairs[one, other] = fit_members(stores, folds.learned(one, other), recipe, folds.fold, seed)
        if advance is not None:
            advance()
    count = len(stores.log_revenue)
    said, forecast, smearing = np.empty((count, 3)), np.empty(count), np.empty(count)
    ends = {level: (np.empty(count), np.empty(count)) for level in LEVELS}
    for fold in numbers:
        inside = np.flatnonzero(folds.fold == fold)
        others = [one for one in numbers if one != fold]
        inner = {one: pairs[min(one, fold), max(one, fold)] for one in others}
        known = _out_of_fold(stores, folds, others, [inner[one] for one in others], recipe)
        rest = np.flatnonzero(folds.fold != fold)
        weights = np.array(blend(known[rest], stores.log_revenue[rest], usable(recipe, len(rest))))
        missed = np.where(folds.fold == fold, np.nan, stores.log_revenue - known @ weights)
        nearby = None if where is None else fit_nearby(where[0][rest], where[1][rest], missed[rest])
        left = (missed - _heard(nearby, where, missed, folds, fold))[rest]
        said[inside] = outer[fold].say(stores, inside, recipe.neighbours)
        forecast[inside] = said[inside] @ weights + _told(nearby, where, missed, folds.learned(fold), inside)
        smearing[inside] = np.exp(left).mean()
        around = np.stack([inner[one].say(stores, inside, recipe.neighbours) @ weights for one in others], axis=1)
        around += np.stack([_told(nearby, where, missed, folds.learned(fold, one), inside) for one in others], axis=1)
        code = np.searchsorted(others, folds.fold[rest])
        for level, (low, high) in ends.items():
            low[inside], high[inside] = cv_plus(around, code, left, level)
    return HeldOut(forecast, said, smearing, ends)


def _told(nearby: Nearby | None, where: Where | None, missed: Floats, heard: Places, asked: Places) -> Floats:
    """What stores that may be heard tell of others; 0 without a surface."""
    return np.zeros(len(asked)) if where is None else foretold(nearby, where, missed, heard, asked)


def _heard(nearby: Nearby | None, where: Where | None, missed: Floats, folds: Folds, *held: int) -> Floats:
    """What every store is told while its fold and those held out are not heard, shape (stores,)."""
    told = np.zeros(len(missed))
    for one in range(folds.count):
        inside = np.flatnonzero(folds.fold == one)
        if one not in held:
            told[inside] = _told(nearby, where, missed, folds.learned(one, *held), inside)
    return told


def usable(recipe: Recipe, stores: int) -> tuple[int, ...]:
    """The members that may have weight: all, or ridge and analogs alone where stores are few."""
    return (0, 1, 2) if stores >= recipe.fewest_for_trees else (0, 2)


def _out_of_fold(
    stores: Stores, folds: Folds, numbers: Sequence[int] | range, members: Sequence[Members], recipe: Recipe
) -> Floats:
    """What the members without each of some folds say of that fold's stores; NaN for stores of other folds."""
    said = np.full((len(stores.log_revenue), 3), np.nan)
    for fold, each in zip(numbers, members, strict=True):
        inside = np.flatnonzero(folds.fold == fold)
        said[inside] = each.say(stores, inside, recipe.neighbours)
    return said
