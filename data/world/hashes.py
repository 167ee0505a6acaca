"""Chance that hangs on a thing rather than on a moment: the same code, line or phone always draws the same number.

`data.world.streams` gives a part of the world its own generator; this gives each of millions of things its own draw,
so that two parts of the world that meet the same thing agree on it without asking each other.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_UNIT: Final = 2.0**-53


def hashed(seed: int, part: str, *numbers: NDArray[Any] | int) -> NDArray[np.uint64]:
    """64 well mixed bits for each thing, named by one or more whole numbers that broadcast against each other.

    Args:
        seed: The seed of the world.
        part: What is drawn, in a name used nowhere else.
        *numbers: Which of its kind; negative ones are allowed.

    >>> hashed(1, "prize", np.array([7, 8]), 3).tolist() == hashed(1, "prize", np.array([7, 8]), 3).tolist()
    True
    """
    named = hashlib.blake2b(f"{seed} {part}".encode(), digest_size=8).digest()
    mixed = np.frombuffer(named, np.uint64)
    for number in numbers:
        whole = np.atleast_1d(np.asarray(number, np.int64)).view(np.uint64)
        mixed = _mixed(mixed ^ _mixed(whole + _STEP))
    return mixed


def uniform(seed: int, part: str, *numbers: NDArray[Any] | int) -> NDArray[np.float64]:
    """A number of [0, 1) for each thing, as `hashed` names them."""
    fractions: NDArray[np.float64] = (hashed(seed, part, *numbers) >> np.uint64(11)).astype(np.float64) * _UNIT
    return fractions


def below(seed: int, part: str, bound: NDArray[Any] | int, *numbers: NDArray[Any] | int) -> NDArray[np.int64]:
    """A whole number of [0, bound) for each thing; the bound may differ from thing to thing and is at least 1."""
    drawn: NDArray[np.int64] = (uniform(seed, part, *numbers) * np.asarray(bound)).astype(np.int64)
    return drawn


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One round of the finisher of SplitMix64 (Steele, Lea and Flood 2014), after its additive step."""
    mixed: NDArray[np.uint64] = state + _STEP
    mixed ^= mixed >> np.uint64(30)
    mixed *= _FIRST
    mixed ^= mixed >> np.uint64(27)
    mixed *= _SECOND
    mixed ^= mixed >> np.uint64(31)
    return mixed
