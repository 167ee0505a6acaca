"""Square cells of half a square kilometre over a city, and smooth chance laid over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Wholes: TypeAlias = NDArray[np.int64]
    Flags: TypeAlias = NDArray[np.bool_]

EARTH_KM: Final = 6371.0088
DEGREE_KM: Final = EARTH_KM * np.pi / 180


def great_circle_km(lat: Floats, lon: Floats, other_lat: Floats, other_lon: Floats) -> Floats:
    """Kilometres over ground between places in degrees, of any shapes that broadcast (haversine on a sphere).

    >>> round(float(great_circle_km(np.array(30.0), np.array(104.0), np.array(31.0), np.array(104.0))), 1)
    111.2
    """
    north, east = np.radians(np.asarray(other_lat) - lat), np.radians(np.asarray(other_lon) - lon)
    chord = np.sin(north / 2) ** 2 + np.cos(np.radians(lat)) * np.cos(np.radians(other_lat)) * np.sin(east / 2) ** 2
    apart: Floats = 2 * EARTH_KM * np.arcsin(np.sqrt(np.minimum(chord, 1.0)))
    return apart


@dataclass(frozen=True)
class Raster:
    """The square of `size` x `size` cells round the centre of a city, of which the city covers some.

    Cells are numbered row by row from the south-west. Near the centre a cell is a square of `side_km`.

    Attributes:
        lat: WGS-84 latitude of the centre, degrees.
        lon: WGS-84 longitude of the centre, degrees.
        side_km: length of a cell's side.
        size: cells a side, an odd number, so that one cell lies in the middle.
    """

    lat: float
    lon: float
    side_km: float
    size: int

    def offsets_km(self) -> tuple[Floats, Floats]:
        """Kilometres east and north of the centre, two flat arrays of size**2."""
        steps = (np.arange(self.size) - self.size // 2) * self.side_km
        east, north = np.meshgrid(steps, steps)
        return east.ravel(), north.ravel()

    def degrees(self, east_km: Floats | float, north_km: Floats | float) -> tuple[Floats, Floats]:
        """Latitude and longitude of places so many kilometres east and north of the centre."""
        lat, lon = self.lat + north_km / DEGREE_KM, self.lon + east_km / (DEGREE_KM * self._shrink)
        return np.asarray(lat), np.asarray(lon)

    def kilometres(self, lat: Floats | float, lon: Floats | float) -> tuple[Floats, Floats]:
        """Kilometres east and north of the centre of places in degrees: the way back of `degrees`."""
        east, north = (lon - self.lon) * DEGREE_KM * self._shrink, (lat - self.lat) * DEGREE_KM
        return np.asarray(east), np.asarray(north)

    def sides(self) -> tuple[float, float]:
        """How many degrees of latitude and of longitude a cell spans."""
        return self.side_km / DEGREE_KM, self.side_km / (DEGREE_KM * self._shrink)

    def cell_of(self, lat: Floats, lon: Floats) -> Wholes:
        """The cell that holds each place; the nearest cell on the edge for places beyond it."""
        east, north = self.kilometres(np.asarray(lat, np.float64), np.asarray(lon, np.float64))
        half = self.size // 2
        column = np.clip(np.rint(east / self.side_km), -half, half).astype(np.int64) + half
        row = np.clip(np.rint(north / self.side_km), -half, half).astype(np.int64) + half
        return row * self.size + column

    @property
    def _shrink(self) -> float:
        return float(np.cos(np.radians(self.lat)))


def smooth_chance(generator: np.random.Generator, raster: Raster, length_km: float) -> Floats:
    """A normal field of mean 0 and variance 1 over the raster, alike within about `length_km`; flat, size**2.

    White noise passed through a Gaussian filter in the frequency domain, on a square wide enough that opposite edges
    do not meet.
    """
    length = length_km / raster.side_km
    width = raster.size + 4 * int(np.ceil(length))
    rows, columns = np.fft.fftfreq(width)[:, None], np.fft.rfftfreq(width)[None, :]
    response = np.exp(-((np.pi * length) ** 2) * (rows**2 + columns**2))
    field = np.fft.irfft2(np.fft.rfft2(generator.standard_normal((width, width))) * response, (width, width))
    spread = np.sqrt(np.mean(np.abs(np.fft.fft2(np.fft.irfft2(response, (width, width)))) ** 2))
    cut: Floats = (field[: raster.size, : raster.size] / spread).ravel()
    return cut


def nearest(raster: Raster, covered: Wholes) -> Wholes:
    """For every cell of the raster the place in `covered` of the nearest covered cell; flat, size**2."""
    row, column = np.divmod(np.arange(raster.size**2), raster.size)
    found = np.empty(raster.size**2, np.int64)
    for start in range(0, raster.size**2, 1024):
        part = slice(start, start + 1024)
        apart = (row[part, None] - row[covered]) ** 2 + (column[part, None] - column[covered]) ** 2
        found[part] = np.argmin(apart, axis=1)
    return found
