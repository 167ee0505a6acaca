"""The state of a live scorer on disk: flat arrays under a checksum, written aside and renamed, read whole or refused.

A restart reads the latest snapshot and then the events after its sequence number. A file is a magic line, the length of
the head, the head in JSON (what it is of, and the arrays in their order), the sha256 of all that, the arrays, and the
sha256 of them. The head is believed before the arrays are read, so that they are read to where they stay.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.errors import DataError
from features.online import LiveState
from features.repeats import IDENTITIES
from features.reservation import reserved

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import BufferedReader
    from pathlib import Path

    from numpy.typing import NDArray

    from features.spec import FeatureSet

_MAGIC: Final = b"shepherd live state 4\n"
_LENGTH: Final = 8
_DIGEST: Final = 32
_ALIGNMENT: Final = 64
_ARENA: Final = "arena"
_PIECE: Final = 1 << 24
_AGAIN: Final = "rebuild the state from the event log, or take an older snapshot"


def snapshot(state: LiveState, path: Path) -> None:
    """Writes a state to a file, whole or not at all.

    Args:
        state: With the compiled evaluator.
        path: The file; what stands there before stays until the new one is complete.

    Raises:
        UsageError: When the state has the Python evaluator.
    """
    arrays = state.arrays()
    head = {
        "fingerprint": state.feature_set.fingerprint(),
        "clock": state.clock,
        "sequence": state.sequence,
        "kinds": state.kinds,
        "arrays": {name: {"dtype": array.dtype.str, "shape": list(array.shape)} for name, array in arrays.items()},
    }
    text = json.dumps(head).encode()
    text += b" " * (-(len(_MAGIC) + _LENGTH + len(text) + _DIGEST) % _ALIGNMENT)
    begin = _MAGIC + len(text).to_bytes(_LENGTH, "little") + text
    checksum = hashlib.sha256()
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with aside.open("wb") as file:
            file.write(begin + hashlib.sha256(begin).digest())
            for piece in _padded(arrays):
                checksum.update(piece)
                file.write(piece)
            file.write(checksum.digest())
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def restore(path: Path, feature_set: FeatureSet, identities: Mapping[str, tuple[str, ...]] = IDENTITIES) -> LiveState:
    """The state that a snapshot holds; feed it the events after its `sequence`, and it is as if it had never stopped.

    Args:
        path: The file.
        feature_set: The features that it was written for.
        identities: As for `LiveState`.

    Raises:
        DataError: When there is no such file, a byte of it has changed, or it was written for other features.
    """
    if not path.is_file():
        raise DataError(f"snapshot {path}: found no file; {_AGAIN}")
    with path.open("rb") as file:
        head = _head(path, file)
        mark = feature_set.fingerprint()
        if head["fingerprint"] != mark:
            found = head["fingerprint"][:16]
            raise DataError(f"snapshot {path}: was written for features {found}…, expected {mark[:16]}…; {_AGAIN}")
        arrays = _arrays(path, file, head["arrays"])
    state = LiveState(feature_set, identities=identities)
    state.restore(arrays, head["clock"], head["sequence"], head["kinds"])
    return state


def _head(path: Path, file: BufferedReader) -> dict[str, Any]:
    """What a file says of itself; the file is left where the arrays begin."""
    size = path.stat().st_size
    begin = file.read(len(_MAGIC) + _LENGTH)
    if len(begin) < len(_MAGIC) + _LENGTH or begin[: len(_MAGIC)] != _MAGIC:
        raise DataError(
            f"snapshot {path}: is no snapshot of this format, expected {_MAGIC.decode().strip()!r}; {_AGAIN}"
        )
    length = int.from_bytes(begin[len(_MAGIC) :], "little")
    text = file.read(min(length, size))
    _agree(path, "head", hashlib.sha256(begin + text).digest(), file.read(_DIGEST))
    head: dict[str, Any] = json.loads(text)
    return head


def _arrays(path: Path, file: BufferedReader, forms: Mapping[str, Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
    """Reads the arrays to where they stay, the arena to where it can grow; a second thread sums up what was read."""
    checksum = hashlib.sha256()
    arrays = {}
    with ThreadPoolExecutor(1) as summing:
        for name, form in forms.items():
            kind, size = np.dtype(form["dtype"]), math.prod(form["shape"])
            array = reserved(size) if name == _ARENA else np.empty(size, kind)
            content = _bytes(array[:size])
            padding = memoryview(bytearray(-len(content) % _ALIGNMENT))
            for piece in (*(content[start : start + _PIECE] for start in range(0, len(content), _PIECE)), padding):
                file.readinto(piece)
                summing.submit(checksum.update, piece)
            arrays[name] = array if name == _ARENA else array.reshape(form["shape"])
    _agree(path, "arrays", checksum.digest(), file.read(_DIGEST + 1))
    return arrays


def _agree(path: Path, what: str, found: bytes, expected: bytes) -> None:
    if found != expected:
        raise DataError(
            f"snapshot {path}: its {what} have sha256 {found.hex()[:16]}…, expected {expected.hex()[:16]}…, "
            f"so it is damaged or cut short; {_AGAIN}"
        )


def _padded(arrays: Mapping[str, NDArray[Any]]) -> list[memoryview | bytes]:
    pieces: list[memoryview | bytes] = []
    for array in arrays.values():
        pieces += [_bytes(array), b"\0" * (-array.nbytes % _ALIGNMENT)]
    return pieces


def _bytes(array: NDArray[Any]) -> memoryview:
    return memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8))  # type: ignore[arg-type] # an array is a buffer
