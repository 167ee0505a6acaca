"""Which areas a brand is in: where it was hidden, is it expected? Chicago and Singapore (OpenSiteRec).

Of each brand with five places or more a fifth is hidden, rounded down; areas are put in order for it, those of its
other places left out, and the areas of the hidden places are to come first: recall@20 and NDCG@20, mean of brands that
have any. Three seeds hide, and all figures are of the three together, each brand's mean of them counting once; an
interval draws brands, the same for every score, so that a gain is paired. `seed_0` alone is the split whose kept part
settings were chosen on.

- popularity: how many of these brands are known to be in the area;
- brand_knn: its brands, each weighted by the cosine of its areas with the brand's;
- lambdamart, chance: the two models that `model` is the mean of.

The model also knows the places of brands with fewer than five, as a map would; the others do not use them.

    python -m benchmarks.brand_sites
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.shown import of_sums, print_figures
from training.interval import Resampling
from training.ranking_metrics import Lists, ndcg_at, recall_at
from training.sites.brand_area import fit_brand_areas
from training.sites.brand_features import BrandAreas, cosine_of_brands
from training.sites.known_places import held_back, known_places

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from training.sites.known_places import KnownPlaces

    Floats = NDArray[np.float64]

CITIES: Final = ("chicago", "singapore")
SEEDS: Final = 3
FEWEST: Final = 5
HIDDEN: Final = 0.2
PLACES: Final = 20
METRICS: Final = (recall_at(PLACES), ndcg_at(PLACES))
_COLUMNS: Final = {"Brand": "brand", "Region_ID": "area", "Latitude": "lat", "Longitude": "lon"}
_CATEGORIES: Final = ("cate_1", "cate_2", "cate_3")


def measure(real: Path, seeds: int = SEEDS) -> dict[str, Any] | None:
    """Recall@20 and NDCG@20 of each score in each city, and the model's gain over it; None without the data."""
    paths = {city: real / "brand_sites" / f"{city}_kg_plus.parquet" for city in CITIES}
    if not all(path.is_file() for path in paths.values()):
        return None
    return {city: of_city(read(path), seeds) for city, path in paths.items()}


def read(path: Path) -> KnownPlaces:
    """The places of a city that lie in an area of a brand with five or more, which is what areas are chosen from."""
    table = pq.read_table(path, columns=[*_COLUMNS, *_CATEGORIES])
    table = table.rename_columns([_COLUMNS.get(name, name) for name in table.column_names])
    places = known_places(table, categories=_CATEGORIES)
    large = places.of_brand()[places.brand] >= FEWEST
    inside = np.isin(places.area, places.area[large])
    return known_places(table.filter(pa.array(inside)), categories=_CATEGORIES)


def of_city(places: KnownPlaces, seeds: int = SEEDS) -> dict[str, Any]:
    """The figures of one city.

    Args:
        places: All its places.
        seeds: How often places are hidden.
    """
    began = time.process_time()
    ranked = np.flatnonzero(places.of_brand() >= FEWEST)
    splits = []
    for seed in range(seeds):
        splits.append(judged(places, ranked, np.random.default_rng(seed)))
        spent = round(time.process_time() - began, 1)
        print(f"brand_sites, {len(ranked)} brands, seed {seed}: {spent} CPU seconds", file=sys.stderr, flush=True)
    draws = np.random.default_rng(seeds)
    return {
        **figures(splits, Resampling(np.arange(len(ranked)), draws)),
        "seed_0": figures(splits[:1], Resampling(np.arange(len(ranked)), draws)),
        "brands": len(ranked),
        "areas": len(places.areas),
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def judged(
    places: KnownPlaces, ranked: NDArray[np.intp], generator: np.random.Generator
) -> dict[tuple[str, str], Floats]:
    """Each metric of each score, one value a brand, NaN where nothing new of it is hidden; shape (ranked,)."""
    hidden = held_back(places, HIDDEN, generator)
    hidden &= np.isin(places.brand, ranked)
    kept = places.at(~hidden)
    known = BrandAreas(kept, ranked)
    new = (places.at(hidden).counts()[ranked] > 0) & ~known.present
    present = known.present.astype(np.float64)
    scores = {
        **fit_brand_areas(kept, generator, ranked=ranked).scores(),
        "popularity": np.broadcast_to(present.sum(axis=0), present.shape),
        "brand_knn": cosine_of_brands(present),
    }
    asked = ~known.present & new.any(axis=1, keepdims=True)
    return values(new, asked, scores)


def values(
    new: NDArray[np.bool_], asked: NDArray[np.bool_], scores: Mapping[str, Floats]
) -> dict[tuple[str, str], Floats]:
    """Metrics by score and name.

    Args:
        new: Whether a brand is hidden in an area and nowhere known there, shape (brands, areas).
        asked: The areas that are put in order for it; none for a brand that is not judged.
        scores: Scores by name, shape (brands, areas).
    """
    brand = np.nonzero(asked)[0].astype(np.int64)
    lists = Lists(new[asked].astype(np.float64), brand, new.sum(axis=1)[brand].astype(np.float64), brand)
    found = {}
    for name, score in scores.items():
        ranked = lists.ranked(np.asarray(score)[asked])
        for metric in METRICS:
            of_brand = np.full(len(new), np.nan)
            of_brand[ranked.unit] = metric.of_each(ranked)
            found[name, metric.name] = of_brand
    return found


def figures(splits: list[dict[tuple[str, str], Floats]], resampling: Resampling) -> dict[str, Any]:
    """Means over brands of their mean over the splits, with intervals; gains of `model`, as differences and shares."""
    keys = list(splits[0])
    of_brand = {key: np.stack([one[key] for one in splits]) for key in keys}
    judged_in = (~np.isnan(of_brand[keys[0]])).sum(axis=0)
    columns = {_joined(key): np.nansum(one, axis=0) / np.maximum(judged_in, 1) for key, one in of_brand.items()}
    columns["judged"] = (judged_in > 0).astype(np.float64)
    found = of_sums(columns, lambda sums: _figures(keys, sums), resampling)
    return {name: {key[1]: found[_joined(key)] for key in keys if key[0] == name} for name, _ in keys} | {
        "gain_over": {
            name: {part: found[f"{part} {name}"] for part in _gain_names()} for name in ("popularity", "brand_knn")
        },
        "brands_judged": int(columns["judged"].sum()),
    }


def _figures(keys: list[tuple[str, str]], sums: Mapping[str, Floats]) -> dict[str, Floats]:
    mean = {key: sums[_joined(key)] / sums["judged"] for key in keys}
    found = {_joined(key): value for key, value in mean.items()}
    for name in ("popularity", "brand_knn"):
        for metric in METRICS:
            ours, theirs = mean["model", metric.name], mean[name, metric.name]
            found[f"{metric.name} {name}"] = ours - theirs
            found[f"{metric.name}_share {name}"] = ours / theirs - 1
    return found


def _gain_names() -> list[str]:
    return [f"{metric.name}{part}" for metric in METRICS for part in ("", "_share")]


def _joined(key: tuple[str, str]) -> str:
    return "|".join(key)


def main() -> None:
    """Print the figures as one JSON object."""
    print_figures("python -m benchmarks.brand_sites", __doc__ or "", measure)


if __name__ == "__main__":
    main()
