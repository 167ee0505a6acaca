"""Which areas suit a brand: an order learned from where brands are, for chains whose sales nobody tells.

Learned as it is asked. Of each brand a fifth of its places is hidden, features are made of the rest, and the areas of
the hidden places are to stand first among those in which the brand is not known to be; this is done several times. So
no feature of an area that counts as a yes was made with the brand's own place there, and a brand is described by as
much of itself as when it is asked about, less a fifth.

Two models are averaged, each on a common scale for the brand: LambdaMART, and trees for the chance of a hidden place,
which bear noise better where a brand has one or two of them. The result puts areas in order and is no probability.
An area is wanted here because others are there: that is where chains go, not what a store would sell.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import DataError, UsageError
from training.learner import Binary, raw_scores
from training.ranking import Ranking
from training.sites.brand_features import BrandAreas
from training.sites.known_places import held_back

if TYPE_CHECKING:
    from collections.abc import Mapping

    import lightgbm
    from numpy.typing import NDArray

    from training.sites.known_places import KnownPlaces
    from training.task import Parameters

    Floats = NDArray[np.float64]

FEWEST_PLACES: Final = 4
_STEADY: Final[Parameters] = MappingProxyType(
    {
        "learning_rate": 0.05,
        "num_leaves": 7,
        "min_data_in_leaf": 500,
        "lambda_l2": 50.0,
        "feature_fraction": 0.3,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "max_bin": 63,
    }
)
ORDER: Final = Ranking({**_STEADY, "num_iterations": 200, "lambdarank_truncation_level": 100, "lambdarank_norm": False})
CHANCE: Final = Binary({**_STEADY, "num_iterations": 300}, bags=2)


@dataclass(frozen=True)
class Rehearsals:
    """How hiding places teaches.

    Attributes:
        times: How often places are hidden.
        share: Share of each brand's places that is hidden, rounded down.
        others: Share of the areas without a hidden place that is learned from.
    """

    times: int = 5
    share: float = 0.2
    others: float = 0.25


@dataclass(frozen=True)
class BrandAreaOrder:
    """An order of areas for each brand.

    Attributes:
        known: The places it rests on.
        order: LambdaMART.
        chance: Log-odds that a hidden place is there.
    """

    known: BrandAreas
    order: lightgbm.Booster
    chance: lightgbm.Booster

    def scores(self) -> Mapping[str, Floats]:
        """Score of each area for each ranked brand, shape (ranked, areas): higher comes first, NaN where it is already.

        Returns:
            `model`, and the two that it is the mean of: `lambdamart` and `chance`.
        """
        _, matrix = self.known.features()
        rows = matrix.reshape(-1, matrix.shape[-1])
        order, chance = (
            _on_one_scale(raw_scores(booster, rows).reshape(matrix.shape[:2]), self.known.present)
            for booster in (self.order, self.chance)
        )
        return MappingProxyType({"model": (order + chance) / 2, "lambdamart": order, "chance": chance})

    def areas(self, brand: str, most: int = 20) -> tuple[str, ...]:
        """The areas that suit a brand best and in which it is not known to be, the best first.

        Raises:
            UsageError: The brand is not among those ranked.
        """
        places = self.known.places
        ranked = [places.brands[code] for code in self.known.ranked]
        if brand not in ranked:
            raise UsageError(
                f"brand {brand!r}: found no {FEWEST_PLACES} places of it, expected one of {len(ranked)} brands such as "
                f"{', '.join(ranked[:3])}; a brand is told by where it is already"
            )
        score = self.scores()["model"][ranked.index(brand)]
        free = np.flatnonzero(~np.isnan(score))
        return tuple(places.areas[area] for area in free[np.argsort(-score[free], kind="stable")][:most])


def ranked_brands(places: KnownPlaces, fewest: int = FEWEST_PLACES) -> NDArray[np.intp]:
    """Codes of the brands with so many places or more."""
    return np.flatnonzero(places.of_brand() >= fewest)


def fit_brand_areas(
    places: KnownPlaces,
    generator: np.random.Generator,
    *,
    ranked: NDArray[np.intp] | None = None,
    rehearsals: Rehearsals | None = None,
    order: Ranking = ORDER,
    chance: Binary = CHANCE,
) -> BrandAreaOrder:
    """Learn where brands go from where they are.

    Args:
        places: All places known, those of small brands and of no chain included.
        generator: Hides places, and seeds the trees.
        ranked: Codes of the brands to order areas for; those with four places or more if not given.
        rehearsals: How hiding places teaches.
        order: The learner of the order.
        chance: The learner of the chance.

    Raises:
        DataError: No brand has enough places, or none of them is hidden in an area that the rest does not cover.
    """
    brands = ranked_brands(places) if ranked is None else ranked
    plan = Rehearsals() if rehearsals is None else rehearsals
    if not len(brands):
        raise DataError(
            f"places: found no brand with {FEWEST_PLACES} places or more among {len(places.brands)}, expected some; an "
            "order of areas is learned from where brands are: give more of the map"
        )
    parts = [_rehearsed(places, brands, plan, generator) for _ in range(plan.times)]
    names = parts[0][0]
    matrix = np.concatenate([rows for _, rows, _, _ in parts])
    label = np.concatenate([each for _, _, each, _ in parts])
    lists = np.concatenate([codes + number * len(brands) for number, (_, _, _, codes) in enumerate(parts)])
    if not label.any():
        raise DataError(
            f"places: found no hidden place of {len(brands)} brands in an area that their other places do not cover; "
            "expected some: give smaller areas, or more of the map"
        )
    return BrandAreaOrder(
        BrandAreas(places, brands),
        order.fit(names, matrix, label, lists, {}, generator),
        chance.fit(names, matrix, label, {}, generator),
    )


def _rehearsed(
    places: KnownPlaces, ranked: NDArray[np.intp], plan: Rehearsals, generator: np.random.Generator
) -> tuple[tuple[str, ...], NDArray[np.float32], Floats, NDArray[np.int64]]:
    """Names, features, label and brand of the rows of one hiding."""
    hidden = held_back(places, plan.share, generator)
    known = BrandAreas(places.at(~hidden), ranked)
    new = (places.at(hidden).counts()[ranked] > 0) & ~known.present
    asked = ~known.present & new.any(axis=1, keepdims=True)
    taken = asked & (new | (generator.random(new.shape) < plan.others))
    names, matrix = known.features()
    return names, matrix[taken], new[taken].astype(np.float64), np.nonzero(taken)[0].astype(np.int64)


def _on_one_scale(score: Floats, present: NDArray[np.bool_]) -> Floats:
    """Mean 0 and spread 1 over the areas in which a brand is not known to be; NaN in the others."""
    asked = np.ma.array(score, mask=present)
    centred = asked - asked.mean(axis=1, keepdims=True)
    scaled: Floats = np.ma.filled(centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-12), np.nan)
    return scaled
