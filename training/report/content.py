"""What the report of a fit says, computed from the fit and its bundle alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pyarrow.parquet as pq

from training.export import read
from training.gates import gates
from training.incumbent import GAIN, champion_of
from training.interval import Interval
from training.report.curve import curves_of
from training.report.evidence import drift_of, explained, worst_errors
from training.report.risks import SEND_NONE, Money, risks_of
from training.report.words import Said, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from training.export import Manifest
    from training.gates import Gate
    from training.pipeline import Fitted
    from training.record import Record
    from training.report.curve import Curve
    from training.report.evidence import Decision, Drift
    from training.report.risks import Risk


@dataclass(frozen=True)
class Champion:
    """The model that decides today.

    Attributes:
        version: Of its bundle.
        figures: Its own figures of its own test, by metric.
        same_data: Whether that test was made of the same tables and cut by the same features.
        gain: Fen a row that the new model earns beyond it on the same rows of the test, paired; None where it cannot
            decide on them.
    """

    version: str
    figures: Mapping[str, Interval]
    same_data: bool
    gain: Interval | None


@dataclass(frozen=True)
class Content:
    """All that the page shows.

    Attributes:
        record: Of the fit.
        manifest: Of its bundle.
        gates: What a promotion would ask of it now, and the answer.
        verdict: Ship or not, in words.
        money: What is earned.
        risks: Worst first.
        curves: Points to draw.
        drift: Of each feature, largest first.
        errors: The worst of the test.
        decisions: Ten of the test.
        champion: What decides today; None where nothing does, or this very model.
        span: The first moment of any row, and the last of the test.
        source: The commit and whether it was changed; empty where the source is no checkout.
    """

    record: Record
    manifest: Manifest
    gates: tuple[Gate, ...]
    verdict: Said
    money: Money
    risks: tuple[Risk, ...]
    curves: tuple[Curve, ...]
    drift: tuple[Drift, ...]
    errors: tuple[Decision, ...]
    decisions: tuple[Decision, ...]
    champion: Champion | None
    span: tuple[datetime, datetime]
    source: Mapping[str, str]

    @property
    def ships(self) -> bool:
        """Whether no gate refuses it."""
        return all(gate.passed for gate in self.gates)


def content_of(fitted: Fitted, folder: Path, source: Mapping[str, str]) -> Content:
    """Compute the report of a fit.

    Args:
        fitted: Model, predictions of the test and record; its table of features still on the disk.
        folder: Of its bundle, beside those of its rivals.
        source: Which source made it, by tag.

    Raises:
        DataError: The bundle, or the champion's, is not as it was written.
    """
    record, manifest = fitted.record, read(folder).manifest
    asked = gates(manifest)
    drift, money = drift_of(record, manifest), money_of(record, manifest)
    return Content(
        record=record,
        manifest=manifest,
        gates=asked,
        verdict=verdict(asked),
        money=money,
        risks=risks_of(record, manifest, fitted.model.task.metrics, money, drift),
        curves=curves_of(fitted),
        drift=drift,
        errors=worst_errors(fitted, manifest),
        decisions=explained(fitted, manifest),
        champion=_champion(folder, manifest),
        span=_span(fitted),
        source=source,
    )


def money_of(record: Record, manifest: Manifest) -> Money:
    """What the actions earn: of offers by the policy within the budget, elsewhere by the pay-off's own table."""
    if manifest.effects is not None:
        instead = Said("sending nothing, within the budget", "不发券（预算内）")
        model, gain = (
            Interval(*(manifest.metrics[f"budgeted_{name}_fen_{end}"] for end in ("value", "low", "high")))
            for name in ("model_value", f"{SEND_NONE}_gain")
        )
        return Money(model, gain, instead)
    constants = {name: figure.value for name, figure in record.money.items() if name.startswith("always_")}
    best = max(constants, key=lambda name: constants[name]).removeprefix("always_")
    instead = Said(f"doing “{best}” for all", f"一律 {best}")
    return Money(record.money["model"], record.money["gain_over_best_constant"], instead)


def _champion(folder: Path, manifest: Manifest) -> Champion | None:
    champion = champion_of(folder.parent.parent, folder.parent.name)
    if champion is None or champion.manifest.version == manifest.version:
        return None
    theirs = champion.manifest
    figures = {
        name.removeprefix("test/"): _interval(theirs, name)
        for name in theirs.metrics
        if name.startswith("test/") and not name.endswith(("_low", "_high"))
    }
    same = (theirs.data_hash, theirs.feature_fingerprint) == (manifest.data_hash, manifest.feature_fingerprint)
    paired = manifest.champion == theirs.version and GAIN in manifest.metrics
    return Champion(theirs.version, figures, same, _interval(manifest, GAIN) if paired else None)


def _interval(manifest: Manifest, name: str) -> Interval:
    """A figure of a manifest; an end without meaning is absent there."""
    low, high = (manifest.metrics.get(f"{name}_{end}", float("nan")) for end in ("low", "high"))
    return Interval(manifest.metrics[name], low, high)


def _span(fitted: Fitted) -> tuple[datetime, datetime]:
    first = pc.min(pq.read_table(fitted.built.path, columns=["as_of"])["as_of"]).as_py()
    return first, datetime.fromtimestamp(int(fitted.predictions.as_of.max()) / 1_000_000, UTC)
