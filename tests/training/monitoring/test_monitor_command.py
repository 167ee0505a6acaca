"""The command: a run that can be compared, found again instead of made twice, beside a service that writes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from data.errors import DependencyDown
from serving.ledger.ledger import Ledger
from shepherd import app
from tests.serving.live.conftest import SECRET
from tests.training.monitoring.conftest import APART, SENT, START, opened, sent
from training.monitoring.page import FILE, page
from training.monitoring.step import write
from training.tracking.stores import client, store
from training.tracking.tracked import NOTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.training.monitoring.conftest import Lived
    from training.monitoring.result import Monitored

PAGE = (Path(__file__).parents[3] / "docs" / "monitoring.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


def asked(home: Path, *options: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["monitor", "--task", "fraud", "--home", str(home), "--json", *options])
    assert done.exit_code == 0, (done.output, done.exception)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_same_week_is_one_run_and_force_makes_another(home: Path) -> None:
    first, again, anew = asked(home), asked(home), asked(home, "--force")

    assert (first["again"], again["again"], anew["again"]) == (False, True, False)
    assert first["run_id"] == again["run_id"] != anew["run_id"]
    tracked = client(store(home))
    run = tracked.get_run(first["run_id"])
    assert run.info.status == "FINISHED"
    assert tracked.get_experiment(run.info.experiment_id).name == "shepherd-fraud"
    assert run.data.tags["shepherd.kind"] == "monitor"
    assert run.data.tags["shepherd.bundle"] == "v1"
    assert run.data.tags["shepherd.challenger"] == "v2"
    assert run.data.tags[NOTE].startswith(f"**{first['why']}")
    assert run.data.metrics["live/average_precision"] == pytest.approx(first["metrics"]["average_precision"]["value"])
    assert {"live/drift/score", "live/money/saved_low", "live/challenger/changed", "live/labels/share"} <= set(
        run.data.metrics
    )
    assert {one.path for one in tracked.list_artifacts(first["run_id"])} == {"monitor.json", FILE}


def test_a_verdict_more_is_another_week(
    home: Path, lived: Lived, world: Path, looked_back: Callable[..., Monitored]
) -> None:
    from tests.training.monitoring.conftest import judge  # noqa: PLC0415 - here alone

    before = looked_back(home)
    new = next(scan.scan_id for scan in lived.scans if scan.scan_id not in lived.verdicts)

    async def late() -> None:
        live = opened(home, world, start=START + 10 * 86_400)
        await judge(live, {new: (1, False)})
        await live.close()

    asyncio.run(late())
    after = looked_back(home)

    assert after.counts["labelled"] == before.counts["labelled"] + 1
    assert after.week == before.week
    assert after.digest != before.digest


def test_it_reads_beside_a_service_that_writes(
    home: Path, lived: Lived, world: Path, looked_back: Callable[..., Monitored]
) -> None:
    more = [
        type(one)(**{name: getattr(one, name) for name in one.__struct_fields__} | {"scan_id": f"m-{place}"})
        for place, one in enumerate(lived.scans[:60])
    ]

    async def both() -> tuple[Monitored, Monitored, list[dict[str, Any]]]:
        live = opened(home, world, start=START + SENT * APART, apart=1)
        writing = asyncio.create_task(sent(live, more))
        beside = await asyncio.to_thread(looked_back, home)
        answers, _ = await writing
        after = await asyncio.to_thread(looked_back, home)
        await live.close()
        return beside, after, answers

    beside, after, answers = asyncio.run(both())

    assert all(one["recorded"] for one in answers)
    assert beside.counts["decisions"] <= after.counts["decisions"]
    assert sum(one[1] for one in after.days) == after.counts["decisions"] >= len(more)
    assert Ledger.read(home / "ledger", SECRET).verify().holds


def test_the_log_is_not_changed_by_reading(home: Path, looked_back: Callable[..., Monitored]) -> None:
    before = (home / "ledger" / "ledger.sqlite").read_bytes()

    looked_back(home)

    assert (home / "ledger" / "ledger.sqlite").read_bytes() == before


def test_a_store_that_is_down_is_said(monitored: Monitored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    with pytest.raises(DependencyDown, match="found that the connection was refused"):
        write(monitored, tmp_path)


def test_another_task_than_of_scans_is_refused(home: Path) -> None:
    done = CliRunner().invoke(app, ["monitor", "--task", "coupon_rank", "--home", str(home)])

    assert "which puts lists in order" in str(done.exception)


def test_the_page_stands_alone_in_both_languages(monitored: Monitored) -> None:
    told = page(monitored)

    assert monitored.said.english.split(":")[0] in told
    assert monitored.said.chinese.split("：")[0] in told
    assert "http" not in told.replace("http-equiv", "")
    assert "<script" not in told
    assert all(
        f'id="{name}"' in told for name in ("limits", "performance", "money", "drift", "slices", "beside", "served")
    )


def test_the_page_of_the_docs_runs_as_shown(home: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHEPHERD_")}
    environment = kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SHEPHERD_SECRET": SECRET,
        "SHEPHERD_HOME": str(home),
    }
    (home.parent / "var").symlink_to(home)
    for block in BLOCKS:
        done = subprocess.run(  # noqa: S603 - the page's own lines
            ["bash", "-e", "-c", block],  # noqa: S607 - likewise
            cwd=home.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    assert len(BLOCKS) == 2
    assert json.loads((home.parent / "monitor.json").read_text())["counts"]["decisions"] == SENT
