"""Grocery chains of California in counties held out whole: how large their stores are, and where they stand.

Chains with 20 stores or more; ten folds of whole counties, so that a county is never known while it is asked about.

`size`: logarithm of the provider's modelled sales, to be read as a size tier, since they were modelled from staff.

- county_mean: the mean of the nearest county that may be learned from, since the own one is not known;
- chain_mean: the mean of the chain in the other folds;
- ridge, trees, analogs: what `model` is a blend of.

`presence`: each store beside ten census tracts of its county at random, each with the share of pairs in which the store
is scored higher: an AUC within chain and county. Features are those of the surroundings, without the store itself.

- population: people within 2 km;
- rivals: other grocery stores within 2 km. The provider's stores were found where shops are, so this is a strong one.

An interval draws counties.

    python -m benchmarks.grocery_sites
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from benchmarks.forecasts import errors, forecasts, group_folds, means_elsewhere
from benchmarks.shown import of_sums, print_figures
from features.distance import degrees_apart_km
from training.interval import Resampling
from training.learner import Binary, raw_scores
from training.sites.study import known_stores

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from training.sites.folds import Folds

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

FEWEST: Final = 20
FOLDS: Final = 10
OTHERS: Final = 10
RADII_KM: Final = (1.0, 2.0, 5.0)
PRESENCE: Final = Binary(
    MappingProxyType(
        {
            "num_iterations": 150,
            "learning_rate": 0.05,
            "num_leaves": 15,
            "min_data_in_leaf": 100,
            "feature_fraction": 0.5,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "lambda_l2": 10.0,
            "max_bin": 63,
        }
    ),
    bags=2,
)
_SEED: Final = 7
_AT_ONCE: Final = 500
_TRACT: Final = ("population", "c_owners", "c_renters", "c_commute", "c_car", "c_transit", "c_walk", "c_stay")
_MEDIANS: Final = ("med_hhinc", "med_rent")


@dataclass(frozen=True)
class Groceries:
    """Stores of all chains, and census tracts.

    Attributes:
        stores: `lat`, `lon`, `log_size`, shape (stores,).
        chain: Code of the chain of each store; -1 for chains with fewer than 20.
        county: Code of its county.
        tracts: `lat`, `lon`, the counts of people, and medians with NaN for unknown, shape (tracts,).
        tract_county: Code of the county of each tract.
        chains: How many chains have 20 stores or more.
    """

    stores: Mapping[str, Floats]
    chain: Codes
    county: Codes
    tracts: Mapping[str, Floats]
    tract_county: Codes
    chains: int


def measure(real: Path, folds: int = FOLDS) -> dict[str, Any] | None:
    """Errors of the size tier and AUC of presence, with intervals; None without the data."""
    folder = real / "grocery_sites"
    if not all((folder / f"{name}.parquet").is_file() for name in ("stores", "tracts")):
        return None
    groceries = read(folder)
    return {"size": of_size(groceries, folds), "presence": of_presence(groceries, folds), "chains": groceries.chains}


def read(folder: Path) -> Groceries:
    """Stores with a size, and tracts; the large negative numbers of medians are unknown."""
    stores_at, tracts_at = folder / "stores.parquet", folder / "tracts.parquet"
    medians = ", ".join(f"CASE WHEN {name} >= 0 THEN {name} END::DOUBLE AS {name}" for name in _MEDIANS)
    with duckdb.connect() as connection:
        stores = connection.sql(f"""
            SELECT chain, county_fips, lat, lon, ln(modelled_sales_k_usd) AS log_size
            FROM read_parquet('{stores_at}') WHERE modelled_sales_k_usd > 0 ORDER BY store_id
        """).fetchnumpy()
        tracts = connection.sql(f"""
            SELECT county_fips, lat, lon, {", ".join(f"{name}::DOUBLE AS {name}" for name in _TRACT)}, {medians}
            FROM read_parquet('{tracts_at}') ORDER BY GEOID
        """).fetchnumpy()
    fips, county = np.unique(np.asarray(stores["county_fips"], str), return_inverse=True)
    _, chain, number = np.unique(np.asarray(stores["chain"], str), return_inverse=True, return_counts=True)
    code = np.full(len(number), -1)
    code[number >= FEWEST] = np.arange((number >= FEWEST).sum())
    inside = np.isin(np.asarray(tracts["county_fips"], str), fips)
    return Groceries(
        {name: np.asarray(stores[name], np.float64) for name in ("lat", "lon", "log_size")},
        code[chain],
        county.astype(np.int64),
        {name: _filled(tracts[name][inside]) for name in ("lat", "lon", *_TRACT, *_MEDIANS)},
        np.searchsorted(fips, np.asarray(tracts["county_fips"], str)[inside]).astype(np.int64),
        int((number >= FEWEST).sum()),
    )


def surroundings(groceries: Groceries, lat: Floats, lon: Floats, own: Floats) -> dict[str, Floats]:
    """What lies around places: people, how they live and move, and grocery stores.

    Args:
        groceries: Stores and tracts.
        lat: Degrees, shape (places,).
        lon: Degrees.
        own: How many of the stores around are the place itself: 1 or 0.
    """
    parts = [
        _around(groceries, lat[start : start + _AT_ONCE], lon[start : start + _AT_ONCE])
        for start in range(0, len(lat), _AT_ONCE)
    ]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {name: one - own if name.startswith("stores_") else one for name, one in found.items()}


def _around(groceries: Groceries, lat: Floats, lon: Floats) -> dict[str, Floats]:
    tracts, stores = groceries.tracts, groceries.stores
    apart = degrees_apart_km(lat[:, None], lon[:, None], tracts["lat"], tracts["lon"])
    to_stores = degrees_apart_km(lat[:, None], lon[:, None], stores["lat"], stores["lon"])
    found: dict[str, Floats] = {}
    for radius in RADII_KM:
        near = np.exp(-0.5 * (apart / radius) ** 2)
        people = near @ tracts["population"]
        found[f"people_{radius:g}km"] = people
        found[f"stores_{radius:g}km"] = (to_stores <= radius).sum(axis=1).astype(np.float64)
        for name in _MEDIANS:
            known = np.isfinite(tracts[name])
            weight = near[:, known] * tracts["population"][known]
            with np.errstate(invalid="ignore", divide="ignore"):
                found[f"{name}_{radius:g}km"] = weight @ tracts[name][known] / weight.sum(axis=1)
    widest = np.exp(-0.5 * (apart / 2.0) ** 2)
    total = widest @ tracts["population"]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = {f"{name}_share": widest @ tracts[name] / total for name in _TRACT if name != "population"}
    return found | shares


def of_size(groceries: Groceries, folds: int) -> dict[str, Any]:
    """Errors of the size tier in counties held out."""
    asked = groceries.chain >= 0
    lat, lon = (groceries.stores[name][asked] for name in ("lat", "lon"))
    target, chain = groceries.stores["log_size"][asked], groceries.chain[asked]
    _, county = np.unique(groceries.county[asked], return_inverse=True)
    dealt = group_folds(county, folds, np.random.default_rng(_SEED))
    columns = surroundings(groceries, lat, lon, np.ones(len(lat))) | _chains(chain, groceries.chains)
    stores = known_stores(tuple(columns), np.stack(list(columns.values()), axis=1).astype(np.float32), target)
    said = forecasts(stores, dealt) | {
        "county_mean": nearest_mean(target, county, lat, lon, dealt),
        "chain_mean": means_elsewhere(target, chain, dealt),
    }
    found = errors(target, said, Resampling(county, np.random.default_rng(_SEED)))
    return {**found, "stores": len(target), "counties": int(county.max()) + 1}


def nearest_mean(target: Floats, county: Codes, lat: Floats, lon: Floats, folds: Folds) -> Floats:
    """The mean of the nearest county, by the means of their stores, of those that may be learned from."""
    number = np.bincount(county)
    north, east, mean = (np.bincount(county, one) / number for one in (lat, lon, target))
    apart = degrees_apart_km(north[:, None], east[:, None], north, east)
    said = np.empty(len(target))
    for one in range(folds.count):
        known = np.unique(county[folds.learned(one)])
        nearest = known[np.argmin(apart[:, known], axis=1)]
        said[folds.fold == one] = mean[nearest[county[folds.fold == one]]]
    return said


def of_presence(groceries: Groceries, folds: int) -> dict[str, Any]:
    """How often a store's place is scored above a place of its county at random."""
    generator = np.random.default_rng(_SEED)
    asked = np.flatnonzero(groceries.chain >= 0)
    _, county = np.unique(groceries.county[asked], return_inverse=True)
    dealt = group_folds(county, folds, np.random.default_rng(_SEED))
    tract = drawn(groceries, asked, generator)
    stores, tracts = groceries.stores, groceries.tracts
    true = surroundings(groceries, stores["lat"][asked], stores["lon"][asked], np.ones(len(asked)))
    unique, place = np.unique(tract, return_inverse=True)
    others = surroundings(groceries, tracts["lat"][unique], tracts["lon"][unique], np.zeros(len(unique)))
    columns = {
        name: np.concatenate((one[:, None], others[name][place.reshape(tract.shape)]), axis=1)
        for name, one in true.items()
    }
    shape = (len(asked), OTHERS + 1)
    chain = {
        name: np.repeat(one[:, None], shape[1], axis=1)
        for name, one in _chains(groceries.chain[asked], groceries.chains).items()
    }
    said = {
        "model": _presence(columns | chain, dealt, generator),
        "population": columns["people_2km"],
        "rivals": columns["stores_2km"],
    }
    return aucs(said, Resampling(county, generator))


