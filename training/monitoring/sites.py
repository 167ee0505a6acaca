"""Forecasts of sites that the service gave, held against what the stores that were opened there have sold since."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from data.errors import DataError, UsageError
from training.interval import of_mean
from training.monitoring import findings
from training.monitoring.journal import DECISIONS
from training.monitoring.performance import draws
from training.monitoring.result import Monitored
from training.monitoring.served import bundles_of
from training.monitoring.week import Week, instant
from training.report.words import Said

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from data.sources import DataSet
    from training.interval import Interval
    from training.monitoring.journal import Journal
    from training.sites.task import SiteTask

MONTHS: Final = 12
"""So many whole months make the year that is forecast."""

LEAST_STORES: Final = 10
_BOOKED: Final = """
    SELECT store_id, sum(revenue_fen)::DOUBLE AS booked
    FROM (
        SELECT store_id, revenue_fen, row_number() OVER (PARTITION BY store_id ORDER BY month DESC) AS place
        FROM store_sales SEMI JOIN asked_about USING (store_id)
    )
    WHERE place <= 12 GROUP BY store_id HAVING count(*) = 12
"""


class _Range(msgspec.Struct):
    low_fen: float | None
    high_fen: float | None

    def holds(self, sold: float) -> float:
        """1 where it holds what was sold, 0 where not; NaN where stores were too few for an interval."""
        if self.low_fen is None or self.high_fen is None:
            return np.nan
        return float(self.low_fen <= sold <= self.high_fen)


class _Site(msgspec.Struct):
    site_id: str
    revenue_fen: float
    interval_80: _Range
    interval_90: _Range
    out_of_range: bool = False


class _Answer(msgspec.Struct):
    sites: tuple[_Site, ...]


_decode: Final = msgspec.json.Decoder(_Answer).decode


@dataclass(frozen=True)
class _Forecasts:
    """What was forecast: each site once, as it was said last."""

    sites: Mapping[str, _Site]
    answers: int
    versions: Mapping[str, int]


def monitor_sites(
    task: SiteTask,
    journal: Journal,
    root: Path,
    data_set: DataSet | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Monitored:
    """What came of the forecasts of a task: of those stores that have booked a year by now.

    Arguments and errors as in `training.monitoring.scans.monitor_scans`, but that a forecast takes a year to come true:
    without `since` the whole log is looked at. `data_set` holds `store_sales`; a site is found again as the store of
    the same id.
    """
    span = journal.span(DECISIONS)
    if span is None:
        raise UsageError(f"shepherd monitor: found no forecast in the log, expected decisions of {task.name!r}")
    week = Week.of(span[1], since or instant(span[0]), until)
    said = _said(journal, week, task.name)
    if not said.sites:
        raise UsageError(
            f"shepherd monitor: found no forecast of {task.name!r} from {week}, expected some; the log holds decisions "
            f"from {instant(span[0]):%Y-%m-%d %H:%M:%S} to {instant(span[1]):%Y-%m-%d %H:%M:%S} UTC"
        )
    version = max(said.versions, key=lambda name: (said.versions[name], name))
    bundle = bundles_of(root, task.name).get(version)
    tested = bundle.manifest.metrics if bundle is not None else {}
    booked = {} if data_set is None else _booked(data_set, sorted(said.sites))
    metrics = _metrics(said, booked)
    found = (
        _of_booked(len(booked), len(said.sites)),
        *(_of_error(metrics["mape"], tested) if len(booked) >= LEAST_STORES else ()),
    )
    level, words = findings.verdict(found)
    return Monitored(
        task=task.name,
        week=week,
        version=version,
        digest=_digest(task, week, said, booked),
        span=(instant(span[0]).isoformat(), instant(span[1]).isoformat()),
        counts={
            "decisions": len(said.sites),
            "answers": said.answers,
            "out_of_range": sum(one.out_of_range for one in said.sites.values()),
            "forgotten": 0,
            "degraded": 0,
            "labelled": len(booked),
            "positives": len(booked),
            "labelled_by_lot": 0,
        },
        versions=said.versions,
        actions={},
        labels={"share": len(booked) / len(said.sites)},
        metrics=metrics,
        tested={name: value for name, value in tested.items() if name.startswith("test/")},
        calibration=None,
        money=None,
        drift=None,
        slices={},
        beside=(),
        days=(),
        skipped={
            "money": "a forecast takes no action",
            "drift": "the log keeps what was asked of a site, not its features; `shepherd retrain` measures it",
            **({} if booked else {"metrics": "no site that was asked about has booked a year as a store yet"}),
        },
        findings=found,
        level=level,
        said=words,
    )


def _said(journal: Journal, week: Week, task: str) -> _Forecasts:
    sites: dict[str, _Site] = {}
    versions: Counter[str] = Counter()
    for line in journal.lines(week.first):
        record = line.record
        if line.log != DECISIONS or line.seen_at >= week.last or record is None or record.task != task:
            continue
        try:
            answer = _decode(record.answer)
        except msgspec.DecodeError as error:
            raise DataError(f"decision {record.decision_id}: its answer is not of this release: {error}") from error
        versions[record.version] += 1
        sites |= {one.site_id: one for one in answer.sites}
    return _Forecasts(sites, versions.total(), dict(versions))


def _booked(data_set: DataSet, sites: list[str]) -> dict[str, float]:
    """The sales of each store's last twelve booked months, in fen, of stores that have so many."""
    if "store_sales" not in data_set.files:
        raise DataError(f"{data_set.root}: found no table store_sales, expected it with what stores booked by month")
    with data_set.connect() as connection:
        connection.execute("CREATE TEMP TABLE asked_about (store_id VARCHAR)")
        connection.executemany("INSERT INTO asked_about VALUES (?)", [[one] for one in sites])
        found: list[tuple[str, float]] = connection.sql(_BOOKED).fetchall()
    return {store: booked for store, booked in sorted(found) if booked > 0}


