"""The tables of a brand read for `features.place`: the grid, its own stores, and everybody who competes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from data.errors import DataError, UsageError
from features.arrow_values import day_numbers, doubles, rows_where
from features.member_heat import COLUMNS as HEAT_COLUMNS
from features.member_heat import Heat
from features.neighbourhood import Points
from features.surroundings import ALWAYS, NEVER, Lasting, Surroundings, first_reached
from features.trade_area import Field, Ground

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.kernel import Doubles
    from features.place import PlaceSettings
    from features.surroundings import Around

REACH_M: Final = 10_000.0
"""How far a chain's stores are known of: the cap of the distance to them, and the places that tell its company."""

RIVAL_STORE: Final = "store of another chain"

_NEEDED: Final = {
    "cells": ("cell_id", "lat", "lon", "population"),
    "places": ("lat", "lon", "category"),
    "stores": ("store_id", "lat", "lon", "opened_on"),
    "heat": HEAT_COLUMNS,
}
_NO_FEATURES: Final = ("lat", "lon", "population", "area_km2")


@dataclass(frozen=True)
class Stores:
    """The chain's own stores, filed.

    Attributes:
        points: Where they are.
        lasting: When they trade.
        floor_m2: Sales floor of each; NaN where it is not told.
        positions: Where each `store_id` stands.
    """

    points: Points
    lasting: Lasting
    floor_m2: Doubles
    positions: Mapping[str, int]


@dataclass(frozen=True)
class Rivalry:
    """All places and the stores of other chains, sorted to be filed.

    Attributes:
        points: Where they are.
        lasting: When they are there.
        category: The name of each one's category.
        floor_m2: Sales floor of those that compete; NaN of the others.
        told: Whether there was a table of places or a store of another chain.
    """

    points: Points
    lasting: Lasting
    category: np.ndarray[tuple[int], np.dtype[np.str_]]
    floor_m2: Doubles
    told: bool

    def field(self, ground: Ground, stores: Stores | None, settings: PlaceSettings) -> Field:
        """Who competes for the cells of the ground: rivals, then own stores."""
        rivals = np.flatnonzero(np.isfinite(self.floor_m2))
        parts = [(self.points.lat, self.points.lon, self.lasting.opened, self.lasting.closed, self.floor_m2)]
        columns = [[one[rivals] for one in parts[0]]]
        store = np.full(len(rivals), -1)
        if stores is not None:
            points, lasting = stores.points, stores.lasting
            columns.append([points.lat, points.lon, lasting.opened, lasting.closed, stores.floor_m2])
            store = np.r_[store, np.arange(len(points.lat))]
        lat, lon, opened, closed, floor = (np.concatenate(column) for column in zip(*columns, strict=True))
        far = settings.around.far_m
        order = Points.order(lat, lon, far)
        points = Points.filed(lat[order], lon[order], far)
        pairs = points.within(ground.points.lat, ground.points.lon, far)
        floor = np.where(np.isfinite(floor), floor, settings.floor_m2)[order]
        pull = np.exp(settings.huff.log_pull(floor[pairs.point], pairs.metres))
        return Field(pairs, pull, Lasting(opened[order], closed[order]), store[order])


def chain_of(tables: Mapping[str, pa.Table], chain: str | None) -> str | None:
    """The name of the own chain, None where all stores are its own; also the place where all tables are judged.

    Raises:
        DataError: A table without a column that is needed, or with nulls in it; all at once.
        UsageError: Several chains and none named, or a name that no store bears.
    """
    problems = [problem for name, columns in _NEEDED.items() for problem in _lacks(tables, name, columns)]
    if problems:
        raise DataError("\n".join(["these tables carry no place features:", *(f"  - {one}" for one in problems)]))
    stores = tables.get("stores")
    if stores is None or "chain" not in stores.column_names:
        return None
    names = sorted({one for one in stores["chain"].to_pylist() if one is not None})
    if chain is None and len(names) > 1:
        raise UsageError(f"stores.chain: found {', '.join(names[:5])}; expected the own one named in the settings")
    if chain is not None and names and chain not in names:
        raise UsageError(f"the chain {chain!r}: found {', '.join(names[:5])} in stores.chain; expected one of them")
    return chain


def ground_of(tables: Mapping[str, pa.Table], around: Around) -> tuple[Ground, tuple[str, ...]]:
    """The demand grid, and the names of its further numeric columns."""
    cells = tables["cells"]
    lat, lon = doubles(cells, "lat"), doubles(cells, "lon")
    order = Points.order(lat, lon, around.far_m)
    names = [one.name for one in cells.schema if one.name not in _NO_FEATURES and _is_number(one.type)]
    columns = {name: doubles(cells, name)[order] for name in names}
    further = tuple(name for name in names if name not in {"income", "footfall"})
    points = Points.filed(lat[order], lon[order], around.far_m)
    return Ground(points, doubles(cells, "population")[order], columns), further


