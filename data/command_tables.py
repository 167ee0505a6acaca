"""The tables that a command reads where no task says which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.journey import complete_journey
from data.sources import open_folder

if TYPE_CHECKING:
    from pathlib import Path

    from data.sources import DataSet
    from data.steps import Steps


def tables(data: Path | None, time_zone: str | None, home: Path, steps: Steps) -> DataSet:
    """The tables of a folder; without one those of Complete Journey, which are written below `home` once."""
    if data is not None:
        return open_folder(data, time_zone)
    with steps.step("read Complete Journey"):
        return complete_journey(home / "journey")
