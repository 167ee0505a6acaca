"""Curves and bars as inline SVG: nothing to load."""

from __future__ import annotations

import math
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Final

from serving.siting.markup import Markup, element, joined
from serving.siting.page import both
from training.report.words import number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from training.report.curve import Curve, Line

WIDTH: Final = 460.0
HEIGHT: Final = 280.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 54.0, 12.0, 14.0, 38.0
INKS: Final = ("#0b544f", "#b26a12", "#1b3a5d", "#7a3b78")
THEIRS: Final = "#8a8f98"


def drawing(curve: Curve) -> Markup:
    """A curve with its axes, marks and legend."""
    across = _Axis.of(value for line in curve.lines for value in line.across)
    up = _Axis.of((value for line in curve.lines for value in line.up), curve.floor)

    def x(value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * across.share(value)

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * up.share(value)

    def path(line: Line) -> str:
        shown = groupby(zip(line.across, line.up, strict=True), key=lambda spot: spot[1] >= up.low)
        return "".join("M" + "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in spots) for inside, spots in shown if inside)

    ticks = [element("text", number(one), x=x(one), y=HEIGHT - 22, text_anchor="middle") for one in across.ticks]
    ticks += [element("text", number(one), x=_LEFT - 6, y=y(one) + 3.5, text_anchor="end") for one in up.ticks]
    grid = [element("path", d=f"M{_LEFT:.0f} {y(one):.1f}H{WIDTH - _RIGHT:.0f}", stroke="#e8eaed") for one in up.ticks]

    def shape(line: Line, ink: str) -> Markup:
        if line.dots:
            spots = zip(line.across, line.up, strict=True)
            rounds = [element("circle", cx=x(a), cy=y(b), r=2.6, fill=ink, fill_opacity=0.6) for a, b in spots]
            return element("g", *rounds, class_="curve")
        return element("path", d=path(line), fill="none", stroke=ink, stroke_width=1.8, **_dashes(line), class_="curve")

    drawn = [shape(line, ink) for line, ink in zip(curve.lines, _inks(curve), strict=True)]
    marks = [
        joined(
            (
                element("path", d=f"M{x(at):.1f} {_TOP:.0f}V{HEIGHT - _BOTTOM:.0f}", **_MARKED),
                element("text", f"{name} ≥ {at:.1%}", **_foot(x(at), place), class_="tag"),
            )
        )
        for place, (name, at) in enumerate(curve.marks)
    ]
    words = f"{curve.across.english} {curve.across.chinese}"
    title = element("text", words, x=WIDTH / 2, y=HEIGHT - 6, text_anchor="middle", class_="axis")
    return element(
        "svg",
        *grid,
        *drawn,
        *marks,
        element("g", *ticks, class_="axis"),
        title,
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
        role="img",
        aria_label=curve.title.english,
        class_=f"chart {curve.name}",
    )


def legend(curve: Curve) -> Markup:
    """Which line is which."""
    items = [
        element("span", _sample(line, ink), both(line.label.english, line.label.chinese))
        for line, ink in zip(curve.lines, _inks(curve), strict=True)
    ]
    return element("div", *items, class_="legend")


def remark_of(curve: Curve) -> Markup:
    """That lines leave the drawing below, where they do."""
    if curve.floor is None:
        return Markup()
    said = "Lines that leave the drawing below earn far less."
    return element("p", both(said, "超出下边界的曲线收益远低于此。"), class_="small")


def bar(share: float) -> Markup:
    """A share of the longest as a bar in a table."""
    inside = element("rect", x=0, y=2, width=max(100 * share, 0.5), height=7, fill=INKS[0])
    return element("svg", inside, viewBox="0 0 100 11", aria_hidden="true", class_="bar")


def _sample(line: Line, ink: str) -> Markup:
    if line.dots:
        spot = element("circle", cx=7, cy=6, r=2.6, fill=ink, fill_opacity=0.6)
        return element("svg", spot, viewBox="0 0 15 12", aria_hidden="true")
    stroke = element("path", d="M0 6H15", stroke=ink, stroke_width=2, **_dashes(line))
    return element("svg", stroke, viewBox="0 0 15 12", aria_hidden="true")


def _foot(x: float, place: int) -> dict[str, str | float]:
    """Where the words of a mark stand: at the foot of its line, on that side of it where there is room."""
    y = HEIGHT - _BOTTOM - 6 - 12 * place
    if x > WIDTH / 2:
        return {"x": x - 3, "y": y, "text_anchor": "end"}
    return {"x": x + 3, "y": y}


def _inks(curve: Curve) -> list[str]:
    full = iter(INKS * (1 + len(curve.lines) // len(INKS)))
    return [THEIRS if line.dashed else next(full) for line in curve.lines]


def _dashes(line: Line) -> dict[str, str]:
    return {"stroke_dasharray": "5 4"} if line.dashed else {}


_MARKED: Final[dict[str, str | float]] = {"stroke": "#b23a26", "stroke_width": 1, "stroke_dasharray": "2 3"}


class _Axis:
    """From the least to the most value, with round ticks between."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high if high > low else low + 1.0
        step = _round_step((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        self.ticks = [round(place * step, 12) for place in range(first, last + 1)]

    @classmethod
    def of(cls, values: Iterable[float], floor: float | None = None) -> _Axis:
        known = [value for value in values if math.isfinite(value)]
        return cls(min(known) if floor is None else floor, max(known))

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


def _round_step(least: float) -> float:
    """The first of 1, 2, 5, 10 ... that is not below.

    >>> _round_step(0.13), _round_step(3.1), _round_step(7.0)
    (0.2, 5.0, 10.0)
    """
    power = 10.0 ** math.floor(math.log10(least))
    steps = [factor * power for factor in (1.0, 2.0, 5.0, 10.0)]
    return next((high for low, high in pairwise(steps) if low < least <= high), steps[0])
