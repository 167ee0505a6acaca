"""The picture of a city: where a store would sell how much, with the best places marked; one page that stands alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serving.siting.chart import (
    Frame,
    cells_layer,
    classes,
    drawing,
    furniture,
    own_store,
    pin,
)
from serving.siting.legend import mark, steps
from serving.siting.markup import Markup, document, element
from serving.siting.page import both, table
from serving.siting.style import STYLE
from serving.siting.wording import percent, yuan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.siting.card import Place
    from serving.siting.city import CityScores

_QUANTILES: Final = (0.3, 0.55, 0.75, 0.88, 0.96)
"""Where the shades part: the darkest holds the best 4 % of cells."""
_MAP_PX: Final = 650.0


@dataclass(frozen=True)
class Marked:
    """A place marked with a number on the map and listed beside it; money in fen of a year.

    Attributes:
        name: Of the site or cell.
        lat: WGS-84 degrees.
        lon: WGS-84 degrees.
        revenue_fen: Its forecast.
        low_fen: Lower end of the interval.
        high_fen: Upper end.
        network_fen: What it adds to the network, None where not asked.
    """

    name: str
    lat: float
    lon: float
    revenue_fen: float
    low_fen: float
    high_fen: float
    network_fen: float | None = None


def city_page(
    scores: CityScores, marked: Sequence[Marked], stores: Sequence[Place], origin: str, title: str = "Best places"
) -> str:
    """The page of one city.

    Args:
        scores: Of every cell.
        marked: The best places or the sites of a plan, in order.
        stores: Own stores that trade.
        origin: Where the figures come from, one line.
        title: What the marked places are.
    """
    return document(
        f"Sites of {scores.city}",
        STYLE,
        element(
            "main",
            element(
                "header",
                element(
                    "div",
                    element("div", both("Where to open", "选址热力图"), class_="kicker"),
                    element("h1", scores.city),
                    element("div", f"{scores.kind} · {scores.lat.size:,} cells 格", class_="facts"),
                ),
                element("span", both(f"{percent(scores.coverage)} intervals", "预测区间"), class_="badge"),
            ),
            element("div", _map(scores, marked, stores), _list(marked, title), class_="columns"),
            element("footer", origin),
        ),
    )


def _map(scores: CityScores, marked: Sequence[Marked], stores: Sequence[Place]) -> Markup:
    frame = Frame.around(scores.lat, scores.lon, _MAP_PX)
    bounds = _rounded(np.quantile(scores.revenue_fen, _QUANTILES))
    shade = classes(scores.revenue_fen, bounds)
    layers = [cells_layer(frame, scores.lat, scores.lon, scores.area_km2, shade), _unknown(frame, scores)]
    layers += [own_store(frame, one.lat, one.lon, one.name, 3.2) for one in stores if frame.holds(one.lat, one.lon)]
    numbered = list(enumerate(marked, 1))
    layers += [
        pin(frame, one.lat, one.lon, f"{one.name}: {yuan(one.revenue_fen)}", str(rank))
        for rank, one in reversed(numbered)
        if frame.holds(one.lat, one.lon)
    ]
    legend = element(
        "div",
        steps(both("sales of a year", "年销售额"), tuple(yuan(bound) for bound in bounds)),
        mark("pin", both("marked", "推荐点")),
        mark("own", both("own store", "自家门店")),
        mark("unknown", both("beyond experience", "超出经验")),
        class_="legend",
    )
    return element(
        "section", drawing(frame, f"Forecast sales by cell, {scores.city}", *layers, furniture(frame)), legend
    )


def _unknown(frame: Frame, scores: CityScores) -> Markup:
    """A dot on each cell whose forecast reaches beyond the stores learned from."""
    dots = "".join(
        f"M{frame.across(float(lon)):.1f} {frame.down(float(lat)):.1f}h0"
        for lat, lon in zip(scores.lat[scores.out_of_range], scores.lon[scores.out_of_range], strict=True)
    )
    return element("path", d=dots, stroke="#b23a26", stroke_width=1.8, stroke_linecap="round", fill="none")


def _list(marked: Sequence[Marked], title: str) -> Markup:
    net = any(one.network_fen is not None for one in marked)
    heads = [both("place", "地点"), both("a year", "年销售"), both("interval", "区间")]
    rows: list[list[str | Markup]] = [
        [
            f"{rank}  {one.name}",
            yuan(one.revenue_fen),
            f"{yuan(one.low_fen)} – {yuan(one.high_fen)}",
            *([yuan(one.network_fen or 0.0, signed=True)] if net else []),
        ]
        for rank, one in enumerate(marked, 1)
    ]
    return element("section", element("h2", title), table([*heads, *([both("network", "净增")] if net else [])], rows))


def _rounded(bounds: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, ...]:
    """Bounds to two figures, so that a legend can be read."""
    digits = [10 ** np.floor(np.log10(max(bound, 1.0)) - 1) for bound in bounds]
    return tuple(float(np.round(bound / digit) * digit) for bound, digit in zip(bounds, digits, strict=True))
