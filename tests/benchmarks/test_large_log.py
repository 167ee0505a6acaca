"""The log that recovery is measured with, small: what comes back is the same whichever way it comes."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from benchmarks import service_log
from benchmarks.recovered_state import recovered
from serving.bundle import read, resolve
from serving.ledger.ledger import Ledger
from serving.ledger.recovery import refresh
from serving.live.models import declared
from tests.serving.live.conftest import bundles, scans, world

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["bundles", "scans", "world"]
MEMBERS, SCANS = 60, 400


def test_every_member_is_active_and_all_ways_back_lead_to_the_same_state(
    bundles: Path, world: Path, tmp_path: Path
) -> None:
    home, tables, folder, snapshots = (tmp_path / name for name in ("home", "tables", "ledger", "snapshots"))
    home.mkdir()
    (home / "bundles").symlink_to(bundles)
    (home / "world").symlink_to(world)
    service_log.write_tables(world, tables, MEMBERS)
    options = {"home": home, "tables": tables, "ledger": folder, "members": MEMBERS, "scans": SCANS}

    service_log.write_log(world, tables, folder, scans=SCANS // 2, members=MEMBERS)
    ledger = Ledger.read(folder)
    refresh(ledger, declared(read(resolve(bundles, "fraud", "champion")).manifest), snapshots)
    ledger.close()
    shutil.copytree(snapshots, tmp_path / "before")
    half = recovered(**options | {"scans": SCANS // 2}, snapshots=snapshots)
    folder.with_suffix(".json").unlink()
    service_log.write_log(world, tables, folder, scans=SCANS, members=MEMBERS)
    from_log = recovered(**options, snapshots=tmp_path / "none")
    with_tail = recovered(**options, snapshots=tmp_path / "before")

    assert (half["sequence"], from_log["sequence"], with_tail["sequence"]) == (SCANS // 2, SCANS, SCANS)
    assert from_log["digest"] == with_tail["digest"] != half["digest"]
    assert from_log["active_share"] == 1.0
    assert from_log["asked"] == MEMBERS
    assert from_log["known_share"] > 0.3