def drawn(groceries: Groceries, asked: NDArray[np.intp], generator: np.random.Generator) -> NDArray[np.intp]:
    """Ten tracts at random of the county of each store, shape (asked, 10)."""
    found = np.empty((len(asked), OTHERS), np.intp)
    for county in np.unique(groceries.county[asked]):
        rows = np.flatnonzero(groceries.county[asked] == county)
        found[rows] = generator.choice(np.flatnonzero(groceries.tract_county == county), (len(rows), OTHERS))
    return found


def aucs(said: Mapping[str, Floats], resampling: Resampling) -> dict[str, dict[str, Any]]:
    """The share of pairs in which the first column is scored above another, ties half; and the first score's lead.

    Args:
        said: Scores by name, the model's first; the true place is the first column; shape (stores, places).
        resampling: Draws of units of the stores.
    """
    ours = next(iter(said))
    columns = {
        name: ((one[:, :1] > one[:, 1:]) + 0.5 * (one[:, :1] == one[:, 1:])).mean(axis=1) for name, one in said.items()
    }
    columns["stores"] = np.ones(len(said[ours]))

    def figures(sums: Mapping[str, Floats]) -> dict[str, Floats]:
        mean = {name: sums[name] / sums["stores"] for name in said}
        return mean | {f"gain {name}": mean[ours] - one for name, one in mean.items()}

    found = of_sums(columns, figures, resampling)
    return {name: {"auc": found[name]} | ({"gain": found[f"gain {name}"]} if name != ours else {}) for name in said}


def _presence(columns: Mapping[str, Floats], folds: Folds, generator: np.random.Generator) -> Floats:
    matrix = np.stack(list(columns.values()), axis=-1).astype(np.float32)
    label = np.zeros(matrix.shape[:2])
    label[:, 0] = 1.0
    said = np.empty(matrix.shape[:2])
    for one in range(folds.count):
        known, inside = folds.learned(one), np.flatnonzero(folds.fold == one)
        rows = matrix[known].reshape(-1, matrix.shape[-1])
        booster = PRESENCE.fit(tuple(columns), rows, label[known].ravel(), {}, generator)
        said[inside] = raw_scores(booster, matrix[inside].reshape(-1, matrix.shape[-1])).reshape(len(inside), -1)
    return said


def _chains(chain: Codes, count: int) -> dict[str, Floats]:
    return {f"chain_{one}": (chain == one).astype(np.float64) for one in range(count)}


def _filled(column: NDArray[Any]) -> Floats:
    return np.ma.filled(np.ma.asarray(column, np.float64), np.nan)


def main() -> None:
    """Print the figures as one JSON object."""
    print_figures("python -m benchmarks.grocery_sites", __doc__ or "", measure)


if __name__ == "__main__":
    main()
