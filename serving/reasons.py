"""Why a score is what it is: the features that moved it most, each as a sentence a marketer can read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serving.bundle import Feature

MOST: Final = 3
_MEASURES: Final = frozenset({"fen", "days", "hours", "minutes", "km", "m2"})
_DURATIONS: Final = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"))


@dataclass(frozen=True)
class Reason:
    """One feature's part in a score.

    Attributes:
        feature: Its name.
        value: Its value, None where it is unknown.
        contribution: What it added to the raw score along the paths of the trees (not a SHAP value).
        sentence: The same in words.
    """

    feature: str
    value: float | None
    contribution: float
    sentence: str


def explain(
    features: Sequence[Feature], values: NDArray[np.float32], contributions: NDArray[np.float64], most: int = MOST
) -> tuple[Reason, ...]:
    """Name the features that moved one row's score most, strongest first.

    Args:
        features: The features of the model in order.
        values: The row, float32, shape (features,), NaN for unknown.
        contributions: What each feature added to the raw score, shape (features,).
        most: How many reasons at most; a feature that added nothing is no reason.
    """
    order = np.argsort(-np.abs(contributions), kind="stable")[:most]
    return tuple(
        _reason(features[index], float(values[index]), float(contributions[index]))
        for index in order
        if contributions[index] != 0
    )


def _reason(feature: Feature, value: float, contribution: float) -> Reason:
    known = None if math.isnan(value) else value
    direction = "raises" if contribution > 0 else "lowers"
    meaning = feature.meaning.strip().rstrip(".")
    sentence = f"{meaning[:1].upper()}{meaning[1:]}: {_spoken(known, feature.unit)}; this {direction} the chance."
    return Reason(feature.name, known if known is None or math.isfinite(known) else None, contribution, sentence)


def _spoken(value: float | None, unit: str) -> str:
    """A value as a person would say it; a count stands alone, because the meaning says what is counted.

    >>> _spoken(172800.0, "seconds"), _spoken(0.25, "share"), _spoken(1250.0, "fen"), _spoken(1.0, "baskets")
    ('2 days', '25 %', '1,250 fen', '1')
    """
    if value is None:
        return "not known"
    if unit == "share":
        return f"{_number(100 * value)} %"
    if unit == "seconds":
        size, name = next((entry for entry in _DURATIONS if abs(value) >= entry[0]), _DURATIONS[-1])
        return f"{_number(value / size)} {name}"
    return f"{_number(value)} {unit}" if unit in _MEASURES else _number(value)


def _number(value: float) -> str:
    if abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
