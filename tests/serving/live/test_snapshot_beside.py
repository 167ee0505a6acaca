"""Beside a service that runs: its state is written down, and its metrics say what it knows and whether it commits."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from serving.ledger.recovery import SNAPSHOTS
from serving.live.service import LiveService
from serving.telemetry.metrics import Metrics
from shepherd import app
from tests.serving.live.conftest import SECRET

if TYPE_CHECKING:
    import pytest

    from serving.live.bodies import ScanBody
    from serving.settings import Settings


def value(metrics: Metrics, name: str) -> float:
    (line,) = [one for one in metrics.text().decode().splitlines() if one.startswith(f"{name} ")]
    return float(line.split()[1])


def test_a_snapshot_is_taken_while_the_service_runs(
    settings: Settings, scans: list[ScanBody], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHEPHERD_SECRET", SECRET)
    monkeypatch.setenv("SHEPHERD_BUNDLES", str(settings.bundles))
    snapshots = settings.ledger / SNAPSHOTS

    def taken() -> int:
        done = CliRunner().invoke(app, ["snapshot", "--home", str(settings.home), "--json"])
        assert done.exit_code == 0, done.output
        events: int = json.loads(done.output)["events"]
        return events

    async def walk() -> list[int]:
        live = LiveService.open(settings)
        found = []
        for scan in scans[:20]:
            await live.desk.score(scan)
        found += [await asyncio.to_thread(taken), await asyncio.to_thread(taken)]
        for scan in scans[20:25]:
            await live.desk.score(scan)
        found.append(await asyncio.to_thread(taken))
        live._running.cancel()  # as a killed one: nothing is written down by itself
        live._watching.cancel()
        live._writer.stop()
        live._ledger.close()
        return found

    assert asyncio.run(walk()) == [20, 0, 5]
    assert sorted(path.name.split("-")[1] for path in snapshots.iterdir()) == ["20", "25"]


def test_metrics_say_what_the_state_knows_and_how_commits_go(settings: Settings, scans: list[ScanBody]) -> None:
    metrics = Metrics()

    async def walk() -> tuple[int, float, float, float]:
        live = LiveService.open(settings, metrics)
        empty = value(metrics, "shepherd_state_bytes")
        for scan in scans[:30]:
            await live.desk.score(scan)
        met, size = value(metrics, "shepherd_state_members"), value(metrics, "shepherd_state_bytes")
        commit, live._ledger.commit = live._ledger.commit, _full
        waiting = asyncio.create_task(live.desk.score(scans[30]))
        await asyncio.sleep(0.1)
        live._ledger.commit = commit
        await waiting
        await live.close()
        return met, size, empty, value(metrics, "shepherd_commit_failures_total")

    met, size, empty, failures = asyncio.run(walk())

    # Who scanned and who brought them each have a key.
    assert met >= len({scan.member_id for scan in scans[:30]} - {None}) > 5
    assert size >= empty > 0
    assert failures >= 1
    assert value(metrics, "shepherd_commit_seconds_count") >= 1


def _full(_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")
