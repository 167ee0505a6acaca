"""The pictures of features before anything is learned: what they say of a label, how they move, what says it twice.

Every function takes the rows of a task and gives one figure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from training.curves import OURS, THEIRS
from training.interval import Resampling, compare
from training.metrics import roc_auc
from training.pictures import dots, sheet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from features.feature import Feature
    from features.spec import FeatureSet
    from training.dataset import Examples

    Floats = NDArray[np.float64]

UNKNOWN: Final = "unknown"
LARGE: Final = 0.25
"""A population stability index that is often called large."""

_DAY: Final = 86_400_000_000
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_SPANS: Final = ((86_400, "days"), (3_600, "hours"))
_PANEL: Final = (3.6, 2.5)
_TENTHS: Final = np.linspace(0, 1, 11)
_DRAWS: Final = 200
_THOUSANDS: Final = EngFormatter(places=1, sep="")


def distributions(
    examples: Examples, features: FeatureSet, outcomes: tuple[str, str] = ("no", "yes"), across: int = 3
) -> Figure:
    """How often each tenth of a feature's values is met among rows that came true, and among those that did not.

    Tenths are of all rows with a label, so that two features of different units can be read side by side; rows without
    a value stand at the right as `unknown`. Equal tenths are one.

    Args:
        examples: Rows, with labels where they have one.
        features: Which to draw; their units stand below; seconds are told as s, min, h or d.
        outcomes: What label 0 and label 1 are called.
        across: Panels in a row.
    """
    figure, panels = _panels(len(features), across)
    told = ~np.isnan(examples.label)
    for axes, feature in zip(panels, features, strict=True):
        column = examples.matrix[told, examples.features.index(feature.name)].astype(np.float64)
        label, unit = (_duration, "time") if feature.unit == "seconds" else (_short, feature.unit)
        edges = _edges(column)
        for value, called, colour in ((0, outcomes[0], THEIRS), (1, outcomes[1], OURS)):
            shares = _shares(column[examples.label[told] == value], edges)
            axes.plot(range(len(shares)), shares, "o-", color=colour, label=called, markersize=3, drawstyle="steps-mid")
        axes.set_xticks(range(len(edges)), [*map(label, edges[:-1]), UNKNOWN], fontsize=6, rotation=60)
        axes.set_title(feature.name, fontsize=8)
        axes.set_xlabel(f"{unit}, from", fontsize=7)
        axes.set_ylim(bottom=0)
    panels[0].set_ylabel("share of rows", fontsize=8)
    panels[0].legend(frameon=False, fontsize=7)
    return figure


def through_time(examples: Examples, features: FeatureSet, days: int = 7, across: int = 3) -> Figure:
    """The middle half of the values of features, and their median, a stretch of days: what moves with the calendar.

    Args:
        examples: Rows with their moments, labelled or not.
        features: Which to draw; their units stand beside; seconds are told as hours or days where most are as long.
        days: Length of a stretch.
        across: Panels in a row.
    """
    figure, panels = _panels(len(features), across)
    stretch = (examples.as_of - examples.as_of.min()) // (days * _DAY)
    for axes, feature in zip(panels, features, strict=True):
        column, unit = _column(examples, feature)
        known = [column[(stretch == one) & ~np.isnan(column)] for one in range(int(stretch.max()) + 1)]
        low, middle, high = np.array([_quartiles(values) for values in known]).T
        moments = np.arange(len(known)) * days
        axes.fill_between(moments, low, high, color=OURS, alpha=0.2, linewidth=0)
        axes.plot(moments, middle, "o-", color=OURS, markersize=3)
        axes.set_title(feature.name, fontsize=8)
        axes.set_ylabel(unit, fontsize=7)
        axes.set_xlabel("days since the first row", fontsize=7)
    return figure


def alone(examples: Examples, most: int = 15) -> Figure:
    """How well each feature ranks the labelled rows by itself, the best ones first: AUC, with 95 % intervals by unit.

    A feature that runs the other way is turned round, so that 0.5 is no help at all; nulls rank last.
    """
    told = np.flatnonzero(~np.isnan(examples.label))
    label = examples.label[told]
    scores = {name: _turned(label, examples.matrix[told, place]) for place, name in enumerate(examples.features)}
    ranked = sorted(scores, key=lambda name: -roc_auc.of(label, scores[name]))[:most]
    draws = Resampling(examples.unit[told], np.random.default_rng(0), _DRAWS)
    found = compare(label, {name: scores[name] for name in ranked}, (roc_auc,), draws)
    figure, axes = sheet(0.28 * len(ranked) + 1)
    dots(axes, {name: figures[roc_auc.name] for name, figures in found.items()})
    axes.axvline(0.5, color=THEIRS, linestyle="--", linewidth=1)
    axes.set_xlabel("AUC of the feature alone, 0.5 is no help")
    return figure


def related(examples: Examples, names: Sequence[str]) -> Figure:
    """Rank correlation of features with each other: which of them say the same thing twice; nulls count as lowest."""
    columns = [np.nan_to_num(examples.matrix[:, examples.features.index(name)], nan=-np.inf) for name in names]
    ranks = np.stack([_ranks(column) for column in columns])
    ranks -= ranks.mean(axis=1, keepdims=True)
    size = np.sqrt((ranks**2).sum(axis=1))
    scale = np.outer(size, size)
    correlation = np.divide(ranks @ ranks.T, scale, out=np.zeros_like(scale), where=scale > 0)
    figure = Figure(figsize=(0.42 * len(names) + 3, 0.42 * len(names) + 1.5), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(correlation, vmin=-1, vmax=1, cmap="PuOr")
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    figure.colorbar(shown, label="rank correlation", shrink=0.7)
    return figure


def moved(drift: Mapping[str, float], names: Sequence[str]) -> Figure:
    """How far features have moved between two sets of rows; 0 is no move, and the broken line is often called large.

    Args:
        drift: Population stability index of each feature (`training.drift`).
        names: Which to draw, the first on top.
    """
    figure, axes = sheet(0.28 * len(names) + 1)
    axes.barh(names[::-1], [drift[name] for name in names[::-1]], color=OURS)
    axes.axvline(LARGE, color=THEIRS, linestyle="--", linewidth=1)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlabel(f"population stability index; {LARGE} is often called large")
    return figure


def _panels(count: int, across: int) -> tuple[Figure, list[Axes]]:
    down = -(-count // across)
    figure = Figure(figsize=(_PANEL[0] * across, _PANEL[1] * down), layout="tight")
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, panels[:count]


def _column(examples: Examples, feature: Feature) -> tuple[Floats, str]:
    """Every row's value of a feature, and its unit: seconds become hours or days where most of them are as long."""
    values = examples.matrix[:, examples.features.index(feature.name)].astype(np.float64)
    known = values[~np.isnan(values)]
    if feature.unit != "seconds" or not len(known):
        return values, feature.unit
    length, unit = next((one for one in _SPANS if np.median(known) >= one[0]), (1, "seconds"))
    return values / length, unit


