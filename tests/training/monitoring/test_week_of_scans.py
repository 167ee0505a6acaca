"""A week of scans: every figure equals what the requests and answers themselves say."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import DataError, UsageError
from data.sources import open_folder
from serving.bundle import read
from serving.ledger.forget import forget
from serving.live.bodies import EventsBody, FeedbackBody
from serving.scorer import Scorer
from tests.serving.live.conftest import SECRET
from tests.training.monitoring.conftest import APART, SENT, START, opened, sent
from training.catalogue import find
from training.decision_log import UNKNOWN, Logged
from training.formulas import Binning
from training.interval import Resampling, compare
from training.metrics import average_precision, tpr_at
from training.monitoring.findings import Level, headline
from training.monitoring.page import page
from training.monitoring.performance import draws
from training.monitoring.week import Week
from training.payoff import Stakes, chosen_actions
from training.savings import savings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from serving.live.bodies import ScanBody
    from tests.training.monitoring.conftest import Lived
    from training.monitoring.result import Monitored


def chances(lived: Lived, version: str) -> np.ndarray:
    """What a version said of each scan, as its answers and the log's shadows have it."""
    return np.array(
        [one["answer"]["probability"] if one["version"] == version else one["shadow"][version] for one in lived.kept]
    )


def labels(lived: Lived, *, audited: bool) -> np.ndarray:
    """1, 0, or -1 where nobody said."""
    told = [lived.verdicts.get(scan.scan_id, (-1, False)) for scan in lived.scans]
    return np.array([wool if by_lot or not audited else -1 for wool, by_lot in told])


def units(lived: Lived) -> np.ndarray:
    named = [
        f"ring {one['answer']['ring']['ring_id']}"
        if one["answer"]["ring"]
        else f"one {scan.member_id or scan.device_id or scan.scan_id}"
        for one, scan in zip(lived.kept, lived.scans, strict=True)
    ]
    return np.unique(named, return_inverse=True)[1]


def test_counts_are_those_of_what_was_answered(lived: Lived, monitored: Monitored) -> None:
    answered = [one["version"] for one in lived.kept]
    known = labels(lived, audited=False)

    assert monitored.counts["decisions"] == SENT
    assert monitored.counts["labelled"] == len(lived.verdicts) == (known >= 0).sum()
    assert monitored.counts["positives"] == (known == 1).sum() > 20
    assert monitored.counts["labelled_by_lot"] == (labels(lived, audited=True) >= 0).sum()
    assert (
        monitored.counts["let_through_by_lot"]
        == sum(one["answer"]["lot"]["allowed_at_random"] for one in lived.kept)
        > 0
    )
    assert monitored.versions == {"v1": answered.count("v1"), "v2": answered.count("v2")}
    assert min(monitored.versions.values()) > 10
    assert sum(monitored.actions.values()) == SENT
    assert monitored.labels["share"] == pytest.approx(len(lived.verdicts) / SENT)


def test_the_week_ends_with_the_newest_decision(monitored: Monitored) -> None:
    newest = datetime.fromtimestamp(START + (SENT - 1) * APART, UTC)

    assert monitored.week.until - newest < timedelta(seconds=1)
    assert monitored.week.until - monitored.week.since == timedelta(days=7)
    assert sum(one[1] for one in monitored.days) == SENT


def test_metrics_are_those_of_the_same_rows(lived: Lived, monitored: Monitored) -> None:
    said, label = np.array([one["answer"]["probability"] for one in lived.kept]), labels(lived, audited=False)
    known = label >= 0
    metrics = (average_precision, tpr_at(0.001), tpr_at(0.01))

    expected = compare(
        label[known].astype(float),
        {"model": said[known]},
        metrics,
        Resampling(units(lived)[known], np.random.default_rng([0, 1])),
    )["model"]

    assert dict(monitored.metrics) == expected
    assert monitored.figures()["live/average_precision_low"] == expected["average_precision"].low


