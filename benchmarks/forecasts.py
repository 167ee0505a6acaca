"""Forecasts for places that were held out: how far off they are, and how well they put places in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.shown import of_sums
from training.sites.folds import Folds
from training.sites.members import Recipe
from training.sites.study import held_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from training.interval import Resampling
    from training.sites.members import Stores
    from training.sites.study import HeldOut

    Floats = NDArray[np.float64]

MEMBERS = ("ridge", "trees", "analogs")


def group_folds(group: NDArray[np.int64], count: int, generator: np.random.Generator) -> Folds:
    """Folds of whole groups and about equal size: the largest group first, each to the fold that has fewest rows.

    Args:
        group: Code of the county or area of each row, from 0.
        count: How many folds.
        generator: Puts groups of one size in order.
    """
    sizes = np.bincount(group)
    fold_of, rows = np.zeros(len(sizes), np.int64), np.zeros(count, np.int64)
    for one in np.lexsort((generator.random(len(sizes)), -sizes)):
        fold_of[one] = np.argmin(rows)
        rows[fold_of[one]] += sizes[one]
    fold = fold_of[group]
    return Folds(fold, np.stack([fold == one for one in range(count)]))


def forecasts(stores: Stores, folds: Folds, recipe: Recipe | None = None, seed: int = 0) -> dict[str, Floats]:
    """What the model of sites and each of its members say of rows held out; shape (rows,) each."""
    found: HeldOut = held_out(stores, folds, recipe or Recipe(), seed)
    return {"model": found.blend, **dict(zip(MEMBERS, found.members.T, strict=True))}


def means_elsewhere(target: Floats, kind: NDArray[np.int64], folds: Folds) -> Floats:
    """The mean of a row's kind (chain, genre) over the other folds; that of all kinds where there is none."""
    said = np.empty(len(target))
    for one in range(folds.count):
        inside, known = folds.fold == one, folds.learned(one)
        number = np.bincount(kind[known], minlength=kind.max() + 1)
        total = np.bincount(kind[known], target[known], len(number))
        mean = np.where(number > 0, total / np.maximum(number, 1), target[known].mean())
        said[inside] = mean[kind[inside]]
    return said


def errors(target: Floats, said: Mapping[str, Floats], resampling: Resampling) -> dict[str, dict[str, Any]]:
    """RMSE and rank correlation of each forecast, and how much smaller the first one's RMSE is.

    The rank correlation is that of ranks taken once over all rows (Spearman's); draws weigh the rows, ranks stay.

    Args:
        target: What is true.
        said: The model first, then what it is held against.
        resampling: Draws of independent units.
    """
    ours = next(iter(said))
    truth = _ranks(target)
    columns = {"rows": np.ones(len(target)), "truth": truth, "truth squared": truth**2}
    for name, one in said.items():
        ranks = _ranks(one)
        columns |= {
            f"{name} missed": (one - target) ** 2,
            f"{name} ranks": ranks,
            f"{name} squared": ranks**2,
            f"{name} truth": ranks * truth,
        }
    found = of_sums(columns, lambda sums: _figures(list(said), ours, sums), resampling)
    parts = ("rmse", "rank_correlation", "rmse_saved")
    return {name: {part: found[f"{name} {part}"] for part in parts if f"{name} {part}" in found} for name in said}


def _figures(names: list[str], ours: str, sums: Mapping[str, Floats]) -> dict[str, Floats]:
    found = {}
    rows = sums["rows"]
    spread = sums["truth squared"] / rows - (sums["truth"] / rows) ** 2
    for name in names:
        mean = sums[f"{name} ranks"] / rows
        together = sums[f"{name} truth"] / rows - mean * sums["truth"] / rows
        own = sums[f"{name} squared"] / rows - mean**2
        found[f"{name} rmse"] = np.sqrt(sums[f"{name} missed"] / rows)
        found[f"{name} rank_correlation"] = together / np.sqrt(spread * own)
    for name in names:
        if name != ours:
            found[f"{name} rmse_saved"] = 1 - found[f"{ours} rmse"] / found[f"{name} rmse"]
    return found


def _ranks(values: Floats) -> Floats:
    """Ranks from 0 to 1, of equals their mean."""
    distinct, code, number = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(number) - (number + 1) / 2
    return middle[code] / max(len(values) - 1, 1) if len(distinct) > 1 else np.full(len(values), 0.5)