def _metrics(said: _Forecasts, booked: Mapping[str, float]) -> dict[str, Interval]:
    """Error and coverage, by the names that the test has."""
    if not booked:
        return {}
    pairs = [(said.sites[store], sold) for store, sold in booked.items()]
    told = {
        "mape": np.array([abs(one.revenue_fen - sold) / sold for one, sold in pairs]),
        "coverage_80": np.array([one.interval_80.holds(sold) for one, sold in pairs]),
        "coverage_90": np.array([one.interval_90.holds(sold) for one, sold in pairs]),
    }
    units = np.arange(len(pairs))
    return {name: of_mean(one, draws(units)) for name, one in told.items() if np.isfinite(one).all()}


def _of_booked(booked: int, sites: int) -> findings.Finding:
    """Whether enough stores have sold for a year to judge by."""
    level = findings.Level.LOOK if booked < LEAST_STORES else findings.Level.HEALTHY
    said = Said(
        f"too few booked years to judge by: {booked:,} of {sites:,} sites",
        f"年销售额不足：{sites:,} 个选址中 {booked:,} 个",
    )
    return findings.Finding("labels", level, f"{booked:,} of {sites:,} sites", f"{LEAST_STORES} booked years", said)


def _of_error(found: Interval, tested: Mapping[str, float]) -> tuple[findings.Finding, ...]:
    """Whether forecasts are surely further off than on the test."""
    high = tested.get("test/mape_high")
    if high is None:
        return ()
    level = findings.Level.ACT if found.low > high else findings.Level.HEALTHY
    said = Said(
        f"forecasts are off by {found.value:.1%}, above the test's high end {high:.1%}",
        f"预测平均误差 {found.value:.1%}，高于测试区间上限 {high:.1%}",
    )
    limit = f"not wholly above the test's high end {high:.1%}"
    return (findings.Finding("mape", level, f"{found.value:.1%}", limit, said),)


def _digest(task: SiteTask, week: Week, said: _Forecasts, booked: Mapping[str, float]) -> str:
    told = (task.name, week.first, week.last, sorted(said.versions.items()), sorted(booked.items()))
    asked = sorted((one.site_id, one.revenue_fen) for one in said.sites.values())
    return hashlib.sha256(repr((told, asked)).encode()).hexdigest()
