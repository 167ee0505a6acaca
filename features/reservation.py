"""Room to grow in place: address space set aside at once, of which only what is written to becomes memory."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from features.kernel import Int64

_WORD: Final = 8


def reserved(words: int) -> Int64:
    """Zeros, at least so many, and room for as many as the machine has memory for.

    A system that promises no more than it has (strict overcommit, a limit on address space) gives less: it is asked for
    half as much again and again, down to the words that have to be there.

    Raises:
        MemoryError: When there is no room for these either.
    """
    wanted = max(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _WORD, words)
    while wanted > words:
        try:
            return _mapped(wanted)
        except OSError:
            wanted = max(wanted // 2, words)
    return np.zeros(words, np.int64)


def _mapped(words: int) -> Int64:
    space = mmap.mmap(-1, words * _WORD, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        # Scattered reads of gigabytes would miss the processor's table of pages each time.
        space.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(space, np.int64)
