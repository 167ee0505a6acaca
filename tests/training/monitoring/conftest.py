"""A week of a small world's scans, sent through the real service in this process, with verdicts that come late."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from serving.bundle import point
from serving.live.bodies import EventsBody, ScanLabelBody
from serving.live.order import EmbeddedOrder
from serving.live.service import LiveService
from serving.settings import Settings
from tests.serving.live import conftest as live_service
from tests.serving.live.conftest import SECRET
from training.catalogue import find
from training.monitoring.evidence import Evidence
from training.monitoring.journal import open_journal
from training.monitoring.scans import monitor_scans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from serving.live.bodies import ScanBody
    from training.monitoring.result import Monitored

bundles, scans, world = live_service.bundles, live_service.scans, live_service.world
START = 1_760_000_000
APART = 1_800
SENT = 300
KEY = "7b" * 32


@dataclass(frozen=True)
class Lived:
    """A home after a week of service.

    Attributes:
        home: With bundles and ledger.
        bare: As it was before any verdict.
        scans: What was sent, in order.
        answers: What was answered to each.
        kept: What `/v1/decisions` says of each.
        verdicts: By scan: wool or not, and whether an audit said so.
    """

    home: Path
    bare: Path
    scans: list[ScanBody]
    answers: list[dict[str, Any]]
    kept: list[dict[str, Any]]
    verdicts: dict[str, tuple[int, bool]]


def opened(home: Path, tables: Path, start: int = START, apart: int = APART, **more: Any) -> LiveService:
    """The home's service, whose clock goes some seconds a request."""
    settings = Settings(home=home, tables=tables, secret=SECRET, holdout_key=KEY, deadline_ms=60_000, **more)
    live = LiveService.open(settings)
    clock: Iterator[int] = count(start, apart)
    live.desk._order = EmbeddedOrder(live._ledger.last, lambda: next(clock) * 1_000_000_000)
    return live


async def sent(live: LiveService, scans: Sequence[ScanBody]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    answers, kept = [], []
    for scan in scans:
        answered = await live.desk.score(scan)
        assert answered.status == 200
        answers.append(json.loads(answered.body))
        kept.append(json.loads(live.decision(answers[-1]["decision_id"])[1]))
    return answers, kept


def verdicts_on(scans: Sequence[ScanBody], answers: Sequence[dict[str, Any]]) -> dict[str, tuple[int, bool]]:
    """Audits on every third scan; suspicion on the likely ones; the truth hangs on the chance, but not wholly."""
    ranked = sorted(range(len(scans)), key=lambda row: -answers[row]["probability"])
    wool = {row for place, row in enumerate(ranked) if (place % 3 != 2 and place < 90) or place % 29 == 0}
    looked = {row for row in range(len(scans)) if row % 3 == 0} | set(ranked[:45])
    return {scans[row].scan_id: (int(row in wool), row % 3 == 0) for row in sorted(looked)}


async def judge(live: LiveService, verdicts: dict[str, tuple[int, bool]]) -> None:
    told = [
        ScanLabelBody(scan_id=one, is_wool=wool, origin="audit" if audit else "review")
        for one, (wool, audit) in verdicts.items()
    ]
    for start in range(0, len(told), 100):
        assert (await live.take(EventsBody(scan_labels=tuple(told[start : start + 100]))))[0].status == 200


@pytest.fixture(scope="session")
def lived(
    bundles: Path,
    world: Path,
    scans: list[ScanBody],
    tmp_path_factory: pytest.TempPathFactory,
) -> Lived:
    """A week under `v1` with the challenger `v2`, a tenth of the scans the challenger's own to answer."""
    folder = tmp_path_factory.mktemp("lived")
    home, bare = folder / "home", folder / "bare"
    shutil.copytree(bundles, home / "bundles")
    point(home / "bundles", "fraud", "champion", "v1")
    point(home / "bundles", "fraud", "challenger", "v2")
    some = scans[600 : 600 + SENT]

    async def week() -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, tuple[int, bool]]]:
        live = opened(home, world, canary=0.1)
        answers, kept = await sent(live, some)
        verdicts = verdicts_on(some, answers)
        shutil.copytree(home, bare)
        await judge(live, verdicts)
        await live.close()
        return answers, kept, verdicts

    return Lived(home, bare, some, *asyncio.run(week()))


@pytest.fixture
def home(lived: Lived, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return shutil.copytree(lived.home, tmp_path / "home")


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("SHEPHERD_SECRET", SECRET)


@pytest.fixture(scope="session")
def looked_back() -> Callable[..., Monitored]:
    """The week of a home."""

    def look(home: Path, **asked: Any) -> Monitored:
        with open_journal(home / "ledger", SECRET) as journal:
            return monitor_scans(find("fraud"), Evidence(journal, home / "bundles", **asked))  # type: ignore[arg-type]

    return look


@pytest.fixture(scope="session")
def monitored(lived: Lived, looked_back: Callable[..., Monitored]) -> Monitored:
    """The week as it was lived."""
    return looked_back(lived.home)
