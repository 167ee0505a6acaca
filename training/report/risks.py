"""What may go wrong with a model, worst first: every risk is a figure held against what is commonly borne."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from training.drift import weighted
from training.gates import SLICE_MONEY
from training.record import error_by_chance, relative_error
from training.report import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from serving.manifest import Feature
    from training.bundles import Manifest
    from training.interval import Interval
    from training.record import Record
    from training.report.evidence import Drift
    from training.report.words import Said

    _Group = tuple[str, str, Mapping[str, Interval]]

SHOWN: Final = 3
BORNE_SHORTFALL: Final = 0.25
"""Share of the whole's figure that a slice may lack before it counts as 1."""
BORNE_MISCALIBRATION: Final = 0.2
"""Likewise of the base rate, by which chances may be off, or by as much as chance explains."""
BORNE_DRIFT: Final = 0.25
"""The population stability index that is commonly acted on."""
BORNE_SHARE: Final = 0.5
"""Share of the attributions that one feature may have."""
ENOUGH_POSITIVES: Final = 100
NO_GROUPS: Final = frozenset({"judged", "folds"})
"""Slices by how a label came about, or by how rows were held out, which are no groups of customers or stores."""
BY_RATE: Final = frozenset({"average_precision", "log_loss", "brier"})
"""Metrics that also hang on how often things come true: no group can be held against another by them."""


class Deciding(Protocol):
    """A metric, as risks ask for it."""

    @property
    def name(self) -> str:
        """As it appears in the record."""

    @property
    def greater_is_better(self) -> bool:
        """Which way is up."""


@dataclass(frozen=True)
class Risk:
    """One thing that may go wrong.

    Attributes:
        name: Which kind.
        severity: How large it is; 1 is where something should be done.
        said: In words.
    """

    name: str
    severity: float
    said: Said


@dataclass(frozen=True)
class Money:
    """Fen earned a row.

    Attributes:
        model: By the model's actions.
        gain: More than by what they stand in for.
        than: What that is.
    """

    model: Interval
    gain: Interval
    than: Said


def risks_of(
    record: Record, manifest: Manifest, metrics: Sequence[Deciding], money: Money | None, drift: Sequence[Drift]
) -> tuple[Risk, ...]:
    """Every risk that the figures speak of, worst first; of money where the model takes actions."""
    known = {feature.name: feature for feature in manifest.features}
    found = [
        *_slices(record, metrics),
        *_calibration(record),
        *_rivals(record, manifest),
        *_concentration(record, known),
        *_drift(record, drift),
    ]
    if money is not None:
        found.append(money_risk(money))
    if "test" in record.positives:
        positives = record.positives["test"]
        found.append(Risk("few positives", ENOUGH_POSITIVES / max(positives, 1), words.few(positives)))
    return tuple(sorted(found, key=lambda risk: -risk.severity))


def money_risk(money: Money) -> Risk:
    """How unsure it is that the actions earn more than what they stand in for."""
    return Risk("money", _doubt(money.gain), words.earned(money.gain, money.than))


def _calibration(record: Record) -> Iterator[Risk]:
    bins, gap = record.calibration, relative_error(record)
    rows = sum(one.rows for one in bins)
    if rows and not math.isnan(gap):
        said, came = (sum(one.rows * getattr(one, name) for one in bins) / rows for name in ("predicted", "observed"))
        borne = max(BORNE_MISCALIBRATION, error_by_chance(record))
        yield Risk("calibration", gap / borne, words.off_calibration(gap, said, came))


