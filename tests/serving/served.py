"""A real server of a folder, as `shepherd serve` starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Served(NamedTuple):
    """A server that answers.

    Attributes:
        port: Where it listens on this machine.
        process: Its number.
    """

    port: int
    process: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def served(home: Path, **variables: str) -> Iterator[Served]:
    """Starts a server and waits until it is ready; it has to be there at the end, and to have met no fault."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHEPHERD_")}
    command = [sys.executable, "-m", "shepherd", "serve", "--home", str(home), "--port", str(port)]
    said = home / f"said-{port}"
    with said.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - ours
            command, env={**environment, "OMP_NUM_THREADS": "1", **variables}, stdout=file, stderr=file
        )
    try:
        until = time.monotonic() + 120
        while not is_ready(port):
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < until, said.read_text()
            time.sleep(0.1)
        yield Served(port, process.pid)
        assert process.poll() is None, said.read_text()
        assert is_ready(port)
        for fault in ("Traceback", '"level":"critical"', "Exception in ASGI application"):
            assert fault not in said.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=10).status_code == 200
    except httpx.TransportError:
        return False
