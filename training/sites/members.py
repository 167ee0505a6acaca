"""The three ways a forecast is made, each fitted on some stores: ridge, trees whose effects go one way, analogs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from training.formulas import Column, Linear, site_analogs, site_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import lightgbm as lgb
    from numpy.typing import NDArray

    from training.task import Parameters

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
HELD_BACK = 100.0
"""How many times the penalty of a kind (a column of 0 and 1) is put on everything else, where that is better."""
SKEWED = 1.0
GIVE_OR_TAKE = 0.3
"""Standard deviation of a member's weight before any store has been seen."""
TREES: Mapping[str, float | int | str | bool] = {
    "objective": "regression",
    "learning_rate": 0.05,
    "num_leaves": 6,
    "max_depth": 3,
    "min_data_in_leaf": 8,
    "lambda_l2": 1.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "max_bin": 63,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
ROUNDS = 150


@dataclass(frozen=True)
class Recipe:
    """How the members are made.

    Attributes:
        more_sells_more: Features of which more never lowers the forecast of the trees.
        more_sells_less: Features of which more never raises it.
        trees: Parameters of LightGBM.
        rounds: How many trees.
        neighbours: How many similar stores are averaged.
        fewest_for_trees: With fewer stores, ridge and analogs alone make the forecast.
    """

    more_sells_more: tuple[str, ...] = ()
    more_sells_less: tuple[str, ...] = ()
    trees: Parameters = field(default_factory=lambda: dict(TREES))
    rounds: int = ROUNDS
    neighbours: int = 8
    fewest_for_trees: int = 80


@dataclass(frozen=True)
class Stores:
    """What is learned from.

    Attributes:
        names: Names of the features.
        features: Float32, shape (stores, features), NaN for unknown.
        rows: The same on the common scale.
        log_revenue: Shape (stores,).
    """

    names: tuple[str, ...]
    features: NDArray[np.float32]
    rows: Floats
    log_revenue: Floats


@dataclass(frozen=True)
class Members:
    """The members fitted on some stores.

    Attributes:
        linear: The ridge.
        booster: The trees.
        seen: The stores that they learned from.
    """

    linear: Linear
    booster: lgb.Booster
    seen: Places

    def say(self, stores: Stores, asked: Places, neighbours: int) -> Floats:
        """What ridge, trees and analogs say of some stores, shape (asked, 3)."""
        rows, known = stores.rows[asked], self.seen
        trees = np.asarray(self.booster.predict(stores.features[asked].astype(np.float64), num_threads=1), np.float64)
        near = site_analogs(self.linear, rows, stores.rows[known], stores.log_revenue[known], neighbours)
        return np.column_stack((site_line(self.linear, rows), trees, near))


def common_scale(features: NDArray[np.float32]) -> tuple[Column, ...]:
    """The scale of each feature, from features alone; those that lean to the right and are never negative get log1p."""
    return tuple(_scale(column.astype(np.float64)) for column in features.T)


def fit_members(stores: Stores, seen: Places, recipe: Recipe, groups: NDArray[np.int64], seed: int) -> Members:
    """Fit all three on some stores.

    Args:
        stores: All of them.
        seen: Which may be learned from.
        recipe: How.
        groups: Fold of each store, by which the ridge's penalty is chosen among those seen.
        seed: Where the trees' chance starts.
    """
    penalty = _penalty(stores, seen, groups)
    linear = ridge(stores.rows[seen], stores.log_revenue[seen], penalty)
    return Members(linear, _trees(stores, seen, recipe, seed), seen)


def penalties(features: NDArray[np.float32]) -> tuple[Floats, ...]:
    """What the ridge may be punished by, one penalty a feature; the strongest first.

    Alike for all features; or so that little but the kinds is heard (columns of 0 and 1, such as a store's format), so
    that a chain about which its surroundings tell nothing falls back to about the mean of each kind.

    Args:
        features: Shape (stores, features), NaN for unknown.
    """
    kind = ((features == 0) | (features == 1) | np.isnan(features)).all(axis=0)
    told = (np.where(kind, 1.0, HELD_BACK), np.ones(len(kind)))
    return tuple(penalty * one for one in told for penalty in reversed(PENALTIES))


def ridge(rows: Floats, target: Floats, penalty: Floats) -> Linear:
    """Ridge regression with a free intercept; one penalty a feature."""
    centre, mean = rows.mean(axis=0), target.mean()
    apart = rows - centre
    solved = np.linalg.solve(apart.T @ apart + np.diag(penalty), apart.T @ (target - mean))
    return Linear(float(mean - centre @ solved), tuple(solved.tolist()))


def blend(said: Floats, target: Floats, usable: Sequence[int]) -> tuple[float, float, float]:
    """Weights of the members, 0 or more and of sum 1, with the smallest squared error; exact, by trying every support.

    Equal weights are hard to beat, since weights that few stores tell are noise (Smith and Wallis, "A simple
    explanation of the forecast combination puzzle", Oxford Bulletin of Economics and Statistics 2009): so a weight
    starts from an equal one, give or take `GIVE_OR_TAKE`, and the stores have to say otherwise.

    Args:
        said: What each member said of stores it had not seen, shape (stores, 3).
        target: What is true of them.
        usable: The members that may have weight.
    """
    members, alike = list(usable), 1 / len(usable)
    missed = float(np.sqrt(((said[:, members] - target[:, None]) ** 2).mean(axis=0).min()))
    firm = missed / GIVE_OR_TAKE
    rows = np.vstack((said[:, members], firm * np.eye(len(members))))
    truth = np.r_[target, np.full(len(members), firm * alike)]
    best, found = np.inf, np.zeros(said.shape[1])
    for mask in range(1, 1 << len(members)):
        support = [place for place in range(len(members)) if mask >> place & 1]
        weights = _on_simplex(rows[:, support], truth)
        error = float(((rows[:, support] @ weights - truth) ** 2).sum())
        if (weights >= 0).all() and error < best:
            best, found = error, np.zeros(said.shape[1])
            found[[members[place] for place in support]] = weights
    return float(found[0]), float(found[1]), float(found[2])


def _on_simplex(said: Floats, target: Floats) -> Floats:
    """Least squares with weights of sum 1 and any sign: the first weight is 1 less the others."""
    others = said[:, 1:] - said[:, :1]
    solved, *_ = np.linalg.lstsq(others, target - said[:, 0], rcond=None)
    weights: Floats = np.r_[1 - solved.sum(), solved]
    return weights


def _scale(values: Floats) -> Column:
    known = values[~np.isnan(values)]
    if not len(known):
        return Column(logarithm=False, usual=0.0, centre=0.0, spread=1.0)
    logarithm = bool(known.min() >= 0 and known.max() > 1 and _skew(known) > SKEWED)
    taken = np.log1p(known) if logarithm else known
    usual = float(np.median(taken))
    filled = np.r_[taken, np.full(len(values) - len(known), usual)]
    spread = float(filled.std())
    return Column(logarithm, usual, float(filled.mean()), spread if spread > 1e-9 else 1.0)


def _skew(values: Floats) -> float:
    spread = values.std()
    return 0.0 if spread == 0 else float((((values - values.mean()) / spread) ** 3).mean())


def _penalty(stores: Stores, seen: Places, groups: NDArray[np.int64]) -> Floats:
    """The penalty with the smallest squared error over the groups among the stores seen; the stronger of equals."""
    tried = penalties(stores.features)
    errors = np.zeros(len(tried))
    for group in np.unique(groups[seen]):
        inside, outside = seen[groups[seen] != group], seen[groups[seen] == group]
        if not len(inside):
            continue
        for place, penalty in enumerate(tried):
            linear = ridge(stores.rows[inside], stores.log_revenue[inside], penalty)
            errors[place] += ((site_line(linear, stores.rows[outside]) - stores.log_revenue[outside]) ** 2).sum()
    return tried[int(np.argmin(errors))]


def _trees(stores: Stores, seen: Places, recipe: Recipe, seed: int) -> lgb.Booster:
    import lightgbm as lgb

    ways = [(name in recipe.more_sells_more) - (name in recipe.more_sells_less) for name in stores.names]
    parameters = {**recipe.trees, "monotone_constraints": ways, "seed": seed}
    data = lgb.Dataset(
        stores.features[seen].astype(np.float64), stores.log_revenue[seen], feature_name=list(stores.names)
    )
    return lgb.train(parameters, data, num_boost_round=recipe.rounds)
