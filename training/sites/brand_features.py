"""What is known of a brand and an area together, before one knows whether the brand is there.

- Similar brands: what stands in the area, weighted by how often it stands beside the brand elsewhere (cosine and
  Jaccard of areas in common; the same with rare areas counting more; the same on densities around the area); EASE, a
  ridge of each brand on all others without itself in closed form (Steck, "Embarrassingly shallow autoencoders for
  sparse data", WWW 2019), once over brands and once over areas.
- Surroundings: brands and places in the area and around it, their mix, its entropy, places of the brand's categories.
- The brand: how many areas it is in, how far apart, how busy they are, how near its own places are.

A brand's own places in an area tell that it is there, so none of these is asked of such an area: see `brand_area`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from features.distance import degrees_apart_km

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.sites.known_places import KnownPlaces

    Floats = NDArray[np.float64]

RADII_KM: Final = (0.7, 1.5, 4.0)
EASE_OVER_BRANDS: Final = 300.0
EASE_OVER_AREAS: Final = 200.0
RANKED: Final = (
    "cosine",
    "rare_cosine",
    "ease_over_brands",
    "ease_over_areas",
    "popularity",
    "mix",
    "near_brands_1.5km",
)
_MIX_PENALTY: Final = 50.0
_TINY: Final = 1e-9


@dataclass(frozen=True)
class BrandAreas:
    """The places known, seen as brands by areas.

    Attributes:
        places: All known places; those of brands that are not ranked count as surroundings.
        ranked: Codes of the brands whose areas are put in order, shape (ranked,).
    """

    places: KnownPlaces
    ranked: NDArray[np.intp]

    @cached_property
    def counts(self) -> Floats:
        """Places of each ranked brand in each area, shape (ranked, areas)."""
        return self.places.counts()[self.ranked]

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Whether the brand is known to be in the area, shape (ranked, areas)."""
        return self.counts > 0

    @cached_property
    def apart_km(self) -> Floats:
        """Between the means of the places of two areas, shape (areas, areas); infinite to an area without places."""
        number = np.bincount(self.places.area, minlength=len(self.places.areas)).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            lat, lon = (
                np.bincount(self.places.area, at, len(number)) / number for at in (self.places.lat, self.places.lon)
            )
        return np.nan_to_num(degrees_apart_km(lat[:, None], lon[:, None], lat, lon), nan=np.inf)

    def features(self) -> tuple[tuple[str, ...], NDArray[np.float32]]:
        """Names, and values of shape (ranked, areas, features); NaN where a brand has no place to measure from."""
        around = {f"{radius:g}km": np.exp(-0.5 * (self.apart_km / radius) ** 2) for radius in RADII_KM}
        found = {
            **_surroundings(self, around),
            **_categories(self, around),
            **_similar(self.present.astype(np.float64), around),
            **_own(self),
        }
        found |= {f"{name}_place": _place(found[name], self.present) for name in RANKED}
        shape = self.present.shape
        return tuple(found), np.stack(
            [np.broadcast_to(one, shape) for one in found.values()], axis=-1, dtype=np.float32
        )


def cosine_of_brands(present: Floats) -> Floats:
    """Brand-kNN: the brands of an area, each weighted by the cosine of its areas with the brand's; (brands, areas)."""
    return _without_self(_unit(present) @ _unit(present).T) @ present


def _surroundings(known: BrandAreas, around: dict[str, Floats]) -> dict[str, Floats]:
    everyone = known.places.counts()
    popularity, busy = (everyone > 0).sum(axis=0).astype(np.float64), everyone.sum(axis=0)
    present = known.present.astype(np.float64)
    taste = present @ popularity / np.maximum(present.sum(axis=1), 1.0)
    found = {
        "popularity": popularity,
        "place_count": busy,
        "taste": taste[:, None],
        "popularity_to_taste": popularity / np.maximum(taste, 1.0)[:, None],
    }
    for radius, weight in around.items():
        crowd = popularity @ weight
        own = present @ weight / np.maximum(present.sum(axis=1, keepdims=True), 1.0)
        found[f"popularity_{radius}"] = crowd
        found[f"own_{radius}"] = own
        found[f"own_to_popularity_{radius}"] = own / (crowd / popularity.sum() + 1e-6)
    return found


