from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import lightgbm as lgb
import msgspec
import numpy as np
import pytest

from data.sources import open_folder
from data.world.request import Request
from data.world.simulation import simulate
from features.online import LiveState
from serving.bundle import point
from serving.holdout import Holdout
from serving.live.bodies import ScanBody
from serving.live.intake import Intake
from serving.live.registers import Registers
from serving.payoff import Prices
from serving.settings import Settings
from tests.serving.conftest import moment
from tests.serving.live.aliases import Aliases
from training.calibrate import Sigmoid
from training.export import export
from training.scan_costs import ScanCosts
from training.tasks.fraud import TASK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SECRET = "5a" * 32
VERSIONS = ("v1", "v2", "v3")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("live") / "world"
    simulate(Request(preset="world/v1", members=400, days=21, seed=5), folder)
    return folder


@pytest.fixture(scope="session")
def scans(world: Path) -> list[ScanBody]:
    """The scans of the world in their order."""
    columns = ", ".join(field.name for field in msgspec.structs.fields(ScanBody))
    with open_folder(world).connect() as connection:
        once = "QUALIFY row_number() OVER (PARTITION BY scan_id ORDER BY ts) = 1"
        rows = connection.sql(f"SELECT {columns} FROM scans {once} ORDER BY ts, scan_id").to_arrow_table().to_pylist()
    return [ScanBody(**row) for row in rows]


@pytest.fixture(scope="session")
def bundles(world: Path, scans: list[ScanBody], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions of a model of all features of the fraud task; the first is champion."""
    state, intake = LiveState(TASK.features), Intake(Registers.read(world), Aliases())
    matrix = np.array(
        [state.observe("scans", intake.scan(scan, number * 40_000_000)) for number, scan in enumerate(scans[:600])]
    )
    noise = np.random.default_rng(3)
    label = (np.nan_to_num(matrix[:, 0]) + noise.normal(size=len(matrix)) > 0.5).astype(float)
    folder: Path = tmp_path_factory.mktemp("bundles")
    for number, version in enumerate(VERSIONS):
        booster = lgb.train(
            {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1, "seed": number}
            | {"deterministic": True, "feature_fraction": 0.2},
            lgb.Dataset(matrix, label),
            20 + number,
        )
        export(
            folder,
            task="fraud",
            version=version,
            booster=booster,
            calibrator=Sigmoid(),
            features=TASK.features,
            payoff=ScanCosts().payoff(),
            prices=Prices(10.0),
            usual=np.nanmedian(np.nan_to_num(matrix), axis=0),
            holdout=Holdout(0.2),
            rows=matrix,
            data_hash="0" * 64,
            metrics={},
            generator=np.random.default_rng(5),
            created=moment(12, 1),
        )
    point(folder, "fraud", "champion", "v1")
    return folder


@pytest.fixture
def settings(bundles: Path, world: Path, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, bundles=bundles, tables=world, secret=SECRET, deadline_ms=5_000)


def encoded(scan: ScanBody, **changed: object) -> bytes:
    told = {name: value for name, value in msgspec.to_builtins(scan).items() if value is not None}
    return json.dumps(told | changed).encode()


@dataclass
class Heard:
    """What came back: the status and the bytes, in the order of what was sent; None where the connection broke."""

    answers: list[tuple[int, bytes] | None] = field(default_factory=list)

    @property
    def recorded(self) -> dict[int, bytes]:
        """Bytes of the answers that acknowledge, by place."""
        return {
            place: one[1]
            for place, one in enumerate(self.answers)
            if one is not None and one[0] == 200 and json.loads(one[1])["recorded"]
        }


async def ask(port: int, bodies: Sequence[bytes], connections: int = 8, path: str = "/v1/scans/score") -> Heard:
    """Sends bodies over some connections, each as soon as the one before it is answered."""
    heard = Heard([None] * len(bodies))
    places = iter(range(len(bodies)))

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for place in places:
                head = f"POST {path} HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
                writer.write(f"{head}content-length: {len(bodies[place])}\r\n\r\n".encode() + bodies[place])
                said = await reader.readuntil(b"\r\n\r\n")
                length = int(said.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                heard.answers[place] = int(said[9:12]), await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    await asyncio.gather(*(one() for _ in range(connections)), return_exceptions=True)
    return heard


class Server:
    """A service in a process of its own, started within another command where one is given."""

    def __init__(self, settings: Settings, within: tuple[str, ...] = (), **variables: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SHEPHERD_")}
        environment |= {
            "SHEPHERD_BUNDLES": str(settings.bundles),
            "SHEPHERD_TABLES": str(settings.tables),
            "SHEPHERD_SECRET": SECRET,
            "SHEPHERD_DEADLINE_MS": str(settings.deadline_ms),
            "OMP_NUM_THREADS": "1",
            **variables,
        }
        words = ["serve", "--home", str(settings.home), "--port", str(self.port)]
        command = [*within, sys.executable, "-m", "shepherd", *words]
        self.said = settings.home / f"said-{self.port}"
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)  # noqa: S603 - ours

    def __enter__(self) -> Self:
        until = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        pytest.fail(f"the server was not ready:\n{self.said.read_text()}")

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, how: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout=30)

    def ask(self, bodies: Sequence[bytes], connections: int = 8, path: str = "/v1/scans/score") -> Heard:
        return asyncio.run(ask(self.port, bodies, connections, path))

    def one(self, body: bytes, path: str = "/v1/scans/score") -> tuple[int, Any]:
        (answer,) = self.ask([body], 1, path).answers
        assert answer is not None
        return answer[0], json.loads(answer[1])
