"""The state back after a restart: the latest snapshot that fits, and the log after it, in bulk.

A snapshot is named by the features it is of, the place in the log that it holds, and the chain's hash there, so that
one of another log, or of a log that was changed since, is not taken for ours.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from data.errors import DataError
from features.online import LiveState, columns_by_log
from features.repeats import IDENTITIES
from features.snapshot import restore, snapshot
from serving.ledger.blocks import NULL, SEEN_AT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from features.spec import FeatureSet
    from serving.ledger.blocks import Columns
    from serving.ledger.ledger import Ledger

SNAPSHOTS: Final = "snapshots"
"""The folder of the snapshots, in the ledger's."""
KEPT: Final = 2
"""So many snapshots of the same features stay."""
LONG_REPLAY: Final = 200_000
"""After so many events a new snapshot is worth its time."""

_AT_ONCE: Final = 250_000
_NAME: Final = re.compile(r"(?P<fingerprint>[0-9a-f]{16})-(?P<sequence>[0-9]+)-(?P<chain>[0-9a-f]{16})\.state")
_NULL_BYTES: Final = NULL.to_bytes(8, "little", signed=True)
_logger = logging.getLogger("serving")


def recover(ledger: Ledger, feature_set: FeatureSet, folder: Path, long_replay: int = LONG_REPLAY) -> LiveState:
    """The state as of the last entry of a log.

    Args:
        ledger: The log.
        feature_set: What the state answers.
        folder: Of the snapshots; need not be there.
        long_replay: After so many events a snapshot is written, so that the next start is short.

    Raises:
        DataError: The log was altered, or was cut short since a snapshot was taken.
    """
    state, after = _latest(ledger, feature_set, folder)
    before = state.sequence
    last = _replay(ledger, state, after)
    if state.sequence - before >= long_replay:
        keep(ledger, state, folder, last)
    return state


def refresh(ledger: Ledger, feature_set: FeatureSet, folder: Path) -> int:
    """Writes a snapshot of the log as it is by now, for a service that writes to it meanwhile and may be killed.

    Returns:
        How many events the latest snapshot did not hold; where there were none, nothing is written.

    Raises:
        DataError: As `recover` does.
    """
    state, after = _latest(ledger, feature_set, folder)
    before = state.sequence
    last = _replay(ledger, state, after)
    if last != after:
        keep(ledger, state, folder, last)
    return state.sequence - before


def keep(ledger: Ledger, state: LiveState, folder: Path, sequence: int | None = None) -> Path:
    """Writes a snapshot of a state that holds every entry of the log, and no other; older ones make way.

    Args:
        ledger: The log; nothing may wait for its commit.
        state: The state, which nobody uses meanwhile.
        folder: Of the snapshots; made where it is not there.
        sequence: The last entry that it holds, where that is not the log's last.
    """
    sequence = ledger.last.sequence if sequence is None else sequence
    found = ledger.at(sequence)
    chain = "0" * 16 if found is None else found[1].hex()[:16]
    path = folder / f"{_mark(state.feature_set)}-{sequence}-{chain}.state"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    snapshot(state, path)
    path.chmod(0o600)
    for place, older, _ in _snapshots(folder, state.feature_set)[KEPT:]:
        if place:  # what came before the log can be had from nowhere else
            older.unlink(missing_ok=True)
    return path


def _replay(ledger: Ledger, state: LiveState, after: int) -> int:
    """Lets a state take in the log after a place; answers the last place."""
    for sequence, tables in _tables(ledger, after, needed(state)):
        state.replay(tables)
        after = sequence
    return after


def _latest(ledger: Ledger, feature_set: FeatureSet, folder: Path) -> tuple[LiveState, int]:
    """The state of the latest snapshot that is whole, and its place; an empty state where there is none."""
    for sequence, path, chain in _snapshots(folder, feature_set):
        found = ledger.at(sequence)
        if sequence and (found is None or found[1].hex()[:16] != chain):
            raise DataError(
                f"snapshot {path}: found entry {sequence} with a hash that begins with {chain}, expected it in the "
                f"ledger {ledger.folder}, which ends with entry {ledger.last.sequence}: entries that were "
                "acknowledged are gone or changed. Bring the ledger back, or take the snapshots away to go on without."
            )
        try:
            return restore(path, feature_set), sequence
        except DataError as error:
            _logger.warning("%s; taking an older one, or the whole log", error)
    if ledger.history is not None:
        raise DataError(
            f"snapshots {folder}: found none of these features that is whole, expected one, since the state had seen "
            "events before the log began. Serve a model of the features that it began with, bring the snapshots back, "
            "or begin a new ledger (SHEPHERD_LEDGER) with `shepherd history`."
        )
    return LiveState(feature_set), 0