def _categories(known: BrandAreas, around: dict[str, Floats]) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    busy = known.places.counts().sum(axis=0)
    for level in range(known.places.categories.shape[1]):
        everyone = known.places.category_counts(level)
        category = known.places.main_category(level)[known.ranked]
        others = np.maximum(everyone[category] - known.counts, 0.0)
        usual = others.sum(axis=1, keepdims=True) / busy.sum() + _TINY
        found[f"category_{level}"] = others
        found[f"category_{level}_to_usual"] = others / (busy + 1.0) / usual
        for radius, weight in around.items():
            near = others @ weight
            found[f"category_{level}_{radius}"] = near
            found[f"category_{level}_to_usual_{radius}"] = near / (busy @ weight + _TINY) / usual
    level = min(1, known.places.categories.shape[1] - 1)
    mix = known.places.category_counts(level)
    share = mix / np.maximum(mix.sum(axis=0), 1.0)
    found["entropy"] = -(share * np.log(share + _TINY)).sum(axis=0)
    found["mix"] = _mix(mix, known.present.astype(np.float64))
    return found


def _mix(mix: Floats, present: Floats) -> Floats:
    """A ridge of each brand's presence on the categories of the area: which complement it."""
    logs = np.log1p(mix)
    logs = (logs - logs.mean(axis=1, keepdims=True)) / (logs.std(axis=1, keepdims=True) + _TINY)
    centred = present - present.mean(axis=1, keepdims=True)
    weight = np.linalg.solve(logs @ logs.T + _MIX_PENALTY * np.eye(len(logs)), logs @ centred.T)
    fitted: Floats = weight.T @ logs / np.sqrt(np.maximum(present.sum(axis=1, keepdims=True), 1.0))
    return fitted


def _similar(present: Floats, around: dict[str, Floats]) -> dict[str, Floats]:
    size = present.sum(axis=1)
    together = present @ present.T
    alike = _without_self(_unit(present) @ _unit(present).T)
    union = np.maximum(size[:, None] + size - together, 1.0)
    rare = present / np.log1p(np.maximum(present.sum(axis=0), 1.0))
    found = {
        "cosine": alike @ present,
        "mean_cosine": alike @ present / (alike.sum(axis=1, keepdims=True) + _TINY),
        "squared_cosine": alike**2 @ present,
        "jaccard": _without_self(together / union) @ present,
        "rare_cosine": _without_self(_unit(rare) @ _unit(rare).T) @ present,
        "ease_over_brands": _ease(together, EASE_OVER_BRANDS).T @ present,
        "ease_over_areas": present @ _ease(present.T @ present, EASE_OVER_AREAS),
    }
    for radius, weight in around.items():
        density = present @ (weight / np.maximum(weight.sum(axis=0), _TINY))
        near = _without_self(_unit(density) @ _unit(density).T) ** 3
        near /= near.sum(axis=1, keepdims=True) + _TINY
        found[f"near_brands_{radius}"] = near @ present
        found[f"near_density_{radius}"] = near @ density
    return found


def _ease(together: Floats, penalty: float) -> Floats:
    inverse = np.linalg.inv(together + penalty * np.eye(len(together)))
    return _without_self(-inverse / np.diag(inverse))


def _own(known: BrandAreas) -> dict[str, Floats]:
    nearest = np.full((*known.present.shape, 2), np.nan)
    spread = np.full((len(known.ranked), 1), np.nan)
    for row, present in enumerate(known.present):
        apart = np.sort(known.apart_km[:, present], axis=1)[:, :2]
        nearest[row, :, : apart.shape[1]] = apart
        spread[row] = np.median(apart[present, 1]) if apart.shape[1] > 1 else np.nan
    nearest[np.isinf(nearest)] = np.nan
    busy = known.places.counts().sum(axis=0)
    middle = degrees_apart_km(known.places.lat.mean(), known.places.lon.mean(), known.places.lat, known.places.lon)
    return {
        "nearest_km": nearest[..., 0],
        "second_nearest_km": nearest[..., 1],
        "nearest_to_spread": nearest[..., 0] / np.maximum(spread, 0.1),
        "spread_km": spread,
        "area_count": known.present.sum(axis=1, keepdims=True).astype(np.float64),
        "centre_km": np.bincount(known.places.area, middle, len(busy)) / np.maximum(busy, 1.0),
    }


def _place(values: Floats, present: NDArray[np.bool_]) -> Floats:
    """Where an area stands among those in which the brand is not known to be, by one feature; 0 is first."""
    asked = np.where(present, -np.inf, np.broadcast_to(values, present.shape))
    return np.argsort(np.argsort(-asked, axis=1, kind="stable"), axis=1, kind="stable").astype(np.float64)


def _unit(rows: Floats) -> Floats:
    scaled: Floats = rows / (np.linalg.norm(rows, axis=1, keepdims=True) + _TINY)
    return scaled


def _without_self(weights: Floats) -> Floats:
    found = weights.copy()
    np.fill_diagonal(found, 0.0)
    return found
