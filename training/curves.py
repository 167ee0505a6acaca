"""The curves of a fit as pictures among its run's files, and what its score rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from training.report.curve import Curve

SIZE = (6.4, 4.2)
OURS, THEIRS = "#0b6e4f", "#8a8a8a"
_MARGIN = 0.05
OTHERS = (OURS, "#b26a12", "#1b3a5d", "#7a3b78")


def draw(curves: Sequence[Curve], attributions: Mapping[str, float]) -> dict[str, Figure]:
    """One figure a question, by file name.

    Args:
        curves: What the report of the fit draws as well.
        attributions: Mean size of each feature's contribution to the score, largest first.
    """
    drawn = {curve.name.replace("-", "_"): _curve(curve) for curve in curves}
    return {**drawn, "attributions": _attributions(attributions)}


def _curve(curve: Curve) -> Figure:
    figure, axes = _axes(curve.across.english, curve.up.english)
    inks = iter(OTHERS * (1 + len(curve.lines) // len(OTHERS)))
    for line in curve.lines:
        ink = THEIRS if line.dashed else next(inks)
        style = "o" if line.dots else "--" if line.dashed else "-"
        axes.plot(line.across, line.up, style, color=ink, markersize=4, alpha=0.7, label=line.label.english)
    if (floor := curve.floor) is not None:
        best = max(max(line.up) for line in curve.lines)
        axes.set_ylim(floor, best + _MARGIN * (best - floor))
    for name, at in curve.marks:
        axes.axvline(at, color=THEIRS, linestyle=":", linewidth=1)
        axes.text(at, axes.get_ylim()[0], f" {name}", fontsize=7, va="bottom")
    axes.set_title(curve.title.english)
    axes.legend(frameon=False)
    return figure


def _attributions(attributions: Mapping[str, float], most: int = 15) -> Figure:
    figure, axes = _axes("mean size of the contribution to the score", "")
    top = list(attributions.items())[:most][::-1]
    axes.barh([name for name, _ in top], [value for _, value in top], color=OURS)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_title("what the score rests on")
    figure.set_layout_engine("tight")
    return figure


def _axes(horizontal: str, vertical: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="tight")
    axes = figure.subplots()
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
