from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import msgspec
import pytest

from serving.stream.service import StreamService
from tests.serving.live.conftest import Server, bundles, scans, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from serving.ledger.vault import KeyRow
    from serving.live.bodies import ScanBody
    from serving.settings import Settings

__all__ = ["bundles", "scans", "world"]
SERVER = shutil.which("valkey-server") or shutil.which("redis-server")


class RedisServer:
    """A real server on a socket in a folder of its own, with an append-only file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        command = [SERVER or "", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--appendonly", "yes", "--save", "", "--enable-debug-command", "yes"]
        with (self.folder / "said").open("ab") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=said)  # noqa: S603 - ours
        until = time.monotonic() + 20
        while b"PONG" not in self.say("PING") and time.monotonic() < until:
            time.sleep(0.02)

    def say(self, *words: str) -> bytes:
        """What redis answers to a command, raw."""
        with socket.socket() as connection:
            connection.settimeout(5)
            try:
                connection.connect(("127.0.0.1", self.port))
            except OSError:
                return b""
            told = b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words)
            connection.sendall(b"*%d\r\n" % len(words) + told)
            return connection.recv(1 << 16)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class NoStore:
    """Keeps no keys."""

    def by_slot(self, _: bytes) -> KeyRow | None:
        return None

    def by_alias(self, _: int) -> KeyRow | None:
        return None


class StreamServer(Server):
    """A scorer in a process of its own; entered, it is ready."""

    def __init__(self, settings: Settings, redis: RedisServer, **variables: str) -> None:
        settings.home.mkdir(exist_ok=True)
        super().__init__(settings, SHEPHERD_STATE=redis.url, **variables)

    def __enter__(self) -> Self:
        super().__enter__()
        until = time.monotonic() + 60
        while self.readiness() != 200:
            if time.monotonic() > until:
                pytest.fail(f"the scorer was not ready:\n{self.said.read_text()}")
            time.sleep(0.05)
        return self

    def readiness(self) -> int:
        """The status of the probe."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz") as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


@pytest.fixture
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if SERVER is None:
        pytest.skip("neither valkey-server nor redis-server is installed")
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@asynccontextmanager
async def scorer(chosen: Settings) -> AsyncIterator[StreamService]:
    live = StreamService.open(chosen)
    try:
        await until(lambda: not live.obstacle)
        yield live
    finally:
        await live.close()


async def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def told(live: StreamService, scan: ScanBody) -> tuple[dict[str, Any], float]:
    """What is answered, and after how many seconds."""
    began = time.perf_counter()
    answered = await live.desk.score(scan)
    assert answered.status == 200, answered
    return json.loads(answered.body), time.perf_counter() - began


async def recorded(live: StreamService, scan: ScanBody) -> dict[str, Any]:
    """Asks until it is recorded, and waits for this scorer's own copy, which may come after the answer."""
    end = time.monotonic() + 20
    while not (said := (await told(live, scan))[0])["recorded"]:
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
    await until(lambda: live.decision(said["decision_id"])[0] != 404)
    return said


def features(live: StreamService, said: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = json.loads(live.decision(said["decision_id"])[1])["features"]
    return found


def alike(scans: list[ScanBody], count: int) -> list[ScanBody]:
    """Scans of one member by one device, of which each sees those before it."""
    scan = next(one for one in scans if one.member_id and one.device_id)
    return [msgspec.structs.replace(scan, scan_id=f"alike-{number}") for number in range(count)]
