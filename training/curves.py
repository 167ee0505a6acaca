"""The pictures of a fit: what is found at what precision, whether probabilities hold, and what the actions earn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve

from training.payoff import earnings
from training.pipeline import Fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from training.ranking_pipeline import FittedOrder
    from training.sites.pipeline import FittedSites

SIZE = (6.4, 4.2)
OURS, THEIRS = "#0b6e4f", "#8a8a8a"


def draw(fitted: Fitted | FittedOrder | FittedSites) -> dict[str, Figure]:
    """One figure a question, by file name; neither an order nor sites have chances and actions to draw."""
    if not isinstance(fitted, Fitted):
        return {"attributions": _attributions(fitted)}
    return {
        "precision_recall": _precision_recall(fitted),
        "calibration": _calibration(fitted),
        "money": _money(fitted),
        "attributions": _attributions(fitted),
    }


def _precision_recall(fitted: Fitted) -> Figure:
    said = fitted.predictions
    figure, axes = _axes("share of all that came true (recall)", "share of those picked (precision)")
    precision, recall, _ = precision_recall_curve(said.label, said.probability)
    axes.plot(recall, precision, color=OURS, label="model")
    axes.axhline(float(said.label.mean()), color=THEIRS, linestyle="--", label="picking at random")
    axes.set_title(
        f"average precision {fitted.record.metrics['average_precision']}"
        if "average_precision" in fitted.record.metrics
        else "precision and recall"
    )
    axes.legend(frameon=False)
    return figure


def _calibration(fitted: Fitted) -> Figure:
    figure, axes = _axes("chance that was said", "share that came true")
    bins = fitted.record.calibration
    top = max(max(each.predicted, each.observed) for each in bins)
    axes.plot([0, top], [0, top], color=THEIRS, linestyle="--", label="what was said came true")
    axes.plot(
        [each.predicted for each in bins],
        [each.observed for each in bins],
        "o-",
        color=OURS,
        label="tenths of the test",
    )
    axes.set_title("calibration")
    axes.legend(frameon=False)
    return figure


def _money(fitted: Fitted) -> Figure:
    """Fen earned a row if the likeliest share of rows got an action and the rest the passive one."""
    said, payoff = fitted.predictions, fitted.model.task.payoff
    passive, *others = earnings(payoff, said.label, said.stakes).T
    order = np.argsort(-said.probability, kind="stable")
    figure, axes = _axes("share of rows, likeliest first", "fen a row")
    shares = np.arange(len(order) + 1) / len(order)
    shades = np.linspace(1.0, 0.3, len(others))
    for action, worth, shade in zip(payoff.actions[1:], others, shades, strict=True):
        gained = np.append(0.0, np.cumsum((worth - passive)[order]))
        label = f"{action}, else {payoff.actions[0]}"
        axes.plot(shares, (gained + passive.sum()) / len(order), label=label, color=OURS, alpha=shade)
    axes.axhline(fitted.record.money["model"].value, color=THEIRS, linestyle="--", label="the model's own actions")
    axes.set_title("what the actions earn")
    axes.legend(frameon=False)
    return figure


def _attributions(fitted: Fitted | FittedOrder | FittedSites, most: int = 15) -> Figure:
    figure, axes = _axes("mean size of the contribution to the score", "")
    top = list(fitted.record.attributions.items())[:most][::-1]
    axes.barh([name for name, _ in top], [value for _, value in top], color=OURS)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_title("what the score rests on")
    figure.set_layout_engine("tight")
    return figure


def _axes(horizontal: str, vertical: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="tight")
    axes = figure.subplots()
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
