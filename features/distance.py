"""How far two places lie apart, in arithmetic that gives one value the bits it gives many.

Distances are those of a sphere, taken as flat between the two places: right to a few in a thousand within a country,
which is what telling a walk from a flight needs. The cosine is a polynomial, because a library's may differ in the last
bit between one number and an array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from data.place import PLACE_COLUMNS

if TYPE_CHECKING:
    from features.kernel import Doubles

DEGREE_KM: Final = 111.195
RADIAN: Final = 0.017453292519943295
ROUND: Final = 360.0
STEPS_A_DEGREE: Final = 100_000.0
MICRO: Final = 1_000_000.0


def degrees_apart_km(north: Doubles, east: Doubles, other_north: Doubles, other_east: Doubles) -> Doubles:
    """Kilometres between places given in degrees, the short way round."""
    angle = (north + other_north) * 0.5 * RADIAN
    eastward = np.abs(east - other_east)
    across = np.minimum(eastward, ROUND - eastward) * DEGREE_KM * _cosine(angle)
    along = (north - other_north) * DEGREE_KM
    return np.sqrt(along * along + across * across)


def micro_degrees_apart_km(lat_e6: Doubles, lon_e6: Doubles, other_lat_e6: Doubles, other_lon_e6: Doubles) -> Doubles:
    """Kilometres between places given in millionths of a degree."""
    return degrees_apart_km(lat_e6 / MICRO, lon_e6 / MICRO, other_lat_e6 / MICRO, other_lon_e6 / MICRO)


def places_apart_km(place: Doubles, other: Doubles) -> Doubles:
    """Kilometres between two values of the column `place` of the log of scans."""
    row, other_row = np.floor(place / PLACE_COLUMNS), np.floor(other / PLACE_COLUMNS)
    column, other_column = place - row * PLACE_COLUMNS, other - other_row * PLACE_COLUMNS
    return degrees_apart_km(
        row / STEPS_A_DEGREE - 90.0,
        column / STEPS_A_DEGREE,
        other_row / STEPS_A_DEGREE - 90.0,
        other_column / STEPS_A_DEGREE,
    )


def _cosine(angle: Doubles) -> Doubles:
    """The cosine of an angle up to a quarter turn, to 1e-8."""
    square = angle * angle
    value = square / 479_001_600.0 - 1.0 / 3_628_800.0
    value = value * square + 1.0 / 40_320.0
    value = value * square - 1.0 / 720.0
    value = value * square + 1.0 / 24.0
    value = value * square - 0.5
    return value * square + 1.0
