"""What a week came to: every figure, what nobody can say and why, and the verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from training.interval import Interval
from training.tracking.metrics import flat, word

if TYPE_CHECKING:
    from training.monitoring.beside import Beside
    from training.monitoring.drifted import Drifted
    from training.monitoring.findings import Finding, Level
    from training.monitoring.performance import Calibration
    from training.monitoring.week import Week
    from training.report.words import Said
    from training.savings import Savings

KIND: Final = "monitor"
PREFIX: Final = "live"
"""What stands before a figure's name where a training run has `test`, or nothing."""


@dataclass(frozen=True)
class Monitored:
    """One week of one task.

    Attributes:
        task: Whose.
        week: Which.
        version: Who answered most of it: the champion that all is measured against.
        digest: Of everything that was judged: the same week of the same log has the same.
        span: When the oldest and newest decision of the log came in, as text.
        counts: How many decisions, by what became of them.
        versions: How many decisions each version answered.
        labels: What has come back yet: counts, shares and days.
        metrics: Figures where it is known what came, as the test has them.
        tested: The same of the version's test, by the manifest's names.
        arrival: How steadily decisions came in (`training.monitoring.evidence.arrival`).
        skipped: What nobody can say and why, by name.
        findings: Every limit.
        level: The verdict.
        said: The verdict in words.
        actions: On how many decisions each action was chosen, before the lot.
        calibration: Whether chances hold; None where nobody can say.
        money: What was earned beyond the passive action for all; None where nobody can say.
        drift: What moved; None where nobody can say.
        slices: Figures by column and value.
        beside: Other versions.
        days: Decisions, mean chance, and share acted on, by day (UTC).
        lot: Which lot had outcomes told: `audits`, `holdout`, or nothing.
        further: Figures of kinds of their own: of forecasts or offers, by the name of the metric.
    """

    task: str
    week: Week
    version: str
    digest: str
    span: tuple[str, str]
    counts: Mapping[str, int]
    versions: Mapping[str, int]
    labels: Mapping[str, float]
    metrics: Mapping[str, Interval]
    tested: Mapping[str, float]
    arrival: Mapping[str, float]
    skipped: Mapping[str, str]
    findings: tuple[Finding, ...]
    level: Level
    said: Said
    actions: Mapping[str, int] = field(default_factory=dict)
    calibration: Calibration | None = None
    money: Savings | None = None
    drift: Drifted | None = None
    slices: Mapping[str, Mapping[str, Mapping[str, Interval]]] = field(default_factory=dict)
    beside: tuple[Beside, ...] = ()
    days: tuple[tuple[str, int, float, float], ...] = ()
    lot: str = ""
    further: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def holdout_cost(self) -> Interval | None:
        """What letting decisions through by lot cost, in fen a decision; None where audits told, which cost nothing."""
        return self.money.holdout_cost if self.money is not None and self.lot == "holdout" else None

    def figures(self) -> dict[str, float]:
        """Every number under one flat name; what a training run calls `test/X` is `live/X` here."""
        told: dict[str, Interval | float | None] = {
            **self.metrics,
            **{f"rows/{name}": float(count) for name, count in self.counts.items()},
            **{f"labels/{name}": value for name, value in self.labels.items()},
            **{f"actions/{name}": float(count) for name, count in self.actions.items()},
            **{f"arrival/{name}": value for name, value in self.arrival.items()},
            **self._of_money(),
            **self._of_drift(),
            **self._of_slices(),
            **self._of_challenger(),
            **self.further,
            "verdict": float(self.level),
            "findings": float(sum(one.level > 0 for one in self.findings)),
        }
        if self.calibration is not None:
            one = self.calibration
            told |= {"calibration/gap": one.gap, "calibration/said": one.said, "calibration/came": one.came}
        found: dict[str, float] = {}
        for name, value in told.items():
            if isinstance(value, Interval):
                found |= flat(f"{PREFIX}/{name}", value)
            elif value is not None:
                found[f"{PREFIX}/{name}"] = value
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def as_dict(self) -> dict[str, object]:
        """For JSON: intervals as value, low and high; what has no meaning as null."""
        return {
            "task": self.task,
            "verdict": self.level.name.lower(),
            "why": self.said.english,
            "from": self.week.since.isoformat(),
            "until": self.week.until.isoformat(),
            "log": {"oldest": self.span[0], "newest": self.span[1]},
            "version": self.version,
            "digest": self.digest,
            "counts": dict(self.counts),
            "versions": dict(self.versions),
            "actions": dict(self.actions),
            "labels": _plain(self.labels),
            "arrival": _plain(self.arrival),
            "metrics": _plain(self.metrics),
            "tested": _plain(self.tested),
            "calibration": _plain(self.calibration),
            "lot": self.lot or None,
            "money": None if self.money is None else _plain(self.money.as_dict() | {"holdout_cost": self.holdout_cost}),
            "drift": _plain(self.drift),
            "slices": _plain(self.slices),
            "beside": [_plain(one) for one in self.beside],
            "days": [list(one) for one in self.days],
            "further": _plain(self.further),
            "skipped": dict(self.skipped),
            "findings": [one.as_dict() for one in self.findings],
        }

    def _of_money(self) -> dict[str, Interval | float | None]:
        saved = self.money
        if saved is None:
            return {}
        return {
            "money/saved": saved.doubly_robust or saved.snips,
            "money/saved_ips": saved.ips,
            "money/saved_snips": saved.snips,
            "money/holdout_cost": self.holdout_cost,
            "money/revealed": float(saved.revealed),
        }

    def _of_drift(self) -> dict[str, Interval | float | None]:
        found = self.drift
        if found is None:
            return {}
        features = {f"drift/feature/{name}": value for name, value in found.features.items()}
        return {"drift/score": found.score, "drift/weighted": found.weighted, **features}

    def _of_slices(self) -> dict[str, Interval | float | None]:
        return {
            f"slice/{column}/{word(value)}/{name}": figure
            for column, parts in self.slices.items()
            for value, part in parts.items()
            for name, figure in part.items()
        }

    def _of_challenger(self) -> dict[str, Interval | float | None]:
        """Of the other version with most to compare: its name is a tag, so that weeks line up."""
        if not self.beside:
            return {}
        one = self.beside[0]
        told: dict[str, Interval | float | None] = {
            "challenger/rows": float(one.compared),
            "challenger/answered": float(one.answered),
            "challenger/difference": one.difference,
            **{f"challenger/{name}": figure for name, figure in one.metrics.items()},
        }
        if one.changed is not None:
            told["challenger/changed"] = one.changed
        if not isinstance(one.money, str):
            told["challenger/money"] = one.money.doubly_robust or one.money.snips
        return told


def _plain(value: object) -> object:
    if hasattr(value, "as_dict") and not isinstance(value, Interval):
        return _plain(value.as_dict())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
