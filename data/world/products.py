"""What the retailer sells: its own label beside rivals in every category; only own products carry a code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from data.world.identifiers import identifiers
from data.world.streams import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

CATEGORIES: Final = (
    "kiwifruit",
    "citrus",
    "berries",
    "apples_pears",
    "water",
    "tea_drinks",
    "milk",
    "yogurt",
    "crisps",
    "nuts",
    "bakery",
    "instant_noodles",
)

OWN_BRAND: Final = "Green Ridge"
RIVAL_BRANDS: Final = (
    "Amber Hill",
    "Blue Harbour",
    "Cedar Bay",
    "Daybreak",
    "East Orchard",
    "Fair Wind",
    "Golden Bough",
    "High Meadow",
    "Ivory Spring",
    "Jade Valley",
    "Lotus Pond",
    "Northern Light",
)
BRANDS: Final = (OWN_BRAND, *RIVAL_BRANDS)


@dataclass(frozen=True)
class ProductSettings:
    """How the range is made up. All assumed; the order of prices is that of Chinese neighbourhood stores.

    Attributes:
        products: products of each category.
        own_products: how many of them are the retailer's own, and carry codes.
        rival_brands: rivals on each category's shelf.
        demand: how many lines of each category are sold, relative to the others.
        price_fen: middle price of each category.
        price_spread: standard deviation of the logarithm of the prices in a category.
        own_price: price of an own product relative to a rival's.
        rank_power: sales of the product of rank k in its category fall as k to minus this power.
        rival_margin: margin of a rival's product as a share of its price.
        own_margin: likewise of an own product.
    """

    products: int = 20
    own_products: int = 8
    rival_brands: int = 4
    demand: tuple[float, ...] = (0.7, 0.9, 0.6, 0.9, 1.2, 1.3, 1.2, 1.0, 1.2, 0.6, 1.0, 0.8)
    price_fen: tuple[int, ...] = (1980, 1280, 1880, 1180, 350, 550, 690, 780, 690, 1980, 880, 590)
    price_spread: float = 0.35
    own_price: float = 0.88
    rank_power: float = 0.8
    rival_margin: float = 0.22
    own_margin: float = 0.34


@dataclass(frozen=True)
class Products:
    """The range, product by product in order of number, and the shape of demand inside each category.

    Attributes:
        category: place in CATEGORIES of each product.
        brand: place in BRANDS.
        own: whether it is the retailer's own, and so carries codes.
        price_fen: list price of one piece.
        margin_fen: earned on one piece at list price.
        demand: share of each category in all lines, adding up to 1.
        weight: chance of each product, given its category and whether it is own, where price is not looked at.
        cheap_weight: the same where it is.
    """

    category: NDArray[np.int64]
    brand: NDArray[np.int64]
    own: NDArray[np.bool_]
    price_fen: NDArray[np.int64]
    margin_fen: NDArray[np.int64]
    demand: NDArray[np.float64]
    weight: NDArray[np.float64]
    cheap_weight: NDArray[np.float64]

    def __len__(self) -> int:
        """How many products there are."""
        return len(self.category)

    @property
    def categories(self) -> int:
        """How many categories there are."""
        return len(self.demand)

    def pick(
        self,
        generator: np.random.Generator,
        category: NDArray[np.int64],
        own: NDArray[np.bool_],
        cheap: NDArray[np.bool_],
    ) -> NDArray[np.int64]:
        """A product for each line, drawn by the line's category, own label or rival, and eye for price."""
        group = 2 * (2 * category + own) + cheap
        steps, first = self._steps
        place = np.searchsorted(steps, group + generator.random(len(group)), side="right")
        made: NDArray[np.int64] = first[np.minimum(place, len(first) - 1)]
        return made

    @cached_property
    def _steps(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Products of each group end to end on a line on which every group is one long."""
        ends, members = [], []
        for group in range(4 * self.categories):
            inside = np.flatnonzero((self.category == group // 4) & (self.own == bool(group // 2 % 2)))
            chances = (self.cheap_weight if group % 2 else self.weight)[inside]
            upto = group + np.cumsum(chances) / chances.sum()
            upto[-1] = group + 1
            ends.append(upto)
            members.append(inside)
        return np.concatenate(ends), np.concatenate(members)

    def table(self, seed: int) -> pa.Table:
        """The table `products`: product_id, category, brand, price_fen, margin_fen."""
        columns: dict[str, Any] = {
            "product_id": identifiers(seed, "product", np.arange(len(self))),
            "category": pa.array([CATEGORIES[place] for place in self.category]),
            "brand": pa.array([BRANDS[place] for place in self.brand]),
            "price_fen": pa.array(self.price_fen),
            "margin_fen": pa.array(self.margin_fen),
        }
        return pa.table(columns)


def draw_products(settings: ProductSettings, seed: int) -> Products:
    """The range of one world: in each category first the own products, then those of a few rivals."""
    generator = stream(seed, "products")
    categories, each, own_each = len(settings.demand), settings.products, settings.own_products
    category = np.repeat(np.arange(categories), each)
    own = np.tile(np.arange(each) < own_each, categories)
    brand = np.concatenate([_brands(settings, generator) for _ in range(categories)])
    spread = np.exp(settings.price_spread * generator.standard_normal(categories * each))
    price = np.array(settings.price_fen, float)[category] * spread * np.where(own, settings.own_price, 1.0)
    # Prices end in a nine or a nought, as on the shelf.
    price_fen = np.maximum(10 * np.round(price / 10).astype(np.int64) - generator.choice([0, 1], len(price)), 99)
    share = np.where(own, settings.own_margin, settings.rival_margin) + 0.04 * generator.standard_normal(len(price))
    rank = np.concatenate(
        [
            np.concatenate([generator.permutation(own_each), generator.permutation(each - own_each)])
            for _ in range(categories)
        ]
    )
    weight = (rank + 1.0) ** -settings.rank_power
    demand = np.array(settings.demand)
    group = 2 * category + own
    relative = price_fen / (np.bincount(group, price_fen) / np.bincount(group))[group]
    return Products(
        category=category,
        brand=brand,
        own=own,
        price_fen=price_fen,
        margin_fen=np.round(price_fen * share).astype(np.int64),
        demand=demand / demand.sum(),
        weight=_shares(weight, group),
        cheap_weight=_shares(weight * np.exp(-2.0 * relative), group),
    )


def _brands(settings: ProductSettings, generator: np.random.Generator) -> NDArray[np.int64]:
    """The brands of one category's products: the own label, then its rivals."""
    rivals = 1 + generator.choice(len(RIVAL_BRANDS), settings.rival_brands, replace=False)
    own = np.zeros(settings.own_products, np.int64)
    made: NDArray[np.int64] = np.concatenate(
        [own, np.sort(rivals[np.arange(settings.products - settings.own_products) % settings.rival_brands])]
    )
    return made


def _shares(weight: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.float64]:
    made: NDArray[np.float64] = weight / np.bincount(group, weight)[group]
    return made
