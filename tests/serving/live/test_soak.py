"""A short soak: constant load for some seconds, and the judge of the long one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.load import MARK
from benchmarks.model_servers import Running
from benchmarks.soak import Sample, Soak, Soaked, soaked
from tests.serving.live.conftest import Server, encoded
from training.tasks.fraud import TASK

if TYPE_CHECKING:
    from pathlib import Path

    from serving.live.bodies import ScanBody
    from serving.settings import Settings

MIB = 1 << 20


def test_memory_and_files_stay_under_constant_load(settings: Settings, scans: list[ScanBody], tmp_path: Path) -> None:
    repeated, fresh, rows = (tmp_path / name for name in ("repeated", "fresh", "rows"))
    repeated.write_bytes(b"\n".join(encoded(scan) for scan in scans[:200]))
    fresh.write_bytes(b"\n".join(encoded(scan, scan_id=MARK.decode()) for scan in scans[200:400]))
    row: dict[str, float | None] = dict.fromkeys(TASK.features.names, 1.0)
    rows.write_text(json.dumps({**row, "prize_fen": 100, "campaign_id": None}))

    with Server(settings) as server:
        running = Running(server.port, server.process, 0.0, server.said)
        found = soaked(running, Soak(repeated, fresh, rows, seconds=4.0, settle=3.0, rate=50.0, new=10.0))

    assert found.errors == 0
    assert found.new_scans >= 30
    assert found.requests >= 350
    assert found.last_files <= found.first_files + 2
    assert found.last_bytes - found.first_bytes < 32 * MIB  # caches still fill; the long soak is held to 2 %


def test_the_judge_of_a_soak_sees_growth() -> None:
    def judged(last: int, files: int) -> bool:
        return Soaked(600.0, 0, 1_000, 100, 0, 400 * MIB, last, 40, files, [Sample(0.0, 0, 0)]).flat

    assert judged(400 * MIB, 40)
    assert judged(407 * MIB, 42)
    assert not judged(410 * MIB, 40)
    assert not judged(400 * MIB, 43)