def stores_of(tables: Mapping[str, pa.Table], chain: str | None) -> Stores | None:
    """The chain's own stores; None without the table."""
    table = tables.get("stores")
    if table is None:
        return None
    own = rows_where(table, _is_own(table, chain))
    lat, lon = doubles(own, "lat"), doubles(own, "lon")
    order = Points.order(lat, lon, REACH_M)
    names = np.asarray(own["store_id"].to_pylist(), dtype=object)[order]
    return Stores(
        points=Points.filed(lat[order], lon[order], REACH_M),
        lasting=Lasting(day_numbers(own, "opened_on", ALWAYS)[order], day_numbers(own, "closed_on", NEVER)[order]),
        floor_m2=doubles(own, "area_m2")[order],
        positions={str(name): place for place, name in enumerate(names)},
    )


def rivalry_of(tables: Mapping[str, pa.Table], settings: PlaceSettings, chain: str | None) -> Rivalry:
    """Places, less those that bear the chain's own brand, and the stores of other chains."""
    places, stores, floors = tables.get("places"), tables.get("stores"), dict(settings.rivals)
    others = None if stores is None else rows_where(stores, ~_is_own(stores, chain))
    if places is not None and chain is not None and "brand" in places.column_names:
        places = rows_where(places, np.array([one != chain for one in places["brand"].to_pylist()], np.bool_))
    told = [table for table in (places, others) if table is not None and (table is places or table.num_rows)]
    category: list[str] = []
    floor = np.empty(0)
    for table in told:
        if table is places:
            sorts = [str(one) for one in table["category"].to_pylist()]
            its = np.array([floors.get(one, np.nan) for one in sorts], np.float64)
        else:
            sorts, its = [RIVAL_STORE] * table.num_rows, doubles(table, "area_m2")
            its = np.where(np.isfinite(its), its, settings.floor_m2)
        category, floor = category + sorts, np.r_[floor, its]
    lat, lon = (np.concatenate([np.empty(0), *(doubles(one, name) for one in told)]) for name in ("lat", "lon"))
    opened, closed = (
        np.concatenate([np.empty(0, np.int64), *(day_numbers(one, name, missing) for one in told)])
        for name, missing in (("opened_on", ALWAYS), ("closed_on", NEVER))
    )
    far = settings.around.far_m
    order = Points.order(lat, lon, far)
    return Rivalry(
        points=Points.filed(lat[order], lon[order], far),
        lasting=Lasting(opened[order], closed[order]),
        category=np.asarray(category, dtype=np.str_)[order],
        floor_m2=floor[order],
        told=bool(told),
    )


def surroundings_of(rivalry: Rivalry, stores: Stores | None, settings: PlaceSettings) -> Surroundings | None:
    """The places of a region, filed; None where nobody told of any."""
    if not rivalry.told:
        return None
    names, category = np.unique(rivalry.category, return_inverse=True)
    places = len(category)
    reached = np.full(places, NEVER)
    if stores is not None:
        pairs = stores.points.within(rivalry.points.lat, rivalry.points.lon, REACH_M)
        reached = first_reached(pairs, stores.lasting.opened, places)
    return Surroundings(
        points=rivalry.points,
        lasting=rivalry.lasting,
        category=category.astype(np.int64),
        categories=len(names),
        rival=np.isfinite(rivalry.floor_m2),
        transit=np.isin(rivalry.category, settings.transit),
        reached=reached,
    )


def heat_of(tables: Mapping[str, pa.Table], around: Around) -> Heat | None:
    """Members' scans, filed; None without that table."""
    return Heat.of(tables["heat"], around.far_m) if "heat" in tables else None


def _lacks(tables: Mapping[str, pa.Table], name: str, columns: tuple[str, ...]) -> list[str]:
    table = tables.get(name)
    if table is None:
        return ["cells: found no such table; expected the demand grid"] if name == "cells" else []
    absent = [one for one in columns if one not in table.column_names]
    holed = [one for one in columns if one not in absent and table[one].null_count]
    found = [f"{name}.{one}: found no such column; expected it" for one in absent]
    return [*found, *(f"{name}.{one}: found {table[one].null_count} nulls; expected none" for one in holed)]


def _is_own(stores: pa.Table, chain: str | None) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if chain is None:
        return np.ones(stores.num_rows, bool)
    return np.array([one == chain for one in stores["chain"].to_pylist()], bool)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)