def _snapshots(folder: Path, feature_set: FeatureSet) -> list[tuple[int, Path, str]]:
    """Place, file and hash of the snapshots of some features, the latest first."""
    named = [(path, _NAME.fullmatch(path.name)) for path in folder.glob("*.state")]
    fits = [
        (int(name["sequence"]), path, name["chain"])
        for path, name in named
        if name and name["fingerprint"] == _mark(feature_set)
    ]
    return sorted(fits, reverse=True)


def _mark(feature_set: FeatureSet) -> str:
    return feature_set.fingerprint()[:16]


def needed(state: LiveState) -> dict[str, tuple[str, ...]]:
    """For each log that the state reads the columns that it needs."""
    return {
        log: tuple(dict.fromkeys((*columns, *IDENTITIES.get(log, ()))))
        for log, columns in columns_by_log(state.plan).items()
    }


def _tables(
    ledger: Ledger, after: int, needed: dict[str, tuple[str, ...]]
) -> Iterator[tuple[int, dict[str, pa.Table]]]:
    """The events after a place as tables by log, some hundred thousand at once, and the last place of each."""
    last = after
    gathered = {log: _Gathered(log, columns) for log, columns in needed.items()}
    for batch in ledger.entries(after):
        last = batch.last.sequence
        for log, columns in batch.events.items():
            if log in gathered:
                gathered[log].add(columns)
        if sum(one.rows for one in gathered.values()) >= _AT_ONCE:
            yield last, {log: one.table() for log, one in gathered.items() if one.rows}
            gathered = {log: _Gathered(log, columns) for log, columns in needed.items()}
    yield last, {log: one.table() for log, one in gathered.items() if one.rows}


@dataclass
class _Gathered:
    """The events of one log, column by column."""

    log: str
    names: tuple[str, ...]
    rows: int = 0
    _counts: list[int] = field(default_factory=list)
    _instants: list[bytes] = field(default_factory=list)
    _parts: list[Columns] = field(default_factory=list)

    def add(self, columns: Columns) -> None:
        count = len(columns.seen_at) // 8
        self.rows += count
        self._counts.append(count)
        self._instants.append(columns.seen_at)
        self._parts.append(columns)

    def table(self) -> pa.Table:
        instants = np.frombuffer(b"".join(self._instants), np.int64)
        arrays: dict[str, Any] = {SEEN_AT: pa.array(instants).cast(pa.timestamp("us", "UTC"))}
        return pa.table(arrays | {name: self._column(name) for name in self.names})

    def _column(self, name: str) -> pa.Array[Any]:
        whole = [part.numbers.get(name) for part in self._parts]
        others = [part.others.get(name) for part in self._parts]
        if all(one is None for one in others):
            # Without any value nobody knows whether it is of numbers or of text, and the state may expect either.
            return pa.nulls(self.rows) if all(one is None for one in whole) else self._numbers(whole)
        if any(one is not None for one in whole):
            raise DataError(
                f"the log {self.log}, column {name}: found whole numbers and text, expected one of them; the ledger "
                "was written by services that mean different things by it"
            )
        return self._texts(name, others)

    def _numbers(self, parts: Sequence[bytes | None]) -> pa.Array[Any]:
        filled = (
            _NULL_BYTES * count if part is None else part for part, count in zip(parts, self._counts, strict=True)
        )
        values = np.frombuffer(b"".join(filled), np.int64)
        return pa.array(values, mask=values == NULL)

    def _texts(self, name: str, parts: Sequence[list[Any] | None]) -> pa.Array[Any]:
        values: list[Any] = []
        for part, count in zip(parts, self._counts, strict=True):
            values.extend([None] * count if part is None else part)
        try:
            return pa.array(values, pa.large_string())
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(f"the log {self.log}, column {name}: {error}; expected text or null") from error