def test_calibration_is_over_audits_alone(lived: Lived, monitored: Monitored) -> None:
    said, label = np.array([one["answer"]["probability"] for one in lived.kept]), labels(lived, audited=True)
    audited = label >= 0

    assert monitored.calibration is not None
    assert monitored.calibration.said == pytest.approx(said[audited].mean())
    assert monitored.calibration.came == pytest.approx(label[audited].mean())
    assert sum(one.rows for one in monitored.calibration.bins) == audited.sum()


def test_money_is_what_audits_say_of_the_actions_meant(lived: Lived, monitored: Monitored) -> None:
    payoff, label = find("fraud").payoff, labels(lived, audited=True)
    meant = np.array([payoff.actions.index(one["answer"]["lot"]["meant"]) for one in lived.kept])
    expected = savings(
        payoff,
        Logged(
            meant=meant,
            outcome=np.where(label >= 0, label, UNKNOWN),
            chance=np.full(SENT, (label >= 0).mean()),
            unit=units(lived),
            stake=np.array([float(scan.prize_fen) for scan in lived.scans]),
            probability=np.array([one["answer"]["probability"] for one in lived.kept]),
        ),
        draws(units(lived)),
    )

    assert monitored.money == expected
    assert (monitored.lot, monitored.holdout_cost) == ("audits", None)
    assert monitored.figures()["live/money/saved"] == headline(expected).value
    worth = payoff.values(np.array([float(scan.prize_fen) for scan in lived.scans]), SENT)
    rows = np.flatnonzero(label >= 0)
    by_hand = (worth[rows, meant[rows], label[rows]] - worth[rows, 0, label[rows]]).mean()
    assert expected.ips.value == pytest.approx(by_hand)


def test_drift_is_that_of_all_rows_in_the_champions_bins(lived: Lived, monitored: Monitored) -> None:
    manifest = read(lived.home / "bundles" / "fraud" / "v1").manifest
    features = np.array(
        [[math.nan if value is None else value for value in one["features"].values()] for one in lived.kept], np.float32
    )
    binning = Binning(manifest.reference)
    index = binning.psi(binning.counts(np.column_stack((features.astype(float), chances(lived, "v1")))))

    assert monitored.drift is not None
    assert monitored.drift.score == pytest.approx(index[-1])
    assert dict(monitored.drift.features) == pytest.approx(dict(zip(manifest.feature_names, index[:-1], strict=True)))


def test_the_challenger_is_another_model_and_its_differences_are_its_own(lived: Lived, monitored: Monitored) -> None:
    first, second = (read(lived.home / "bundles" / "fraud" / one) for one in ("v1", "v2"))
    features = np.array(
        [[math.nan if value is None else value for value in one["features"].values()] for one in lived.kept], np.float32
    )
    ours, theirs = Scorer(first).probability(features), Scorer(second).probability(features)
    stakes = Stakes(
        np.array([float(scan.prize_fen) for scan in lived.scans]),
        np.array([scan.campaign_id for scan in lived.scans], object),
    )
    acts = [
        chosen_actions(one.manifest.payoff, chance, stakes, one.manifest.prices)
        for one, chance in ((first, ours), (second, theirs))
    ]

    (other,) = monitored.beside

    assert (other.version, other.compared) == ("v2", SENT)
    assert other.answered == sum(one["version"] == "v2" for one in lived.kept)
    assert other.difference.value == pytest.approx((theirs - ours).mean())
    assert other.changed is not None
    assert other.changed.value == pytest.approx((acts[0] != acts[1]).mean())
    assert other.changed.value > 0
    assert not isinstance(other.money, str)
    worth = find("fraud").payoff.values(stakes.fen, SENT)
    label = labels(lived, audited=True)
    rows = np.flatnonzero(label >= 0)
    gain = worth[rows, acts[1][rows], label[rows]] - worth[rows, acts[0][rows], label[rows]]
    assert other.money.ips.value == pytest.approx(gain.mean())


def test_slices_are_cut_by_what_scans_said(lived: Lived, monitored: Monitored) -> None:
    links = np.array([scan.entry == "link" for scan in lived.scans])
    acted = np.array([one["answer"]["lot"]["meant"] != "pay" for one in lived.kept])

    assert set(monitored.slices) >= {"entry", "status", "judged"}
    assert monitored.slices["entry"]["link"]["acted"].value == pytest.approx(acted[links].mean())
    assert any(name.startswith("live/slice/entry/link/") for name in monitored.figures())


