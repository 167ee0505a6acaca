"""Who lies within so many metres of whom: points filed under H3 cells, distances measured in metres.

Steps over H3 cells are no distance (cells differ in size, and a disc of cells is a hexagon); they only say where to
look. The pairs of a point asked about come in one order, that of the file, whatever else is asked, so that sums over
them have the same bits alone and among thousands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import h3
import h3.api.numpy_int as cells_of
import numpy as np

from features.distance import degrees_apart_km

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.kernel import Doubles

    Wholes: TypeAlias = NDArray[np.int64]
    Cells: TypeAlias = NDArray[np.uint64]

_SMALLEST_EDGE: Final = 0.7
"""The shortest edge of a cell as a part of its resolution's mean, with a margin: cells shrink towards pentagons."""

_WIDEST_DISC: Final = 8
_COARSEST: Final = 4
_FINEST: Final = 10


@dataclass(frozen=True)
class Pairs:
    """Points near those asked about, sorted by row.

    Attributes:
        row: Position of the one asked about, shape (pairs,).
        point: Position of the point near it.
        metres: How far apart they lie.
    """

    row: Wholes
    point: Wholes
    metres: Doubles

    def where(self, kept: NDArray[np.bool_]) -> Pairs:
        """The pairs of which `kept`, shape (pairs,), is true."""
        return Pairs(self.row[kept], self.point[kept], self.metres[kept])

    def total(self, rows: int, values: Doubles | None = None) -> Doubles:
        """The sum over each row's pairs of `values`, shape (pairs,), or their number; shape (rows,)."""
        return np.bincount(self.row, weights=values, minlength=rows).astype(np.float64)

    def nearest(self, rows: int, cap_m: float) -> Doubles:
        """Metres to the nearest point of each row, at most `cap_m`; shape (rows,)."""
        found = np.full(rows, cap_m)
        if len(self.row):
            starts = np.flatnonzero(np.r_[True, self.row[1:] != self.row[:-1]])
            found[self.row[starts]] = np.minimum(np.minimum.reduceat(self.metres, starts), cap_m)
        return found


@dataclass(frozen=True)
class Points:
    """Points on the ground, in the order in which they are filed.

    Attributes:
        lat: WGS-84 degrees, shape (points,).
        lon: The same.
        reach_m: The farthest that can be asked about.
        resolution: Of the H3 cells under which they are filed.
        cell: The cell of each, ascending.
    """

    lat: Doubles
    lon: Doubles
    reach_m: float
    resolution: int
    cell: Cells

    @staticmethod
    def order(lat: Doubles, lon: Doubles, reach_m: float) -> Wholes:
        """How rows are to be sorted to be filed: by cell, then by place; equal places stay in their order."""
        cell = cells_at(lat, lon, _resolution(reach_m))
        return np.lexsort((lon, lat, cell))

    @classmethod
    def filed(cls, lat: Doubles, lon: Doubles, reach_m: float) -> Points:
        """Points that are sorted as `order` says."""
        resolution = _resolution(reach_m)
        return cls(lat, lon, reach_m, resolution, cells_at(lat, lon, resolution))

    def within(self, lat: Doubles, lon: Doubles, radius_m: float) -> Pairs:
        """All points no farther than `radius_m`, at most the reach, from each place asked about, shape (rows,) each."""
        if not len(self.lat) or not len(lat):
            nothing = np.empty(0, np.int64)
            return Pairs(nothing, nothing, np.empty(0))
        asked, place = np.unique(cells_at(lat, lon, self.resolution), return_inverse=True)
        first, last = self._spans(asked, _steps(radius_m, self.resolution))
        count = np.bincount(first[0], weights=last - first[1], minlength=len(asked)).astype(np.int64)
        listed = _ranges(first[1], last - first[1])
        begin = np.cumsum(count) - count
        row = np.repeat(np.arange(len(lat)), count[place])
        point = listed[_ranges(begin[place], count[place])]
        metres = degrees_apart_km(lat[row], lon[row], self.lat[point], self.lon[point]) * 1000.0
        return Pairs(row, point, metres).where(metres <= radius_m)

    def _spans(self, asked: Cells, steps: int) -> tuple[tuple[Wholes, Wholes], Wholes]:
        """For each cell of the discs that holds points: whose disc it is and where its points begin; where they end."""
        discs = [np.sort(cells_of.grid_disk(one, steps)) for one in asked.tolist()]
        owner = np.repeat(np.arange(len(asked)), [len(disc) for disc in discs])
        flat = np.concatenate(discs)
        first, last = np.searchsorted(self.cell, flat), np.searchsorted(self.cell, flat, side="right")
        full = last > first
        return (owner[full], first[full]), last[full]


def cells_at(lat: Doubles, lon: Doubles, resolution: int) -> Cells:
    """The H3 cell of each place, shape (rows,)."""
    at = cells_of.latlng_to_cell
    cells = (at(north, east, resolution) for north, east in zip(lat.tolist(), lon.tolist(), strict=True))
    return np.fromiter(cells, np.uint64, len(lat))


def _ranges(first: Wholes, count: Wholes) -> Wholes:
    """Runs of whole numbers, one after the other: from each `first`, so many."""
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    found: Wholes = np.arange(total) + np.repeat(first - (ends - count), count)
    return found


def _edge_m(resolution: int) -> float:
    return float(h3.average_hexagon_edge_length(resolution, unit="m")) * _SMALLEST_EDGE


def _steps(radius_m: float, resolution: int) -> int:
    """A disc of so many steps holds all within the radius of any place in its middle cell.

    Cells n steps away have their centres at least 1.5 n edges away, and no place is farther than an edge from a centre.
    """
    return max(1, int(np.ceil((radius_m / _edge_m(resolution) + 2) / 1.5 - 1)))


def _resolution(reach_m: float) -> int:
    """The finest cells of which a disc of few steps covers the reach."""
    fine = (one for one in range(_FINEST, _COARSEST, -1) if _steps(reach_m, one) <= _WIDEST_DISC)
    return next(fine, _COARSEST)
