"""Ids as a brand's systems would issue them: text of one length that tells nothing of order, kind or maker."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LENGTH: Final = 10
_BITS: Final = 5 * _LENGTH
_MASK: Final = np.uint64((1 << _BITS) - 1)
_ROUNDS: Final = 3
_ALPHABET: Final = np.frombuffer(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", np.uint8)
_PAIRS: Final = np.stack([np.repeat(_ALPHABET, 32), np.tile(_ALPHABET, 32)], axis=1).view(np.uint16).reshape(-1)


def identifiers(seed: int, kind: str, numbers: NDArray[np.int64]) -> pa.Array[Any]:
    """Ten letters and digits for each number, different for different numbers of a kind; null below zero.

    Numbers lie below 2**50. Letters that are easily misread are left out (Crockford's base 32).

    >>> identifiers(1, "member", np.array([0, 1, -1])).to_pylist()
    ['TGFS117GND', '76YTRHECR4', None]
    """
    numbers = np.asarray(numbers, np.int64)
    mixed = _mixed(seed, kind, numbers)
    letters = np.empty((len(numbers), _LENGTH // 2), np.uint16)
    for place in range(_LENGTH // 2):
        shift = np.uint64(_BITS - 10 * (place + 1))
        letters[:, place] = _PAIRS[((mixed >> shift) & np.uint64(1023)).astype(np.intp)]
    known = numbers >= 0
    ends = np.arange(0, _LENGTH * len(numbers) + 1, _LENGTH, dtype=np.int32)
    nulls = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little").tobytes())
    buffers = [nulls, pa.py_buffer(ends.data), pa.py_buffer(letters.data)]
    return pa.Array.from_buffers(pa.string(), len(numbers), buffers)


def _mixed(seed: int, kind: str, numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A permutation of the numbers below 2**50: odd multipliers and folded high bits."""
    keys = np.frombuffer(hashlib.blake2b(f"{seed} {kind}".encode(), digest_size=16 * _ROUNDS).digest(), np.uint64)
    mixed = numbers.astype(np.uint64) & _MASK
    for turn in range(_ROUNDS):
        mixed = (mixed * (keys[2 * turn] | np.uint64(1)) + keys[2 * turn + 1]) & _MASK
        mixed ^= mixed >> np.uint64(_BITS // 2)
    return mixed
