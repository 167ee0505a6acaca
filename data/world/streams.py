"""One source of chance for each part of the world, so that what one part draws never shifts what another does."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, part: str, *places: int) -> np.random.Generator:
    """The generator of one part of the world, such as the orders of block 7: the same for the same arguments.

    Args:
        seed: The seed of the world.
        part: What is drawn, in a name used nowhere else.
        *places: Which of its kind: a block of members, a day, a campaign.

    >>> stream(1, "homes", 0).integers(100) == stream(1, "homes", 0).integers(100)
    np.True_
    """
    named = int.from_bytes(hashlib.blake2b(part.encode(), digest_size=8).digest(), "little")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, named, *places])))
