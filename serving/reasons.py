"""Why a score is what it is: the features that moved it most, each as a sentence a marketer can read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from features.wording import PLURALS, VALUE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from serving.manifest import Feature

MOST: Final = 3
_SENTENCES: Final = 4_096


@dataclass(frozen=True)
class Reason:
    """One feature's part in a score.

    Attributes:
        feature: Its name.
        value: Its value, None where it is unknown.
        contribution: What it added to the raw score along the paths of the trees (not a SHAP value).
        code: The kind of evidence, stable across versions of the model.
        usual: The feature's median where the outcome did not come about, None where that is not known.
        sentence: The same in words, with the numbers in it.
        sentence_zh: Likewise in Chinese; None where the feature has no Chinese words.
    """

    feature: str
    value: float | None
    contribution: float
    code: str
    usual: float | None
    sentence: str
    sentence_zh: str | None


def chance(contribution: float) -> tuple[str, str]:
    """What a contribution does to a chance, in English and Chinese."""
    raises = contribution > 0
    return f"this {'raises' if raises else 'lowers'} the chance", f"这使概率{'升高' if raises else '降低'}"


def explain(
    features: Sequence[Feature],
    values: NDArray[np.float32],
    contributions: NDArray[np.float64],
    most: int = MOST,
    effect: Callable[[float], tuple[str, str]] = chance,
) -> tuple[Reason, ...]:
    """Name the features that moved one row's score most, strongest first.

    Args:
        features: The features of the model in order.
        values: The row, float32, shape (features,), NaN for unknown.
        contributions: What each feature added to the raw score, shape (features,).
        most: How many reasons at most; a feature that added nothing is no reason.
        effect: What a contribution does, in English and Chinese: how every sentence ends.
    """
    order = np.argsort(-np.abs(contributions), kind="stable")[:most]
    return tuple(
        _reason(features[index], float(values[index]), float(contributions[index]), effect(float(contributions[index])))
        for index in order
        if contributions[index] != 0
    )


def _reason(feature: Feature, value: float, contribution: float, effect: tuple[str, str]) -> Reason:
    known = None if math.isnan(value) else value
    return Reason(
        feature=feature.name,
        value=known if known is None or math.isfinite(known) else None,
        contribution=contribution,
        code=feature.code,
        usual=feature.usual,
        sentence=_sentence(feature, known, effect[0]),
        sentence_zh=_sentence_zh(feature, known, effect[1]) if feature.sentence_zh else None,
    )


def _sentence(feature: Feature, value: float | None, effect: str) -> str:
    spoken = _spoken(value, feature.unit)
    said = _form("" if value is None else feature.sentence, feature.meaning, plural=spoken != "1")
    usual = "" if feature.usual is None else f"; usual is {_usually(feature.usual, feature.unit, ENGLISH)}"
    return f"{said.replace(VALUE, spoken)}{usual}; {effect}."


def _sentence_zh(feature: Feature, value: float | None, effect: str) -> str:
    said = feature.sentence_zh.replace(VALUE, _spoken(value, feature.unit, CHINESE))
    usual = "" if feature.usual is None else f"，通常为 {_usually(feature.usual, feature.unit, CHINESE)}"
    return f"{said}{usual}，{effect}。"


@dataclass(frozen=True, eq=False)
class _Language:
    """How values are said.

    Attributes:
        unknown: What is said of a value that is not known.
        measures: Units that follow a number; others are left out, because the meaning says what is counted.
        durations: Seconds of a unit of time, and its name, the longest first.
        answers: No and yes.
    """

    unknown: str
    measures: Mapping[str, str]
    durations: tuple[tuple[int, str], ...]
    answers: tuple[str, str]


ENGLISH: Final = _Language(
    "not known",
    {
        **{unit: unit for unit in ("fen", "days", "hours", "minutes", "km", "km/h", "m2")},
        "square metres": "m²",
        "metres": "m",
    },
    ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds")),
    ("no", "yes"),
)
CHINESE: Final = _Language(
    "未知",
    {
        "fen": "分",
        "days": "天",
        "hours": "小时",
        "minutes": "分钟",
        "km": "公里",
        "km/h": "公里/小时",
        "m2": "平方米",
        "square metres": "平方米",
        "metres": "米",
    },
    ((86_400, "天"), (3_600, "小时"), (60, "分钟"), (1, "秒")),
    ("否", "是"),
)


def _spoken(value: float | None, unit: str, language: _Language = ENGLISH) -> str:
    """A value as a person would say it; a count stands alone, because the meaning says what is counted.

    >>> _spoken(172800.0, "seconds"), _spoken(0.25, "share"), _spoken(1250.0, "fen"), _spoken(1.0, "baskets")
    ('2 days', '25 %', '1,250 fen', '1')
    >>> _spoken(5400.0, "seconds", CHINESE), _spoken(None, "fen", CHINESE)
    ('1.5 小时', '未知')
    """
    if value is None:
        return language.unknown
    if unit == "yes or no":
        return language.answers[value >= 0.5]
    if unit == "share":
        return f"{_number(100 * value)} %"
    if unit == "seconds":
        size, name = next((entry for entry in language.durations if abs(value) >= entry[0]), language.durations[-1])
        return f"{_number(value / size)} {name}"
    measure = language.measures.get(unit)
    return f"{_number(value)} {measure}" if measure else _number(value)


@lru_cache(maxsize=_SENTENCES)
def _usually(value: float, unit: str, language: _Language) -> str:
    """As `_spoken`, of what is said again with every answer."""
    return _spoken(value, unit, language)


@lru_cache(maxsize=_SENTENCES)
def _form(sentence: str, meaning: str, *, plural: bool) -> str:
    """A sentence with room for its value: its own, or the meaning and the value where it has none."""
    meaning = meaning.strip().rstrip(".")
    said = sentence or f"{meaning[:1].upper()}{meaning[1:]}: {VALUE}"
    for gap, ending in PLURALS.items():
        said = said.replace(gap, ending if plural else "")
    return said


def _number(value: float) -> str:
    if abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
