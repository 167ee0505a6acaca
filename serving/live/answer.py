"""From features to the bytes that are answered: the one function of the live path, and of its replay.

What it is told of a scan beside its features is kept in the decision's record, so that a replay gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from data.errors import DataError
from serving.holdout import PASSIVE, Lot, lots
from serving.reasons import Reason, explain
from serving.scans import undecided

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from serving.holdout import Lottery
    from serving.ledger.record import Record
    from serving.manifest import Manifest
    from serving.scorer import Scorer

Degraded = Literal["none", "deadline", "log", "state"]


class RingBody(msgspec.Struct, frozen=True):
    """The ring that a scan's member or device was in before it.

    Attributes:
        ring_id: Its name; it tells of nobody.
        members: How many people it has.
    """

    ring_id: str
    members: int


class ModelBody(msgspec.Struct, frozen=True):
    """The model that answered."""

    task: str
    version: str
    feature_fingerprint: str


class ScanAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about one scan, and why.

    Attributes:
        decision_id: Names this answer; the same scan sent again has the same.
        scan_id: As it was sent.
        action: What to do: what earns most within the cap on harm, unless a lot let the scan through.
        probability: Calibrated chance that the scan is the wool party's; null where it was not judged.
        expected_value_fen: What the action that earns most earns on average; null likewise.
        reasons: The features that moved the chance most, strongest first.
        ring: Null where nobody is joined with the member or the device.
        lot: What was drawn; null where nothing was.
        model: Which model answered.
        degraded: Why it was not judged: `deadline`, `log` or `state`; `none` where it was.
        recorded: Whether it counts and is in the log; a scan that is not may be sent again and is judged then.
    """

    decision_id: str
    scan_id: str
    action: str
    probability: float | None
    expected_value_fen: float | None
    reasons: tuple[Reason, ...]
    ring: RingBody | None
    lot: Lot | None
    model: ModelBody
    degraded: Degraded
    recorded: bool


class Drawn(NamedTuple):
    """What the lot of a decision says before anything is known of it: its share, and whether it fell on it."""

    share: float
    allowed: bool


class Asked(NamedTuple):
    """What is told of a scan beside its features.

    Attributes:
        decision_id: What its decision is called.
        scan_id: As it was sent.
        stake: What is at stake, in fen; None where the pay-off has no stake.
        group: The group of the pay-off's cap; None where it has none.
        drawn: What the lot says; None where none is drawn.
        ring: The ring that the state knew, by name and size; None where there was none.
    """

    decision_id: str
    scan_id: str
    stake: float | None
    group: str | None
    drawn: Drawn | None
    ring: tuple[str, int] | None


class Decided(NamedTuple):
    """One decision: what is answered, and what its record keeps besides."""

    answer: bytes
    action: str
    probability: float
    lot: Lot | None


_encode: Final = msgspec.json.Encoder().encode


def answer_bytes(scorer: Scorer, features: NDArray[np.float32], asked: Sequence[Asked]) -> list[Decided]:
    """Decide about some scans in one run of the model; none depends on those beside it.

    Args:
        scorer: The model.
        features: float32, shape (scans, features).
        asked: What is told of each scan besides.
    """
    manifest = scorer.manifest
    probability, contributions = scorer.explained(features)
    payoff, model = manifest.payoff, model_of(manifest)
    decided = []
    for row, (one, chance) in enumerate(zip(asked, probability.tolist(), strict=True)):
        meant, worth = chosen(scorer, one, chance)
        lot = _lot(one, meant, payoff.actions)
        action = payoff.actions[PASSIVE if lot and lot.allowed_at_random else meant]
        answer = ScanAnswer(
            decision_id=one.decision_id,
            scan_id=one.scan_id,
            action=action,
            probability=chance,
            expected_value_fen=worth,
            reasons=explain(manifest.features, features[row], contributions[row]),
            ring=RingBody(*one.ring) if one.ring else None,
            lot=lot,
            model=model,
            degraded="none",
            recorded=True,
        )
        decided.append(Decided(_encode(answer), action, chance, lot))
    return decided


def chosen(scorer: Scorer, asked: Asked, chance: float) -> tuple[int, float]:
    """The action that earns most by the model's pay-off before any lot, an index into its actions, and its worth."""
    payoff, prices = scorer.manifest.payoff, scorer.manifest.prices
    price = prices.default if asked.group is None else prices.by_group.get(asked.group, prices.default)
    return scorer.decider.decide(chance, asked.stake or 0.0, price if payoff.cap else 0.0)


def degraded_bytes(manifest: Manifest, decision_id: str, scan_id: str, why: Degraded) -> bytes:
    """The answer by the task's passive action; it acknowledges nothing."""
    decision = undecided(manifest)
    answer = ScanAnswer(
        decision_id=decision_id,
        scan_id=scan_id,
        action=decision.action,
        probability=None,
        expected_value_fen=None,
        reasons=(),
        ring=None,
        lot=None,
        model=model_of(manifest),
        degraded=why,
        recorded=False,
    )
    return _encode(answer)


def draw(lottery: Lottery | None, decision_ids: Sequence[str], groups: Sequence[str | None]) -> list[Drawn | None]:
    """What the lot says of each decision; None where none is drawn."""
    if lottery is None:
        return [None] * len(decision_ids)
    share = lottery.holdout.of(groups if lottery.holdout.group else None, len(decision_ids))
    allowed = lots(decision_ids, lottery.key) < share
    return [Drawn(float(one), bool(fell)) for one, fell in zip(share, allowed, strict=True)]


def asked_again(record: Record) -> Asked:
    """What the record of a scan's decision says that it was told.

    Raises:
        DataError: The record is of no scan.
    """
    scan_id = record.request.get("scan_id")
    if not isinstance(scan_id, str):
        raise DataError(f"decision {record.decision_id}: found a record of {record.task}, expected one of a scan")
    lot = record.lot
    drawn = None if lot is None else Drawn(lot.share, lot.allowed_at_random)
    return Asked(record.decision_id, scan_id, record.stake, record.group, drawn, record.ring)


def model_of(manifest: Manifest) -> ModelBody:
    """The name of a model, as answers give it."""
    return ModelBody(manifest.task, manifest.version, manifest.feature_fingerprint)


def _lot(asked: Asked, meant: int, actions: Sequence[str]) -> Lot | None:
    """As `Lottery.draw` says it."""
    if asked.drawn is None:
        return None
    share, allowed = asked.drawn
    propensity = 1.0 if meant == PASSIVE else share if allowed else 1.0 - share
    return Lot(asked.decision_id, actions[meant], allowed, propensity, share)
