"""Judges the sites: on real chains, on textbook answers, and on simulated cities that know the truth.

    python -m benchmarks.sites            # about an hour and a half
    python -m benchmarks.sites --quick    # fewer splits, one world, a smaller city
    python -m benchmarks.sites --only footfall --only world    # some parts

Prints one JSON object, last. Each part is a benchmark of its own with a docstring that says what is compared; what was
not measured is null, its reason under `skipped`. `huff` needs the package of that name, which is no dependency.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import (
    brand_sites,
    footfall,
    grocery_sites,
    huff,
    locations,
    restaurant_revenue,
    site_worlds,
    whole_city,
)
from benchmarks.parts import print_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.parts import Part

_NO_HUFF: Final = "the package huff is not installed, or lacks its example files"


@dataclass(frozen=True)
class Plan:
    """How much of each part is measured.

    Attributes:
        hidings: How often places of brands are hidden.
        folds: Into how many folds groceries and restaurants are dealt.
        repeats: How often the 137 restaurants are dealt into ten folds.
        worlds: The seeds of the simulated worlds.
        instances: How many random towns the exact solver answers for.
        cells: How many cells the city has that is scored whole.
    """

    hidings: int = brand_sites.SEEDS
    folds: int = footfall.FOLDS
    repeats: int = restaurant_revenue.REPEATS
    worlds: tuple[int, ...] = site_worlds.SEEDS
    instances: int = locations.INSTANCES
    cells: int = whole_city.CELLS


FULL: Final = Plan()
QUICK: Final = Plan(hidings=1, folds=5, repeats=1, worlds=site_worlds.SEEDS[:1], instances=10, cells=1_500)


def parts(plan: Plan, real: Path) -> Mapping[str, Part]:
    """What can be measured, by the key that it prints, the quickest first."""
    return {
        "huff": lambda: huff.measure(huff.examples()) or _NO_HUFF,
        "locations": lambda: locations.measure(plan.instances),
        "restaurant_revenue": lambda: restaurant_revenue.measure(real, plan.repeats),
        "footfall": lambda: footfall.measure(real, plan.folds),
        "grocery_sites": lambda: grocery_sites.measure(real, plan.folds),
        "world": lambda: _worlds(plan.worlds),
        "cells_per_second": lambda: whole_city.measure(plan.cells),
        "brand_sites": lambda: brand_sites.measure(real, plan.hidings),
    }


def laid_out(found: dict[str, Any]) -> dict[str, Any]:
    """The figures under the keys of DESIGN.md, section 9: those of brands by city, the speed a number of its own."""
    brands, speed = found["brand_sites"], found["cells_per_second"]
    return {
        **found,
        "brand_sites": None if brands is None else {city: of_city(one) for city, one in brands.items()},
        **(speed or {"cells_per_second": None, "city": None}),
    }


def of_city(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The model's figures, those of what it is held against by name, and its gain over brand-kNN, paired by brand."""
    scores = {"": "model", "brand_knn_": "brand_knn", "popularity_": "popularity"}
    over = {"gain": "brand_knn", "gain_over_popularity": "popularity"}
    short = {metric.name: metric.name.replace("_at_", "_") for metric in brand_sites.METRICS}
    return {
        **{f"{prefix}{short[name]}": figures[score][name] for prefix, score in scores.items() for name in short},
        **{
            gain: {name.replace("_at_", "_"): one for name, one in figures["gain_over"][score].items()}
            for gain, score in over.items()
        },
        **{name: figures[name] for name in ("brands", "brands_judged", "areas", "cpu_seconds")},
    }


def _worlds(seeds: tuple[int, ...]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="shepherd-sites-") as folder:
        return site_worlds.measure(site_worlds.simulated(Path(folder), seeds))


def main() -> None:
    """Measures and prints."""
    print_parts("benchmarks.sites", __doc__ or "", lambda quick, real: parts(QUICK if quick else FULL, real), laid_out)


if __name__ == "__main__":
    main()
