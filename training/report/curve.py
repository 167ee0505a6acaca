"""The curves of a fit as points: precision over recall, calibration, and money over the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serving.decisions import thresholds
from training.metrics import Judged
from training.payoff import earnings
from training.report import terms
from training.report.words import Said

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.pipeline import Fitted

    Doubles = NDArray[np.float64]

_POINTS: Final = 160
_ROOM: Final = 1.5
"""How deep the axis of money goes, as a multiple of what the mildest action may cost."""


@dataclass(frozen=True)
class Line:
    """Points joined by a line, or dots that are not; a dashed line is what to compare with."""

    label: Said
    across: tuple[float, ...]
    up: tuple[float, ...]
    dashed: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Curve:
    """One drawing.

    Attributes:
        name: What it is called in the page.
        title: What it shows.
        across: What the horizontal axis says.
        up: What the vertical axis says.
        lines: What is drawn.
        marks: Places on the horizontal axis, by what begins there.
    """

    name: str
    title: Said
    across: Said
    up: Said
    lines: tuple[Line, ...]
    marks: tuple[tuple[str, float], ...] = ()

    @property
    def floor(self) -> float | None:
        """Where the axis of money ends so that the mildest action is seen whole; one that costs far more leaves it.

        None where all is drawn: of other curves, and where no line lies that deep.
        """
        if self.name != "money":
            return None
        best = max(max(line.up) for line in self.lines)
        depth = min(best - min(line.up) for line in self.lines if not line.dashed)
        least = min(min(line.up) for line in self.lines)
        floor = best - _ROOM * depth
        return floor if depth > 0 and least < floor else None


def curves_of(fitted: Fitted) -> tuple[Curve, ...]:
    """All of a fit; money and calibration of the rows that stand for all, as in the record."""
    return (precision_recall(fitted), calibration(fitted), money(fitted))


def precision_recall(fitted: Fitted) -> Curve:
    """What share of those picked comes true, over the share found of all that comes true."""
    said = fitted.predictions
    judged = Judged(said.label, said.probability)
    positive, negative = (part[0] for part in judged.curve(np.ones((1, len(said.label)))))
    recall, precision = positive / positive[-1], positive / (positive + negative)
    kept = _thinned(len(recall))
    base = float(said.label.mean())
    return Curve(
        "precision-recall",
        Said("What is found, and how much of it is right", "查准率与查全率"),
        Said("share found of all that came true", "查全率"),
        Said("share of those picked that came true", "查准率"),
        (
            Line(Said("model", "模型"), tuple(recall[kept].tolist()), tuple(precision[kept].tolist())),
            Line(Said("at random", "随机"), (0.0, 1.0), (base, base), dashed=True),
        ),
    )


def calibration(fitted: Fitted) -> Curve:
    """The tenths of the record, beside what they would be if chances held."""
    bins = fitted.record.calibration
    top = max(max(one.predicted, one.observed) for one in bins)
    said, came = tuple(one.predicted for one in bins), tuple(one.observed for one in bins)
    return Curve(
        "calibration",
        Said("Whether chances hold", "概率校准"),
        Said("chance that was said", "预测概率"),
        Said("share that came true", "实际比例"),
        (
            Line(Said("tenths of the test", "测试十分位"), said, came),
            Line(Said("as said", "完全一致"), (0.0, top), (0.0, top), dashed=True),
        ),
    )


def money(fitted: Fitted) -> Curve:
    """Fen a row if each action were taken from a chance on, with the thresholds that follow from the pay-off marked."""
    payoff, whole = fitted.model.task.payoff, fitted.predictions
    rows = whole.by_lot
    stakes, probability = whole.stakes.at(rows), whole.probability[rows]
    passive, *others = earnings(payoff, whole.label[rows], stakes).T
    order = np.argsort(-probability, kind="stable")
    falling = probability[order]
    ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    evenly = np.searchsorted(-falling[ends], -np.linspace(falling[0], falling[-1], _POINTS))
    kept = np.unique(np.r_[_thinned(len(ends)), np.minimum(evenly, len(ends) - 1)])
    at = falling[ends][kept]
    lines = [
        Line(
            Said(f"{action}, else {payoff.actions[0]}", f"{_zh(action)}，否则{_zh(payoff.actions[0])}"),
            tuple(at.tolist()),
            tuple(((np.cumsum((worth - passive)[order])[ends][kept] + passive.sum()) / len(order)).tolist()),
        )
        for action, worth in zip(payoff.actions[1:], others, strict=True)
    ]
    earned = fitted.record.money["model"].value
    own = Said("the model's own actions", "模型决策")
    lines.append(Line(own, (float(at[-1]), float(at[0])), (earned, earned), dashed=True))
    stake = 0.0 if stakes.fen is None else float(np.median(stakes.fen))
    marks = _marks(fitted, stake) if len(payoff.outcomes) == 2 else ()
    return Curve(
        "money",
        Said("What is earned, by the chance from which an action is taken", "不同阈值下的收益"),
        Said("chance from which on", "阈值"),
        Said("fen a row", "每行收益（分）"),
        tuple(lines),
        tuple((name, place) for name, place in marks if at[-1] <= place <= at[0]),
    )


def _zh(action: str) -> str:
    return terms.action(action).chinese


def _marks(fitted: Fitted, stake: float) -> tuple[tuple[str, float], ...]:
    """From which chance on each action is chosen, at the middle stake of the test."""
    payoff = fitted.model.task.payoff
    chosen = thresholds(payoff, stake, fitted.model.prices.default)
    return tuple((one.action, one.low) for one in chosen if one.low > 0)


def _thinned(points: int) -> NDArray[np.intp]:
    """Places of some points of a curve, most of them where few rows are picked."""
    return np.unique(np.round((points - 1) * np.linspace(0, 1, _POINTS) ** 2).astype(np.intp))