def _edges(column: Floats) -> Floats:
    """Where the tenths of the known values begin, the end last; at least two numbers."""
    known = column[~np.isnan(column)]
    edges = np.unique(np.quantile(known, _TENTHS, method="inverted_cdf")) if len(known) else np.zeros(1)
    return np.append(edges, np.inf)


def _shares(column: Floats, edges: Floats) -> Floats:
    """Share of the rows in each stretch between edges, then of those without a value."""
    known = column[~np.isnan(column)]
    inside = np.bincount(np.searchsorted(edges, known, side="right") - 1, minlength=len(edges) - 1)
    shares: Floats = np.append(inside, len(column) - len(known)) / max(1, len(column))
    return shares


def _quartiles(values: Floats) -> Floats:
    quartiles: Floats = np.percentile(values, [25, 50, 75]) if len(values) else np.full(3, np.nan)
    return quartiles


def _turned(label: Floats, column: NDArray[np.float32]) -> Floats:
    """The column as a score for which more is likelier; nulls last either way."""
    score = np.nan_to_num(column.astype(np.float64), nan=-np.inf)
    if roc_auc.of(label, score) >= 0.5:
        return score
    return np.nan_to_num(-column.astype(np.float64), nan=-np.inf)


def _ranks(column: NDArray[np.float32]) -> Floats:
    """Mean rank of each value among all."""
    _, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks


def _short(value: float) -> str:
    """A number that fits under a mark: thousands and millions by their letter."""
    return f"{value:.3g}" if abs(value) < 1_000 else str(_THOUSANDS(value))


def _duration(seconds: float) -> str:
    """Seconds as people say them: ``90`` s are ``1.5 min``."""
    length, unit = next((one for one in _UNITS if abs(seconds) >= one[0]), _UNITS[-1])
    return f"{seconds / length:.2g} {unit}"
