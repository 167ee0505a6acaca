"""Forecasts of sites that the service gave, held against what the stores that were opened there have sold since."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import DataError, UsageError
from training.interval import of_mean
from training.monitoring import findings
from training.monitoring.beside import Beside
from training.monitoring.drifted import NO_REFERENCE, Bins, drifted, too_few
from training.monitoring.evidence import NOT_IN_LOG, arrival
from training.monitoring.forecasts import asked_again, read_forecasts
from training.monitoring.journal import DECISIONS
from training.monitoring.performance import draws
from training.monitoring.rescored import challenger_of
from training.monitoring.result import Monitored
from training.monitoring.served import bundles_of
from training.monitoring.week import Week, instant
from training.report import words as spoken

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from data.sources import DataSet
    from training.bundles import Bundle
    from training.interval import Interval
    from training.monitoring.drifted import Drifted
    from training.monitoring.evidence import Evidence
    from training.monitoring.forecasts import Forecasts, Said
    from training.sites.task import SiteTask

MONTHS: Final = 12
"""So many whole months make the year that is forecast."""

LEAST_STORES: Final = 10
_SKIPPED: Final = {
    **NOT_IN_LOG,
    "money": "a forecast takes no action",
    "degraded": "nothing stands in for the model of sites: while it is not there questions are refused",
}
_BOOKED: Final = """
    SELECT store_id, sum(revenue_fen)::DOUBLE AS booked
    FROM (
        SELECT store_id, revenue_fen, row_number() OVER (PARTITION BY store_id ORDER BY month DESC) AS place
        FROM store_sales SEMI JOIN asked_about USING (store_id)
    )
    WHERE place <= 12 GROUP BY store_id HAVING count(*) = 12
"""


def monitor_sites(task: SiteTask, evidence: Evidence) -> Monitored:
    """What came of the forecasts of a task: of those stores that have booked a year by now.

    Arguments and errors as in `training.monitoring.scans.monitor_scans`, but that a forecast takes a year to come true:
    where nothing says since when, the whole log is looked at. The table is `store_sales`; a site is found again as the
    store of the same id.
    """
    span = evidence.journal.span(DECISIONS)
    if span is None:
        raise UsageError(f"shepherd monitor: found no forecast in the log, expected decisions of {task.name!r}")
    week = Week.of(span[1], evidence.since or instant(span[0]), evidence.until)
    forecasts = read_forecasts(evidence.journal, week, task.name)
    said = forecasts.said
    if not said:
        raise UsageError(
            f"shepherd monitor: found no forecast of {task.name!r} from {week}, expected some; the log holds decisions "
            f"from {instant(span[0]):%Y-%m-%d %H:%M:%S} to {instant(span[1]):%Y-%m-%d %H:%M:%S} UTC"
        )
    version = max(forecasts.versions, key=lambda name: (forecasts.versions[name], name))
    bundle = bundles_of(evidence.root, task.name).get(version)
    tested = bundle.manifest.metrics if bundle is not None else {}
    booked = {} if evidence.data_set is None else _booked(evidence.data_set, sorted(said))
    metrics = _metrics(said, booked)
    moved, why = _drift(bundle, version, said)
    others, alone = _beside(evidence.root, task.name, forecasts, version, booked)
    found = (
        _of_booked(len(booked), len(said)),
        *(_of_error(metrics["mape"], tested) if len(booked) >= LEAST_STORES else ()),
        *findings.of_drift(moved, findings.Level.LOOK),
        *(one for other in others for one in _of_challenger(other, len(booked))),
    )
    level, words = findings.verdict(found)
    return Monitored(
        task=task.name,
        week=week,
        version=version,
        digest=_digest(task, week, forecasts, booked, (moved, others)),
        span=(instant(span[0]).isoformat(), instant(span[1]).isoformat()),
        counts={
            "decisions": len(said),
            "answers": len(forecasts.moments),
            "out_of_range": sum(one.site.out_of_range for one in said.values()),
            "forgotten": 0,
            "labelled": len(booked),
            "positives": len(booked),
            "labelled_by_lot": 0,
        },
        versions=forecasts.versions,
        arrival=arrival(np.array(forecasts.moments, np.int64)),
        labels={"share": len(booked) / len(said)},
        metrics=metrics,
        tested={name: value for name, value in tested.items() if name.startswith("test/")},
        drift=moved,
        slices=_slices(said, booked),
        beside=others,
        skipped={
            **_SKIPPED,
            **({} if moved else {"drift": why}),
            **too_few(moved),
            **({} if others else {"challenger": alone}),
            **({} if booked else {"metrics": "no site that was asked about has booked a year as a store yet"}),
        },
        findings=found,
        level=level,
        said=words,
    )


def _drift(bundle: Bundle | None, version: str, said: Mapping[str, Said]) -> tuple[Drifted | None, str]:
    """What moved, or why nobody can say: features are worked out again, by the tables of the version's own bundle."""
    if bundle is None:
        return None, f"the bundle of {version} is not there any more"
    bins = Bins.of(bundle)
    if bins is None:
        return None, NO_REFERENCE
    mine = [one for one in said.values() if one.version == version]
    places = [(one.asked, one.site) for one in mine if one.asked is not None]
    if not places:
        return None, "the log does not say where the sites lie"
    try:
        again = asked_again(bundle, [asked for asked, _ in places])
    except DataError as error:
        return None, str(error)
    bins.add(again.features.astype("<f4").tobytes(), [float(np.log(site.revenue_fen)) for _, site in places])
    return drifted(bundle, bins.settle()), ""


