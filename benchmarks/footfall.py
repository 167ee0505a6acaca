"""How many a restaurant in an area nobody has seen will have in, each open day: 829 restaurants of 108 distinct places.

Target: logarithm of the mean visitors of the days recorded. Held out are whole areas, ten folds of them at random;
`stretches` holds out eight stretches of the country instead, with 3 km around them: what a chain meets in a new city.
An interval draws places: restaurants of one coordinate are one unit. Known of a restaurant: its genre, and the
restaurants around it (this set's without their visitors, and the `competitors`); as for any site, neither coordinates
nor names of regions.

`variance` says what there is to win: what genre leaves over lies within places and between them, and a model of places
that knew everything about each would have `rmse_at_best`, against that of the genre's mean.

- genre_mean: the mean of its genre over the other folds;
- ridge, trees, analogs: what `model` is a blend of, with weights found among the other folds.

    python -m benchmarks.footfall
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from benchmarks.forecasts import errors, forecasts, group_folds, means_elsewhere
from benchmarks.shown import print_figures
from features.distance import degrees_apart_km
from training.interval import Resampling
from training.sites.folds import spatial_folds
from training.sites.study import known_stores

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from training.sites.folds import Folds
    from training.sites.members import Stores

    Floats = NDArray[np.float64]

FOLDS: Final = 10
STRETCHES: Final = 8
BUFFER_KM: Final = 3.0
RADII_KM: Final = (0.5, 1.5, 5.0)
FEWEST_OF_KIND: Final = 10
_SEED: Final = 7


def measure(real: Path, folds: int = FOLDS) -> dict[str, Any] | None:
    """RMSE of the logarithm and rank correlation of each forecast, over areas and over stretches; None without data."""
    folder = real / "footfall"
    if not all((folder / f"{name}.parquet").is_file() for name in ("stores", "visits", "competitors")):
        return None
    stores, genre, place, lat, lon = read(folder)
    generator = np.random.default_rng(_SEED)
    areas = judged(stores, genre, place, group_folds(place, folds, generator))
    stretches = judged(stores, genre, place, spatial_folds(lat, lon, STRETCHES, BUFFER_KM))
    return {
        **areas,
        "stretches": stretches,
        "variance": of_places(stores.log_revenue, genre, place),
        "stores": len(place),
        "places": int(place.max()) + 1,
    }


def judged(stores: Stores, genre: NDArray[np.int64], place: NDArray[np.int64], folds: Folds) -> dict[str, Any]:
    """The figures of one way of holding out."""
    said = forecasts(stores, folds) | {"genre_mean": means_elsewhere(stores.log_revenue, genre, folds)}
    return errors(stores.log_revenue, said, Resampling(place, np.random.default_rng(_SEED)))


def of_places(target: Floats, kind: NDArray[np.int64], place: NDArray[np.int64]) -> dict[str, float]:
    """What lies between places of what the kind of row leaves over: one-way analysis of variance, rows unbalanced.

    Args:
        target: Shape (rows,).
        kind: Code of the kind of each row.
        place: Code of its place.
    """
    left = target - (np.bincount(kind, target) / np.maximum(np.bincount(kind), 1))[kind]
    rows = np.bincount(place)
    mean = np.bincount(place, left) / rows
    within = float(((left - mean[place]) ** 2).sum() / (len(target) - len(rows)))
    usual = (len(target) - (rows**2).sum() / len(target)) / (len(rows) - 1)
    between = max((float((rows * mean**2).sum()) / (len(rows) - 1) - within) / float(usual), 0.0)
    return {"within_places": within, "between_places": between, "rmse_at_best": float(np.sqrt(within))}


def read(folder: Path) -> tuple[Stores, NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    """Restaurants with their features, the code of genre and of place of each, and where they lie."""
    with duckdb.connect() as connection:
        found = connection.sql(f"""
            SELECT genre, any_value(lat) AS lat, any_value(lon) AS lon, ln(avg(visitors)) AS target
            FROM read_parquet('{folder / "stores.parquet"}') AS store
            JOIN read_parquet('{folder / "visits.parquet"}') AS visit ON visit.air_store_id = store.store_id
            GROUP BY store_id, genre ORDER BY store_id
        """).fetchnumpy()
        others = connection.sql(f"SELECT lat, lon FROM read_parquet('{folder / 'competitors.parquet'}')").fetchnumpy()
    lat, lon = (np.asarray(found[name], np.float64) for name in ("lat", "lon"))
    genres, genre = np.unique(np.asarray(found["genre"], str), return_inverse=True)
    _, place = np.unique(np.stack([lat, lon], axis=1), axis=0, return_inverse=True)
    apart = degrees_apart_km(lat[:, None], lon[:, None], lat, lon)
    rivals = degrees_apart_km(
        lat[:, None], lon[:, None], np.asarray(others["lat"], np.float64), np.asarray(others["lon"], np.float64)
    )
    columns: dict[str, Floats] = {}
    for radius in RADII_KM:
        columns[f"restaurant_count_{radius:g}km"] = (apart <= radius).sum(axis=1) - 1.0
        columns[f"rival_count_{radius:g}km"] = (rivals <= radius).sum(axis=1).astype(np.float64)
        same = (apart <= radius) & (genre[:, None] == genre)
        columns[f"same_genre_count_{radius:g}km"] = same.sum(axis=1) - 1.0
    columns |= flags("genre", genres, genre)
    features = np.stack(list(columns.values()), axis=1).astype(np.float32)
    stores = known_stores(tuple(columns), features, np.asarray(found["target"], np.float64))
    return stores, genre.astype(np.int64), place.ravel().astype(np.int64), lat, lon


def flags(kind: str, names: NDArray[np.str_], code: NDArray[np.intp]) -> dict[str, Floats]:
    """One column for each kind of ten rows and more: 1 where a row is of it."""
    return {
        f"{kind}_{number}": (code == number).astype(np.float64)
        for number in range(len(names))
        if (code == number).sum() >= FEWEST_OF_KIND
    }


def main() -> None:
    """Print the figures as one JSON object."""
    print_figures("python -m benchmarks.footfall", __doc__ or "", measure)


if __name__ == "__main__":
    main()
