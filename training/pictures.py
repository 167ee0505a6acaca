"""The pictures of a model that was judged: beside its baselines, within slices, and in what its actions earn.

Every function takes figures that a fit left and gives one figure; nothing is computed here that the fit did not record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure

from training.curves import OURS, THEIRS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from training.interval import Interval
    from training.record import Record
    from training.uplift_curves import BudgetPoint

_DASHES: Final = ("-", "--", ":", "-.")
_FAR: Final = 10
"""How many lengths of an interval away a figure is too far off to be drawn in its place."""


def ahead(record: Record, metrics: Sequence[str] = ()) -> Figure:
    """The model beside its baselines, a panel a metric, with 95 % intervals on the same resamples.

    Args:
        record: What a fit left.
        metrics: Which metrics; all of the model's by default.
    """
    names = list(metrics or record.metrics)
    who = {"model": record.metrics, **record.baselines}
    figure = Figure(figsize=(4.2 * len(names), 0.36 * len(who) + 1.2), layout="tight")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        dots(axes, {one: figures[name] for one, figures in who.items() if name in figures})
        axes.set_title(name, fontsize=9)
    return figure


def sliced(record: Record, metric: str) -> Figure:
    """One metric within each value of each slice column that has enough rows, with 95 % intervals; whole test first."""
    parts = {"all": record.metrics[metric]} if metric in record.metrics else {}
    for column, values in record.slices.items():
        parts |= {f"{column} = {value}": figures[metric] for value, figures in values.items() if metric in figures}
    figure, axes = sheet(0.28 * len(parts) + 1)
    dots(axes, parts)
    axes.set_xlabel(metric)
    axes.set_title("the whole test, and parts of it that have enough rows", fontsize=9)
    return figure


def earnings_of(
    figures: Mapping[str, Interval], unit: str = "fen a row", title: str = "", *, ours: bool = True
) -> Figure:
    """What each way of acting earns, with 95 % intervals, drawn and in figures.

    One that lies further off than ten lengths of the first one's interval would squeeze all others into a line: it is
    an arrow at the edge, on the side where it lies.

    Args:
        figures: By name of the policy.
        unit: What the amounts are.
        title: What is shown.
        ours: Whether the first is ours.
    """
    figure, axes = sheet(0.36 * len(figures) + 1)
    first = next(iter(figures.values()))
    reach = _FAR * (first.high - first.low) or np.inf
    near = {name: one for name, one in figures.items() if abs(one.value - first.value) <= reach}
    dots(axes, figures, ours=ours, shown=near)
    axes.axvline(0, color=THEIRS, linewidth=0.8)
    for height, (name, one) in enumerate(reversed(list(figures.items()))):
        if name not in near:
            place, arrow = (0.02, "<") if one.value < first.value else (0.98, ">")
            axes.plot(place, height, arrow, color=THEIRS, markersize=6, transform=axes.get_yaxis_transform())
        told = f"{_figure(one.value)} [{_figure(one.low)}, {_figure(one.high)}]"
        axes.text(1.02, height, told, transform=axes.get_yaxis_transform(), fontsize=7, va="center")
    axes.set_xlabel(unit)
    axes.set_title(title, fontsize=9)
    return figure


def treated_as(record: Record, actions: Sequence[str], outcomes: Sequence[str]) -> Figure:
    """Which share of the rows of each outcome gets which action: whom the model pays, and whom it stops.

    Args:
        record: What a fit left, of a task with a pay-off.
        actions: Of the pay-off, the mildest first.
        outcomes: Likewise; those that did not come about are left out.
    """
    there = [one for one in outcomes if f"{actions[0]}_of_{one}" in record.rates]
    figure, axes = sheet(0.5 * len(there) + 1)
    start = np.zeros(len(there))
    for action, shade in zip(actions, np.linspace(0.15, 1.0, len(actions)), strict=True):
        shares = np.array([record.rates[f"{action}_of_{one}"].value for one in there])
        axes.barh(there, shares, left=start, color=OURS, alpha=float(shade), label=action)
        start += shares
    axes.set_xlabel("share of the rows of an outcome that gets each action")
    axes.legend(frameon=False, fontsize=7, ncols=len(actions), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def budgets(curves: Mapping[str, Sequence[BudgetPoint]]) -> Figure:
    """What offers add for what they cost, down the rankings of several policies; the first is ours, with its interval.

    Args:
        curves: By name of the policy.
    """
    figure, axes = sheet(3.6)
    for place, (name, points) in enumerate(curves.items()):
        cost = [0.0, *(point.cost.value for point in points)]
        value = [0.0, *(point.value.value for point in points)]
        axes.plot(cost, value, _DASHES[place % len(_DASHES)], color=THEIRS if place else OURS, label=name)
        if not place:
            low = [0.0, *(point.value.low for point in points)]
            high = [0.0, *(point.value.high for point in points)]
            axes.fill_between(cost, low, high, color=OURS, alpha=0.15, linewidth=0)
    axes.axhline(0, color=THEIRS, linewidth=0.8)
    axes.set_xlabel("cost beyond no offer, fen a member asked")
    axes.set_ylabel("margin added, fen")
    axes.legend(frameon=False, fontsize=7)
    return figure


def sheet(height: float) -> tuple[Figure, Axes]:
    """One panel across a notebook's width, so high in inches."""
    figure = Figure(figsize=(7.0, height), layout="tight")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def dots(
    axes: Axes, figures: Mapping[str, Interval], *, ours: bool = True, shown: Mapping[str, Interval] | None = None
) -> None:
    """A dot and its 95 % interval for each name, the first on top.

    Args:
        axes: Where to draw.
        figures: By name; each gets a row.
        ours: Whether the first is ours, and in our colour.
        shown: Those that are drawn; all by default.
    """
    axes.spines[["top", "right"]].set_visible(False)
    for height, (place, (name, found)) in enumerate(reversed(list(enumerate(figures.items())))):
        if shown is not None and name not in shown:
            continue
        ink, size = (OURS, 6) if ours and not place else (THEIRS, 4)
        axes.plot([found.low, found.high], [height, height], color=THEIRS, linewidth=1.5)
        axes.plot(found.value, height, "o", color=ink, markersize=size)
    axes.set_yticks(range(len(figures)), list(figures)[::-1], fontsize=7)
    axes.set_ylim(-0.6, len(figures) - 0.4)


def _figure(value: float) -> str:
    """Three digits that say something, and thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"
