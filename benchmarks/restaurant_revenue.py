"""What 137 restaurants take in a year, from 37 masked figures, their age, city and kind (TFI).

Ten times ten folds at random; the figure is the RMSE over all rows of the mean of the ten forecasts that each was held
out for, its interval draws restaurants, and `rmse_of_repeats` is the range of the RMSE of single repeats.

- mean: the mean revenue of the other folds;
- best_published: 1 727 811, the best of 2 257 teams on the hidden test half of the contest, 100 000 rows most of which
  are made up. Ours is of other restaurants, by folds of the 137 known ones, whose few very large revenues (up to eight
  times the usual) decide the figure: the two may be read side by side and not subtracted.

    python -m benchmarks.restaurant_revenue
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from benchmarks.forecasts import errors
from benchmarks.shown import print_figures
from training.interval import Resampling
from training.sites.folds import random_folds
from training.sites.members import Recipe
from training.sites.study import held_out, known_stores

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from training.sites.folds import Folds
    from training.sites.members import Stores

    Floats = NDArray[np.float64]

BEST_PUBLISHED: Final = 1_727_811
REPEATS: Final = 10
FOLDS: Final = 10
_SEED: Final = 7
_MASKED: Final = 37


def measure(real: Path, repeats: int = REPEATS, folds: int = FOLDS) -> dict[str, Any] | None:
    """RMSE and rank correlation of the model of sites and of the mean; None without the data."""
    path = real / "restaurant_revenue" / "train.parquet"
    if not path.is_file():
        return None
    stores = read(path)
    generator = np.random.default_rng(_SEED)
    dealt = [random_folds(len(stores.log_revenue), folds, generator) for _ in range(repeats)]
    revenue = np.exp(stores.log_revenue)
    model = np.stack([held_out(stores, one, Recipe(), _SEED).revenue_fen for one in dealt])
    mean = np.stack([mean_elsewhere(revenue, one) for one in dealt])
    units = Resampling(np.arange(len(revenue)), np.random.default_rng(_SEED))
    figures = errors(revenue, {"model": model.mean(axis=0), "mean": mean.mean(axis=0)}, units)
    of_repeat = np.sqrt(((model - revenue) ** 2).mean(axis=1))
    return {
        **figures,
        "rmse_of_repeats": [float(of_repeat.min()), float(of_repeat.max())],
        "mean_rmse_of_repeats": float(of_repeat.mean()),
        "best_published": BEST_PUBLISHED,
        "restaurants": len(revenue),
    }


def mean_elsewhere(revenue: Floats, folds: Folds) -> Floats:
    """The mean of the rows that may be learned from, for each row held out."""
    return np.array([revenue[folds.learned(one)].mean() for one in range(folds.count)])[folds.fold]


def read(path: Path) -> Stores:
    """The restaurants: masked figures, logarithm of the days open by 2015, big city, kind; target log revenue."""
    masked = ", ".join(f"P{number}" for number in range(1, _MASKED + 1))
    with duckdb.connect() as connection:
        rows = connection.sql(f"""
            SELECT {masked}, ln(date_diff('day', strptime("Open Date", '%m/%d/%Y'), DATE '2015-01-01')) AS log_age,
                ("City Group" = 'Big Cities')::INTEGER AS big_city, (Type = 'FC')::INTEGER AS food_court,
                (City = 'İstanbul')::INTEGER AS istanbul, ln(revenue) AS target
            FROM read_parquet('{path}') ORDER BY Id
        """).fetchnumpy()
    target = np.asarray(rows.pop("target"), np.float64)
    return known_stores(tuple(rows), np.stack([np.asarray(one, np.float32) for one in rows.values()], axis=1), target)


def main() -> None:
    """Print the figures as one JSON object."""
    print_figures("python -m benchmarks.restaurant_revenue", __doc__ or "", measure)


if __name__ == "__main__":
    main()
