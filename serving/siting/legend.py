"""The legends of the maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from serving.siting.chart import CHOSEN, OWN, RIVAL, SHADES
from serving.siting.markup import Markup, element

if TYPE_CHECKING:
    from collections.abc import Sequence

_MARKS: Final = {
    "own": element("circle", cx=8, cy=8, r=5, fill=OWN),
    "rival": element("path", d="M4 4L12 12M4 12L12 4", stroke=RIVAL, stroke_width=2),
    "unknown": element("circle", cx=8, cy=8, r=2.2, fill="#b23a26"),
    "pin": element("path", d="M8 15C6 10 3 9 3 6A5 5 0 0 1 13 6C13 9 10 10 8 15Z", fill=CHOSEN),
}


def mark(name: str, label: Markup) -> Markup:
    """One mark of the map, by name, with what it stands for."""
    return element("span", element("svg", _MARKS[name], viewBox="0 0 16 16", aria_hidden="true"), label)


def steps(label: Markup, bounds: Sequence[str]) -> Markup:
    """The shades from little to much with the values at which they part, shortened to the least and the most."""
    swatches = [element("i", class_="swatch", style=f"background:{colour}") for colour in SHADES]
    scale = element("span", *swatches, class_="steps")
    return element("span", label, f" < {bounds[0]}", scale, f"≥ {bounds[-1]}")
