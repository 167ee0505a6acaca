"""Chinese map coordinates: GCJ-02 (AMap, Tencent) and BD-09 (Baidu) to WGS-84 and back.

By Chinese law public maps are shifted by some hundred metres. The shift is not published; these are the formulas that
the trade has used for years (`googollee/eviltransform`, `wandergis/coordtransform`), which agree with the
maps to a few metres. The way back is found by stepping, to well under a millimetre of the way there. Outside a box
around China nothing is shifted, and so is nothing here; Hong Kong, Macau and Taiwan lie inside the box.

>>> lat, lon = to_wgs84(np.array([39.9165]), np.array([116.4042]), "gcj02")
>>> print(lat.round(4), lon.round(4))
[39.9151] [116.398]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from data.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

Datum: TypeAlias = Literal["wgs84", "gcj02", "bd09"]
DATUMS: Final[tuple[Datum, ...]] = ("wgs84", "gcj02", "bd09")

_AXIS_M: Final = 6_378_245.0  # of the Krasovsky ellipsoid of 1940
_ECCENTRICITY_SQUARED: Final = 0.00669342162296594323
_SOUTH, _NORTH, _WEST, _EAST = 0.8293, 55.8271, 72.004, 137.8347
_MIDDLE: Final = (35.0, 105.0)
_BAIDU: Final = np.pi * 3000.0 / 180.0
_STEPS: Final = 12


def to_wgs84(lat: Floats, lon: Floats, datum: Datum) -> tuple[Floats, Floats]:
    """Latitude and longitude in WGS-84 of places told in `datum`; degrees, any shape.

    Raises:
        UsageError: A datum of another name.
    """
    _require(datum)
    if datum == "wgs84":
        return lat, lon
    shift = _gcj02 if datum == "gcj02" else _bd09
    inside = in_china(lat, lon)
    told_north, told_east = np.where(inside, lat, _MIDDLE[0]), np.where(inside, lon, _MIDDLE[1])
    north, east = told_north, told_east
    for _ in range(_STEPS):
        there = shift(north, east)
        north, east = north + (told_north - there[0]), east + (told_east - there[1])
    return np.where(inside, north, lat), np.where(inside, east, lon)


def from_wgs84(lat: Floats, lon: Floats, datum: Datum) -> tuple[Floats, Floats]:
    """Latitude and longitude in `datum` of places in WGS-84; degrees, any shape.

    Raises:
        UsageError: A datum of another name.
    """
    _require(datum)
    if datum == "wgs84":
        return lat, lon
    inside = in_china(lat, lon)
    shift = _gcj02 if datum == "gcj02" else _bd09
    north, east = shift(np.where(inside, lat, _MIDDLE[0]), np.where(inside, lon, _MIDDLE[1]))
    return np.where(inside, north, lat), np.where(inside, east, lon)


def in_china(lat: Floats, lon: Floats) -> NDArray[np.bool_]:
    """Whether places lie in the box within which maps are shifted."""
    found: NDArray[np.bool_] = (lat > _SOUTH) & (lat < _NORTH) & (lon > _WEST) & (lon < _EAST)
    return found


def _gcj02(lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
    x, y = lon - 105.0, lat - 35.0
    root, product = np.sqrt(np.abs(x)), x * y
    swing = 20.0 * np.sin(6.0 * x * np.pi) + 20.0 * np.sin(2.0 * x * np.pi)
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * product + 0.2 * root
    north += (swing + _waves(y, 20.0, 40.0, 160.0, 320.0, 12.0, 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * product + 0.1 * root
    east += (swing + _waves(x, 20.0, 40.0, 150.0, 300.0, 12.0, 30.0)) * 2.0 / 3.0
    angle = np.radians(lat)
    flat = 1.0 - _ECCENTRICITY_SQUARED * np.sin(angle) ** 2
    meridian = _AXIS_M * (1.0 - _ECCENTRICITY_SQUARED) / (flat * np.sqrt(flat))
    parallel = _AXIS_M / np.sqrt(flat) * np.cos(angle)
    return lat + np.degrees(north / meridian), lon + np.degrees(east / parallel)


def _waves(along: Floats, first: float, second: float, third: float, fourth: float, *lengths: float) -> Floats:
    """The waves over one coordinate; the two longest have the lengths given, the shorter ones 2 and 6 degrees."""
    slow, slowest = lengths
    found: Floats = first * np.sin(along * np.pi) + second * np.sin(along / 3.0 * np.pi)
    found += third * np.sin(along / slow * np.pi) + fourth * np.sin(along / slowest * np.pi)
    return found


def _bd09(lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
    y, x = _gcj02(lat, lon)
    length = np.hypot(x, y) + 0.00002 * np.sin(y * _BAIDU)
    angle = np.arctan2(y, x) + 0.000003 * np.cos(x * _BAIDU)
    return length * np.sin(angle) + 0.006, length * np.cos(angle) + 0.0065


def _require(datum: str) -> None:
    if datum not in DATUMS:
        raise UsageError(f"datum: found {datum!r}; expected one of {', '.join(DATUMS)}")
