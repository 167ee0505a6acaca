"""What a scorer keeps beside its ledger: its name, and what it knew at a place of the stream.

A snapshot is a folder of its own, named by the features, the sequence and the instant that it holds; another scorer of
the same deployment may take a copy of it as its own beginning.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
from typing import TYPE_CHECKING, Final

import msgspec

from data.errors import DataError
from features.online import LiveState
from features.snapshot import restore, snapshot
from serving.ledger.entry import Place

if TYPE_CHECKING:
    from pathlib import Path

    from features.spec import FeatureSet
    from serving.live.intake import Intake

FOLDER: Final = "stream"
KEPT: Final = 2
"""So many snapshots of the same features stay."""

_NAME: Final = re.compile(r"([0-9a-f]{16})-([0-9]+)-([0-9]+)")
_STATE, _JOINED, _SCORER = "state", "joined", "scorer"
_COLUMNS: Final = ("member_id", "registered_at", "referrer_id", "phone_prefix", "city")
_Rows = list[tuple[int, int | None, int | None, int | None, str | None]]
_logger = logging.getLogger("serving")


def scorer_name(ledger: Path) -> bytes:
    """The name of the scorer that has this ledger; drawn at its first start."""
    path = ledger / _SCORER
    if not path.is_file():
        aside = path.with_name(f".{_SCORER}.{os.getpid()}")
        aside.write_text(secrets.token_hex(8), encoding="ascii")
        aside.replace(path)
    return path.read_bytes().strip()


def write(state: LiveState, intake: Intake, place: Place, ledger: Path) -> Path:
    """Write down what is known as of a place, whole or not at all, to stay; older snapshots make way."""
    folder = ledger / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / f"{_mark(state.feature_set)}-{place.sequence}-{place.seen_at}"
    aside = folder / f".{os.getpid()}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o700)
    try:
        snapshot(state, aside / _STATE)
        rows: _Rows = [(alias, *one) for alias, one in intake.joined_rows()]
        with (aside / _JOINED).open("wb") as file:
            file.write(msgspec.msgpack.encode(rows))
            file.flush()
            os.fsync(file.fileno())
        if not target.exists():
            aside.rename(target)
            _settle(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    for _, older in _found(folder, state.feature_set)[KEPT:]:
        shutil.rmtree(older, ignore_errors=True)
    return target


def durable(feature_set: FeatureSet, ledger: Path) -> Place:
    """The oldest place from which this scorer can go on: of its snapshots, any but one may turn out to be damaged."""
    return min((place for place, _ in _found(ledger / FOLDER, feature_set)), default=Place(0, 0))


def latest(feature_set: FeatureSet, intake: Intake, ledger: Path) -> tuple[LiveState, Place]:
    """The state of the latest snapshot that is whole, and its place; an empty one where there is none."""
    for place, folder in _found(ledger / FOLDER, feature_set):
        try:
            rows = msgspec.msgpack.decode((folder / _JOINED).read_bytes(), type=_Rows)
            state = restore(folder / _STATE, feature_set)
        except (DataError, OSError, msgspec.DecodeError) as error:
            _logger.warning("%s: %s; taking an older one, or the whole stream", folder, error)
            continue
        for row in rows:
            intake.join(dict(zip(_COLUMNS, row, strict=True)))
        return state, place
    return LiveState(feature_set), Place(0, 0)


def _found(folder: Path, feature_set: FeatureSet) -> list[tuple[Place, Path]]:
    named = [(path, _NAME.fullmatch(path.name)) for path in folder.glob("*")]
    mine = [(Place(int(name[2]), int(name[3])), path) for path, name in named if name and name[1] == _mark(feature_set)]
    return sorted(mine, reverse=True)


def _settle(folder: Path) -> None:
    """Waits until the disk has the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mark(feature_set: FeatureSet) -> str:
    return feature_set.fingerprint()[:16]
