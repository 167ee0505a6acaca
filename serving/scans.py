"""Judges one scan as it comes: what is known of it now, how likely it is the wool party, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from data.errors import DataError
from serving.decisions import decide
from serving.holdout import Lottery
from serving.reasons import explain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.online import LiveState
    from features.ring_memory import RingFound
    from serving.holdout import Lot
    from serving.manifest import Manifest
    from serving.reasons import Reason
    from serving.scorer import Scorer


@dataclass(frozen=True)
class ScanDecision:
    """What to do about one scan, and why.

    Attributes:
        action: What to do: the action that earns most, within the cap on harm, unless a lot lets the scan through.
        probability: Calibrated chance that the scan is the wool party's; None where it was not judged.
        expected_value_fen: What the action that earns most earns on average, in fen; None likewise.
        reasons: The features that moved the chance most, strongest first.
        ring: The larger of the rings that its member and its device are in; None where both are alone.
        degraded: Whether it was not judged, and the action is the one that needs no judgement.
        lot: The action meant, whether the lot let the scan through, and how likely that was; None where no lot was
            drawn, and the action is the one meant.
    """

    action: str
    probability: float | None
    expected_value_fen: float | None
    reasons: tuple[Reason, ...]
    ring: RingFound | None
    degraded: bool
    lot: Lot | None = None


class _Ticket(NamedTuple):
    """What the lot of a scan is drawn by."""

    decision_id: str
    group: list[str | None] | None


def undecided(manifest: Manifest) -> ScanDecision:
    """The answer without a state, or past the deadline: the pay-off's passive action."""
    return ScanDecision(manifest.payoff.actions[0], None, None, (), None, degraded=True)


@dataclass(frozen=True)
class ScanJudge:
    """A model, and the live state that tells it of a scan's past.

    Attributes:
        scorer: The model.
        state: Keeps the very features that the model was trained on.
        log: What scans are called there.
        key: The secret of the lot that lets some scans through, where the bundle has a holdout; None draws nothing.

    Raises:
        DataError: The state keeps other features than the model was trained on.
        UsageError: The key is too short or too long.
    """

    scorer: Scorer
    state: LiveState
    log: str = "scans"
    key: bytes | None = field(default=None, repr=False)
    _lottery: Lottery | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse a state of other features, and what is no key."""
        self.scorer.check_fingerprint(self.state.feature_set.fingerprint())
        object.__setattr__(self, "_lottery", Lottery.of(self.scorer.manifest.holdout, self.key))

    def decide(self, scan: Mapping[str, object]) -> ScanDecision:
        """Judge a scan by what was known before it, and then take it into the state.

        Args:
            scan: The event as `data.scan_event` gives it, with the columns that the pay-off reads; where a lot is
                drawn also `scan_id`, by which the same scan draws the same lot again.

        Raises:
            DataError: Something of it is missing or misfits; nothing was taken in.
        """
        manifest = self.scorer.manifest
        stake, price, drawn = self._stake(scan), self._price(scan), self._asked_of_the_lot(scan)
        row = self.state.observe(self.log, scan)[None, :]
        probability = self.scorer.probability(row)
        action, value = decide(probability, manifest.payoff, stake, price)
        lot = None
        if self._lottery and drawn:
            action, (lot,) = self._lottery.draw([drawn.decision_id], action, drawn.group, manifest.payoff.actions)
        return ScanDecision(
            action=manifest.payoff.actions[int(action[0])],
            probability=float(probability[0]),
            expected_value_fen=float(value[0]),
            reasons=explain(manifest.features, row[0], self.scorer.contributions(row)[0]),
            ring=self._ring(scan),
            degraded=False,
            lot=lot,
        )

    def _asked_of_the_lot(self, scan: Mapping[str, object]) -> _Ticket | None:
        """By what the lot of a scan is drawn; None where nothing is."""
        if self._lottery is None:
            return None
        found = scan.get("scan_id")
        if not isinstance(found, str) or not found:
            raise DataError(f"a scan's scan_id: found {found!r}, expected text, because a lot is drawn by it")
        column = self._lottery.holdout.group
        return _Ticket(found, [_group(scan, column)] if column else None)

    def _stake(self, scan: Mapping[str, object]) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
        column = self.scorer.manifest.payoff.stake
        if not column:
            return None
        found = scan.get(column)
        if not isinstance(found, int | float) or not 0 <= found < np.inf:
            raise DataError(f"a scan's {column}: found {found!r}, expected 0 fen or more, because actions hang on it")
        return np.array([float(found)])

    def _price(self, scan: Mapping[str, object]) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
        manifest = self.scorer.manifest
        cap = manifest.payoff.cap
        if cap is None:
            return None
        return manifest.prices.of([_group(scan, cap.group) if cap.group else None], 1)

    def _ring(self, scan: Mapping[str, object]) -> RingFound | None:
        """As it was before the scan, which joins it only for later instants."""
        found = [
            self.state.ring(plan.name, column, scan.get(column))
            for plan in self.state.plan.rings
            for column in plan.keys
        ]
        return max((ring for ring in found if ring), key=lambda ring: ring.members, default=None)


def _group(scan: Mapping[str, object], column: str) -> str | None:
    group = scan.get(column)
    if not isinstance(group, str | None):
        raise DataError(f"a scan's {column}: found {group!r}, expected text or null")
    return group