def test_a_stretch_of_its_own_has_its_rows_alone(lived: Lived, looked_back: Callable[..., Monitored]) -> None:
    since = datetime.fromtimestamp(START + 60 * APART, UTC)
    until = datetime.fromtimestamp(START + 200 * APART, UTC)

    found = looked_back(lived.home, since=since, until=until)

    assert found.counts["decisions"] == 140
    assert found.counts["labelled"] == sum(scan.scan_id in lived.verdicts for scan in lived.scans[60:200])


def test_a_week_without_decisions_says_what_the_log_holds(lived: Lived, looked_back: Callable[..., Monitored]) -> None:
    with pytest.raises(UsageError, match=f"the log holds scans from {datetime.fromtimestamp(START, UTC):%Y-%m-%d}"):
        looked_back(lived.home, until=datetime(2020, 1, 1, tzinfo=UTC))


def test_verdicts_come_from_tables_too(
    lived: Lived, tmp_path: Path, looked_back: Callable[..., Monitored], monitored: Monitored
) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    told = lived.verdicts.items()
    pq.write_table(
        pa.table(
            {
                "scan_id": [one for one, _ in told] + ["of-nobody"],
                "is_wool": [wool for _, (wool, _) in told] + [1],
                "landed_at": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * (len(told) + 1), pa.timestamp("us", "UTC")),
                "origin": ["audit" if audit else "review" for _, (_, audit) in told] + ["audit"],
            }
        ),
        tables / "scan_labels.parquet",
    )

    bare = looked_back(lived.bare)
    found = looked_back(lived.bare, data_set=open_folder(tables))

    assert (bare.metrics, bare.money, bare.calibration) == ({}, None, None)
    assert bare.level >= Level.LOOK
    assert [one.level for one in bare.findings if one.name == "labels"] == [Level.LOOK]
    assert {"money", "calibration", "metrics"} <= set(bare.skipped)
    assert found.counts["labelled"] == monitored.counts["labelled"]
    assert (found.metrics, found.money, found.calibration) == (
        monitored.metrics,
        monitored.money,
        monitored.calibration,
    )


