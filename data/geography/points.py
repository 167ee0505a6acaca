"""Stores, places, sites and cells out of the files that people have, as the tables of `data.contracts`.

CSV and Parquet give coordinates in columns, or in a geometry as GeoParquet does; GeoJSON, GeoPackage and shapefiles
give shapes, of which a point inside counts. Coordinates come out as WGS-84 in degrees, whatever they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data.contracts import TABLES
from data.errors import DataError, UsageError
from data.geography.coordinates import DATUMS, to_wgs84

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date
    from pathlib import Path

    from data.contracts import Column
    from data.geography.coordinates import Datum

    Array: TypeAlias = pa.Array[Any]

POINT_TABLES: Final = ("stores", "places", "sites", "cells")
EXTRACTED_ON: Final = "extracted_on"
"""The column that says on which day a file was drawn from the map: what is not in it may have come later."""

_TEXT, _TABLE, _SHAPES = (".csv",), (".parquet",), (".geojson", ".json", ".gpkg", ".shp")
_WGS84: Final = "EPSG:4326"
_FIRST: Final = 5


def read_points(
    path: Path,
    table: str,
    columns: Mapping[str, str] | None = None,
    crs: str = "wgs84",
    extracted_on: date | None = None,
) -> pa.Table:
    """Read a file of points as one table of the contracts.

    Args:
        path: A .csv, .parquet, .geojson, .json, .gpkg or .shp file.
        table: `stores`, `places`, `sites` or `cells`.
        columns: What a column of the contract is called in the file, where it is called otherwise; `lat` and `lon` name
            the northing and easting of a CSV in metres.
        crs: `wgs84`, `gcj02` (AMap, Tencent), `bd09` (Baidu), or any that pyproj knows, such as EPSG:4547. A file that
            tells its own needs none; `gcj02` and `bd09` no file tells, so they are believed.
        extracted_on: The day on which the file was drawn from its source; becomes the column `extracted_on`.

    Returns:
        The contract's columns that the file has, then its further ones; a whole column of numbers in a CSV is numbers.

    Raises:
        UsageError: No such table, format or coordinate system.
        DataError: A file that cannot be read; columns that lack; values that are missing, twice, of another kind or out
            of range; all at once.
    """
    _require(path, table, crs)
    frame = _frame(path)
    named = {given: name for name, given in (columns or {}).items()}
    absent = [
        f"{given}: found no such column, expected it for {name}" for given, name in named.items() if given not in frame
    ]
    _refuse(path, table, absent)
    taken = [name for given, name in named.items() if name in frame and name != given]
    frame = frame.drop(columns=taken).rename(columns=named)
    frame = _located(path, table, frame, crs)
    contract = {column.name: column for column in TABLES[table].columns}
    problems = [
        f"{name}: found no such column; expected {column.meaning}"
        for name, column in contract.items()
        if name not in frame and not column.optional
    ]
    arrays: dict[str, Array] = {}
    for name, column in contract.items():
        if name in frame:
            arrays[name], wrong = _converted(column, frame[name])
            problems += wrong
    problems += _repeated(table, frame)
    _refuse(path, table, problems)
    for name in frame.columns:
        if name not in contract and name != "geometry":
            arrays[str(name)] = _further(frame[name])
    if extracted_on is not None:
        arrays[EXTRACTED_ON] = pa.array([extracted_on] * len(frame), pa.date32())
    return pa.table(arrays)


def import_points(
    path: Path,
    table: str,
    folder: Path,
    columns: Mapping[str, str] | None = None,
    crs: str = "wgs84",
    extracted_on: date | None = None,
) -> tuple[Path, int]:
    """Read a file of points and write it into a brand's folder as Parquet; where, and how many rows.

    Raises:
        UsageError: As `read_points`, or the folder has that table already: nothing is written over.
        DataError: As `read_points`.
    """
    taken = [one for one in folder.glob(f"{table}*") if one.name.partition(".")[0] == table] if folder.is_dir() else []
    if taken:
        raise UsageError(f"{taken[0]}: found the table {table} already; expected none; move it away to import anew")
    found = read_points(path, table, columns, crs, extracted_on)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{table}.parquet"
    pq.write_table(found, target)
    return target, found.num_rows


def _require(path: Path, table: str, crs: str) -> None:
    problems = []
    suffixes = (*_TEXT, *_TABLE, *_SHAPES)
    if table not in POINT_TABLES:
        problems.append(f"table: found {table!r}; expected one of {', '.join(POINT_TABLES)}")
    if path.suffix.lower() not in suffixes:
        problems.append(f"file: found {path.name}; expected one that ends in {', '.join(suffixes)}")
    if crs not in DATUMS and not _is_projection(crs):
        problems.append(f"crs: found {crs!r}; expected {', '.join(DATUMS)} or such as EPSG:4547")
    if problems:
        raise UsageError("\n".join(["nothing can be imported:", *(f"  - {one}" for one in problems)]))


def _is_projection(crs: str) -> bool:
    try:
        geopandas.GeoSeries([], crs=crs)
    except (ValueError, RuntimeError):  # pyproj's error is a RuntimeError
        return False
    return True


def _frame(path: Path) -> pd.DataFrame:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise DataError(f"{path}: found no such file; expected one of points")
    try:
        if suffix in _TEXT:
            return pd.read_csv(path, dtype=str, encoding="utf-8-sig")
        if suffix in _SHAPES:
            return geopandas.read_file(path)
        told = b"geo" in (pq.read_schema(path).metadata or {})
        return geopandas.read_parquet(path) if told else pq.read_table(path).to_pandas()
    except (ValueError, OSError, RuntimeError, pa.ArrowInvalid) as error:  # pyogrio's errors are RuntimeErrors
        first = str(error).partition("\n")[0]
        raise DataError(
            f"{path}: found a file that cannot be read ({first}); expected a whole {suffix} file"
        ) from error


def _located(path: Path, table: str, frame: pd.DataFrame, crs: str) -> pd.DataFrame:
    """The frame with `lat` and `lon` in WGS-84, from its shapes or from its columns of numbers."""
    shapes = frame if isinstance(frame, geopandas.GeoDataFrame) else None
    if shapes is None:
        shapes = _from_columns(path, table, frame, crs)
        if shapes is None:
            return frame
    elif shapes.crs is None:
        shapes = shapes.set_crs(_WGS84 if crs in DATUMS else crs)
    degrees = shapes.geometry.to_crs(_WGS84)
    empty = np.flatnonzero(degrees.isna() | degrees.is_empty)
    _refuse(path, table, [f"geometry: found none in {len(empty)} rows ({_listed(empty)})"] if len(empty) else [])
    inside = degrees.where(degrees.geom_type == "Point", degrees.representative_point())
    lat, lon = inside.y.to_numpy(np.float64), inside.x.to_numpy(np.float64)
    datum: Datum = next((one for one in DATUMS if one == crs), "wgs84")
    lat, lon = to_wgs84(lat, lon, datum)
    return pd.DataFrame(frame.drop(columns=[frame.geometry.name] if frame is shapes else [])).assign(lat=lat, lon=lon)


def _from_columns(path: Path, table: str, frame: pd.DataFrame, crs: str) -> geopandas.GeoDataFrame | None:
    """Points of the columns `lat` and `lon`; None where one lacks, which is told with everything else that does."""
    if not {"lat", "lon"} <= set(frame.columns):
        return None
    north, east = (pd.to_numeric(frame[name], errors="coerce") for name in ("lat", "lon"))
    limits = (
        {"lat": (north, 90), "lon": (east, 180)} if crs in DATUMS else {"lat": (north, np.inf), "lon": (east, np.inf)}
    )
    problems = [
        f"{name}: found {(~good).sum()} values that are no coordinate ({_listed(np.flatnonzero(~good))})"
        for name, (values, limit) in limits.items()
        if not (good := np.isfinite(values) & (values.abs() <= limit)).all()
    ]
    _refuse(path, table, problems)
    return geopandas.GeoDataFrame(geometry=geopandas.points_from_xy(east, north), crs=_WGS84 if crs in DATUMS else crs)


def _converted(column: Column, values: pd.Series) -> tuple[Array, list[str]]:
    """A column of the contract, and what is wrong with its values."""
    found: Array
    missing = values.isna() | (values.astype(str).str.strip() == "")
    wrong = np.zeros(len(values), bool)
    if column.kind == "day":
        days = pd.to_datetime(values.where(~missing), errors="coerce", format="mixed")
        wrong, expected = (days.isna() & ~missing).to_numpy(), "a day such as 2024-05-01"
        found = pa.array([None if pd.isna(one) else one.date() for one in days], pa.date32())
    elif column.kind in {"real", "money", "integer"}:
        numbers = pd.to_numeric(values.where(~missing), errors="coerce").astype(float)
        wrong, expected = (~np.isfinite(numbers) & ~missing).to_numpy(), "a number"
        low, high = column.minimum, column.maximum
        if low is not None or high is not None:
            outside = (numbers < (-np.inf if low is None else low)) | (numbers > (np.inf if high is None else high))
            wrong, expected = wrong | outside.to_numpy(), f"a number from {low} to {high}"
        if column.kind != "real":
            wrong |= (~missing & (numbers % 1 != 0)).to_numpy()
            expected = f"{expected}, whole"
        kept = numbers.where(~wrong)
        found = pa.array(kept, pa.float64(), from_pandas=True)
        if column.kind != "real":
            found = found.cast(pa.int64())
    else:
        expected = "a text"
        found = pa.array([None if gone else _text(one) for one, gone in zip(values, missing, strict=True)], pa.string())
    problems = []
    if wrong.any():
        examples = ", ".join(sorted({repr(one) for one in values[wrong].head(_FIRST)}))
        problems.append(f"{column.name}: found {wrong.sum()} values such as {examples}; expected {expected}")
    if missing.any() and not column.nullable:
        at = np.flatnonzero(missing)
        problems.append(f"{column.name}: found {len(at)} rows without it ({_listed(at)}); expected {column.meaning}")
    return found, problems


def _text(value: object) -> str:
    """Identifiers that a file keeps as numbers keep no decimal point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _further(values: pd.Series) -> Array:
    """A column that no contract knows: numbers if all of it are, else text."""
    numbers = pd.to_numeric(values, errors="coerce")
    if bool((numbers.isna() == values.isna()).all()) and not bool(values.isna().all()):
        return pa.array(numbers.astype(float), pa.float64(), from_pandas=True)
    return pa.array([None if gone else str(one) for one, gone in zip(values, values.isna(), strict=True)], pa.string())


def _repeated(table: str, frame: pd.DataFrame) -> Iterator[str]:
    keys = [name for name in TABLES[table].key if name in frame]
    twice = frame[keys].dropna().duplicated() if keys else pd.Series(dtype=bool)
    if twice.any():
        examples = ", ".join(sorted({str(one) for one in frame.loc[twice[twice].index, keys[0]].head(_FIRST)}))
        yield f"{keys[0]}: found {int(twice.sum())} values a second time, such as {examples}; expected each once"


def _listed(rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
    shown = ", ".join(str(one + 1) for one in rows[:_FIRST])
    return f"rows {shown}{' and more' if len(rows) > _FIRST else ''}"


def _refuse(path: Path, table: str, problems: list[str]) -> None:
    if problems:
        raise DataError("\n".join([f"{path}: no table of {table}:", *(f"  - {one}" for one in problems)]))
