"""The service beside the servers that others would use, and under more load than it can take; prints one JSON object.

    python -m benchmarks.serving             # an hour on two cores; ten million logged events take 10 GB of disk
    python -m benchmarks.serving --quick     # minutes; what needs size is null, with its reason under `skipped`

One process of the service on this machine, the fraud model with all its features, requests from another process on
another core (`benchmarks.load`). A full decision is a scan in, its features from the live state, calibrated chance,
action, reasons, and an answer once the log holds it; only those count as good that were judged and recorded. A bare
score is a row of features in and a chance out: ours by name and with an action, the others' as a list (`bytes` of
each). Peers run beside us in the same rounds, in turn, on the same core, one thread each; ratios are medians of rounds.
Latency is told at a fixed arrival rate, from the instant at which a request was due; `floor` is what the machine and
the generator add at that rate by themselves.

Every figure stands with the machine's load average (one minute) when it was measured: other work on the same cores
makes absolute figures worse, ratios less so.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from benchmarks import service_log
from benchmarks.floor import floor
from benchmarks.large_log import RECOVERIES, large
from benchmarks.load import MARK, Load
from benchmarks.model_servers import LONGEST_START, ModelServer, Running, peers, running
from benchmarks.parts import measured
from benchmarks.served_fraud import RECORDED, ROW, SCAN, Served, learned
from benchmarks.server_process import cpu_seconds, load_average, resident_bytes
from benchmarks.shared_order import SECRET, STREAM_KEYS, stream
from data.errors import DataError
from serving.bundle import read, resolve
from serving.graph_cut import cut
from serving.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

CONNECTIONS: Final = 32
OURS: Final = "ours"
PEERS: Final = ("mlflow", "bentoml", "mlserver")
_LARGEST_GAP: Final = 1e-9
_SERVER_CORE, _LOAD_CORE = 0, 1
_ROWS: Final = 500


@dataclass(frozen=True)
class Sizes:
    """How long and how much is measured.

    Attributes:
        rounds: Interleaved rounds.
        seconds: Of one round.
        warm: Before it.
        steady: Seconds at half the capacity.
        steady_warm: Before them.
        pressed: Seconds at more than the capacity.
        started: Seconds right after a start with the large log.
        members: Active members of the large log; 0 for none.
        events: Scans of the large log.
    """

    rounds: int = 5
    seconds: float = 5.0
    warm: float = 1.0
    steady: float = 60.0
    steady_warm: float = 10.0
    pressed: float = 20.0
    started: float = 20.0
    members: int = 1_000_000
    events: int = 10_000_000


QUICK: Final = Sizes(seconds=2.0, warm=0.5, steady=15.0, steady_warm=3.0, pressed=6.0, members=0, events=0)


class Bench:
    """What the parts share: the model, the folder, and how servers are started.

    Args:
        folder: Where everything is written.
        environments: Where the peers' environments are, or are put.
        sizes: How long and how much is measured.
    """

    def __init__(self, folder: Path, environments: Path, sizes: Sizes) -> None:
        self.folder, self.environments, self.sizes = folder, environments, sizes
        self.served: Served = learned(folder / "served")
        cores = sorted(os.sched_getaffinity(0))
        self.cores = (cores[_SERVER_CORE], cores[_LOAD_CORE]) if len(cores) > 1 else (None, None)
        self._number = 0

    @contextmanager
    def service(
        self, ledger: str, tables: Path | None = None, *, longest_start: float = LONGEST_START, state: str = ""
    ) -> Iterator[Running]:
        """Our service with a log of its own; on a core of its own where it has no other tables, and starts at once.

        Args:
            ledger: Which log.
            tables: Of whom; the measured world's where there are none.
            longest_start: Seconds after which it should be ready.
            state: Redis, where it shares its order with others.
        """
        home = self.served.folder
        command = [sys.executable, "-m", "shepherd", "serve", "--home", str(home), "--port", "{port}"]
        place = self.folder / f"service-{ledger}"
        place.mkdir(parents=True, exist_ok=True)
        settings = {
            "SHEPHERD_LEDGER": str(self.folder / f"ledger-{ledger}"),
            "SHEPHERD_TABLES": str(tables or self.served.tables),
            "SHEPHERD_STATE": state,
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        if state:
            settings["SHEPHERD_SECRET"] = SECRET
        core = None if tables or state else self.cores[0]
        with running(command, place, settings, "/readyz", core, longest_start) as found:
            yield found

    def load(self, server: Running, path: str, bodies: Path, *, good: str = "", connections: int = CONNECTIONS) -> Load:
        """Requests to a server, each with a number that none had before."""
        self._number += 100_000_000
        return Load(
            server.port,
            path,
            str(bodies),
            connections=connections,
            seconds=self.sizes.seconds,
            warm=self.sizes.warm,
            good=good,
            start=self._number,
            core=self.cores[1],
        )

    def scans(self) -> Path:
        """A file of scans."""
        path = self.folder / "scans.bodies"
        if not path.exists():
            path.write_bytes(b"\n".join(service_log.bodies(self.served.tables, f"S{MARK.decode()}")))
        return path

    def written(self, name: str, bodies: list[bytes]) -> Path:
        """A file of bodies."""
        path = self.folder / f"{name}.bodies"
        path.write_bytes(b"\n".join(bodies))
        return path


def score_only(bench: Bench) -> dict[str, Any]:
    """Bare scores a second of ours and of the peers, in interleaved rounds; and what each takes a request."""
    served, sizes = bench.served, bench.sizes
    scorer, rows = _scorer(bench), served.rows()[:_ROWS]
    known = peers(served, cut(served.onnx.read_bytes(), ("raw",)), bench.environments, bench.folder)
    missing = {name: why for name, why in known.items() if isinstance(why, str)}
    asked: dict[str, tuple[Running, str, Path]] = {}
    with ExitStack() as stack:
        server = stack.enter_context(bench.service("rows"))
        asked[OURS] = (server, ROW, bench.written(OURS, row_bodies(bench)))
        for name, peer in known.items():
            if isinstance(peer, ModelServer):
                its = stack.enter_context(peer.started(bench.cores[0]))
                _require_same(peer, its, rows[:20], scorer.raw(rows[:20]))
                asked[name] = (its, peer.path, bench.written(name, [peer.body(row) for row in rows]))
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in asked}
        for _ in range(sizes.rounds):
            for name, (its, path, bodies) in asked.items():
                rounds[name].append(_round(bench.load(its, path, bodies), its))
        few = {
            f"c{connections}": {
                name: _round(bench.load(its, path, bodies, connections=connections), its)
                for name, (its, path, bodies) in asked.items()
            }
            for connections in (1, 8)
        }
    rates = {name: median(one["per_second"] for one in found) for name, found in rounds.items()}
    ratios = {
        name: round(median(a["per_second"] / b["per_second"] for a, b in zip(rounds[OURS], found, strict=True)), 2)
        for name, found in rounds.items()
        if name != OURS
    }
    return {
        "per_second": rates,
        "ratio": {name: ratios.get(name) for name in PEERS},
        "missing": missing,
        "rounds": rounds,
        "fewer_connections": few,
        "bytes": {name: path.stat().st_size // len(rows) for name, (_, _, path) in asked.items()},
        "load_average": load_average(),
    }


def decisions(bench: Bench) -> dict[str, Any]:
    """Full decisions a second at 32 connections; milliseconds at half of that; what comes of twice and five times."""
    sizes = bench.sizes
    with bench.service(f"decisions-{time.time_ns()}") as server:
        rounds = []
        for _ in range(sizes.rounds):
            load = bench.load(server, SCAN, bench.scans(), good=RECORDED)
            rounds.append(_round(load, server))
        capacity = median(one["per_second"] for one in rounds)
        steady = bench.load(server, SCAN, bench.scans(), good=RECORDED, connections=CONNECTIONS)
        half = steady.times(capacity / 2, sizes.steady, sizes.steady_warm).measured()
        half["load_average"] = load_average()
        least = floor(bench, capacity / 2, bench.written(OURS, row_bodies(bench)))
        pressed = {}
        for times in (2, 5):
            load = bench.load(server, SCAN, bench.scans(), good=RECORDED)
            found = load.times(times * capacity, sizes.pressed, sizes.warm).measured()
            pressed[f"times_{times}"] = {
                "goodput_share_of_peak": round(found["good_per_second"] / capacity, 3),
                "refusal_p99_ms": (found["refused_ms"] or {}).get("p99"),
                "hung": found["hung"],
                "load_average": load_average(),
                **found,
            }
        return {
            "per_second": capacity,
            "rounds": rounds,
            "half_load": half,
            "floor": least,
            "overload": pressed,
            "server_memory_bytes": resident_bytes(server),
        }


def laid_out(found: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that are printed."""
    scores, full, shared, many = (found.get(name) or {} for name in ("score_only", "decisions", "stream", "large"))
    half = full.get("half_load") or {}
    milliseconds = half.get("good_ms") or {}
    return {
        "decisions_per_second": full.get("per_second"),
        "score_only_per_second": (scores.get("per_second") or {}).get(OURS),
        "ratio": scores.get("ratio") or dict.fromkeys(PEERS),
        "half_load": {
            "p50_ms": milliseconds.get("p50"),
            "p99_ms": milliseconds.get("p99"),
            "p99_9_ms": milliseconds.get("p99_9"),
            "errors": half.get("errors"),
            "per_second": half.get("good_per_second"),
            "load_average": half.get("load_average"),
        },
        "floor": full.get("floor"),
        "memory_bytes": many.get("memory_bytes"),
        "start_seconds": many.get("start_seconds"),
        "recovery_seconds": many.get("recovery_seconds") or dict.fromkeys(RECOVERIES),
        "overload": {
            times: {
                name: ((full.get("overload") or {}).get(times) or {}).get(name)
                for name in ("goodput_share_of_peak", "refusal_p99_ms", "hung", "load_average")
            }
            for times in ("times_2", "times_5")
        },
        "stream": {name: shared.get(name) for name in STREAM_KEYS},
        "parts": dict(found),
    }


