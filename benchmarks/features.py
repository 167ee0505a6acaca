"""The feature engine beside polars and DuckDB, on one machine and alive; prints one JSON object, last.

    python -m benchmarks.features            # hours on two cores: 1M beside the peers, 10M and 50M alone
    python -m benchmarks.features --quick    # minutes; what needs size is null, with its reason under `skipped`

Speed is in CPU seconds of the whole process. Beside the peers all engines get the same Arrow tables in memory and give
an Arrow table; rounds are interleaved after one that warms up, figures are medians. What they answer is compared, too:
integers have to be equal, means and deviations to within one part in a million.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from benchmarks.compared import COMPARED, ORDERS, SCANS, arrived, questions, relations
from benchmarks.log import SkewedLog
from features.batch import build, compute
from features.memory import peak_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

_ROUNDS: Final = 5
_CLOSE: Final = 1e-6
_GIBIBYTE: Final = 1 << 30


def beside_peers(scans: int) -> dict[str, Any]:
    """CPU seconds of the three engines over the 34 features, and where their answers differ."""
    from benchmarks.peers import duckdb_answers, polars_answers  # noqa: PLC0415 - polars is a peer, not a dependency

    asked, bought = arrived(SkewedLog(scans))
    rows = questions(asked)
    with duckdb.connect() as connection:
        connection.register(SCANS.name, asked)
        connection.register(ORDERS.name, bought)
        engines: dict[str, Callable[[], pa.Table]] = {
            "ours": lambda: compute(COMPARED, {SCANS.name: asked, ORDERS.name: bought}, rows),
            "polars": lambda: polars_answers(asked, bought),
            "duckdb": lambda: duckdb_answers(connection),
        }
        answers = {name: engine() for name, engine in engines.items()}
        taken: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(_ROUNDS):
            for name, engine in engines.items():
                began = time.process_time()
                engine()
                taken[name].append(time.process_time() - began)
    cpu = {name: median(seconds) for name, seconds in taken.items()}
    return {
        "events_per_cpu_second": {name: round(scans / seconds) for name, seconds in cpu.items()},
        "ratio": {name: round(cpu[name] / cpu["ours"], 2) for name in ("polars", "duckdb")},
        "ratio_of_rounds": {
            name: [round(peer / ours, 2) for peer, ours in zip(taken[name], taken["ours"], strict=True)]
            for name in ("polars", "duckdb")
        },
        "peer_differences": {name: _differences(answers["ours"], answers[name]) for name in ("polars", "duckdb")},
    }


def _differences(ours: pa.Table, theirs: pa.Table) -> int:
    """Values that differ by more than the rounding of means and deviations."""
    found = 0
    for name in COMPARED.names:
        one, other = (table[name].to_numpy().astype(np.float64) for table in (ours, theirs))
        far = np.abs(one - other) > _CLOSE * np.maximum(1.0, np.abs(other))
        found += int((far | (np.isnan(one) != np.isnan(other))).sum())
    return found


def alone(scans: int, folder: Path, memory_limit: int | None, features: str) -> dict[str, Any]:
    """A build from Parquet to Parquet in a process of its own: CPU seconds an event, wall seconds, peak bytes."""
    log = folder / f"log-{scans}"
    if not log.exists():
        SkewedLog(scans).write(log)
    command = [sys.executable, "-m", "benchmarks.features", "--build", str(log), "--features", features]
    command += ["--memory", str(memory_limit)] if memory_limit else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ourselves
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _build(log: Path, memory_limit: int | None, features: str) -> dict[str, Any]:
    began, cpu = time.perf_counter(), time.process_time()
    destination = log.with_name("features.parquet")
    if features == "all":
        from benchmarks.live import ALL, scan_rows  # noqa: PLC0415 - the catalogue is not needed otherwise
        from data.sources import open_folder  # noqa: PLC0415

        with open_folder(log).connect() as connection:
            report = build(ALL, connection, scan_rows(connection), destination, memory_limit=memory_limit)
    else:
        with duckdb.connect() as connection:
            report = build(COMPARED, connection, relations(connection, log), destination, memory_limit=memory_limit)
    cpu = time.process_time() - cpu
    destination.unlink()
    return {
        "rows": report.rows,
        "features": report.features,
        "cpu_seconds": round(cpu, 2),
        "wall_seconds": round(time.perf_counter() - began, 2),
        "cpu_microseconds_an_event": round(cpu / report.rows * 1e6, 3),
        "peak_bytes": peak_bytes(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def measure(folder: Path, *, quick: bool, growth: tuple[int, int]) -> dict[str, Any]:
    """All figures; see DESIGN.md, section 9."""
    from benchmarks.live import mismatches, online, recovery  # noqa: PLC0415 - needs the whole catalogue
    from data.sources import open_folder  # noqa: PLC0415

    compared, lived = (100_000, 50_000) if quick else (1_000_000, 1_000_000)
    result: dict[str, Any] = {"features": len(COMPARED.names), "scans": compared, **beside_peers(compared)}
    print("beside peers:", json.dumps(result), file=sys.stderr, flush=True)
    in_memory = alone(compared, folder, None, "compared")
    everything = alone(compared, folder, None, "all")
    result |= {"from_parquet": in_memory, "all_features": everything}
    small = folder / f"log-{lived}"
    if not small.exists():
        SkewedLog(lived).write(small)
    data_set = open_folder(small)
    result["online"] = online(data_set)
    print("online:", json.dumps(result["online"]), file=sys.stderr, flush=True)
    replayed = mismatches(data_set)
    result |= {"mismatches": replayed["mismatches"], "replay": replayed}
    if quick:
        result |= {"growth": None, "peak_bytes": None, "recovery_seconds": {"log": None, "snapshot": None}}
        result["skipped"] = {
            "growth": "needs builds of 10M and 50M events",
            "peak_bytes": "needs a build of 50M events",
            "recovery_seconds": "needs a log of 10M events",
        }
        return result
    sizes = [alone(scans, folder, 10 * _GIBIBYTE, "compared") for scans in growth]
    cost = [size["cpu_microseconds_an_event"] for size in sizes]
    result |= {"growth": round(cost[1] / cost[0], 3), "peak_bytes": sizes[1]["peak_bytes"], "sizes": sizes}
    recovered = recovery(open_folder(folder / f"log-{growth[0]}"), folder)
    return result | {"recovery_seconds": recovered, "skipped": {}}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the same keys within ten minutes")
    parser.add_argument("--folder", type=Path, help="where logs are kept and found again; by default a temporary one")
    parser.add_argument("--growth", type=int, nargs=2, default=(10_000_000, 50_000_000), metavar="SCANS")
    parser.add_argument("--build", type=Path, help="only build the features of a log (what a measurement starts)")
    parser.add_argument("--features", choices=("compared", "all"), default="compared", help="with --build")
    parser.add_argument("--memory", type=int, help="with --build: the memory limit in bytes")
    asked = parser.parse_args()
    if asked.build:
        print(json.dumps(_build(asked.build, asked.memory, asked.features)))
        return
    with tempfile.TemporaryDirectory(prefix="shepherd-benchmark-") as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        result = measure(folder, quick=asked.quick, growth=tuple(asked.growth))
    print(json.dumps(result | {"load_average": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    main()
