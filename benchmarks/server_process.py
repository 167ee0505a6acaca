"""What a server's processes take of the machine, as the kernel counts it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.model_servers import Running


def load_average() -> float:
    """Of the last minute."""
    return round(os.getloadavg()[0], 2)


def resident_bytes(server: Running) -> int:
    """Memory of a server's first process that is in use."""
    return _told_bytes(server, "VmRSS")


def own_bytes(server: Running) -> int:
    """Memory in use that is its own, not a file's."""
    return _told_bytes(server, "RssAnon")


def peak_bytes(server: Running) -> int:
    """The most memory that was ever in use."""
    return _told_bytes(server, "VmHWM")


def cpu_seconds(server: Running) -> float:
    """What a server's processes took so far: its first one, and all that stem from it."""
    found: dict[int, tuple[int, int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        found[int(stat.parent.name)] = (int(fields[1]), int(fields[11]) + int(fields[12]))
    family, grown = {server.process.pid}, True
    while grown:
        more = {process for process, (parent, _) in found.items() if parent in family} - family
        family, grown = family | more, bool(more)
    return sum(found[process][1] for process in family if process in found) / os.sysconf("SC_CLK_TCK")


def _told_bytes(server: Running, name: str) -> int:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))