PARTS: Final[Mapping[str, Callable[[Bench], dict[str, Any] | str]]] = {
    "score_only": score_only,
    "decisions": decisions,
    "stream": stream,
    "large": large,
}


KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "score_only": ("score_only_per_second", "ratio"),
    "decisions": ("decisions_per_second", "half_load", "floor", "overload"),
    "stream": ("stream",),
    "large": ("memory_bytes", "start_seconds", "recovery_seconds"),
}
"""What each part is measured for."""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the same keys within ten minutes")
    parser.add_argument("--json", action="store_true", help="say nothing on the way")
    parser.add_argument("--only", action="append", default=[], choices=PARTS, help="measure this part; repeatable")
    parser.add_argument("--folder", type=Path, help="where the model and the logs are kept and found again")
    parser.add_argument("--peers", type=Path, help="where the peers' environments are kept and found again")
    parser.add_argument("--members", type=int, help="active members of the large log, with --events")
    parser.add_argument("--events", type=int, help="scans of the large log, with --members")
    asked = parser.parse_args()
    sizes = QUICK if asked.quick else Sizes()
    if asked.members and asked.events:
        sizes = replace(sizes, members=asked.members, events=asked.events)
    with tempfile.TemporaryDirectory(prefix="shepherd-benchmark-") as temporary:
        folder = (asked.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        with redirect_stderr(io.StringIO()) if asked.json else nullcontext():
            bench = Bench(folder, (asked.peers or folder / "peers").resolve(), sizes)
            found, reasons = measured({name: partial(part, bench) for name, part in PARTS.items()}, folder, asked.only)
    skipped = {key: why for name, why in reasons.items() for key in KEYS[name]}
    skipped |= {f"ratio.{name}": why for name, why in ((found["score_only"] or {}).get("missing") or {}).items()}
    where = machine() | {"server_core": bench.cores[0], "load_core": bench.cores[1]}
    print(json.dumps(laid_out(found) | {"machine": where, "skipped": skipped, "load_average": load_average()}))


def machine() -> dict[str, Any]:
    """Where it was measured."""
    return {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()}


def _round(load: Load, server: Running) -> dict[str, Any]:
    """One round: good answers a second, their milliseconds, and what the server's processes took for each answer."""
    before = cpu_seconds(server)
    found = load.measured()
    answers = found["answers_per_second"] * (load.seconds + load.warm)
    return {
        "per_second": found["good_per_second"],
        "ms": found["good_ms"],
        "errors": found["errors"],
        "statuses": found["statuses"],
        "cpu_us": round((cpu_seconds(server) - before) / max(answers, 1) * 1e6),
        "load_average": load_average(),
    }


def row_bodies(bench: Bench) -> list[bytes]:
    """Rows of features as our callers send them."""
    names = _scorer(bench).manifest.feature_names
    return [_by_name(names, row) for row in bench.served.rows()[:_ROWS]]


def _scorer(bench: Bench) -> Scorer:
    return Scorer(read(resolve(bench.served.bundles, "fraud", "champion")))


def _by_name(names: tuple[str, ...], row: NDArray[np.float32]) -> bytes:
    values = {name: None if np.isnan(value) else float(value) for name, value in zip(names, row, strict=True)}
    return msgspec.json.encode(values | {"prize_fen": 500, "campaign_id": None})


def _require_same(peer: ModelServer, server: Running, rows: NDArray[np.float32], raw: NDArray[np.float64]) -> None:
    """Hold a peer's answers to ours before it is measured."""
    found = np.array([peer.raw(server.ask(peer.path, peer.body(row))) for row in rows])
    gap = float(np.abs(found - raw).max())
    if gap > _LARGEST_GAP:
        raise DataError(f"{peer.name}: found raw scores that differ by {gap} from ours, expected the same model")


if __name__ == "__main__":
    main()
