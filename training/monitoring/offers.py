"""Offers that the service gave, held against what was sent, redeemed and bought since, beside those who got nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from data.errors import DataError, UsageError
from training.monitoring import findings
from training.monitoring.journal import DECISIONS
from training.monitoring.performance import LEAST_POSITIVES, calibration_of, draws, metrics_of
from training.monitoring.result import Monitored
from training.monitoring.served import bundles_of
from training.monitoring.truth import Truth
from training.monitoring.week import Week, instant, microseconds
from training.studentised import studentised

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from data.sources import DataSet
    from training.interval import Interval
    from training.monitoring.journal import Journal
    from training.studentised import Figure
    from training.task import Task

DAYS: Final = 28
"""Purchases of so many days after a send count for it, in both arms alike."""

LEAST_HELD_OUT: Final = 20
_TABLES: Final = ("sends", "redemptions", "orders")
_WINDOW: Final = DAYS * 86_400_000_000


class _Offer(msgspec.Struct):
    offer_id: str
    action: str
    probability: float | None = None


class _Answer(msgspec.Struct):
    member_id: str
    offers: tuple[_Offer, ...]


_decode: Final = msgspec.json.Decoder(_Answer).decode


@dataclass(frozen=True)
class _Given:
    """An answer that gave an offer, or none."""

    seen_at: int
    member: str
    offer: _Offer | None
    version: str


@dataclass
class _Heard:
    """What was sent and what came of it, each once by its id."""

    sends: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    redeemed: set[str] = field(default_factory=set)
    margins: dict[str, dict[str, tuple[int, float]]] = field(default_factory=dict)

    def hear(self, table: str, row: Mapping[str, Any]) -> None:
        if table == "sends":
            self.sends.setdefault(row["send_id"], {**row, "at": _at(row["ts"])})
        elif table == "redemptions":
            self.redeemed.add(row["send_id"])
        elif table == "orders" and row.get("member_id") and row.get("margin_fen") is not None:
            bought = self.margins.setdefault(row["member_id"], {})
            bought.setdefault(row["line_id"], (_at(row["ts"]), float(row["margin_fen"])))

    def margin(self, send: Mapping[str, Any]) -> float:
        """What the member's purchases earned in the days after a send, in fen."""
        bought = self.margins.get(send["member_id"], {}).values()
        return sum(margin for at, margin in bought if send["at"] <= at < send["at"] + _WINDOW)


