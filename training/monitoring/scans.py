"""A week of scans: read out of the log, joined with what came of them, and held against the champion's test."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import DataError, UsageError
from training.decision_log import UNKNOWN
from training.monitoring import findings
from training.monitoring.beside import beside
from training.monitoring.drifted import NO_REFERENCE, drifted, too_few
from training.monitoring.evidence import NOT_IN_LOG, arrival
from training.monitoring.journal import SCANS
from training.monitoring.performance import (
    LEAST_POSITIVES,
    LEAST_REVEALED,
    calibration_of,
    judged,
    metrics_of,
    money_of,
    slices_of,
)
from training.monitoring.result import Monitored
from training.monitoring.served import bundles_of, read_week
from training.monitoring.truth import Heard, truth_of
from training.monitoring.week import Week, instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from training.bundles import Bundle
    from training.monitoring.evidence import Evidence
    from training.monitoring.journal import Line
    from training.monitoring.served import Served
    from training.monitoring.truth import Truth
    from training.savings import Savings
    from training.task import Task

_DAY: Final = 86_400_000_000
_ASKED: Final = frozenset({"campaign_id", "entry", "status", "product_id", "batch_id"})
"""Columns of a scan as it is sent that slices may be made by; what is joined later the log does not keep."""


def monitor_scans(task: Task, evidence: Evidence) -> Monitored:
    """Last week of a task that judges scans.

    Args:
        task: Whose decisions.
        evidence: What is looked at; its tables hold verdicts and feedback, and its week is of seven days.

    Raises:
        UsageError: The week holds no decision; the message says what the log holds.
        DataError: The log is damaged, or labels contradict it, or no bundle of who decided is left.
    """
    journal, data_set = evidence.journal, evidence.data_set
    span = journal.span(SCANS)
    if span is None:
        raise UsageError(
            f"shepherd monitor: found no scan in the log, expected decisions of {task.name!r}; it holds what "
            "`shepherd serve` was asked, so name that one's folder with --ledger"
        )
    week = Week.of(span[1], evidence.since, evidence.until)
    bundles = bundles_of(evidence.root, task.name)
    heard = Heard()
    lines = _heard(journal.lines(week.first), heard)
    served = read_week(lines, week, task.name, bundles, [name for name in task.slices if name in _ASKED])
    _require_some(served, task, week, span)
    if data_set is not None:
        heard.read(data_set, served)
    return _monitored(task, week, span, served, heard, _champion(served, task, bundles), bundles)


def _heard(lines: Iterator[Line], heard: Heard) -> Iterator[Line]:
    """The same lines, each listened to on its way."""
    for line in lines:
        heard.hear(line)
        yield line


def _require_some(served: Served, task: Task, week: Week, span: tuple[int, int]) -> None:
    if len(served.decision_id):
        return
    held = f"{instant(span[0]):%Y-%m-%d %H:%M:%S} to {instant(span[1]):%Y-%m-%d %H:%M:%S} UTC"
    gone = f" but {served.forgotten:,} of members who were forgotten" if served.forgotten else ""
    raise UsageError(
        f"shepherd monitor: found no decision of {task.name!r} from {week}{gone}, expected some; the log holds scans "
        f"from {held}, so move --from and --until, or name another task with --task"
    )


def _champion(served: Served, task: Task, bundles: Mapping[str, Bundle]) -> Bundle:
    """Who answered most of the week, of those that are still there."""
    known = [bundles[name] for name in served.versions if name in bundles]
    if not known:
        raise DataError(
            f"bundles of {task.name!r}: found none of {', '.join(served.versions)}, who decided by the log; expected "
            "one of them as it was written; bring it back, or name its home with --home"
        )
    return known[0]


def _monitored(
    task: Task,
    week: Week,
    span: tuple[int, int],
    served: Served,
    heard: Heard,
    champion: Bundle,
    bundles: Mapping[str, Bundle],
) -> Monitored:
    manifest = champion.manifest
    payoff = manifest.payoff
    truth = truth_of(served, heard, payoff.outcomes)
    actions = {name: place for place, name in enumerate(payoff.actions)}
    meant = np.array([actions.get(one, UNKNOWN) for one in served.meant.tolist()])
    metrics = metrics_of({"model": served.probability}, truth, served.unit, task.metrics).get("model", {})
    calibration = calibration_of(served.probability, truth, served.unit)
    saved = money_of(served, truth, manifest, meant, rows=meant != UNKNOWN)
    counts = served.moved.get(manifest.version)
    moved = None if counts is None else drifted(champion, counts)
    others = beside(served, truth, champion, bundles, task.metrics)
    known, positives = int(truth.known.sum()), int((truth.outcome == 1).sum())
    degraded = sum(served.degraded.values())
    decisions = len(served.decision_id)
    found = (
        *findings.of_labels(positives, known, decisions, LEAST_POSITIVES),
        *(findings.of_metrics(metrics, manifest.metrics) if positives >= LEAST_POSITIVES else ()),
        *findings.of_calibration(calibration),
        *(findings.of_money(None if isinstance(saved, str) else findings.headline(saved))),
        *findings.of_drift(moved),
        *(findings.of_degraded(degraded / (decisions + degraded)) if degraded else ()),
        *(one for other in others for one in findings.of_challenger(other.version, other.money)),
    )
    level, said = findings.verdict(found)
    return Monitored(
        task=task.name,
        week=week,
        version=manifest.version,
        digest=_digest(task, week, served, truth, bundles),
        span=(instant(span[0]).isoformat(), instant(span[1]).isoformat()),
        counts={
            "decisions": decisions,
            "forgotten": served.forgotten,
            "degraded": degraded,
            "not_judged": served.not_judged,
            "let_through_by_lot": int(served.allowed.sum()),
            "labelled": known,
            "positives": positives,
            "labelled_by_lot": int((truth.by_chance != UNKNOWN).sum()),
        },
        versions=served.versions,
        actions={name: int((served.meant == name).sum()) for name in payoff.actions},
        arrival=arrival(served.seen_at, served.happened_at),
        labels=_labels(truth, decisions),
        metrics=metrics,
        tested={name: value for name, value in manifest.metrics.items() if name.startswith("test/")},
        calibration=calibration,
        money=None if isinstance(saved, str) else saved,
        drift=moved,
        slices=slices_of(
            {**served.columns, **({"judged": judged(truth)} if truth.lot else {})},
            served.probability,
            served.unit,
            truth,
            task.metrics,
            {"acted": served.meant != payoff.actions[0]},
        ),
        beside=others,
        days=_days(served, payoff.actions[0]),
        skipped=_skipped(saved, truth, moved is None, positives, degraded) | too_few(moved),
        findings=found,
        level=level,
        said=said,
        lot=truth.lot,
    )


def _labels(truth: Truth, decisions: int) -> dict[str, float]:
    """What share has come back, and how many days it took in the middle."""
    known = truth.known
    told = {"share": float(known.mean()), "share_by_lot": float((truth.by_chance != UNKNOWN).sum() / decisions)}
    return told | ({"median_days": float(np.median(truth.days[known]))} if known.any() else {})


def _days(served: Served, passive: str) -> tuple[tuple[str, int, float, float], ...]:
    day = served.seen_at // _DAY
    acted = served.meant != passive
    return tuple(
        (
            f"{instant(int(one) * _DAY):%Y-%m-%d}",
            int((day == one).sum()),
            float(served.probability[day == one].mean()),
            float(acted[day == one].mean()),
        )
        for one in np.unique(day)
    )


def _skipped(
    saved: Savings | str,
    truth: Truth,
    no_drift: bool,  # noqa: FBT001 - a fact
    positives: int,
    degraded: int,
) -> dict[str, str]:
    """What nobody can say, and why."""
    by_lot = int((truth.by_chance != UNKNOWN).sum())
    told = dict(NOT_IN_LOG)
    if not degraded:
        told["degraded"] = (
            "an answer by the policy acknowledges nothing and leaves no entry; `/metrics` has shepherd_degraded_total"
        )
    if isinstance(saved, str):
        told["money"] = saved
    if not truth.lot:
        told["calibration"] = "no outcome by lot (audit, or feedback on what the holdout let through) has landed yet"
    elif by_lot < LEAST_REVEALED:
        told["few by lot"] = f"{by_lot} outcomes by lot: intervals hold less often than they say below {LEAST_REVEALED}"
    if positives < LEAST_POSITIVES:
        told["metrics"] = f"{positives} came true yet: figures say little below {LEAST_POSITIVES}, and no limit is held"
    if no_drift:
        told["drift"] = NO_REFERENCE
    return told


def _digest(task: Task, week: Week, served: Served, truth: Truth, bundles: Mapping[str, Bundle]) -> str:
    """A hash of all that figures hang on: the task, the week, its decisions, what came of them, and who is there."""
    digest = hashlib.sha256(f"{task.name}\0{week.first}\0{week.last}\0{served.forgotten}".encode())
    digest.update("\0".join(served.decision_id.tolist()).encode())
    digest.update("\0".join(served.version.tolist()).encode())
    for numbers in (served.probability, truth.outcome, truth.by_lot, truth.days):
        digest.update(numbers.tobytes())
    asked = Counter(served.version.tolist()).keys() | served.beside.keys()
    digest.update("\0".join(sorted(asked & bundles.keys())).encode())
    return digest.hexdigest()