def _slices(record: Record, metrics: Sequence[Deciding]) -> Iterator[Risk]:
    """The worst slice by what it earns, as the gate has it; where nothing is earned, by a figure of the model alone.

    A precision also hangs on how often things come true in a group, so groups are never ranked by it where another
    metric was declared.
    """
    groups = [
        (column, value, figures)
        for column, parts in record.slices.items()
        if column not in NO_GROUPS
        for value, figures in parts.items()
    ]
    whole = record.money.get(SLICE_MONEY)
    if whole is not None and any(SLICE_MONEY in figures for _, _, figures in groups):
        earned = [(column, value, one[SLICE_MONEY]) for column, value, one in groups if SLICE_MONEY in one]
        column, value, least = min(earned, key=lambda told: told[2].value)
        if least.value < whole.value:
            yield Risk("worst slice", _shortfall(least, whole), words.poor_slice(column, value, least, whole))
        return
    metric = next((one for one in metrics if one.name not in BY_RATE), metrics[0])
    yield from sorted(_weak(groups, metric, record.metrics[metric.name]), key=lambda risk: -risk.severity)[:1]


def _shortfall(part: Interval, whole: Interval) -> float:
    """2 where a group surely loses, below 1 where it gains too little, and half of that where intervals meet.

    >>> from training.interval import Interval
    >>> _shortfall(Interval(-2.0, -3.0, -1.0), Interval(4.0, 3.0, 5.0)) >= 1
    True
    >>> _shortfall(Interval(2.0, 1.0, 2.5), Interval(4.0, 3.0, 5.0)), _shortfall(Interval(2, 1, 4), Interval(4, 3, 5))
    (0.5, 0.25)
    """
    if part.high < 0:
        return 2.0
    lacks = min((whole.value - part.value) / abs(whole.value), 0.99) if whole.value else 0.99
    return lacks if part.high < whole.low else lacks / 2


def _weak(groups: Sequence[_Group], metric: Deciding, whole: Interval) -> Iterator[Risk]:
    sign = 1.0 if metric.greater_is_better else -1.0
    for column, value, figures in groups:
        part = figures[metric.name]
        lacks = sign * (whole.value - part.value)
        if not lacks > 0 or not whole.value:
            continue
        sure = part.high < whole.value if metric.greater_is_better else part.low > whole.value
        said = words.weak_slice(column, value, metric.name, part, whole, sure=sure)
        severity = lacks / abs(whole.value) / BORNE_SHORTFALL
        yield Risk("worst slice", severity if sure else severity / 2, said)


def _rivals(record: Record, manifest: Manifest) -> Iterator[Risk]:
    """The rival that is beaten least surely, in a metric that decides."""
    gains = {
        (rival, name): record.baselines[rival][f"gain_{name}"]
        for rival in manifest.criteria.rivals
        for name in manifest.criteria.metrics
        if rival in record.baselines and f"gain_{name}" in record.baselines[rival]
    }
    found = [Risk("baseline", _doubt(gain), words.rival(*told, gain)) for told, gain in gains.items()]
    yield from sorted(found, key=lambda risk: -risk.severity)[:1]


def _doubt(gain: Interval) -> float:
    """How far the interval reaches down for each unit gained; 1 and more where it reaches 0, 2 where nothing is gained.

    >>> from training.interval import Interval
    >>> _doubt(Interval(2.0, 1.0, 3.0)), _doubt(Interval(2.0, 0.0, 4.0)), _doubt(Interval(-1.0, -2.0, 0.0))
    (0.5, 1.0, 2.0)
    """
    if not gain.value > 0:
        return 2.0
    return min((gain.value - gain.low) / gain.value, 2.0)


def _concentration(record: Record, known: Mapping[str, Feature]) -> Iterator[Risk]:
    total = sum(record.attributions.values())
    if total > 0:
        name, most = next(iter(record.attributions.items()))
        share = most / total
        yield Risk("one feature", share / BORNE_SHARE, words.leaning(words.named(known[name]), share))


def _drift(record: Record, drift: Sequence[Drift]) -> Iterator[Risk]:
    """How far those features moved that the score leans on, as the gate has it, and which of them says most."""
    index = weighted(record)
    if drift and not math.isnan(index):
        most = max(drift, key=lambda one: one.index * record.attributions.get(one.feature, 0.0))
        yield Risk("drift", index / BORNE_DRIFT, words.drifted(most.said, most.index, index))
