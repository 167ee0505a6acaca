"""Decisions worked out again, from what the log kept of them and the bundle that decided, and compared to the bit."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec
import numpy as np

from data.errors import DataError
from serving.bundle import read
from serving.ledger.record import decode_record
from serving.live.answer import answer_bytes, asked_again
from serving.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from serving.ledger.ledger import Ledger
    from serving.ledger.record import Record

Verdict = Literal["equal", "differs", "forgotten", "bundle missing", "unknown", "not of a scan"]
SCANS: Final = "scans"

_AT_ONCE: Final = 64
_logger = logging.getLogger("serving")


class Replayed(NamedTuple):
    """What came of working one decision out again.

    Attributes:
        decision_id: What the decision is called.
        verdict: `equal`: the very bytes of the answer came out again. `differs`: others did. `forgotten`: its member's
            key is gone. `bundle missing`: the version that decided is not there, or not as it was. `unknown`: the log
            has no such decision. `not of a scan`: an event, or a decision that did not come from features alone.
        detail: What differs or is missing.
    """

    decision_id: str
    verdict: Verdict
    detail: str = ""


@dataclass
class _Models:
    """The models of the bundles, each read once; None for one that is not there."""

    bundles: Path
    _scorers: dict[tuple[str, str], Scorer | str] = field(default_factory=dict)

    def of(self, task: str, version: str) -> Scorer | str:
        """The model, or why there is none."""
        key = task, version
        if key not in self._scorers:
            try:
                self._scorers[key] = Scorer(read(self.bundles / task / version))
            except DataError as error:
                self._scorers[key] = str(error)
        return self._scorers[key]


def replay(ledger: Ledger, bundles: Path, ids: Iterable[str] | None = None) -> Iterator[Replayed]:
    """Works decisions out again through the function that answered them.

    Args:
        ledger: The log.
        bundles: Folder of all bundles.
        ids: What the decisions are called; every decision on a scan where none are given.

    Yields:
        One a decision, in order.

    Raises:
        DataError: A record was altered.
    """
    models = _Models(bundles)
    waiting: list[tuple[str, Record | Verdict]] = []
    for decision_id, found in _found(ledger, ids):
        waiting.append((decision_id, found))
        if len(waiting) == _AT_ONCE:
            yield from _worked_out(models, waiting)
            waiting = []
    yield from _worked_out(models, waiting)


def _found(ledger: Ledger, ids: Iterable[str] | None) -> Iterator[tuple[str, Record | Verdict]]:
    identities = ((one.hex(), one) for one in ledger.identities(SCANS)) if ids is None else map(_identity, ids)
    for decision_id, identity in identities:
        found = None if identity is None else ledger.find(identity)
        if found is None:
            yield decision_id, "unknown"
        elif found.forgotten:
            yield decision_id, "forgotten"
        else:
            record = None if found.record is None else _decoded(decision_id, found.record)
            if record is not None and record.features and "scan_id" in record.request:
                yield decision_id, record
            elif ids is not None:  # a scan that came in as an event was not decided about
                yield decision_id, "not of a scan"


def _identity(decision_id: str) -> tuple[str, bytes | None]:
    try:
        return decision_id, bytes.fromhex(decision_id)
    except ValueError:
        return decision_id, None


def _decoded(decision_id: str, content: bytes) -> Record:
    try:
        return decode_record(content)
    except msgspec.DecodeError as error:
        raise DataError(f"decision {decision_id}: its record is not of this release: {error}") from error


def _worked_out(models: _Models, asked: list[tuple[str, Record | Verdict]]) -> Iterator[Replayed]:
    """The verdicts in order; the decisions of one version in one run of its model."""
    verdicts: dict[int, Replayed] = {}
    groups: dict[tuple[str, str], list[tuple[int, Record]]] = {}
    for number, (decision_id, found) in enumerate(asked):
        if isinstance(found, str):
            verdicts[number] = Replayed(decision_id, found)
        else:
            groups.setdefault((found.task, found.version), []).append((number, found))
    for (task, version), records in groups.items():
        scorer = models.of(task, version)
        if isinstance(scorer, str):
            verdicts |= {number: Replayed(one.decision_id, "bundle missing", scorer) for number, one in records}
        else:
            verdicts |= _compared(models, scorer, records)
    yield from (verdicts[number] for number in range(len(asked)))


def _compared(models: _Models, scorer: Scorer, records: list[tuple[int, Record]]) -> dict[int, Replayed]:
    width = len(scorer.manifest.features)
    verdicts, fits = {}, []
    for number, record in records:
        if len(record.features) == 4 * width:
            fits.append((number, record))
        else:
            found = f"{len(record.features)} bytes of features, expected {4 * width}"
            verdicts[number] = Replayed(record.decision_id, "differs", found)
    if fits:
        features = np.frombuffer(b"".join(record.features for _, record in fits), "<f4").reshape(-1, width)
        answers = answer_bytes(scorer, features, [asked_again(record) for _, record in fits])
        for row, ((number, record), again) in enumerate(zip(fits, answers, strict=True)):
            detail = _difference(record.answer, again.answer) or _shadows(models, record, features[row : row + 1])
            verdicts[number] = Replayed(record.decision_id, "differs" if detail else "equal", detail)
    return verdicts


def _difference(kept: bytes, again: bytes) -> str:
    """Which parts of two answers differ; empty where their bytes are equal."""
    if kept == again:
        return ""
    one, other = msgspec.json.decode(kept), msgspec.json.decode(again)
    if not isinstance(one, dict) or not isinstance(other, dict):
        return "the answers are no objects"
    parts = [name for name in one | other if one.get(name, ...) != other.get(name, ...)]
    return f"the answers differ in {', '.join(parts) or 'the order or form of their bytes'}"


def _shadows(models: _Models, record: Record, features: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> str:
    """Which other versions would say something else now; those that are not there any more are passed over."""
    wrong = []
    for version, chance in record.shadow.items():
        scorer = models.of(record.task, version)
        if isinstance(scorer, str):
            _logger.info("the shadow %s/%s is not there any more", record.task, version)
        elif float(scorer.probability(features)[0]) != chance:
            wrong.append(version)
    return f"the shadow of {', '.join(wrong)} differs" if wrong else ""
