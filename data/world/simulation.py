"""A world from a request to a folder of tables: the honest lives block by block, then all days one after the other.

What honest people do does not hang on each other, so a block of members lives through all days at once and its scans
wait on disk for the slice of time in which they arrive. The wool party may learn from what is blocked, so the days are
walked in order: it adds its scans of the day, and the slices are written as they arrive. In memory are one block, or
one slice, and nothing that grows with the world.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from data.errors import UsageError
from data.sources import open_folder
from data.world.generation import generate
from data.world.preset import PRESETS, fingerprint
from data.world.records import CROWDS, FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from data.world.defence import Defence
    from data.world.request import Request

RECORD: Final = "world.json"
_SCRATCH: Final = ".scratch"


@dataclass(frozen=True)
class WorldReport:
    """What was written.

    Attributes:
        folder: Where the tables lie, with the truth in `truth/` and this report in `world.json`.
        request: What was asked for.
        fingerprint: Of the preset's parameters.
        rows: Rows of each table.
        families: Scans of each family; honest ones among them.
        crowds: Honest scans of each crowd.
        content_hash: Of the tables, truth aside; the same for the same request.
        defence: What blocked scans, where the caller gave it; None where the request says all.
        reused: Whether the folder held this world already, so that nothing was done.
    """

    folder: Path
    request: Mapping[str, Any]
    fingerprint: str
    rows: Mapping[str, int]
    families: Mapping[str, int]
    crowds: Mapping[str, int]
    content_hash: str
    defence: str | None = None
    reused: bool = False

    def text(self) -> str:
        """For people: the rows of each table, who scanned, and whether it was there before."""
        wool = sum(self.families.values()) - self.families[FAMILIES[0]]
        share = wool / max(1, sum(self.families.values()))
        width = max(map(len, self.rows))
        lines = [f"{name:<{width}}  {rows:>13,} rows" for name, rows in self.rows.items()]
        lines.append(f"{self.folder}: {wool:,} scans ({share:.1%}) by the wool party; content {self.content_hash[:12]}")
        return "\n".join(lines) + ("\nWritten before; nothing was done." if self.reused else "")

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what `world.json` holds, and where it lies."""
        return {"folder": str(self.folder), **_record(self), "reused": self.reused}


def simulate(
    request: Request,
    folder: Path,
    defence: Defence | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> WorldReport:
    """Write a world into a folder, all of it or nothing.

    Args:
        request: Which world.
        folder: Where to; new, empty, or holding this very world already.
        defence: Who blocks scans. Without one nobody does, unless the wool party is asked to adapt: then simple rules.
        progress: Told what is done, how much of it is done, and of how much in all.

    Raises:
        UsageError: The folder holds something else.
    """
    stamp = fingerprint(PRESETS[request.preset])
    found = _found(request, folder, stamp) if defence is None else None
    if found is not None:
        return found
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        held = "another world" if (folder / RECORD).is_file() else "something else"
        raise UsageError(f"{folder}: found {held} there, expected a new or an empty folder; name one, or remove this")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.parent / f".{folder.name}-{uuid4().hex}"
    try:
        made = generate(request, aside, aside / _SCRATCH, defence, progress or _silent)
        shutil.rmtree(aside / _SCRATCH)
        report = WorldReport(
            folder=folder,
            request=request.as_dict(),
            fingerprint=stamp,
            rows=made.rows,
            families=dict(zip(FAMILIES, made.by_family.tolist(), strict=True)),
            crowds=dict(zip(CROWDS, made.by_crowd.tolist(), strict=True)),
            content_hash=open_folder(aside).content_hash(),
            defence=None if defence is None else type(defence).__name__,
        )
        (aside / RECORD).write_text(json.dumps(_record(report), indent=1) + "\n", encoding="utf-8")
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return report


def _found(request: Request, folder: Path, stamp: str) -> WorldReport | None:
    """The world that a folder holds, if it is the one asked for."""
    path = folder / RECORD
    if not path.is_file():
        return None
    held = json.loads(path.read_text(encoding="utf-8"))
    if (held.get("request"), held.get("fingerprint"), held.get("defence", "")) != (request.as_dict(), stamp, None):
        return None
    return WorldReport(folder=folder, **held, reused=True)


def _record(report: WorldReport) -> dict[str, Any]:
    return {
        "request": dict(report.request),
        "fingerprint": report.fingerprint,
        "rows": dict(report.rows),
        "families": dict(report.families),
        "crowds": dict(report.crowds),
        "content_hash": report.content_hash,
        "defence": report.defence,
    }


def _silent(what: str, done: int, total: int) -> None:
    """Nobody listens."""
