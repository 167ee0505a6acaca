"""The service with many active members and a long log: what it holds, how long it is gone, and that nothing is lost."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from benchmarks import service_log
from benchmarks.parts import TOO_LONG
from benchmarks.recovered_state import recovered
from benchmarks.served_fraud import RECORDED, SCAN
from benchmarks.server_process import cpu_seconds, load_average, own_bytes, peak_bytes, resident_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.model_servers import Running
    from benchmarks.serving import Bench

RECOVERIES: Final = ("log", "snapshot")
_LONGEST_START: Final = 3_600.0
_LONGEST_STOP: Final = 600.0
_FIRST_SECONDS: Final = 10


def large(bench: Bench) -> dict[str, Any] | str:
    """Start and memory with many active members, and recovery after kill -9 of a service with a long log.

    Three services, one after the other, all asked as fast as they answer. The first has the log alone, and is killed;
    the second has the snapshot that the first wrote when it had read the log, and what came since, and is ended in good
    order; the third starts from the snapshot that the second left. Pages of log and snapshots are dropped from memory
    before each start, and good answers are told second by second, since the first find nothing in memory. Then the
    state that the second left, the one from the first's snapshot, and the one from the log alone are asked the same.
    """
    sizes = bench.sizes
    if not sizes.members:
        return TOO_LONG
    tables, ledger = bench.folder / "tables-large", bench.folder / "ledger-large"
    if not (tables / "members.parquet").exists():
        service_log.write_tables(bench.served.tables, tables, sizes.members)
    began = time.perf_counter()
    service_log.write_log(bench.served.tables, tables, ledger, scans=sizes.events, members=sizes.members)
    print(f"large: logged in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    snapshots = ledger / "snapshots"
    shutil.rmtree(snapshots, ignore_errors=True)
    with _started(bench, tables, ledger) as server:
        from_log = _as_started(server) | _asked(bench, server)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    first = list(snapshots.glob("*.state"))
    with _started(bench, tables, ledger) as server:
        tail = _as_started(server) | _asked(bench, server)
        began = time.perf_counter()
        server.process.terminate()
        server.process.wait(_LONGEST_STOP)
        stop = time.perf_counter() - began
    with _started(bench, tables, ledger) as server:
        start = _as_started(server) | _asked(bench, server)
        start["memory_bytes"], start["own_memory_bytes"] = resident_bytes(server), own_bytes(server)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    same = _compared(bench, tables, ledger, first)
    return {
        "memory_bytes": start["memory_bytes"],
        "own_memory_bytes": start["own_memory_bytes"],
        "start_seconds": start["seconds"],
        "recovery_seconds": {"log": from_log["seconds"], "snapshot": tail["seconds"]},
        "stop_seconds": round(stop, 2),
        "members": sizes.members,
        "events": sizes.events,
        "ledger_bytes": sum(path.stat().st_size for path in ledger.glob("ledger.sqlite*")),
        "snapshot_bytes": max(path.stat().st_size for path in snapshots.glob("*.state")),
        "states_equal": len({one["digest"] for one in same.values()}) == 1,
        "states": same,
        "services": {"log": from_log, "snapshot": tail, "start": start},
    }


def _started(bench: Bench, tables: Path, ledger: Path) -> Any:  # noqa: ANN401 - what a context manager is
    for path in (*ledger.glob("ledger.sqlite*"), *ledger.glob("snapshots/*")):
        _drop_pages(path)
    return bench.service("large", tables, longest_start=_LONGEST_START)


def _as_started(server: Running) -> dict[str, Any]:
    return {
        "seconds": round(server.seconds, 2),
        "cpu_seconds": round(cpu_seconds(server), 2),
        "peak_bytes": peak_bytes(server),
        "load_average": load_average(),
    }


def _asked(bench: Bench, server: Running) -> dict[str, Any]:
    """Good answers in each of the first seconds after a start, and a second in those that follow."""
    load = replace(bench.load(server, SCAN, bench.scans(), good=RECORDED), warm=0.0, seconds=bench.sizes.started)
    seconds = load.measured()["good_by_second"]
    first, rest = seconds[:_FIRST_SECONDS], seconds[_FIRST_SECONDS:]
    return {"good_by_second": first, "good_per_second": round(sum(rest) / len(rest), 1) if rest else None}


def _compared(bench: Bench, tables: Path, ledger: Path, first: list[Path]) -> dict[str, dict[str, Any]]:
    """The state of the log's end as it comes back from the last snapshot, the first one, and none."""
    chosen = {"snapshot": sorted((ledger / "snapshots").glob("*.state")), "tail": first, "log": []}
    found = {}
    for name, snapshots in chosen.items():
        folder = bench.folder / f"snapshots-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for path in snapshots:
            os.link(path, folder / path.name)
        found[name] = recovered(
            home=bench.served.folder,
            tables=tables,
            ledger=ledger,
            snapshots=folder,
            members=bench.sizes.members,
            scans=bench.sizes.events,
        )
        shutil.rmtree(folder)
    return found


def _drop_pages(path: Path) -> None:
    """Lets the kernel forget what it has of a file, so that it is read from the disk again."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
