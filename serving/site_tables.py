"""The tables that a bundle of sites carries, as arrays: demand grid, rivals, own stores, and stores learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.arrow_values import day_numbers, doubles
from features.place_tables import chain_of
from serving.site_gravity import Demand, Spots
from serving.site_model import Learned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from features.place import PlaceSettings

    Floats = NDArray[np.float64]

NEVER: Final = np.iinfo(np.int64).max
LONG_AGO: Final = np.iinfo(np.int64).min


def read_table(content: bytes) -> pa.Table:
    """A table from the bytes of a Parquet file."""
    with pq.ParquetFile(pa.BufferReader(content)) as file:  # pq.read_table would import pandas
        return file.read()


def write_table(table: pa.Table) -> bytes:
    """The bytes of a Parquet file of a table."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def words(table: pa.Table, name: str) -> tuple[str | None, ...]:
    """A column of text; all None where the table has no such column."""
    return tuple(table[name].to_pylist()) if name in table.column_names else (None,) * table.num_rows


def demand_of(cells: pa.Table) -> Demand:
    """The demand grid of a table of cells."""
    footfall = np.nan_to_num(doubles(cells, "footfall"))
    return Demand(
        doubles(cells, "lat"), doubles(cells, "lon"), doubles(cells, "population"), doubles(cells, "income"), footfall
    )


@dataclass(frozen=True)
class Rivals:
    """Shops of others, whenever they trade; arrays of one length.

    Attributes:
        spots: Where they lie.
        opened: First day, days since 1970-01-01; long ago where it is not known.
        closed: First day that they no longer trade; never where they do.
    """

    spots: Spots
    opened: NDArray[np.int64]
    closed: NDArray[np.int64]

    def there(self, day: int) -> NDArray[np.bool_]:
        """Which of them trade on a day."""
        return np.asarray((self.opened < day) & (self.closed > day))


def rivals_ever(tables: Mapping[str, pa.Table], settings: PlaceSettings) -> Rivals:
    """Places of rival categories, and stores of other chains."""
    floors, parts = dict(settings.rivals), []
    if "places" in tables:
        places = tables["places"]
        floor = np.array([floors.get(str(one), np.nan) for one in words(places, "category")], np.float64)
        parts.append((places, floor, ~np.isnan(floor)))
    stores = tables["stores"]
    parts.append((stores, np.nan_to_num(doubles(stores, "area_m2"), nan=settings.floor_m2), ~own(tables, settings)))
    columns = [
        (
            doubles(table, "lat")[rival],
            doubles(table, "lon")[rival],
            floor[rival],
            day_numbers(table, "opened_on", LONG_AGO)[rival],
            day_numbers(table, "closed_on", NEVER)[rival],
        )
        for table, floor, rival in parts
    ]
    lat, lon, floor, opened, closed = (np.concatenate(one) for one in zip(*columns, strict=True))
    return Rivals(Spots(lat, lon, floor), opened, closed)


def rivals_of(tables: Mapping[str, pa.Table], settings: PlaceSettings, day: int) -> Spots:
    """Shops of others that trade on a day."""
    rivals = rivals_ever(tables, settings)
    there, spots = rivals.there(day), rivals.spots
    return Spots(spots.lat[there], spots.lon[there], spots.area_m2[there])


def own(tables: Mapping[str, pa.Table], settings: PlaceSettings) -> NDArray[np.bool_]:
    """Which stores are the chain's own."""
    chain = chain_of(tables, settings.chain)
    names = words(tables["stores"], "chain")
    return np.array([chain is None or one is None or one == chain for one in names], np.bool_)


def trading(stores: pa.Table, day: int) -> NDArray[np.bool_]:
    """Which stores trade on a day."""
    opened, closed = day_numbers(stores, "opened_on", LONG_AGO), day_numbers(stores, "closed_on", NEVER)
    return np.asarray((opened < day) & (closed > day))


def spots_of(stores: pa.Table) -> Spots:
    """Where stores lie."""
    return Spots(doubles(stores, "lat"), doubles(stores, "lon"), doubles(stores, "area_m2"))


@dataclass(frozen=True)
class LearnedStores:
    """The stores that a model rests on, with their names and sales.

    Attributes:
        store_id: Their ids.
        lat: Degrees, WGS-84.
        lon: Degrees, WGS-84.
        revenue_fen: What each sells in a year as if mature.
        learned: What the forecast needs of them.
    """

    store_id: tuple[str, ...]
    lat: Floats
    lon: Floats
    revenue_fen: Floats
    learned: Learned

    def table(self, names: Sequence[str]) -> pa.Table:
        """As a table, one column a feature."""
        learned = self.learned
        return pa.table(
            {
                "store_id": list(self.store_id),
                "lat": self.lat,
                "lon": self.lon,
                "revenue_fen": self.revenue_fen,
                "log_revenue": learned.log_revenue,
                "fold": learned.fold,
                "missed": learned.missed,
                "left": learned.unexplained,
                "barred": learned.barred.T.tolist(),
                **{f"feature.{name}": column for name, column in zip(names, learned.features.T, strict=True)},
            }
        )

    @classmethod
    def of(cls, table: pa.Table, names: Sequence[str]) -> LearnedStores:
        """From a table as `table` writes it."""
        features = np.column_stack([doubles(table, f"feature.{name}").astype(np.float32) for name in names])
        learned = Learned(
            features,
            doubles(table, "log_revenue"),
            doubles(table, "fold").astype(np.int64),
            np.array(table["barred"].to_pylist(), np.bool_).T,
            doubles(table, "missed"),
            doubles(table, "left"),
        )
        ids = tuple(str(one) for one in table["store_id"].to_pylist())
        return cls(ids, doubles(table, "lat"), doubles(table, "lon"), doubles(table, "revenue_fen"), learned)
