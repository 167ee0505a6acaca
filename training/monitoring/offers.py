"""Offers that the service gave, held against what was sent, redeemed and bought since, beside those who got nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.errors import DataError, UsageError
from training.interval import of_mean
from training.monitoring import findings
from training.monitoring.beside import Beside
from training.monitoring.drifted import NO_REFERENCE, drifted, too_few
from training.monitoring.evidence import NOT_IN_LOG, arrival
from training.monitoring.given import read_offers
from training.monitoring.journal import DECISIONS
from training.monitoring.performance import LEAST_POSITIVES, calibration_of, draws, metrics_of, slices_of
from training.monitoring.rescored import challenger_of
from training.monitoring.result import Monitored
from training.monitoring.served import bundles_of
from training.monitoring.truth import Truth
from training.monitoring.week import Week, instant
from training.studentised import studentised

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from training.bundles import Bundle
    from training.interval import Interval
    from training.monitoring.drifted import Drifted
    from training.monitoring.evidence import Evidence
    from training.monitoring.given import Answers, Given, Heard
    from training.studentised import Figure
    from training.task import Task

LEAST_HELD_OUT: Final = 20
NOT_JUDGED: Final = frozenset({"unknown_member", "no_running_campaign"})
"""Why nothing was given where no model was asked."""

_DAY: Final = 86_400_000_000
_SKIPPED: Final = {
    **NOT_IN_LOG,
    "degraded": "nothing stands in for the model of offers: while it is not there questions are refused",
    "not redeemed": "offers that still run may be redeemed yet; chances look too high until they end",
}


def monitor_offers(task: Task, evidence: Evidence) -> Monitored:
    """Last week of a task that gives offers: what was redeemed, and what sending earned beside the held out.

    Arguments and errors as in `training.monitoring.scans.monitor_scans`. A decision is found again as the first send of
    its offer to its member after it. The tables are `sends`, `redemptions` and `orders`.
    """
    span = evidence.journal.span(DECISIONS)
    if span is None:
        raise UsageError(f"shepherd monitor: found no offer in the log, expected decisions of {task.name!r}")
    week = Week.of(span[1], evidence.since, evidence.until)
    bundles = bundles_of(evidence.root, task.name)
    pointed = challenger_of(evidence.root, task.name, champion="")
    answers = read_offers(evidence.journal, week, task.name, bundles, None if isinstance(pointed, str) else pointed)
    given, heard = answers.given, answers.heard
    if not given:
        raise UsageError(
            f"shepherd monitor: found no decision of {task.name!r} from {week}, expected some; the log holds decisions "
            f"from {instant(span[0]):%Y-%m-%d %H:%M:%S} to {instant(span[1]):%Y-%m-%d %H:%M:%S} UTC"
        )
    if evidence.data_set is not None:
        heard.read(evidence.data_set)
    versions = Counter(one.version for one in given)
    version = max(versions, key=lambda name: (versions[name], name))
    bundle = bundles.get(version)
    tested = {} if bundle is None else bundle.manifest.metrics
    sent = answers.sent()
    rows = [(one, send) for one, send in sent if one.offer is not None and one.offer.chance is not None]
    said = np.array([one.offer.chance for one, _ in rows if one.offer is not None], np.float64)
    outcome = np.array([send["send_id"] in heard.redeemed for _, send in rows], np.int64)
    units = _codes([one.member for one, _ in rows])
    truth = Truth(outcome, np.ones(len(rows), np.bool_), np.ones(len(rows)), "sends", np.zeros(len(rows)))
    metrics = metrics_of({"model": said}, truth, units, task.metrics).get("model", {}) if rows else {}
    calibration = calibration_of(said, truth, units) if rows else None
    others, alone = _beside(pointed, version, answers, rows, truth, task)
    campaigns = np.array([one.offer and one.offer.campaign_id for one, _ in rows], dtype=object)
    further, skipped = _of_arms(heard, week)
    moved, why = _drift(bundle, version, answers)
    positives = int((outcome == 1).sum())
    found = (
        *findings.of_labels(positives, len(rows), len(given), LEAST_POSITIVES),
        *(findings.of_metrics(metrics, tested) if positives >= LEAST_POSITIVES else ()),
        *findings.of_calibration(calibration if positives >= LEAST_POSITIVES else None),
        *findings.of_money(further.get("money/uplift")),
        *findings.of_drift(moved, findings.Level.LOOK),
    )
    level, words = findings.verdict(found)
    nothing = Counter(one.why for one in given if one.offer is None)
    return Monitored(
        task=task.name,
        week=week,
        version=version,
        digest=_digest(task.name, week, given, heard, (moved and (moved.rows, moved.score), others)),
        span=(instant(span[0]).isoformat(), instant(span[1]).isoformat()),
        counts={
            "decisions": len(given),
            "nothing": nothing.total(),
            "not_judged": sum(count for code, count in nothing.items() if code in NOT_JUDGED),
            "sent": len(sent),
            "forgotten": answers.forgotten,
            "labelled": len(rows),
            "positives": positives,
            "labelled_by_lot": len(rows),
        },
        versions=dict(versions),
        actions={"send": len(given) - nothing.total(), **{f"nothing/{code}": n for code, n in nothing.most_common()}},
        arrival=arrival(np.array([one.seen_at for one in given], np.int64)),
        labels={"share": len(rows) / len(given)},
        metrics=metrics,
        tested={name: value for name, value in tested.items() if name.startswith("test/")},
        calibration=calibration,
        drift=moved,
        slices=slices_of({"campaign_id": campaigns}, said, units, truth, task.metrics, {"redeemed": outcome == 1}),
        beside=others,
        days=_days(given),
        skipped={
            **_SKIPPED,
            **({} if moved else {"drift": why}),
            **too_few(moved),
            **({} if others else {"challenger": alone}),
            **skipped,
        },
        findings=found,
        level=level,
        said=words,
        further={**further, **_foretold(sent)},
    )


def _drift(bundle: Bundle | None, version: str, answers: Answers) -> tuple[Drifted | None, str]:
    """What moved, or why nobody can say."""
    if bundle is None:
        return None, f"the bundle of {version} is not there any more"
    bins = answers.bins[version]
    if bins is None:
        return None, NO_REFERENCE
    why = "no answer of the week names an offer"
    if answers.without_features:
        why = "the log was written before it kept what the model of offers was given"
    return drifted(bundle, bins.settle()), why


def _beside(
    pointed: Bundle | str,
    champion: str,
    answers: Answers,
    rows: list[tuple[Given, Mapping[str, Any]]],
    truth: Truth,
    task: Task,
) -> tuple[tuple[Beside, ...], str]:
    """What the challenger says of the same offers; none, and why, where nobody can say."""
    asked = answers.challenger
    if isinstance(pointed, str) or asked is None:
        return (), str(pointed)
    name = pointed.manifest.version
    if name == champion:
        return (), f"the challenger is {champion} itself"
    if not asked.ours:
        return (), f"{name} is given other features than the log keeps, or the log keeps none"
    ours, theirs = np.array(asked.ours), asked.theirs()
    place = np.array([-1 if one.row is None else one.row for one, _ in rows], np.int64)
    inside = place >= 0
    scores = {"champion": ours[place], "challenger": theirs[place]}
    told = metrics_of(scores, truth, _codes([one.member for one, _ in rows]), task.metrics, inside) if rows else {}
    return (
        Beside(
            version=name,
            answered=sum(one.version == name for one in answers.given),
            compared=len(ours),
            difference=of_mean(theirs - ours, draws(_codes(asked.members))),
            changed=None,
            metrics=told.get("challenger", {}),
            money="what it would send is its policy's to say, and what that earns a lot's",
        ),
    ), ""


def _foretold(sent: list[tuple[Given, Mapping[str, Any]]]) -> dict[str, Interval]:
    """What the sends that were found again were said to earn, where the model says it."""
    rows = [(one.member, one.offer.expected_margin_fen) for one, _ in sent if one.offer is not None]
    said = [(member, margin.mean) for member, margin in rows if margin is not None]
    if not said:
        return {}
    return {
        "money/foretold": of_mean(np.array([mean for _, mean in said]), draws(_codes([member for member, _ in said])))
    }


def _days(given: list[Given]) -> tuple[tuple[str, int, float, float], ...]:
    """Answers, mean chance of what was given, and share that got something, by day; none where a day has no chance."""
    day = np.array([one.seen_at // _DAY for one in given])
    gave = np.array([one.offer is not None for one in given])
    chance = np.array([np.nan if one.offer is None or one.offer.chance is None else one.offer.chance for one in given])
    days = np.unique(day)
    if any(np.isnan(chance[day == one]).all() for one in days):
        return ()
    return tuple(
        (
            f"{instant(int(one) * _DAY):%Y-%m-%d}",
            int((day == one).sum()),
            float(np.nanmean(chance[day == one])),
            float(gave[day == one].mean()),
        )
        for one in days
    )


def _of_arms(heard: Heard, week: Week) -> tuple[dict[str, Interval], dict[str, str]]:
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


def _digest(task: str, week: Week, given: list[Given], heard: Heard, worked_out: tuple[object, ...]) -> str:
    def told() -> Iterator[object]:
        yield task, week.first, week.last
        yield from ((one.seen_at, one.member, one.offer and one.offer.offer_id, one.version) for one in given)
        yield from sorted((name, one["at"], one["arm"]) for name, one in heard.sends.items())
        yield sorted(heard.redeemed)
        yield sorted((name, *line) for lines in heard.margins.values() for name, line in lines.items())
        yield worked_out

    digest = hashlib.sha256()
    for one in told():
        digest.update(repr(one).encode())
    return digest.hexdigest()
