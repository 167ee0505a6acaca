"""The state of a live scorer on disk: flat arrays under a checksum, written aside and renamed, read whole or refused.

A restart reads the latest snapshot and then the events after its sequence number. A file is a magic line, the length of
the head, the head in JSON (what it is of, and where each array lies), the arrays, and the sha256 of all of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.errors import DataError
from features.online import LiveState
from features.repeats import IDENTITIES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from features.spec import FeatureSet

_MAGIC: Final = b"shepherd live state 2\n"
_LENGTH: Final = 8
_DIGEST: Final = 32
_ALIGNMENT: Final = 64


def snapshot(state: LiveState, path: Path) -> None:
    """Writes a state to a file, whole or not at all.

    Args:
        state: With the compiled evaluator.
        path: The file; what stands there before stays until the new one is complete.

    Raises:
        UsageError: When the state has the Python evaluator.
    """
    arrays = state.arrays()
    places, start = {}, 0
    for name, array in arrays.items():
        places[name] = {"dtype": array.dtype.str, "shape": list(array.shape), "start": start}
        start += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    head = {
        "fingerprint": state.feature_set.fingerprint(),
        "clock": state.clock,
        "sequence": state.sequence,
        "kinds": state.kinds,
        "arrays": places,
    }
    text = json.dumps(head).encode()
    text += b" " * (-(len(_MAGIC) + _LENGTH + len(text)) % _ALIGNMENT)
    checksum = hashlib.sha256()
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with aside.open("wb") as file:
            for piece in (_MAGIC, len(text).to_bytes(_LENGTH, "little"), text, *_padded(arrays)):
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
    again = "rebuild the state from the event log, or take an older snapshot"
    if not path.is_file():
        raise DataError(f"snapshot {path}: found no file; {again}")
    content = np.fromfile(path, np.uint8)
    begin = len(_MAGIC) + _LENGTH
    if len(content) < begin + _DIGEST or content[: len(_MAGIC)].tobytes() != _MAGIC:
        raise DataError(
            f"snapshot {path}: is no snapshot of this format, expected {_MAGIC.decode().strip()!r}; {again}"
        )
    body, digest = content[:-_DIGEST], content[-_DIGEST:].tobytes()
    found = hashlib.sha256(_bytes(body)).digest()
    if found != digest:
        raise DataError(
            f"snapshot {path}: its bytes have sha256 {found.hex()[:16]}…, expected {digest.hex()[:16]}…, "
            f"so it is damaged or cut short; {again}"
        )
    end = begin + int.from_bytes(content[len(_MAGIC) : begin].tobytes(), "little")
    head = json.loads(content[begin:end].tobytes())
    mark = feature_set.fingerprint()
    if head["fingerprint"] != mark:
        raise DataError(
            f"snapshot {path}: was written for features {head['fingerprint'][:16]}…, expected {mark[:16]}…; {again}"
        )
    state = LiveState(feature_set, identities=identities)
    arrays = {name: _array(body[end:], **place) for name, place in head["arrays"].items()}
    state.restore(arrays, head["clock"], head["sequence"], head["kinds"])
    return state


def _padded(arrays: Mapping[str, NDArray[Any]]) -> list[memoryview | bytes]:
    pieces: list[memoryview | bytes] = []
    for array in arrays.values():
        pieces += [_bytes(array), b"\0" * (-array.nbytes % _ALIGNMENT)]
    return pieces


def _bytes(array: NDArray[Any]) -> memoryview:
    return memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8))  # type: ignore[arg-type] # an array is a buffer


def _array(content: NDArray[np.uint8], dtype: str, shape: list[int], start: int) -> NDArray[Any]:
    kind = np.dtype(dtype)
    return content[start : start + math.prod(shape) * kind.itemsize].view(kind).reshape(shape)
