"""The decisions on scans of one week as they were made, out of the log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from data.errors import DataError
from training.bundles import read
from training.monitoring.drifted import Bins
from training.monitoring.week import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from serving.ledger.record import Record
    from training.bundles import Bundle
    from training.monitoring.journal import Line
    from training.monitoring.week import Week


class _Answer(msgspec.Struct):
    """What is asked of an answer that was given."""

    action: str
    probability: float | None = None


_decode: Final = msgspec.json.Decoder(_Answer).decode


@dataclass(frozen=True)
class Served:
    """Decisions on scans, all arrays of shape (rows,) in the order of the log.

    Attributes:
        decision_id: What each is called.
        scan_id: The scan it is about.
        seen_at: When it came in, microseconds since 1970 UTC.
        happened_at: When it was scanned by the sender's clock, likewise.
        version: Who answered.
        probability: What was said.
        meant: The action that was chosen before the lot, by name.
        taken: The action that was answered, by name.
        allowed: Whether the lot let it through.
        share: With which chance the lot would; 0 where none was drawn.
        stake: What was at stake, in fen; NaN where nothing is.
        group: The group of the pay-off's cap; None where it has none.
        unit: Code of the ring, else of the member, phone or scan: what is independent.
        columns: What the scans themselves said, by column.
        beside: What other versions would have said, by version; NaN where they were not asked.
        forgotten: Decisions of members who were forgotten since; they are in no row.
        degraded: Decisions by the policy, by why; they are in no row either.
        not_judged: Scans that were sent as events, about which nothing was decided; in no row.
        moved: By version, how its features and scores fell into the bins of its bundle, shape (features + 1, bins).
    """

    decision_id: NDArray[np.object_]
    scan_id: NDArray[np.object_]
    seen_at: NDArray[np.int64]
    happened_at: NDArray[np.int64]
    version: NDArray[np.object_]
    probability: NDArray[np.float64]
    meant: NDArray[np.object_]
    taken: NDArray[np.object_]
    allowed: NDArray[np.bool_]
    share: NDArray[np.float64]
    stake: NDArray[np.float64]
    group: NDArray[np.object_]
    unit: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.object_]]
    beside: Mapping[str, NDArray[np.float64]]
    forgotten: int
    degraded: Mapping[str, int]
    not_judged: int
    moved: Mapping[str, NDArray[np.int64]]

    @property
    def versions(self) -> dict[str, int]:
        """How many decisions each version answered, most first; of equals the later name."""
        counted = Counter(self.version.tolist())
        return dict(sorted(counted.items(), key=lambda one: (one[1], one[0]), reverse=True))

    def score(self, version: str) -> NDArray[np.float64]:
        """What a version said or would have said of each; NaN where it was not asked."""
        nothing = np.full(len(self.probability), np.nan)
        return np.where(self.version == version, self.probability, self.beside.get(version, nothing))


def read_week(
    lines: Iterable[Line], week: Week, task: str, bundles: Mapping[str, Bundle], columns: Iterable[str]
) -> Served:
    """The decisions on scans of a task among some entries of the log.

    Args:
        lines: The log from the week's beginning on.
        week: Which decisions.
        task: Whose.
        bundles: The versions that are still there, into whose bins features are put.
        columns: What the scans said that is kept, as far as they said it.

    Raises:
        DataError: An answer is not of this release.
    """
    found = _Gathered(tuple(columns), {name: Bins.of(one) for name, one in bundles.items()})
    for line in lines:
        if line.log != "scans" or line.seen_at >= week.last:
            continue
        if line.forgotten:
            found.forgotten += 1
        elif line.record is not None and not line.record.answer:
            found.not_judged += 1  # sent as an event
        elif line.record is not None and line.record.task == task:
            found.add(line.seen_at, line.record)
    return found.served()


@dataclass
class _Gathered:
    """Decisions while the log is read."""

    columns: tuple[str, ...]
    bins: Mapping[str, Bins | None]
    records: list[tuple[int, Record, _Answer]] = field(default_factory=list)
    kept: dict[str, list[object]] = field(default_factory=dict)
    degraded: Counter[str] = field(default_factory=Counter)
    forgotten: int = 0
    not_judged: int = 0

    def add(self, seen_at: int, record: Record) -> None:
        try:
            answer = _decode(record.answer)
        except msgspec.DecodeError as error:
            raise DataError(f"decision {record.decision_id}: its answer is not of this release: {error}") from error
        if record.degraded != "none" or answer.probability is None:
            self.degraded[record.degraded] += 1
            return
        for version, score in {record.version: answer.probability, **record.shadow}.items():
            bins = self.bins.get(version)
            if bins is not None:
                bins.add(record.features, (score,))
        self._keep(seen_at, record, answer)

    def _keep(self, seen_at: int, record: Record, answer: _Answer) -> None:
        asked, lot = record.request, record.lot
        who = asked.get("member_id") or asked.get("device_id") or asked.get("scan_id")
        row: dict[str, object] = {
            "decision_id": record.decision_id,
            "scan_id": asked.get("scan_id"),
            "seen_at": seen_at,
            "happened_at": moment(asked["ts"]) if "ts" in asked else seen_at,
            "version": record.version,
            "probability": answer.probability,
            "meant": answer.action if lot is None else lot.meant,
            "taken": answer.action,
            "allowed": lot is not None and lot.allowed_at_random,
            "share": 0.0 if lot is None else lot.share,
            "stake": np.nan if record.stake is None else record.stake,
            "group": record.group,
            "unit": f"ring {record.ring[0]}" if record.ring else f"one {who}",
            "beside": record.shadow,
            **{f"column {name}": asked.get(name) for name in self.columns},
        }
        for name, value in row.items():
            self.kept.setdefault(name, []).append(value)

    def served(self) -> Served:
        kept = self.kept

        def told(name: str) -> NDArray[np.object_]:
            return np.array(kept.get(name, []), dtype=object)

        shadows: list[Mapping[str, float]] = kept.get("beside", [])  # type: ignore[assignment] # as `_keep` puts them
        others = sorted({version for one in shadows for version in one})
        return Served(
            decision_id=told("decision_id"),
            scan_id=told("scan_id"),
            seen_at=told("seen_at").astype(np.int64),
            happened_at=told("happened_at").astype(np.int64),
            version=told("version"),
            probability=told("probability").astype(np.float64),
            meant=told("meant"),
            taken=told("taken"),
            allowed=told("allowed").astype(np.bool_),
            share=told("share").astype(np.float64),
            stake=told("stake").astype(np.float64),
            group=told("group"),
            unit=np.unique(told("unit").astype(str), return_inverse=True)[1].astype(np.int64),
            columns={name: told(f"column {name}") for name in self.columns},
            beside={one: np.array([shadow.get(one, np.nan) for shadow in shadows]) for one in others},
            forgotten=self.forgotten,
            degraded=dict(self.degraded),
            not_judged=self.not_judged,
            moved={name: bins.settle() for name, bins in self.bins.items() if bins is not None},
        )


def bundles_of(root: Path, task: str) -> dict[str, Bundle]:
    """Every version of a task that is still there as it was written, by name."""
    found = {}
    for path in sorted((root / task).glob("*/manifest.json")):
        try:
            found[path.parent.name] = read(path.parent)
        except DataError:
            continue  # it cannot answer either; what it said in the log stands
    return found
