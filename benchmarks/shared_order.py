"""Several scorers that share one order over Redis or Valkey: what they decide together, and whether they agree."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks import service_log
from benchmarks.model_servers import end, free_port
from benchmarks.served_fraud import RECORDED, SCAN
from benchmarks.server_process import cpu_seconds, load_average
from features.online import LiveState
from serving.bundle import read, resolve
from serving.ledger.ledger import Ledger
from serving.ledger.record import decode_record
from serving.live.models import declared
from serving.live.registers import Registers
from serving.stream.draft import Drafts
from serving.stream.link import Link

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.load import Load
    from benchmarks.model_servers import Running
    from benchmarks.serving import Bench
    from serving.stream.link import Passed

SCORERS: Final = 3
SECRET: Final = "5c" * 32
"""Of the deployment whose scorers share an order: each has to have the same."""
STREAM_KEYS: Final = ("scorers", "decisions_per_second", "p50_ms", "p99_ms", "mismatches", "load_average")
_CONNECTIONS: Final = 11
"""Of each scorer: three have as many in all as the one scorer of the other parts."""
_COMPARED: Final = 300
_LONGEST_START: Final = 20.0
_PAGE: Final = 2_000


def stream(bench: Bench) -> dict[str, Any] | str:
    """Full decisions a second of three scorers over a real Redis, milliseconds at half of that, and mismatches.

    Scorers, Redis and those who ask share the cores that there are. Only what was judged and recorded counts. The
    milliseconds are the worst scorer's. A mismatch is a decision of which any feature is not, to the bit, what one
    state says that takes the whole stream in by itself; or an answer that another scorer does not repeat byte by byte.
    """
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        return "found neither valkey-server nor redis-server"
    sizes, run = bench.sizes, f"{time.time_ns()}"
    names = [f"shared-{number}-{run}" for number in range(SCORERS)]
    with ExitStack() as stack:
        url = stack.enter_context(_redis(program, bench.folder / f"redis-{run}"))
        servers = [stack.enter_context(bench.service(name, state=url)) for name in names]
        loads = [bench.load(one, SCAN, bench.scans(), good=RECORDED, connections=_CONNECTIONS) for one in servers]
        loads = [replace(load, core=None) for load in loads]
        rounds = [_together(loads, servers, number) for number in range(sizes.rounds)]
        capacity = median(one["per_second"] for one in rounds)
        steady = [one.times(capacity / 2 / SCORERS, sizes.steady, sizes.steady_warm) for one in loads]
        half = _together(steady, servers, sizes.rounds)
        unlike = _unlike(servers, bench)
        passed = asyncio.run(_whole(url))
    wrong = _wrong(bench, passed, names)
    return {
        "scorers": SCORERS,
        "decisions_per_second": capacity,
        "p50_ms": half["p50_ms"],
        "p99_ms": half["p99_ms"],
        "mismatches": wrong["features"] + unlike,
        "compared": wrong["compared"],
        "repeated": _COMPARED * SCORERS,
        "load_average": half["load_average"],
        "half_load": half,
        "rounds": rounds,
    }


@contextmanager
def _redis(program: str, folder: Path) -> Iterator[str]:
    """A server of its own with an append-only file, as compose starts it; its address."""
    folder.mkdir(parents=True)
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 - of the system
            [*command, "--appendonly", "yes", "--appendfsync", "everysec"], stdout=said, stderr=said
        )
    try:
        until = time.monotonic() + _LONGEST_START
        while not _answers(port):
            if time.monotonic() > until:
                raise RuntimeError(f"{program} is not ready: {(folder / 'said').read_text()[-400:]}")
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        end(process)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def _together(loads: list[Load], servers: list[Running], number: int) -> dict[str, Any]:
    """All scorers asked at once."""
    before = sum(map(cpu_seconds, servers))
    with ThreadPoolExecutor(len(loads)) as pool:
        asked = [replace(one, start=one.start + number * 10_000_000) for one in loads]
        heard = list(pool.map(lambda one: one.measured(), asked))
    answers = sum(one["answers_per_second"] for one in heard) * (loads[0].seconds + loads[0].warm)
    milliseconds = [one["good_ms"] or {} for one in heard]
    return {
        "per_second": round(sum(one["good_per_second"] for one in heard), 1),
        "p50_ms": max((one.get("p50", 0.0) for one in milliseconds), default=None),
        "p99_ms": max((one.get("p99", 0.0) for one in milliseconds), default=None),
        "sent": sum(one["sent"] for one in heard),
        "errors": sum(one["errors"] for one in heard),
        "hung": sum(one["hung"] for one in heard),
        "cpu_us": round((sum(map(cpu_seconds, servers)) - before) / max(answers, 1) * 1e6),
        "load_average": load_average(),
    }


def _unlike(servers: list[Running], bench: Bench) -> int:
    """How many answers to the same scan the scorers give unlike the first answer."""
    unlike = 0
    for number, body in enumerate(service_log.bodies(bench.served.tables, "@")[:_COMPARED]):
        mine = body.replace(b'"@"', b'"again-%d"' % number)
        order = [servers[(number + place) % SCORERS] for place in range(SCORERS)]
        first = _recorded(order[0], mine)
        unlike += sum(_recorded(one, mine) != first for one in order)
    return unlike


def _recorded(server: Running, body: bytes) -> bytes:
    """The answer of the log; a degraded one acknowledges nothing, and is asked again."""
    until = time.monotonic() + _LONGEST_START
    while RECORDED.encode() not in (answer := server.ask(SCAN, body)):
        if time.monotonic() > until:
            raise RuntimeError(f"a scan was not recorded: {answer!r}")
    return answer


async def _whole(url: str) -> list[Passed]:
    """Every entry of the stream."""
    link, entries = Link(url, b"", _LONGEST_START), list[Any]()
    try:
        while page := await link.read(len(entries), 1 << 62, _PAGE):
            entries += page
    finally:
        await link.close()
    return entries


def _wrong(bench: Bench, passed: list[Passed], names: list[str]) -> dict[str, int]:
    """Decisions of any scorer beside what one state says that takes the stream in alone."""
    manifest = read(resolve(bench.served.bundles, "fraud", "champion")).manifest
    ledgers = [Ledger.read(bench.folder / f"ledger-{name}", SECRET) for name in names]
    drafts = Drafts(Registers.read(bench.served.tables), ledgers[0].vault)
    state, wrong, compared = LiveState(declared(manifest)), 0, 0
    for one in passed:
        ((log, event),) = drafts.events(drafts.opened(one.payload, one.identity), one.place.seen_at)
        features = state.observe(log, event)
        kept = next((found for ledger in ledgers if (found := ledger.find(one.identity)) is not None), None)
        if kept is not None and kept.record is not None:
            compared += 1
            said = np.frombuffer(decode_record(kept.record).features, np.float32)
            wrong += said.tobytes() != np.asarray(features, np.float32).tobytes()
    for ledger in ledgers:
        ledger.close()
    return {"features": wrong, "compared": compared}
