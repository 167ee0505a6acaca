"""What the machine and the generator of load add to a latency by themselves, before any service does anything.

    python -m benchmarks.floor answer --port PORT       # answers every request at once with the same bytes
    python -m benchmarks.floor commits --folder DIR --rate N --seconds N --entry-bytes N [--sync]

A tail of some milliseconds at a fixed rate says nothing about a service as long as nobody knows the tail of one that
does nothing, on the same cores, at the same rate, in the same minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import uvloop

from benchmarks.load import percentiles
from benchmarks.model_servers import running
from benchmarks.served_fraud import ROW, SCAN
from benchmarks.server_process import load_average

if TYPE_CHECKING:
    from benchmarks.serving import Bench

COMMITS_PER_SECOND: Final = 333
"""As many as a service makes that begins a batch every 3 ms."""
_ENTRY_BYTES: Final = 4_096
_FILE_BYTES: Final = 1 << 24
_ANSWER_BYTES: Final = 1_200
_HOST: Final = "127.0.0.1"
_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


def floor(bench: Bench, rate: float, rows: Path) -> dict[str, Any]:
    """Milliseconds at a rate: of a server that does nothing, of bare scores, and of writes of as many bytes.

    Args:
        bench: What is measured with.
        rate: Requests a second.
        rows: A file of rows for bare scores.

    Returns:
        `nothing` and `score_only` as a load tells them, `write` and `fdatasync` in milliseconds from when each commit
        was due: without and with waiting until the disk has it.
    """
    sizes = bench.sizes
    place = bench.folder / "floor"
    place.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.floor", "answer", "--port", "{port}"]
    paths = {"PYTHONPATH": str(Path(__file__).parents[1])}
    with running(command, place, paths, "/readyz", bench.cores[0]) as server:
        load = bench.load(server, SCAN, bench.scans()).times(rate, sizes.steady / 2, sizes.warm)
        nothing = load.measured()["good_ms"]
    with bench.service("rows") as server:
        load = bench.load(server, ROW, rows)
        score_only = load.times(rate, sizes.steady / 2, sizes.warm).measured()["good_ms"]
    write, fdatasync = (_committed(bench, place, rate, sync=sync) for sync in (False, True))
    return {
        "nothing_ms": nothing,
        "score_only_ms": score_only,
        "write_ms": write,
        "fdatasync_ms": fdatasync,
        "load_average": load_average(),
    }


@dataclass(frozen=True)
class Commits:
    """Bare writes at a fixed pace.

    Attributes:
        folder: Where.
        rate: Entries a second.
        seconds: How long.
        entry_bytes: Of each.
        sync: Whether each commit waits until the disk has it.
    """

    folder: Path
    rate: float
    seconds: float
    entry_bytes: int
    sync: bool

    def milliseconds(self) -> list[float]:
        """Of each commit from when it was due until it was done."""
        content = os.urandom(max(1, round(self.rate / COMMITS_PER_SECOND)) * self.entry_bytes)
        found = []
        path = self.folder / "commits"
        with path.open("wb", buffering=0) as file:
            begun = time.perf_counter()
            for number in range(int(self.seconds * COMMITS_PER_SECOND)):
                due = begun + number / COMMITS_PER_SECOND
                time.sleep(max(0.0, due - time.perf_counter()))
                if file.tell() > _FILE_BYTES:  # as a journal begins again
                    file.seek(0)
                file.write(content)
                if self.sync:
                    os.fdatasync(file.fileno())
                found.append(1e3 * (time.perf_counter() - due))
        path.unlink()
        return found


class _Nothing(asyncio.Protocol):
    """Answers every request at once with the same bytes."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        body = b'"' + b"x" * (_ANSWER_BYTES - 2) + b'"'
        self._answer = _HEAD % len(body) + body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (whole := _whole(self._received)) and self._transport is not None:
            self._received = self._received[whole:]
            self._transport.write(self._answer)


def _whole(received: bytes) -> int:
    """How many bytes the first request has; 0 while it has not come whole."""
    head, end, rest = received.partition(_END_OF_HEAD)
    if not end:
        return 0
    lowered = head.lower()
    place = lowered.find(_LENGTH)
    length = int(lowered[place + len(_LENGTH) :].split(b"\r\n", 1)[0]) if place >= 0 else 0
    return len(head) + len(end) + length if len(rest) >= length else 0


def _committed(bench: Bench, place: Path, rate: float, *, sync: bool) -> dict[str, float] | None:
    sizes = {"--rate": rate, "--seconds": bench.sizes.steady / 4, "--entry-bytes": _ENTRY_BYTES}
    words = [word for name, value in sizes.items() for word in (name, str(value))]
    command = [sys.executable, "-m", "benchmarks.floor", "commits", "--folder", str(place), *words]
    pinned = [] if bench.cores[0] is None else ["--core", str(bench.cores[0])]
    done = subprocess.run(  # noqa: S603 - ourselves
        [*command, *pinned, *(["--sync"] if sync else [])],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    found: dict[str, float] | None = json.loads(done.stdout)
    return found


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Nothing, _HOST, port)
    await server.serve_forever()


def main() -> None:
    """Answers until it is ended, or writes and prints milliseconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floor", description=__doc__.partition("\n")[0])
    ways = parser.add_subparsers(dest="way", required=True)
    answer = ways.add_parser("answer", help="answer every request at once with the same bytes")
    answer.add_argument("--port", type=int, required=True)
    commits = ways.add_parser("commits", help="write at a fixed pace")
    commits.add_argument("--folder", type=Path, required=True)
    commits.add_argument("--rate", type=float, required=True, help="entries a second")
    commits.add_argument("--seconds", type=float, required=True)
    commits.add_argument("--entry-bytes", type=int, required=True)
    commits.add_argument("--core", type=int)
    commits.add_argument("--sync", action="store_true", help="wait until the disk has each")
    asked = parser.parse_args()
    if asked.way == "answer":
        uvloop.run(_serve(asked.port))
        return
    if asked.core is not None:
        os.sched_setaffinity(0, {asked.core})
    loop = Commits(asked.folder, asked.rate, asked.seconds, asked.entry_bytes, asked.sync)
    print(json.dumps(percentiles(loop.milliseconds())))


if __name__ == "__main__":
    main()