def test_feedback_of_the_holdout_stands_for_all_by_its_share(
    home: Path, lived: Lived, world: Path, looked_back: Callable[..., Monitored]
) -> None:
    through = [one["answer"] for one in lived.kept if one["answer"]["lot"]["allowed_at_random"]]
    told = tuple(
        FeedbackBody(
            decision_id=one["decision_id"],
            landed_at=datetime(2026, 1, 1, tzinfo=UTC),
            outcome="wool" if place % 2 else "honest",
            allowed_at_random=1,
            propensity=one["lot"]["propensity"],
        )
        for place, one in enumerate(through)
    )

    async def late() -> None:
        live = opened(home, world, start=START + 10 * 86_400)
        assert (await live.take(EventsBody(feedback=told)))[0].status == 200
        await live.close()

    asyncio.run(late())
    found = looked_back(home)

    assert found.counts["labelled_by_lot"] == len(through)
    assert found.calibration is not None
    assert found.calibration.came == pytest.approx((len(through) // 2) / len(through), abs=0.2)
    assert found.money is not None
    assert (found.lot, found.holdout_cost) == ("holdout", found.money.holdout_cost)


def test_the_forgotten_are_counted_and_left_out(
    home: Path, lived: Lived, looked_back: Callable[..., Monitored]
) -> None:
    member = next(scan.member_id for scan in lived.scans if scan.member_id)
    theirs = sum(scan.member_id == member for scan in lived.scans)
    forget(home / "ledger", SECRET, member)

    found = looked_back(home)

    assert found.counts["forgotten"] == theirs > 0
    assert found.counts["decisions"] == SENT - theirs


def test_drift_that_was_raised_is_seen(
    home: Path, lived: Lived, world: Path, looked_back: Callable[..., Monitored], monitored: Monitored
) -> None:
    """One phone and one address for everybody: what is counted of them has never been so high."""
    crowd = [
        type(scan)(
            **{**{name: getattr(scan, name) for name in scan.__struct_fields__}, "scan_id": f"c-{place}"}
            | {"device_id": "one", "ip": "1.2.3.4"}
        )
        for place, scan in enumerate(lived.scans[:200])
    ]

    async def later() -> None:
        live = opened(home, world, start=START + 20 * 86_400, apart=60)
        await sent(live, crowd)
        await live.close()

    asyncio.run(later())
    found = looked_back(home)

    assert found.counts["decisions"] == len(crowd)
    assert found.drift is not None
    assert monitored.drift is not None
    assert found.drift.features["device_distinct_member_1d"] > max(
        1.0, monitored.drift.features["device_distinct_member_1d"]
    )
    assert found.level > Level.HEALTHY
    assert {one.name for one in found.findings if one.level} & {"feature drift", "score drift"}


def test_a_log_that_was_altered_is_refused(home: Path, looked_back: Callable[..., Monitored]) -> None:
    import sqlite3  # noqa: PLC0415 - here alone

    with sqlite3.connect(home / "ledger" / "ledger.sqlite") as file:
        file.execute("UPDATE sealed SET content = zeroblob(80) WHERE sequence = 40")
    with pytest.raises(DataError, match="does not open under its key"):
        looked_back(home)


def test_a_file_that_is_no_log_is_refused(home: Path, looked_back: Callable[..., Monitored]) -> None:
    (home / "ledger" / "ledger.sqlite").write_bytes(b"no database" * 1_000)
    for rest in (home / "ledger").glob("ledger.sqlite-*"):
        rest.unlink()

    with pytest.raises(DataError, match="damaged"):
        looked_back(home)


def test_a_week_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(UsageError, match="the first before the second"):
        Week(datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))


def test_arrival_says_how_steadily_scans_came_and_how_late(monitored: Monitored, lived: Lived) -> None:
    scanned = np.array([one.ts.timestamp() for one in lived.scans])
    arrived = START + APART * np.arange(SENT, dtype=float)
    late = arrived - scanned

    assert monitored.arrival["longest_gap_hours"] == pytest.approx(APART / 3600)
    assert monitored.arrival["late_seconds_median"] == pytest.approx(np.median(late), abs=1e-3)
    assert monitored.arrival["late_seconds_99"] == pytest.approx(np.quantile(late, 0.99), abs=1e-3)
    assert monitored.figures()["live/arrival/longest_gap_hours"] == monitored.arrival["longest_gap_hours"]


def test_what_leaves_no_entry_is_said_and_no_limit_is_held_against_it(monitored: Monitored) -> None:
    assert "shepherd_degraded_total" in monitored.skipped["degraded"]
    assert "degraded" not in {one.name for one in monitored.findings}
    assert monitored.counts["not_judged"] == 0


def test_scans_that_were_sent_as_events_are_counted_as_not_judged(
    home: Path, world: Path, scans: list[ScanBody], looked_back: Callable[..., Monitored]
) -> None:
    before = looked_back(home)

    async def told() -> None:
        live = opened(home, world, start=START + SENT * APART - 60, apart=1)
        assert (await live.take(EventsBody(scans=tuple(scans[:5]))))[0].status == 200
        answers, _ = await sent(live, scans[5:6])
        assert answers[0]["recorded"]
        await live.close()

    asyncio.run(told())
    after = looked_back(home, since=before.week.since)

    assert after.counts["decisions"] == before.counts["decisions"] + 1
    assert after.counts["not_judged"] == 5


def test_the_feature_that_moved_most_is_called_by_its_chinese_name(monitored: Monitored, lived: Lived) -> None:
    assert monitored.drift is not None
    name = next(iter(monitored.drift.features))
    (feature,) = [one for one in read(lived.home / "bundles" / "fraud" / "v1").manifest.features if one.name == name]
    (finding,) = [one for one in monitored.findings if one.name == "feature drift"]

    assert feature.sentence_zh.partition("：")[0] in finding.said.chinese
    assert name not in finding.said.chinese
    assert feature.sentence_zh.partition("：")[0] in page(monitored)
    assert "called" not in str(monitored.as_dict()["drift"])
