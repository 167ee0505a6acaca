"""One answer over HTTP, from a server in a process of its own, as a newcomer would ask for it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from data.errors import DependencyDown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

HOST = "127.0.0.1"
READY_WITHIN_SECONDS = 60
ANSWER_WITHIN_SECONDS = 10
STOP_WITHIN_SECONDS = 10
PAUSE_SECONDS = 0.1
LAST_WORDS = 2_000
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks the loopback address itself, whatever proxy the environment names for the world."""


@contextmanager
def server(home: Path, *options: str, ranking: str | None = None) -> Iterator[str]:
    """Run `shepherd serve` on a free port of the loopback address while inside; gives its URL once it is ready.

    Raises:
        DependencyDown: It stopped or was not ready in time; the message ends with its last words.
    """
    port = _free_port()
    url = f"http://{HOST}:{port}"
    # -P: a file of the working directory that is called data.py or features.py must not stand in for ours.
    command = [sys.executable, "-P", "-m", "shepherd", "serve", "--home", str(home), "--port", str(port), *options]
    with (
        TemporaryFile() as said,
        TemporaryDirectory() as ledger,  # the home's own may be a service's that runs beside
        subprocess.Popen(command, stdout=said, stderr=said, env=_settings(ranking, ledger)) as process,  # noqa: S603 - ours
    ):
        try:
            _wait_until_ready(process, url, said)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(STOP_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _settings(ranking: str | None, ledger: str) -> dict[str, str]:
    """The environment with the task that ranks offers and a log, without what it says of another service's."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("SHEPHERD_")}
    asked = {"SHEPHERD_LEDGER": ledger} | ({} if ranking is None else {"SHEPHERD_TASK": ranking})
    return {**others, **asked}


def ask_offers(url: str, member_id: str, at: datetime) -> dict[str, object]:
    """The offers that one member gets at a moment: what `POST /v1/members/{member_id}/offers` answers."""
    body = json.dumps({"at": at.isoformat()}).encode()
    answer: dict[str, object] = json.loads(
        _post(f"{url}/v1/members/{quote(member_id, safe='')}/offers", body, "application/json")
    )
    return answer


def ask_rows(url: str, task: str, rows: Sequence[Mapping[str, float | str | None]]) -> list[dict[str, object]]:
    """The scores of some rows of a task: what `POST /v1/{task}/batch` answers."""
    body = "\n".join(json.dumps(row, allow_nan=False) for row in rows).encode()
    answers = _post(f"{url}/v1/{quote(task, safe='')}/batch", body, "application/x-ndjson")
    return [json.loads(line) for line in answers.splitlines()]


def ask_site(url: str, site: Mapping[str, float | str | None]) -> dict[str, object]:
    """What one candidate for a new store would sell: what `POST /v1/sites/score` answers."""
    body = json.dumps({"sites": [site]}, allow_nan=False).encode()
    answer: dict[str, object] = json.loads(_post(f"{url}/v1/sites/score", body, "application/json"))
    return answer


def _post(url: str, body: bytes, kind: str) -> bytes:
    request = urllib.request.Request(url, body, {"content-type": kind}, method="POST")  # noqa: S310 - a loopback address
    try:
        with _OPENER.open(request, timeout=ANSWER_WITHIN_SECONDS) as reply:
            answer: bytes = reply.read()
            return answer
    except urllib.error.HTTPError as refusal:
        said = refusal.read().decode(errors="replace")
        raise DependencyDown(f"POST {url}: found status {refusal.code}, {said}; expected 200") from refusal


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, said: IO[bytes]) -> None:
    until = time.monotonic() + READY_WITHIN_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            with _OPENER.open(f"{url}/readyz", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(PAUSE_SECONDS)
    said.seek(0)
    words = said.read().decode(errors="replace")[-LAST_WORDS:]
    state = f"stopped with code {process.returncode}" if process.poll() is not None else "still starting"
    raise DependencyDown(
        f"the server was not ready within {READY_WITHIN_SECONDS} seconds: found it {state}; it said:\n{words}"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
