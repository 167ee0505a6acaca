"""A state brought back in a process of its own, as the service does, and a digest of what it answers.

    python -m benchmarks.recovered_state --home HOME --tables DIR --ledger DIR --snapshots DIR --members N --scans N

Two states that give the same digest answer the same, to the bit, for some thousand members, their devices, networks and
codes, as of one instant after all that they have seen. An empty folder of snapshots means: from the log alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks import service_log
from benchmarks.server_process import load_average
from serving.bundle import read, resolve
from serving.ledger.ledger import Ledger
from serving.ledger.recovery import recover
from serving.live.intake import Intake
from serving.live.models import declared
from serving.live.registers import Registers

if TYPE_CHECKING:
    from collections.abc import Iterator

ASKED: Final = 5_000
_ACTIVE: Final = "member_scan_count_30d"
_NEVER: Final = 1 << 60


def recovered(**options: object) -> dict[str, Any]:
    """What `main` prints, from a process of its own."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "benchmarks.recovered_state", *words]
    done = subprocess.run(  # noqa: S603 - ourselves
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1]
    )
    if done.returncode:
        raise RuntimeError(f"a state was not brought back: {done.stderr.strip()[-600:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Brings a state back, asks it, and prints what came of it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recovered_state", description=__doc__.partition("\n")[0]
    )
    for name in ("home", "tables", "ledger", "snapshots"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("members", "scans"):
        parser.add_argument(f"--{name}", type=int, required=True)
    asked = parser.parse_args()
    manifest = read(resolve(asked.home / "bundles", "fraud", "champion")).manifest
    ledger = Ledger.read(asked.ledger)
    began, took = time.perf_counter(), time.process_time()
    state = recover(ledger, declared(manifest), asked.snapshots, long_replay=_NEVER)
    seconds, cpu = time.perf_counter() - began, time.process_time() - took
    at = state.clock + 1
    answers = np.stack([state.read(row | {"as_of": at}) for row in _rows(ledger, asked, at)])
    active = answers[:, manifest.feature_names.index(_ACTIVE)]
    found = {
        "sequence": state.sequence,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
        "state_bytes": {name: array.nbytes for name, array in state.arrays().items()},
        "asked": len(answers),
        "known_share": round(float(np.isfinite(answers).mean()), 4),
        "active_share": float((active > 0).mean()),
        "digest": hashlib.sha256(answers.tobytes()).hexdigest(),
        "load_average": load_average(),
    }
    print(json.dumps(found))


def _rows(ledger: Ledger, asked: argparse.Namespace, at: int) -> Iterator[dict[str, object]]:
    """The keys of scans of members all over, of their last turn."""
    intake, follows = Intake(Registers.read(asked.tables), ledger.vault), service_log.templates(asked.home / "world")
    last = min(asked.members, asked.scans)
    for number in np.linspace(asked.scans - last, asked.scans - 1, min(ASKED, last)).astype(int):
        yield intake.scan(service_log.scan(follows, int(number), asked.members), at)


if __name__ == "__main__":
    main()
