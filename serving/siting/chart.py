"""A map as one inline SVG: cells by colour, shops as marks, a scale bar and north; no tiles, nothing to load.

Degrees become pixels by one equirectangular projection around the middle of the frame: lengths are right to a few in a
thousand across a city.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from features.distance import DEGREE_KM
from serving.siting.markup import Markup, element, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

SHADES: Final = ("#e4f1ee", "#bfe0da", "#8ccabf", "#50aa9d", "#1f8177", "#0b544f")
"""From little to much: one hue whose lightness falls, so that it prints in grey and reads without colour vision."""
OWN: Final = "#1b3a5d"
RIVAL: Final = "#8a8f98"
CHOSEN: Final = "#d4412a"
_BAR_M: Final = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)


@dataclass(frozen=True)
class Frame:
    """The piece of land that a map shows, and how large it is drawn.

    Attributes:
        south: Degrees; `north`, `west`, `east` likewise.
        width: Pixels; the height follows.
    """

    south: float
    north: float
    west: float
    east: float
    width: float

    @classmethod
    def around(cls, lat: Doubles, lon: Doubles, width: float, least_km: float = 1.0, shape: float = 0.0) -> Frame:
        """The smallest frame that holds all these places with a margin.

        Args:
            lat: Degrees.
            lon: Degrees.
            width: Pixels.
            least_km: No side is shorter.
            shape: Height over width; 0 lets the places decide.
        """
        middle_lat, middle_lon = (lat.min() + lat.max()) / 2, (lon.min() + lon.max()) / 2
        stretch = math.cos(math.radians(middle_lat))
        tall = max(float(np.ptp(lat)) * DEGREE_KM * 1.06, least_km)
        wide = max(float(np.ptp(lon)) * DEGREE_KM * stretch * 1.06, least_km)
        if shape:
            wide, tall = max(wide, tall / shape), max(tall, wide * shape)
        up, across = tall / DEGREE_KM / 2, wide / DEGREE_KM / stretch / 2
        return cls(middle_lat - up, middle_lat + up, middle_lon - across, middle_lon + across, width)

    @property
    def metre(self) -> float:
        """Pixels a metre."""
        wide_km = (self.east - self.west) * DEGREE_KM * math.cos(math.radians((self.south + self.north) / 2))
        return self.width / wide_km / 1000

    @property
    def height(self) -> float:
        """Pixels."""
        return (self.north - self.south) * DEGREE_KM * 1000 * self.metre

    def across(self, lon: float) -> float:
        """Pixels from the left edge."""
        return (lon - self.west) / (self.east - self.west) * self.width

    def down(self, lat: float) -> float:
        """Pixels from the top edge."""
        return (self.north - lat) / (self.north - self.south) * self.height

    def holds(self, lat: float, lon: float) -> bool:
        """Whether a place is on the map."""
        return self.south <= lat <= self.north and self.west <= lon <= self.east


def classes(values: Doubles, bounds: Sequence[float]) -> NDArray[np.int64]:
    """The shade of each value: how many of the rising bounds it reaches, counted from 0 to `len(SHADES)` - 1."""
    return np.minimum(np.searchsorted(np.asarray(bounds), values, side="right"), len(SHADES) - 1)


def cells_layer(frame: Frame, lat: Doubles, lon: Doubles, area_km2: Doubles, shade: NDArray[np.int64]) -> Markup:
    """Cells as squares of their area, one path a shade, so that ten thousand stay a small file.

    Args:
        frame: The map.
        lat: Centres, degrees.
        lon: Degrees.
        area_km2: Of each.
        shade: Place of each in `SHADES`.
    """
    drawn = []
    side = np.sqrt(area_km2) * 1000 * frame.metre
    left = (lon - frame.west) / (frame.east - frame.west) * frame.width - side / 2
    top = (frame.north - lat) / (frame.north - frame.south) * frame.height - side / 2
    for place, colour in enumerate(SHADES):
        here = np.flatnonzero(shade == place)
        path = "".join(
            f"M{x:.1f} {y:.1f}h{s:.1f}v{s:.1f}h-{s:.1f}z"
            for x, y, s in zip(left[here], top[here], side[here] * 1.002, strict=True)
        )
        if path:
            drawn.append(element("path", d=path, fill=colour, stroke="#fff", stroke_width=0.35, class_="cells"))
    return joined(drawn)


def own_store(frame: Frame, lat: float, lon: float, title: str, radius: float = 4.6) -> Markup:
    """A store of one's own: a filled circle."""
    drawn = {"cx": frame.across(lon), "cy": frame.down(lat), "r": radius}
    return element("circle", element("title", title), **drawn, fill=OWN, stroke="#fff", stroke_width=1.4)