def monitor_offers(
    task: Task,
    journal: Journal,
    root: Path,
    data_set: DataSet | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Monitored:
    """Last week of a task that gives offers: what was redeemed, and what sending earned beside the held out.

    Arguments and errors as in `training.monitoring.scans.monitor_scans`. A decision is found again as the first send of
    its offer to its member after it. `data_set` holds `sends`, `redemptions` and
    `orders` that did not come into the log.
    """
    span = journal.span(DECISIONS)
    if span is None:
        raise UsageError(f"shepherd monitor: found no offer in the log, expected decisions of {task.name!r}")
    week = Week.of(span[1], since, until)
    given, heard, forgotten = _read(journal, week, task.name)
    if not given:
        raise UsageError(
            f"shepherd monitor: found no decision of {task.name!r} from {week}, expected some; the log holds decisions "
            f"from {instant(span[0]):%Y-%m-%d %H:%M:%S} to {instant(span[1]):%Y-%m-%d %H:%M:%S} UTC"
        )
    if data_set is not None:
        _read_tables(data_set, heard)
    versions = Counter(one.version for one in given)
    version = max(versions, key=lambda name: (versions[name], name))
    bundle = bundles_of(root, task.name).get(version)
    tested = {} if bundle is None else bundle.manifest.metrics
    sent = _sent(given, heard)
    rows = [(one, send) for one, send in sent if one.offer is not None and one.offer.probability is not None]
    said = np.array([one.offer.probability for one, _ in rows if one.offer is not None], np.float64)
    outcome = np.array([send["send_id"] in heard.redeemed for _, send in rows], np.int64)
    units = _codes([one.member for one, _ in rows])
    truth = Truth(outcome, np.ones(len(rows), np.bool_), np.ones(len(rows)), "sends", np.zeros(len(rows)))
    metrics = metrics_of({"model": said}, truth, units, task.metrics).get("model", {}) if rows else {}
    calibration = calibration_of(said, truth, units) if rows else None
    further, skipped = _of_arms(heard, week)
    positives = int((outcome == 1).sum())
    found = (
        *findings.of_labels(positives, len(rows), len(given), LEAST_POSITIVES),
        *(findings.of_metrics(metrics, tested) if positives >= LEAST_POSITIVES else ()),
        *findings.of_calibration(calibration if positives >= LEAST_POSITIVES else None),
        *findings.of_money(further.get("money/uplift")),
    )
    level, words = findings.verdict(found)
    return Monitored(
        task=task.name,
        week=week,
        version=version,
        digest=_digest(task.name, week, given, heard),
        span=(instant(span[0]).isoformat(), instant(span[1]).isoformat()),
        counts={
            "decisions": len(given),
            "nothing": sum(one.offer is None for one in given),
            "sent": len(sent),
            "forgotten": forgotten,
            "degraded": 0,
            "labelled": len(rows),
            "positives": positives,
            "labelled_by_lot": len(rows),
        },
        versions=dict(versions),
        actions={
            "send": sum(one.offer is not None for one in given),
            "nothing": sum(one.offer is None for one in given),
        },
        labels={"share": len(rows) / len(given)},
        metrics=metrics,
        tested={name: value for name, value in tested.items() if name.startswith("test/")},
        calibration=calibration,
        money=None,
        drift=None,
        slices={},
        beside=(),
        days=(),
        skipped={
            "drift": "the log keeps no features of offers; `shepherd retrain` measures it",
            "not redeemed": "offers that still run may be redeemed yet; chances look too high until they end",
            **skipped,
        },
        findings=found,
        level=level,
        said=words,
        further=further,
    )


def _read(journal: Journal, week: Week, task: str) -> tuple[list[_Given], _Heard, int]:
    given, heard, forgotten = [], _Heard(), 0
    for line in journal.lines(week.first):
        record = line.record
        if record is None:
            forgotten += line.forgotten and line.log == DECISIONS and line.seen_at < week.last
        elif line.log in _TABLES:
            for row in record.request["lines"] if line.log == "orders" else (record.request,):
                heard.hear(line.log, row)
        elif line.log == DECISIONS and line.seen_at < week.last and record.task == task:
            given.append(_given(line.seen_at, record.decision_id, record.version, record.answer))
    return given, heard, forgotten


def _given(seen_at: int, decision_id: str, version: str, content: bytes) -> _Given:
    try:
        answer = _decode(content)
    except msgspec.DecodeError as error:
        raise DataError(f"decision {decision_id}: its answer is not of this release: {error}") from error
    return _Given(
        seen_at, answer.member_id, next((one for one in answer.offers if one.action == "send"), None), version
    )


def _read_tables(data_set: DataSet, heard: _Heard) -> None:
    tables = [name for name in _TABLES if name in data_set.files]
    if not tables:
        raise DataError(f"{data_set.root}: found none of the tables {', '.join(_TABLES)}, expected some of them")
    with data_set.connect() as connection:
        for table in tables:
            for row in connection.sql(f'SELECT * FROM "{table}"').to_arrow_table().to_pylist():
                heard.hear(table, row)


def _sent(given: list[_Given], heard: _Heard) -> list[tuple[_Given, Mapping[str, Any]]]:
    """Each decision with the first send of its offer to its member after it; a send belongs to one decision."""
    waiting: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for send in sorted(heard.sends.values(), key=lambda one: one["at"]):
        if send["arm"] == "treated":
            waiting.setdefault((send["member_id"], send["offer_id"]), []).append(send)
    found = []
    for one in given:
        sends = waiting.get((one.member, one.offer.offer_id), []) if one.offer is not None else []
        place = next((place for place, send in enumerate(sends) if send["at"] >= one.seen_at), None)
        if place is not None:
            found.append((one, sends.pop(place)))
    return found


def _of_arms(heard: _Heard, week: Week) -> tuple[dict[str, Interval], dict[str, str]]:
    """What a send earned and how many were redeemed, of the week's sends; and what nobody can say."""
    sends = [one for one in heard.sends.values() if week.first <= one["at"] < week.last]
    treated = np.array([one["arm"] == "treated" for one in sends], np.bool_)
    if not treated.any():
        return {}, {"money": "no send of the week came into the log or the tables"}
    units = _codes([one["member_id"] for one in sends])
    redeemed = np.array([one["send_id"] in heard.redeemed for one in sends], np.float64) * treated
    shares = np.column_stack((treated.astype(np.float64), redeemed))
    (share,) = studentised(shares, [lambda sums: sums[1] / sums[0]], draws(units))
    if (~treated).sum() < LEAST_HELD_OUT:
        why = f"{int((~treated).sum())} sends of the week were withheld by lot, expected {LEAST_HELD_OUT} at least"
        return {"redeemed": share}, {"money": why}
    weight = _weights(sends, treated)
    margin = np.array([heard.margin(one) for one in sends])
    ours, theirs = weight * treated, weight * ~treated
    columns = np.column_stack((ours, ours * margin, theirs, theirs * margin))
    (uplift,) = studentised(columns, [_difference], draws(units))
    return {"redeemed": share, "money/uplift": uplift}, {}


def _weights(sends: list[Mapping[str, Any]], treated: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How many sends each stands for: by the inverse of its arm's chance, or alike where no chance is told."""
    chances = [one.get("propensity") for one in sends]
    if None in chances:
        return np.ones(len(sends))
    chance = np.array(chances, np.float64)
    arm = np.where(treated, chance, 1 - chance)
    if (arm <= 0).any():
        raise DataError(
            f"sends: found {int((arm <= 0).sum())} whose arm had no chance by their propensity, expected more than 0 "
            "and less than 1 where a lot decided; mend them at their source"
        )
    return 1 / arm


def _difference(sums: tuple[Figure, ...]) -> Figure:
    return sums[1] / sums[0] - sums[3] / sums[2]


def _codes(names: list[str]) -> NDArray[np.int64]:
    return np.unique(np.array(names, dtype=str), return_inverse=True)[1].astype(np.int64)


def _at(told: object) -> int:
    return microseconds(told if isinstance(told, datetime) else msgspec.convert(told, datetime))


def _digest(task: str, week: Week, given: list[_Given], heard: _Heard) -> str:
    def told() -> Iterator[object]:
        yield task, week.first, week.last
        yield from ((one.seen_at, one.member, one.offer and one.offer.offer_id, one.version) for one in given)
        yield from sorted((name, one["at"], one["arm"]) for name, one in heard.sends.items())
        yield sorted(heard.redeemed)
        yield sorted((name, *line) for lines in heard.margins.values() for name, line in lines.items())

    digest = hashlib.sha256()
    for one in told():
        digest.update(repr(one).encode())
    return digest.hexdigest()
