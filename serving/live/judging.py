"""How scans are judged: the state observes each in turn, each model is asked once for its share of a batch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec
import numpy as np

from serving.ledger.ledger import Entry
from serving.ledger.record import Record, encode_record
from serving.live.answer import Asked, answer_bytes, draw
from serving.live.compared import compared
from serving.live.pending import Answered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.online import LiveState
    from serving.ledger.ledger import Place
    from serving.ledger.vault import MemberKey
    from serving.live.answer import Decided
    from serving.live.intake import Event, Events
    from serving.live.models import Loaded, Models, Pair
    from serving.live.pending import PendingScan
    from serving.telemetry.metrics import Compared

SCANS: Final = "scans"
"""The log of scans, and the table of their bodies."""


class Watch(Protocol):
    """Who is told of decisions, for metrics."""

    def observe_decision(self, task: str, version: str, action: str, seconds: float, degraded: str) -> None:
        """One decision was answered."""

    def observe_shadow(self, task: str, version: str, told: Compared) -> None:
        """Some decisions were looked at by the challenger, too."""


class ObservedScan(NamedTuple):
    """A scan that the state has taken in, on its way to the model."""

    number: int
    item: PendingScan
    place: Place
    row: NDArray[np.float32]
    events: Events
    member: MemberKey | None
    ring: tuple[str, int] | None


class Judging:
    """Observes scans and asks the models about them.

    Args:
        models: Who judges.
        state: What is known.
        canary: Share of decisions that the challenger answers.
        watch: Told of every decision; None where nobody counts.
    """

    def __init__(self, models: Models, state: LiveState, canary: float, watch: Watch | None) -> None:
        self._models, self._state, self._canary, self._watch = models, state, canary, watch
        self._rings = [(plan.name, column) for plan in state.plan.rings for column in plan.keys]

    def observed(
        self, number: int, item: PendingScan, place: Place, event: Event, member: MemberKey | None
    ) -> ObservedScan:
        """A scan whose event the state takes in.

        Args:
            number: Its place in the batch.
            item: The scan.
            place: Its place in the one order.
            event: What the state is to take in.
            member: The key of its member.

        Raises:
            DataError: Its numbers cannot be added up; the state is as it was.
        """
        state = self._state
        row = state.observe(SCANS, event)
        rings = [ring for name, column in self._rings if (ring := state.ring(name, column, event[column]))]
        ring = max(rings, key=lambda one: one.members, default=None)
        told = None if ring is None else (ring.ring_id, ring.members)
        return ObservedScan(number, item, place, row.copy(), ((SCANS, event),), member, told)

    def judge(self, observed: list[ObservedScan]) -> list[tuple[ObservedScan, Entry, Answered]]:
        """Ask the models about all that were observed, each once for its share."""
        pair: Pair = self._models.pair
        both = [one for one in pair if one is not None]
        answering = [pair.answering(one.item.identity.hex(), self._canary) for one in observed]
        shadows: list[dict[str, float]] = [{} for _ in observed]
        verdicts: dict[int, tuple[Loaded, Decided, Asked]] = {}
        for loaded in both:
            rows = [row for row, one in enumerate(answering) if one is loaded]
            if rows:
                features, asked = _features(observed, rows), _asked(loaded, [observed[row] for row in rows])
                decided = answer_bytes(loaded.scorer, features, asked)
                for row, verdict, told in zip(rows, decided, asked, strict=True):
                    verdicts[row] = loaded, verdict, told
                if loaded.drift is not None:
                    loaded.drift.add(features, np.array([one.probability for one in decided]))
            others = [row for row, one in enumerate(answering) if one is not loaded]
            if others:
                chances = loaded.scorer.probability(_features(observed, others)).tolist()
                for row, chance in zip(others, chances, strict=True):
                    shadows[row][loaded.version] = chance
        if self._watch is not None and pair.challenger is not None and observed:
            in_order = [verdicts[row] for row in range(len(observed))]
            sums = compared(pair.champion, pair.challenger, in_order, shadows)
            self._watch.observe_shadow(self._models.task, pair.challenger.version, sums)
        return [(one, *self._recorded(one, *verdicts[row], shadows[row])) for row, one in enumerate(observed)]

    def _recorded(
        self, one: ObservedScan, which: Loaded, decided: Decided, asked: Asked, shadow: dict[str, float]
    ) -> tuple[Entry, Answered]:
        item, place = one.item, one.place
        record = Record(
            decision_id=asked.decision_id,
            task=which.scorer.manifest.task,
            version=which.version,
            request=msgspec.to_builtins(item.scan),
            features=one.row.tobytes(),
            answer=decided.answer,
            stake=asked.stake,
            group=asked.group,
            lot=decided.lot,
            shadow=shadow,
            ring=asked.ring,
        )
        entry = Entry(
            place.sequence,
            place.seen_at,
            SCANS,
            item.identity,
            item.digest,
            one.events,
            one.member,
            encode_record(record),
        )
        if self._watch is not None:
            seconds = time.perf_counter() - item.began
            self._watch.observe_decision(record.task, record.version, decided.action, seconds, "none")
        return entry, Answered(200, decided.answer)


def _asked(loaded: Loaded, observed: list[ObservedScan]) -> list[Asked]:
    manifest, scans = loaded.scorer.manifest, [one.item.scan for one in observed]
    ids = [one.item.identity.hex() for one in observed]
    cap, stake, lottery = manifest.payoff.cap, manifest.payoff.stake, loaded.lottery
    column = lottery.holdout.group if lottery else ""
    drawn = draw(lottery, ids, [getattr(scan, column) if column else None for scan in scans])
    return [
        Asked(
            decision_id,
            scan.scan_id,
            float(getattr(scan, stake)) if stake else None,
            getattr(scan, cap.group) if cap and cap.group else None,
            lot,
            one.ring,
        )
        for decision_id, scan, lot, one in zip(ids, scans, drawn, observed, strict=True)
    ]


def _features(observed: list[ObservedScan], rows: list[int]) -> NDArray[np.float32]:
    return np.stack([observed[row].row for row in rows])