def rival(frame: Frame, lat: float, lon: float, title: str) -> Markup:
    """A rival's shop: a small cross."""
    cross = {"d": "M-2.8-2.8L2.8 2.8M-2.8 2.8L2.8-2.8", "transform": _moved(frame, lat, lon)}
    return element("path", element("title", title), **cross, stroke=RIVAL, stroke_width=1.4, fill="none")


def pin(frame: Frame, lat: float, lon: float, title: str, label: str = "") -> Markup:
    """A pin whose point is the place, with a short label on its head."""
    shape = "M0 0C-4-9-10-12-10-20A10 10 0 0 1 10-20C10-12 4-9 0 0Z"
    body = element("path", d=shape, fill=CHOSEN, stroke="#fff", stroke_width=1.4)
    hole = element("circle", cx=0, cy=-20, r=3.6, fill="#fff")
    inner = element("text", label, x=0, y=-16.2, class_="pin") if label else hole
    return element("g", element("title", title), body, inner, transform=_moved(frame, lat, lon), class_="site")


def _moved(frame: Frame, lat: float, lon: float) -> str:
    return f"translate({frame.across(lon):.1f} {frame.down(lat):.1f})"


def tag(frame: Frame, lat: float, lon: float, text: str) -> Markup:
    """A short label beside a place, white-edged so that it reads on any shade."""
    return element("text", text, x=frame.across(lon) + 7, y=frame.down(lat) + 3.6, class_="tag")


def furniture(frame: Frame) -> Markup:
    """The scale bar, bottom left, and north, top right."""
    longest = max((one for one in _BAR_M if one * frame.metre <= frame.width / 4), default=_BAR_M[0])
    long, y = longest * frame.metre, frame.height - 14
    words = f"{longest / 1000:g} km" if longest >= 1000 else f"{longest} m"
    bar = element("path", d=f"M12 {y - 5:.1f}v5h{long:.1f}v-5", fill="none", stroke="#222", stroke_width=1.6)
    plate = element("rect", x=6, y=y - 20, width=long + 14, height=27, fill="#fff", opacity="0.82", rx=3)
    scale = element("g", plate, bar, element("text", words, x=14, y=y - 7, class_="scale"), class_="scale-bar")
    x = frame.width - 18
    disc = element("circle", cx=x, cy=22.0, r=14, fill="#fff", opacity="0.82")
    arrow = element("path", d=f"M{x:.1f} 11L{x - 5:.1f} 25L{x:.1f} 21.5L{x + 5:.1f} 25Z", fill="#222")
    letter = element("text", "N", x=x, y=33.0, class_="north")
    return joined((scale, element("g", disc, arrow, letter, class_="north-arrow")))


def drawing(frame: Frame, label: str, *layers: Markup) -> Markup:
    """The layers as one SVG, the first lowest; `label` says what it shows to who cannot see it."""
    ground = element("rect", width=frame.width, height=frame.height, fill="#f6f5f1")
    return element(
        "svg",
        ground,
        *layers,
        viewBox=f"0 0 {frame.width:.1f} {frame.height:.1f}",
        role="img",
        aria_label=label,
        class_="map",
    )
