"""How much memory this process holds, and how much a connection may."""

from __future__ import annotations

import resource
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

_STATUS: Final = Path("/proc/self/status")
_LEAST: Final = 400 << 20
_DUCKDB_SHARE: Final = 0.3
_UNIT_SHARE: Final = 0.45


@dataclass(frozen=True)
class Limits:
    """How much memory each part of a streamed build may take, in bytes."""

    duckdb: int
    unit: int


def limits(memory_limit: int) -> Limits:
    """Divides what is left of a limit on the whole process.

    Raises:
        UsageError: When too little is left.
    """
    held = held_bytes()
    left = memory_limit - held
    if left < _LEAST:
        raise UsageError(
            f"memory limit: found {memory_limit:,} bytes, of which this process holds {held:,} already; expected "
            f"at least {held + _LEAST:,}; raise the limit, or give rows that are too many as a relation"
        )
    return Limits(int(left * _DUCKDB_SHARE), int(left * _UNIT_SHARE))


def held_bytes() -> int:
    """What the process holds now."""
    return _noted("VmRSS:")


def peak_bytes() -> int:
    """The most that it ever held."""
    return _noted("VmHWM:")


@contextmanager
def lent(connection: duckdb.DuckDBPyConnection, memory: int) -> Iterator[None]:
    """Lets a connection hold so many bytes, and afterwards about what it might hold before."""
    (before,) = connection.execute("SELECT current_setting('memory_limit')").fetchall()[0]
    connection.execute(f"SET memory_limit = '{memory} bytes'")
    try:
        yield
    finally:
        connection.execute(f"SET memory_limit = '{before}'")


def _noted(name: str) -> int:
    if _STATUS.exists():
        lines = (line.split() for line in _STATUS.read_text().splitlines())
        return next(int(words[1]) * 1024 for words in lines if words[0] == name)
    # Elsewhere only the height is known. On Linux it would not do: a child inherits its parent's.
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
