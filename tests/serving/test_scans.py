"""One scan judged as it comes: a farm's phone is stopped and named, honest members are paid, a replay says the same."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pytest

from data.errors import DataError, UsageError
from features.online import LiveState, columns_by_log
from features.ring import RING
from features.scan import SCAN
from serving.decisions import decide
from serving.holdout import Holdout, draw
from serving.payoff import Prices
from serving.scans import ScanJudge, undecided
from serving.scorer import Scorer
from tests.serving.conftest import moment
from training.calibrate import Sigmoid
from training.decision_log import UNKNOWN, read_log
from training.export import export
from training.scan_costs import ScanCosts

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("device_distinct_member_1d", "member_scan_count_1h", "device_ring_members", "member_ring_members")
FEATURES = (SCAN + RING).only(*NAMES)
SECOND = 1_000_000
START = 1_760_000_000 * SECOND
KEY = bytes(range(16))


def _scans(count: int = 600) -> list[dict[str, object]]:
    """Every third scan is of a farm: eight members in turn on one phone; the others have a phone each."""
    columns = columns_by_log(LiveState(FEATURES).plan)["scans"]
    generator = np.random.default_rng(6)
    scans = []
    for number in range(count):
        wool = number % 3 == 0
        person = f"puppet-{number // 3 % 8}" if wool else f"shopper-{generator.integers(60)}"
        scans.append(
            dict.fromkeys(columns)
            | {
                "scan_id": f"s{number}",
                "seen_at": START + number * 40 * SECOND,
                "member_id": person,
                "device_id": "farm" if wool else f"phone-of-{person}",
                "prize_fen": 5_000,
                "campaign_id": "spring" if number % 2 else None,
            }
        )
    return scans


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    scans, state = _scans(), LiveState(FEATURES)
    matrix = np.array([state.observe("scans", scan) for scan in scans])
    label = np.array([scan["device_id"] == "farm" for scan in scans], dtype=float)
    booster = lgb.train(
        {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1, "deterministic": True},
        lgb.Dataset(matrix, label),
        60,
    )
    folder: Path = tmp_path_factory.mktemp("bundles")
    return Scorer(
        export(
            folder,
            task="fraud",
            version="v1",
            booster=booster,
            calibrator=Sigmoid(),
            features=FEATURES,
            payoff=ScanCosts().payoff(),
            prices=Prices(10.0),
            usual=np.nanmedian(matrix[label == 0], axis=0),
            holdout=Holdout(0.2, "campaign_id", {"spring": 0.4}),
            rows=matrix,
            data_hash="0" * 64,
            metrics={},
            generator=np.random.default_rng(5),
            created=moment(12, 1),
        )
    )


def test_a_farm_is_blocked_with_its_ring_and_honest_members_are_paid(scorer: Scorer) -> None:
    judge = ScanJudge(scorer, LiveState(FEATURES))
    scans = _scans()

    decisions = [judge.decide(scan) for scan in scans]

    late = list(zip(scans, decisions, strict=True))[300:]
    farm = [decision for scan, decision in late if scan["device_id"] == "farm"]
    assert {decision.action for decision in farm} == {"block"}
    assert {decision.action for scan, decision in late if scan["device_id"] != "farm"} == {"pay"}
    (ring_id,) = {decision.ring.ring_id for decision in farm if decision.ring}
    assert ring_id
    assert {decision.ring.members for decision in farm if decision.ring} == {8}
    assert all(decision.ring is None for scan, decision in late if scan["device_id"] != "farm")
    assert not any(decision.degraded for decision in decisions)


def test_the_reasons_name_the_phone_and_what_is_usual(scorer: Scorer) -> None:
    judge = ScanJudge(scorer, LiveState(FEATURES))
    scans = _scans(400)
    for scan in scans[:399]:
        judge.decide(scan)

    reasons = judge.decide(scans[399]).reasons

    said = {reason.code: reason for reason in reasons}
    assert set(said) & {"SHARED_DEVICE", "RING_SIZE"}
    assert all("; usual is " in reason.sentence and reason.sentence_zh for reason in reasons)


def test_the_actions_are_those_of_the_rows_scored_together(scorer: Scorer) -> None:
    judge, state, scans = ScanJudge(scorer, LiveState(FEATURES)), LiveState(FEATURES), _scans(200)

    found = [judge.decide(scan) for scan in scans]

    probability = scorer.probability(np.array([state.observe("scans", scan) for scan in scans]))
    payoff = scorer.manifest.payoff
    action, value = decide(probability, payoff, np.full(200, 5_000.0), np.full(200, 10.0))
    assert [decision.probability for decision in found] == probability.tolist()
    assert [decision.action for decision in found] == [payoff.actions[number] for number in action]
    assert [decision.expected_value_fen for decision in found] == value.tolist()


def test_a_replay_says_the_same_ring_and_all(scorer: Scorer) -> None:
    first, again = ([judge.decide(scan) for scan in _scans(200)] for judge in _judges(scorer, 2))

    assert first == again


def _judges(scorer: Scorer, count: int) -> list[ScanJudge]:
    return [ScanJudge(scorer, LiveState(FEATURES)) for _ in range(count)]


def test_the_lot_pays_some_of_those_that_were_to_be_blocked_and_says_so(scorer: Scorer) -> None:
    scans = _scans()
    plain, judge = ScanJudge(scorer, LiveState(FEATURES)), ScanJudge(scorer, LiveState(FEATURES), key=KEY)

    meant = [plain.decide(scan) for scan in scans]
    done = [judge.decide(scan) for scan in scans]

    actions = scorer.manifest.payoff.actions
    share = np.array([0.4 if scan["campaign_id"] else 0.2 for scan in scans])
    wanted = np.array([actions.index(decision.action) for decision in meant])
    drawn = draw([f"s{number}" for number in range(len(scans))], wanted, share, KEY)
    lots = [decision.lot for decision in done if decision.lot]
    assert [lot.meant for lot in lots] == [decision.action for decision in meant]
    assert [decision.action for decision in done] == [actions[number] for number in drawn.action]
    assert [lot.allowed_at_random for lot in lots] == drawn.allowed_at_random.tolist()
    assert [lot.propensity for lot in lots] == drawn.propensity.tolist()
    assert [lot.share for lot in lots] == share.tolist()
    assert ("block", "pay") in {(lot.meant, decision.action) for lot, decision in zip(lots, done, strict=True)}
    assert [decision.expected_value_fen for decision in done] == [decision.expected_value_fen for decision in meant]


def test_what_is_said_of_the_lot_is_what_the_log_of_decisions_asks(scorer: Scorer) -> None:
    scans = _scans()
    judge = ScanJudge(scorer, LiveState(FEATURES), key=KEY)
    lots = [decision.lot for decision in map(judge.decide, scans) if decision.lot]
    people = pa.array([scan["member_id"] for scan in scans])
    decisions = pa.Table.from_pylist([asdict(lot) for lot in lots]).append_column("unit", people)
    decisions = decisions.append_column("stake", pa.array([5_000.0] * len(lots)))
    let_through = [lot for lot in lots if lot.allowed_at_random]
    farm = {scan["scan_id"] for scan in scans if scan["device_id"] == "farm"}
    landed = pa.array([moment(11, 1)] * len(let_through), pa.timestamp("us", tz="UTC"))
    feedback = pa.table(
        {
            "decision_id": [lot.decision_id for lot in let_through],
            "landed_at": landed,
            "outcome": ["wool" if lot.decision_id in farm else "honest" for lot in let_through],
            "allowed_at_random": [1] * len(let_through),
        }
    )

    logged = read_log(decisions, feedback, scorer.manifest.payoff, moment(12, 1))

    assert (logged.outcome != UNKNOWN).tolist() == [lot.allowed_at_random for lot in lots]
    assert logged.chance[logged.outcome != UNKNOWN].min() >= 0.2


def test_without_a_key_no_lot_is_drawn(scorer: Scorer) -> None:
    judge = ScanJudge(scorer, LiveState(FEATURES))

    assert {decision.lot for decision in map(judge.decide, _scans(30))} == {None}


def test_a_key_that_is_too_short_is_refused_at_once_and_none_is_shown(scorer: Scorer) -> None:
    with pytest.raises(UsageError, match="found a key of 3 bytes, expected 16 to 64"):
        ScanJudge(scorer, LiveState(FEATURES), key=b"abc")
    assert str(KEY) not in repr(ScanJudge(scorer, LiveState(FEATURES), key=KEY))


@pytest.mark.parametrize("scan_id", [None, "", 7])
def test_a_scan_that_no_lot_can_be_drawn_for_is_not_taken_in(scorer: Scorer, scan_id: object) -> None:
    judge = ScanJudge(scorer, LiveState(FEATURES), key=KEY)

    with pytest.raises(DataError, match=r"a scan's scan_id: found .*, expected text, because a lot is drawn by it"):
        judge.decide(_scans(1)[0] | {"scan_id": scan_id})

    assert judge.state.sequence == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prize_fen": None}, "a scan's prize_fen: found None, expected 0 fen or more"),
        ({"prize_fen": -1}, "a scan's prize_fen: found -1"),
        ({"campaign_id": 7}, "a scan's campaign_id: found 7, expected text or null"),
    ],
)
def test_a_scan_that_cannot_be_judged_is_not_taken_in(scorer: Scorer, change: dict[str, object], message: str) -> None:
    judge = ScanJudge(scorer, LiveState(FEATURES))

    with pytest.raises(DataError, match=message):
        judge.decide(_scans(1)[0] | change)

    assert judge.state.sequence == 0


def test_a_state_of_other_features_is_refused(scorer: Scorer) -> None:
    with pytest.raises(DataError, match="fingerprint"):
        ScanJudge(scorer, LiveState((SCAN + RING).only(*NAMES[:2])))


def test_without_a_state_the_passive_action_is_taken_and_said_to_be_degraded(scorer: Scorer) -> None:
    decision = undecided(scorer.manifest)

    assert (decision.action, decision.degraded, decision.probability) == ("pay", True, None)
