"""Requests over HTTP/1.1 as fast as they are answered, or at a fixed rate, from a process of its own.

    python -m benchmarks.load < question.json    # what `Load.asked` writes; prints one JSON object

Raw sockets of asyncio, one request at a time on each connection. At a fixed rate a request's time is counted from the
instant at which it was due, so that a server that stalls is not spared those which had to wait (open loop); otherwise
every connection asks again once it is answered (closed loop). Servers are on this machine; a run ends by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import uvloop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MARK: Final = b"@@@@@@@@@@@@"
"""Stands in a body where each request has a number of its own, of as many digits."""

_HOST: Final = "127.0.0.1"
_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
_NO_ANSWER: Final = 0
_REFUSED: Final = frozenset({429, 503})
_INSTANT: Final = 1e-9


@dataclass(frozen=True)
class Load:
    """What is asked of a server.

    Attributes:
        port: Where it listens on this machine.
        path: What is asked for, by POST.
        bodies: A file with a body a line, asked in turn; each `MARK` in one becomes the request's number.
        connections: How many ask at once; at a fixed rate how many there are at the start.
        most: How many there are at most, at a fixed rate, where a server keeps them waiting.
        seconds: How long is measured.
        warm: How long it is asked before, without being measured.
        rate: Requests a second; 0 for as fast as they are answered.
        good: Bytes that an answer has to hold to count as good; empty where the status says all.
        kind: The content type.
        patience: Seconds after which an answer is missing.
        start: The first number.
        core: The processor core to stay on; None for any.
    """

    port: int
    path: str
    bodies: str
    connections: int = 1
    seconds: float = 3.0
    warm: float = 0.5
    rate: float = 0.0
    good: str = ""
    kind: str = "application/json"
    patience: float = 10.0
    start: int = 0
    core: int | None = None
    most: int = 512

    def measured(self) -> dict[str, Any]:
        """Ask, in a process of its own: see `Heard.as_dict`.

        Raises:
            RuntimeError: The process failed, or nothing was asked at all.
        """
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load"],
            input=json.dumps(asdict(self)),
            capture_output=True,
            text=True,
            check=False,
            timeout=self.seconds + self.warm + 3 * self.patience + 60,
            cwd=Path(__file__).parents[1],
        )
        found: dict[str, Any] = {} if done.returncode else json.loads(done.stdout)
        if not found.get("sent"):
            raise RuntimeError(f"load of {self.path}: {done.stderr.strip()[-400:] or 'nothing was asked'}")
        return found

    def times(self, rate: float, seconds: float, warm: float) -> Load:
        """The same at a fixed rate."""
        return replace(self, rate=rate, seconds=seconds, warm=warm)


class Heard:
    """What came back.

    Attributes:
        asked: How many requests were sent.
    """

    def __init__(self, good: bytes) -> None:
        self.asked = 0
        self._good = good
        self._answers: list[tuple[float, float, int, bool]] = []

    def hear(self, due: float, now: float, status: int, body: bytes) -> None:
        """Take down one answer; status 0 for none."""
        good = status == 200 and (not self._good or self._good in body)
        self._answers.append((due, now, status, good))

    def as_dict(self, begun: float, ended: float) -> dict[str, Any]:
        """Figures of what was due in a span: answers a second by status and good ones, and milliseconds of each."""
        rows = [row for row in self._answers if begun <= row[0] < ended]
        by_end = [row for row in self._answers if begun <= row[1] < ended]
        seconds = ended - begun
        good = [1e3 * (now - due) for due, now, _, well in rows if well]
        bad = [1e3 * (now - due) for due, now, status, well in rows if status and not well]
        refused = [1e3 * (now - due) for due, now, status, _ in rows if status in _REFUSED]
        statuses = Counter(status for _, _, status, _ in rows)
        in_second = Counter(int(now - begun) for _, now, _, well in by_end if well)
        return {
            "good_per_second": round(sum(well for _, _, _, well in by_end) / seconds, 1),
            "answers_per_second": round(sum(status != _NO_ANSWER for _, _, status, _ in by_end) / seconds, 1),
            "good_by_second": [in_second[second] for second in range(int(seconds))],
            "sent": len(rows),
            "statuses": {str(status): count for status, count in sorted(statuses.items()) if status},
            "errors": len(rows) - len(good),
            "hung": statuses[_NO_ANSWER],
            "good_ms": percentiles(good),
            "other_ms": percentiles(bad),
            "refused_ms": percentiles(refused),
            "seconds": round(seconds, 2),
        }


def percentiles(milliseconds: Sequence[float]) -> dict[str, float] | None:
    """The middle, and what one in a hundred and one in a thousand exceeds; None of nothing."""
    if not milliseconds:
        return None
    found = np.percentile(np.asarray(milliseconds), [50, 99, 99.9])
    return {name: round(float(value), 3) for name, value in zip(("p50", "p99", "p99_9"), found, strict=True)}


class _Connection(asyncio.Protocol):
    """One connection: a request at a time."""

    def __init__(self, load: _Loading) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._due = 0.0

    @property
    def usable(self) -> bool:
        """Whether a request can be sent on it."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._load.idle(self)

    def ask(self, due: float, request: bytes) -> None:
        """Send a request that was due at an instant."""
        self._due, self._received = due, b""
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        head, end, body = self._received.partition(_END_OF_HEAD)
        if not end:
            return
        lowered = head.lower()
        place = lowered.find(_LENGTH)
        if place >= 0:
            length = int(lowered[place + len(_LENGTH) :].split(b"\r\n", 1)[0])
            if len(body) < length:
                return
        elif not body.endswith(b"0\r\n\r\n"):  # sent in chunks
            return
        due, self._due = self._due, 0.0
        self._load.heard(due, int(head[9:12]), body)
        if b"connection: close" in lowered and self._transport is not None:
            self._transport.close()
        else:
            self._load.idle(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._load.lost(self._due)
        self._due = 0.0


class _Loading:
    """All connections to one server."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = _requests(load)
        self._free: deque[_Connection] = deque()
        self._owed: deque[float] = deque()
        self._open = 0
        self._stopped = False
        self._nothing_waits = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.listener = Heard(load.good.encode())
        self.waiting = 0

    async def run(self) -> dict[str, Any]:
        """Warm, measure, and wait for what is still to come."""
        await asyncio.gather(*(self._connect() for _ in range(self._load.connections)))
        begun = time.perf_counter() + self._load.warm
        ended = begun + self._load.seconds
        if self._load.rate:
            await self._at_a_rate(begun - self._load.warm, ended)
        else:
            await asyncio.sleep(ended - time.perf_counter())
        self._stopped = True
        late = time.perf_counter() + self._load.patience
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled(), self._load.patience)
        for _ in range(self.waiting + len(self._owed)):
            self.listener.hear(ended - _INSTANT, late, _NO_ANSWER, b"")
        return self.listener.as_dict(begun, ended) | {"connections": self._open}

    async def _settled(self) -> None:
        """Returns once nothing is waited for."""
        self._nothing_waits.clear()
        if self.waiting or self._owed:
            await self._nothing_waits.wait()

    async def _at_a_rate(self, begun: float, ended: float) -> None:
        number = 0
        while (now := time.perf_counter()) < ended:
            while (due := begun + number / self._load.rate) <= now:
                number += 1
                self._send(due)
            await asyncio.sleep(max(0.0, min(due - time.perf_counter(), 0.001)))

    def _send(self, due: float) -> None:
        if self._free:
            self._ask(self._free.popleft(), due)
            return
        self._owed.append(due)
        if self._open + len(self._tasks) < self._load.most and len(self._tasks) < len(self._owed):
            task = asyncio.ensure_future(self._connect())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        self._open += 1
        try:
            await asyncio.get_running_loop().create_connection(lambda: _Connection(self), _HOST, self._load.port)
        except OSError:
            self._open -= 1

    def idle(self, connection: _Connection) -> None:
        """A connection can be asked."""
        if self._load.rate:
            if self._owed:
                self._ask(connection, self._owed.popleft())
            else:
                self._free.append(connection)
        elif not self._stopped:
            self._ask(connection, time.perf_counter())

    def _ask(self, connection: _Connection, due: float) -> None:
        self.waiting += 1
        connection.ask(due, next(self._requests))

    def heard(self, due: float, status: int, body: bytes) -> None:
        """An answer came."""
        self.waiting -= 1
        self.listener.hear(due, time.perf_counter(), status, body)
        self._tell()

    def lost(self, due: float) -> None:
        """A connection was closed, perhaps while it waited for an answer."""
        self._open -= 1
        self._free = deque(one for one in self._free if one.usable)
        if due:
            self.waiting -= 1
            self.listener.hear(due, time.perf_counter(), _NO_ANSWER, b"")
            self._tell()
        if not self._stopped:
            task = asyncio.ensure_future(self._connect())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _tell(self) -> None:
        if self._stopped and not self.waiting and not self._owed:
            self._nothing_waits.set()


def _requests(load: Load) -> Iterator[bytes]:
    """The requests in turn, each with its number."""
    requests = [_request(load, body) for body in Path(load.bodies).read_bytes().splitlines()]
    marked, number = MARK in requests[0], load.start
    while True:
        for request in requests:
            yield request.replace(MARK, b"%012d" % number) if marked else request
            number += 1


def _request(load: Load, body: bytes) -> bytes:
    said = f"Host: {_HOST}\r\nContent-Type: {load.kind}\r\nContent-Length: {len(body)}"
    return f"POST {load.path} HTTP/1.1\r\n{said}\r\n\r\n".encode() + body


def main() -> None:
    """Asks what standard input says, and prints what came back."""
    load = Load(**json.load(sys.stdin))
    if load.core is not None:
        os.sched_setaffinity(0, {load.core})
    found = uvloop.run(_Loading(load).run())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
