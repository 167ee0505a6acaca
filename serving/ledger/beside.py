"""What is done to a ledger's file beside SQLite: pages are read ahead after a start, and flushed before it has to.

An id is a hash, so that each that is looked up lies on another page of its index. After a start none of them is in
memory, and read one by one as they are asked for they hold answers up for minutes. What lies where is read off the
inner pages of the trees, as SQLite's file format has them (https://www.sqlite.org/fileformat2.html, 1.6).
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_TREES: Final = """
    SELECT rootpage FROM sqlite_schema WHERE rootpage > 1 AND
        (tbl_name = 'keys' OR tbl_name = 'entries' AND type = 'index')
"""
_INNER: Final = frozenset({0x02, 0x05})
_HEAD: Final = struct.Struct(">BHHHBI")
_MOST_BYTES: Final = 1 << 30
_PAGES_AT_ONCE: Final = 256
_DEEPEST: Final = 16


class Beside:
    """A file that is open beside SQLite, which ids are found in.

    Has the pages by which ids and members are found in memory before anybody asks, read in the order of the disk by a
    thread that ends by itself; the kernel keeps what it has room for.

    Args:
        path: The file.
        connection: To it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._page_bytes: int = connection.execute("PRAGMA page_size").fetchone()[0]
        self._roots = [root for (root,) in connection.execute(_TREES)]
        self._file = path.open("rb", buffering=0)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger read ahead", daemon=True)
        self._thread.start()

    def flush(self) -> None:
        """Waits until the disk has what was moved from the journal into the file; from any thread.

        Raises:
            OSError: The disk does not take it.
        """
        os.fdatasync(self._file.fileno())

    def close(self) -> None:
        """Lets go of the file, once no connection of this process to it is open any more.

        POSIX takes all locks of a process on a file away when it closes any descriptor of it, also SQLite's.
        """
        self._stopping.set()
        self._thread.join()
        self._file.close()

    def _run(self) -> None:
        descriptor, size = self._file.fileno(), self._page_bytes
        with contextlib.suppress(OSError):  # a disk that cannot be read: whoever needs the page meets it, and says so
            for root in self._roots:
                pages = leaves(descriptor, root, size)[: _MOST_BYTES // size]
                for start in range(0, len(pages), _PAGES_AT_ONCE):
                    if self._stopping.is_set():
                        return
                    _advise(descriptor, pages[start : start + _PAGES_AT_ONCE], size)


def leaves(descriptor: int, root: int, page_bytes: int) -> list[int]:
    """The numbers of the outermost pages of a tree, in the order in which they lie in the file.

    What the journal has newer is left out: a few pages more or less do not matter here.
    """
    last = os.fstat(descriptor).st_size // page_bytes
    level = [root]
    for _ in range(_DEEPEST):
        _advise(descriptor, level, page_bytes)
        below = sorted(
            {
                child
                for page in level
                for child in _children(os.pread(descriptor, page_bytes, (page - 1) * page_bytes))
                if 1 < child <= last
            }
        )
        if not below:
            break
        level = below
        if not _is_inner(os.pread(descriptor, 1, (level[0] - 1) * page_bytes)):  # a tree is as deep everywhere
            break
    return level


def _advise(descriptor: int, pages: Sequence[int], page_bytes: int) -> None:
    """Asks for pages, those that lie side by side at once."""
    for first, count in _runs(pages):
        os.posix_fadvise(descriptor, (first - 1) * page_bytes, count * page_bytes, os.POSIX_FADV_WILLNEED)


def _runs(pages: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First page and number of pages of each run of neighbours, of pages in order."""
    if not pages:
        return
    first = pages[0]
    for page, after in pairwise((*pages, 0)):
        if after != page + 1:
            yield first, page + 1 - first
            first = after


def _is_inner(page: bytes) -> bool:
    return bool(page) and page[0] in _INNER


def _children(page: bytes) -> list[int]:
    """The pages below an inner page; none below another."""
    if not _is_inner(page):
        return []
    _, _, cells, _, _, rightmost = _HEAD.unpack_from(page)
    places = struct.unpack_from(f">{min(cells, (len(page) - _HEAD.size) // 2)}H", page, _HEAD.size)
    return [*(int.from_bytes(page[place : place + 4], "big") for place in places), rightmost]