def _beside(
    root: Path, task: str, forecasts: Forecasts, champion: str, booked: Mapping[str, float]
) -> tuple[tuple[Beside, ...], str]:
    """What the challenger forecasts of the same sites; none, and why, where nobody can say."""
    bundle = challenger_of(root, task, champion)
    if isinstance(bundle, str):
        return (), bundle
    try:
        told = [one for one in forecasts.said.values() if one.version == champion and one.asked is not None]
        if not told:
            return (), "the log does not say where the sites lie"
        theirs = asked_again(bundle, [one.asked for one in told if one.asked is not None]).revenue_fen
    except DataError as error:
        return (), str(error)
    version, ours = bundle.manifest.version, np.array([one.site.revenue_fen for one in told])
    sold = np.array([booked.get(one.site.site_id, np.nan) for one in told])
    known = np.isfinite(sold)
    metrics = {}
    if known.any():
        off, other = (np.abs(one[known] / sold[known] - 1) for one in (ours, theirs))
        units = np.arange(int(known.sum()))
        metrics = {"mape": of_mean(other, draws(units)), "gain_mape": of_mean(other - off, draws(units))}
    return (
        Beside(
            version=version,
            answered=forecasts.versions.get(version, 0),
            compared=len(told),
            difference=of_mean(theirs / ours - 1, draws(np.arange(len(told)))),
            changed=None,
            metrics=metrics,
            money=_SKIPPED["money"],
        ),
    ), ""


def _slices(said: Mapping[str, Said], booked: Mapping[str, float]) -> dict[str, dict[str, dict[str, Interval]]]:
    """Error by format, and by whether a site was like the stores, where enough of them have booked a year."""
    pairs = [(said[store].site, sold) for store, sold in booked.items()]
    off = np.array([abs(site.revenue_fen / sold - 1) for site, sold in pairs])
    columns: dict[str, list[str | None]] = {
        "format": [site.format for site, _ in pairs],
        "out_of_range": ["yes" if site.out_of_range else "no" for site, _ in pairs],
    }
    found: dict[str, dict[str, dict[str, Interval]]] = {}
    for name, values in columns.items():
        for value in sorted({one for one in values if one is not None}):
            rows = np.array([one == value for one in values])
            if rows.sum() >= LEAST_STORES:
                found.setdefault(name, {})[value] = {"mape": of_mean(off[rows], draws(np.arange(int(rows.sum()))))}
    return found


def _booked(data_set: DataSet, sites: list[str]) -> dict[str, float]:
    """The sales of each store's last twelve booked months, in fen, of stores that have so many."""
    if "store_sales" not in data_set.files:
        raise DataError(f"{data_set.root}: found no table store_sales, expected it with what stores booked by month")
    with data_set.connect() as connection:
        connection.execute("CREATE TEMP TABLE asked_about (store_id VARCHAR)")
        connection.executemany("INSERT INTO asked_about VALUES (?)", [[one] for one in sites])
        found: list[tuple[str, float]] = connection.sql(_BOOKED).fetchall()
    return {store: booked for store, booked in sorted(found) if booked > 0}


def _metrics(said: Mapping[str, Said], booked: Mapping[str, float]) -> dict[str, Interval]:
    """Error and coverage, by the names that the test has."""
    if not booked:
        return {}
    pairs = [(said[store].site, sold) for store, sold in booked.items()]
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
    said = spoken.Said(
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
    said = spoken.Said(
        f"forecasts are off by {found.value:.1%}, above the test's high end {high:.1%}",
        f"预测平均误差 {found.value:.1%}，高于测试区间上限 {high:.1%}",
    )
    limit = f"not wholly above the test's high end {high:.1%}"
    return (findings.Finding("mape", level, f"{found.value:.1%}", limit, said),)


def _of_challenger(other: Beside, booked: int) -> tuple[findings.Finding, ...]:
    """Whether somebody else is surely nearer, where enough stores have sold for a year."""
    if booked < LEAST_STORES or "gain_mape" not in other.metrics:
        return ()
    lead = other.metrics["gain_mape"]
    level = findings.Level.LOOK if lead.high < 0 else findings.Level.HEALTHY
    said = spoken.Said(
        f"challenger {other.version} is nearer by {-lead.value:.1%} of sales",
        f"挑战者 {other.version} 的误差小 {-lead.value:.1%}",
    )
    found = f"nearer by {-lead.value:.1%} [{-lead.high:.1%}, {-lead.low:.1%}]"
    return (findings.Finding("challenger", level, found, "not surely nearer", said),)


def _digest(
    task: SiteTask, week: Week, forecasts: Forecasts, booked: Mapping[str, float], worked_out: tuple[object, ...]
) -> str:
    told = (task.name, week.first, week.last, sorted(forecasts.versions.items()), sorted(booked.items()), worked_out)
    asked = sorted((name, one.site.revenue_fen, one.version) for name, one in forecasts.said.items())
    return hashlib.sha256(repr((told, asked)).encode()).hexdigest()
