"""Places on a map by brand, area and category: what the order of areas for a brand is learned from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    Codes = NDArray[np.int64]
    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KnownPlaces:
    """Places as codes.

    Attributes:
        brand: Code of the brand of each place, shape (places,).
        area: Code of its area.
        categories: Codes of its categories, the coarsest level first; shape (places, levels).
        lat: Degrees, WGS-84.
        lon: Degrees, WGS-84.
        brands: Name of each brand.
        areas: Name of each area.
        kinds: How many categories each level has.
    """

    brand: Codes
    area: Codes
    categories: Codes
    lat: Floats
    lon: Floats
    brands: tuple[str, ...]
    areas: tuple[str, ...]
    kinds: tuple[int, ...]

    def __len__(self) -> int:
        """How many places."""
        return len(self.brand)

    def at(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> KnownPlaces:
        """Some of the places, under the same codes."""
        return replace(
            self,
            brand=self.brand[rows],
            area=self.area[rows],
            categories=self.categories[rows],
            lat=self.lat[rows],
            lon=self.lon[rows],
        )

    def counts(self) -> Floats:
        """How many places of a brand are in an area, shape (brands, areas)."""
        pair = self.brand * len(self.areas) + self.area
        counted = np.bincount(pair, minlength=len(self.brands) * len(self.areas))
        return counted.reshape(len(self.brands), len(self.areas)).astype(np.float64)

    def category_counts(self, level: int) -> Floats:
        """How many places of a category are in an area, shape (categories, areas)."""
        pair = self.categories[:, level] * len(self.areas) + self.area
        counted = np.bincount(pair, minlength=self.kinds[level] * len(self.areas))
        return counted.reshape(self.kinds[level], len(self.areas)).astype(np.float64)

    def main_category(self, level: int) -> Codes:
        """The category most places of a brand are of, shape (brands,); the first of equals, 0 without places."""
        pair = self.brand * self.kinds[level] + self.categories[:, level]
        counted = np.bincount(pair, minlength=len(self.brands) * self.kinds[level])
        return np.asarray(counted.reshape(len(self.brands), self.kinds[level]).argmax(axis=1), np.int64)

    def of_brand(self) -> Codes:
        """How many places each brand has."""
        return np.bincount(self.brand, minlength=len(self.brands))


def known_places(table: pa.Table, area: str = "area", categories: Sequence[str] = ("category",)) -> KnownPlaces:
    """Read a table of places; those of no brand, area or position are left out.

    Args:
        table: Columns `brand`, `lat`, `lon` (degrees, WGS-84), the area and the categories.
        area: The column that names the area of a place, such as a census tract or a cell.
        categories: Columns of its category, the coarsest first.

    Raises:
        DataError: Nothing is left.
        UsageError: A column is missing.
    """
    columns = ["brand", area, "lat", "lon", *categories]
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise UsageError(
            f"places: found no column {', '.join(missing)} among {', '.join(table.column_names)}; expected a brand, an "
            "area, a category and a position of each place; rename the columns, or say which they are"
        )
    table = table.select(columns).drop_null()
    if not table.num_rows:
        raise DataError(
            "places: found none with a brand, an area, a category and a position; expected some, because an order of "
            "areas is learned from where brands are"
        )
    names, brand = _coded(table["brand"])
    areas, place = _coded(table[area])
    levels = [_coded(table[name]) for name in categories]
    return KnownPlaces(
        brand,
        place,
        np.stack([codes for _, codes in levels], axis=1),
        table["lat"].to_numpy().astype(np.float64),
        table["lon"].to_numpy().astype(np.float64),
        names,
        areas,
        tuple(len(values) for values, _ in levels),
    )


def held_back(places: KnownPlaces, share: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """A share of the places of each brand, rounded down, at random; shape (places,)."""
    order = np.lexsort((generator.random(len(places)), places.brand))
    brand = places.brand[order]
    number = np.arange(len(places)) - np.searchsorted(brand, brand)
    taken = np.zeros(len(places), np.bool_)
    taken[order] = number < np.floor(share * places.of_brand()[brand])
    return taken


def _coded(column: pa.ChunkedArray[Any]) -> tuple[tuple[str, ...], Codes]:
    values, codes = np.unique(np.asarray(column.to_pylist()).astype(str), return_inverse=True)
    return tuple(values.tolist()), codes.astype(np.int64)
