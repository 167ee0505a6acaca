"""A whole city at a glance: every cell of its grid scored as though a store of one kind were opened there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from features.distance import degrees_apart_km

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_CORNERS: Final = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1)]) / 2


@dataclass(frozen=True)
class CityScores:
    """What a store would sell in each cell; arrays of one length, money in fen of a year.

    Attributes:
        city: Its name.
        kind: What store was asked about, in words.
        cell_id: The cells.
        lat: Of their centres, WGS-84 degrees; `lon` likewise.
        area_km2: Land area.
        revenue_fen: The forecast; `low_fen` and `high_fen` are its interval.
        low_fen: See revenue_fen.
        high_fen: See revenue_fen.
        coverage: How many such intervals are meant to hold the truth.
        out_of_range: Where the forecast reaches beyond the stores that were learned from.
    """

    city: str
    kind: str
    cell_id: tuple[str, ...]
    lat: Doubles
    lon: Doubles
    area_km2: Doubles
    revenue_fen: Doubles
    low_fen: Doubles
    high_fen: Doubles
    coverage: float
    out_of_range: NDArray[np.bool_]

    def best(self, count: int, apart_m: float) -> tuple[int, ...]:
        """The cells that sell most and lie at least so many metres apart, best first; none out of range."""
        chosen: list[int] = []
        for place in np.argsort(-self.revenue_fen, kind="stable"):
            near = degrees_apart_km(self.lat[chosen], self.lon[chosen], self.lat[place], self.lon[place]) * 1000
            if not self.out_of_range[place] and near.min(initial=np.inf) >= apart_m:
                chosen.append(int(place))
            if len(chosen) == count:
                break
        return tuple(chosen)

    def table(self) -> pa.Table:
        """The scores as a table, one row a cell."""
        whole = {name: np.rint(getattr(self, name)).astype(np.int64) for name in ("revenue_fen", "low_fen", "high_fen")}
        columns: dict[str, Any] = {
            "cell_id": list(self.cell_id),
            "city": [self.city] * self.lat.size,
            "lat": self.lat,
            "lon": self.lon,
            **whole,
            "out_of_range": self.out_of_range,
        }
        return pa.table(columns)

    def geojson(self) -> bytes:
        """The scores as GeoJSON (RFC 7946), each cell a square of its area."""
        side = np.sqrt(self.area_km2) / 2
        tall = 2 * side / _degree_km(self.lat, 0.0)
        wide = 2 * side / _degree_km(self.lat, 1.0)
        rows = self.table().to_pylist()
        told = [
            {
                "type": "Feature",
                "id": row["cell_id"],
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "properties": {name: value for name, value in row.items() if name not in {"lat", "lon"}},
            }
            for row, ring in zip(rows, _rings(self.lat, self.lon, tall, wide), strict=True)
        ]
        return msgspec.json.encode({"type": "FeatureCollection", "features": told})


def _degree_km(lat: Doubles, eastward: float) -> Doubles:
    """Kilometres of one degree northward (0) or eastward (1) at each latitude."""
    zero = np.zeros(lat.size)
    return degrees_apart_km(lat, zero, lat + (1 - eastward), zero + eastward)


def _rings(lat: Doubles, lon: Doubles, tall: Doubles, wide: Doubles) -> list[list[list[float]]]:
    """The outer ring of each square, counterclockwise, longitude before latitude."""
    east = lon[:, None] + wide[:, None] * _CORNERS[:, 1]
    north = lat[:, None] + tall[:, None] * _CORNERS[:, 0]
    rings: list[list[list[float]]] = np.round(np.stack([east, north], axis=2), 6).tolist()
    return rings
