"""Where bundles lie and which of them is champion: all that is asked of them without fitting or exporting one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.bundle import Bundle, Pointer, alone, discard, point, read, resolve
from serving.manifest import Manifest

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "Bundle",
    "Manifest",
    "Pointer",
    "alone",
    "bundles",
    "champion_of",
    "discard",
    "point",
    "read",
    "resolve",
]


def bundles(home: Path) -> Path:
    """Where all bundles and their pointers lie."""
    return home / "bundles"


def champion_of(root: Path, task: str) -> Bundle | None:
    """The bundle that is champion; None where nothing was promoted yet.

    Raises:
        DataError: The pointer names no version, or its bundle is not as it was written.
    """
    return read(resolve(root, task, "champion")) if (root / task / "champion").exists() else None
