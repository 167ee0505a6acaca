"""What the report of a fit says, computed from the fit and its bundle alone; the same for every kind of fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.bundles import champion_of, read
from training.gates import GAIN, gates
from training.interval import Interval
from training.pipeline import Fitted
from training.report import labelled, order, site
from training.report.evidence import drift_of
from training.report.words import Said, verdict
from training.sites.pipeline import FittedSites
from training.span import span_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from training.bundles import Manifest
    from training.effect.study import FittedEffects
    from training.gates import Gate
    from training.ranking_pipeline import FittedOrder
    from training.record import Record
    from training.report.curve import Curve
    from training.report.evidence import Drift
    from training.report.part import Case, Headline, Part
    from training.report.risks import Money, Risk


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
        money: What is earned; None where the model takes no action.
        headlines: The two figures that stand beside the verdict.
        risks: Worst first.
        curves: Points to draw.
        drift: Of each feature, largest first; empty where it means nothing.
        errors: The worst of the test.
        decisions: Ten of the test.
        columns: What the cells of errors are.
        decided: What those of decisions are.
        remarks: What is to be said in a section, by its name.
        champion: What decides today; None where nothing does, or this very model.
        span: The first moment of any row, and the last of the test.
        source: The commit and whether it was changed; empty where the source is no checkout.
    """

    record: Record
    manifest: Manifest
    gates: tuple[Gate, ...]
    verdict: Said
    money: Money | None
    headlines: tuple[Headline, ...]
    risks: tuple[Risk, ...]
    curves: tuple[Curve, ...]
    drift: tuple[Drift, ...]
    errors: tuple[Case, ...]
    decisions: tuple[Case, ...]
    columns: tuple[Said, ...]
    decided: tuple[Said, ...]
    remarks: Mapping[str, Said]
    champion: Champion | None
    span: tuple[datetime, datetime]
    source: Mapping[str, str]

    @property
    def ships(self) -> bool:
        """Whether no gate refuses it."""
        return all(gate.passed for gate in self.gates)


def content_of(
    fitted: Fitted | FittedOrder | FittedSites,
    folder: Path,
    source: Mapping[str, str],
    changes: FittedEffects | None = None,
) -> Content:
    """Compute the report of a fit.

    Args:
        fitted: Model, predictions of the test and record; its table of features still on the disk.
        folder: Of its bundle, beside those of its rivals.
        source: Which source made it, by tag.
        changes: What offers change, of a task that asks it.

    Raises:
        DataError: The bundle, or the champion's, is not as it was written.
    """
    manifest = read(folder).manifest
    asked, part = gates(manifest), part_of(fitted, manifest, changes)
    return Content(
        record=fitted.record,
        manifest=manifest,
        gates=asked,
        verdict=verdict(asked),
        money=part.money,
        headlines=part.headlines,
        risks=part.risks,
        curves=part.curves,
        drift=drift_of(fitted.record, manifest),
        errors=part.errors,
        decisions=part.decisions,
        columns=part.columns,
        decided=part.decided,
        remarks=part.remarks,
        champion=_champion(folder, manifest),
        span=span_of(fitted),
        source=source,
    )


def examples(content: Content) -> dict[str, list[dict[str, object]]]:
    """The decisions that the page explains and the errors that it shows, as plain words, for whoever reads no page."""
    told = {"decisions": (content.decisions, content.decided), "errors": (content.errors, content.columns)}
    return {
        name: [
            {
                "row": one.name,
                **{column.english: cell for column, cell in zip(columns, one.cells, strict=True)},
                "reasons": [reason.sentence for reason in one.reasons],
            }
            for one in cases
        ]
        for name, (cases, columns) in told.items()
    }


def part_of(fitted: Fitted | FittedOrder | FittedSites, manifest: Manifest, changes: FittedEffects | None) -> Part:
    """What depends on the kind of fit."""
    if isinstance(fitted, FittedSites):
        return site.part_of(fitted, manifest)
    if isinstance(fitted, Fitted):
        return labelled.part_of(fitted, manifest, changes)
    return order.part_of(fitted, manifest)


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
