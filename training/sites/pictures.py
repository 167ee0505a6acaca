"""The pictures of a forecast for sites: where the stores stand, what was said of them, and how wide the ranges are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from features.distance import degrees_apart_km
from training.curves import OURS, THEIRS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axis import Axis
    from numpy.typing import NDArray

    from training.sites.pipeline import FittedSites, Ground

    Floats = NDArray[np.float64]

_FEN_A_MILLION_YUAN: Final = 1e8
_MOST: Final = 0.5


def town(ground: Ground, missed: Floats, around_km: float = 12.0) -> Figure:
    """The stores of the densest stretch of town over where people live: green sold more than was foretold, brown less.

    Args:
        ground: What was learned from.
        missed: Logarithm of the truth less that of the forecast, shape (stores,); larger circles sell more.
        around_km: How far to look around the store with most others so near.
    """
    cells = ground.tables["cells"]
    near = degrees_apart_km(ground.lat[:, None], ground.lon[:, None], ground.lat, ground.lon) <= around_km
    middle = int(near.sum(axis=1).argmax())
    lat, lon = (cells[name].to_numpy().astype(np.float64) for name in ("lat", "lon"))
    shown = degrees_apart_km(ground.lat[middle], ground.lon[middle], lat, lon) <= around_km
    figure = Figure(figsize=(7.0, 5.6), layout="constrained")
    axes = figure.subplots()
    people = np.log10(1 + cells["population"].to_numpy()[shown])
    heat = axes.scatter(lon[shown], lat[shown], c=people, cmap="Greys", s=40, marker="s", linewidths=0)
    size, inside = 260 * ground.sales.revenue_fen / ground.sales.revenue_fen.max(), near[middle]
    spots = axes.scatter(
        ground.lon[inside],
        ground.lat[inside],
        c=missed[inside],
        cmap="BrBG",
        vmin=-_MOST,
        vmax=_MOST,
        s=size[inside],
        edgecolors="k",
    )
    axes.set_aspect(1 / np.cos(np.radians(float(ground.lat[middle]))))
    axes.set_xlabel("degrees east")
    axes.set_ylabel("degrees north")
    figure.colorbar(spots, label="log of what was sold over what was said", shrink=0.8)
    figure.colorbar(heat, label="log10 of people a cell", shrink=0.8)
    return figure


def ranges(fitted: FittedSites, level: float = 0.8) -> Figure:
    """What each store sold against what was said of it while its stretch of town was held out, with the range given.

    A store whose range lies across the line was foretold within it; amounts are millions of yuan a year.

    Args:
        fitted: What a fit of a task about sites left.
        level: Of the range, one of those that were learned (`training.sites.study`).
    """
    said = fitted.predictions
    low, high = (np.exp(end) / _FEN_A_MILLION_YUAN for end in said.held.intervals[level])
    truth, forecast = np.exp(said.log_revenue) / _FEN_A_MILLION_YUAN, said.output / _FEN_A_MILLION_YUAN
    inside = (low <= truth) & (truth <= high)
    figure = Figure(figsize=(6.0, 5.2), layout="tight")
    axes = figure.subplots()
    for rows, colour, called in ((inside, OURS, "within the range"), (~inside, THEIRS, "outside")):
        axes.vlines(truth[rows], low[rows], high[rows], color=colour, alpha=0.35, linewidth=1)
        axes.plot(truth[rows], forecast[rows], "o", color=colour, markersize=3, label=f"{called}: {rows.sum()} stores")
    ends = [min(truth.min(), low.min()), max(truth.max(), high.max())]
    axes.plot(ends, ends, "--", color=THEIRS, linewidth=1)
    axes.set_xscale("log")
    _in_plain_numbers(axes.xaxis)
    axes.set_yscale("log")
    _in_plain_numbers(axes.yaxis)
    axes.set_xlabel("sold in a year, million yuan")
    axes.set_ylabel(f"forecast and its {level:.0%} range, million yuan")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure


def against_sales(ground: Ground, names: Sequence[str], across: int = 3) -> Figure:
    """Yearly sales of the stores against features of their sites: the straight line that a spreadsheet would draw.

    Args:
        ground: What was learned from.
        names: The features to draw.
        across: Panels in a row.
    """
    down = -(-len(names) // across)
    figure = Figure(figsize=(3.6 * across, 2.6 * down), layout="tight")
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    sold = ground.stores.log_revenue - np.log(_FEN_A_MILLION_YUAN)
    for axes, name in zip(panels, names, strict=False):
        column = ground.stores.features[:, ground.stores.names.index(name)].astype(np.float64)
        known = ~np.isnan(column)
        axes.plot(column[known], np.exp(sold[known]), "o", color=OURS, markersize=3, alpha=0.6)
        axes.set_yscale("log")
        _in_plain_numbers(axes.yaxis)
        axes.set_title(name, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("million yuan a year", fontsize=8)
    return figure


def _in_plain_numbers(axis: Axis) -> None:
    """2, 5, 10, 20 on a logarithmic axis, and no powers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())
