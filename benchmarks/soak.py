"""Ten minutes of constant load on the service: its resident memory and its file descriptors have to stay flat.

    python -m benchmarks.soak                     # exit code 1 if they do not; prints one JSON object
    python -m benchmarks.soak --seconds 60

Most requests are scans that came before, which are answered from the log and change nothing, and bare rows; a few scans
a second are new. The live state keeps every new scan as long as a window can see it, so that much memory may grow: a
kibibyte a new scan, of members and devices that came before. Everything else may not: a hundred bytes lost a request
would show as tens of megabytes. Caches of a fixed size (64 MiB of the log's pages) are filled before, with new scans as
fast as they are answered. Memory is the process's own (RssAnon); mapped pages of the log are the kernel's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from scipy.stats import linregress
from scipy.stats import t as student

from benchmarks.load import MARK, Load
from benchmarks.served_fraud import RECORDED, ROW, SCAN
from benchmarks.server_process import load_average, own_bytes
from benchmarks.serving import QUICK, Bench, row_bodies

if TYPE_CHECKING:
    from benchmarks.model_servers import Running

REPEATED: Final = 2_000
FRESH: Final = 1_000
_CONNECTIONS: Final = 8
_SHARE: Final = 0.02
_SPARE_BYTES: Final = 8 << 20
_BYTES_A_SCAN: Final = 1_024
_SPARE_FILES: Final = 2
_PART: Final = 5
_WARM: Final = 1.0
_MEANS_OF: Final = 30.0
_FEWEST_MEANS: Final = 4
_NEAR: Final = 5.0
_APART: Final = 500_000_000_000


class Sample(NamedTuple):
    """One look at a server: seconds since the beginning, bytes of memory in use, open files."""

    at: float
    resident: int
    files: int


@dataclass(frozen=True)
class Soaked:
    """What came of a soak.

    Attributes:
        seconds: How long it was.
        filled: How many new scans filled the caches before.
        requests: How many were answered.
        new_scans: How many of them, in the time that is looked at, were scans that nobody had sent before.
        errors: How many were not answered as they should be.
        first_bytes: Memory over the first fifth, the middle sample.
        last_bytes: Memory over the last fifth.
        first_files: Open files over the first fifth, the most.
        last_files: Open files over the last fifth.
        samples: All looks.
    """

    seconds: float
    filled: int
    requests: int
    new_scans: int
    errors: int
    first_bytes: int
    last_bytes: int
    first_files: int
    last_files: int
    samples: list[Sample] = field(repr=False)

    @property
    def allowed_bytes(self) -> int:
        """How much memory may have grown."""
        noise = max(int(self.first_bytes * _SHARE), _SPARE_BYTES)
        return noise + self.new_scans * _BYTES_A_SCAN

    @property
    def flat(self) -> bool:
        """Whether memory and open files stayed."""
        return (
            self.last_bytes - self.first_bytes <= self.allowed_bytes
            and self.last_files <= self.first_files + _SPARE_FILES
        )


@dataclass(frozen=True)
class Soak:
    """What is asked of a service, and how long.

    Attributes:
        repeated: A file of scans with ids of their own, which are sent again and again.
        fresh: A file of scans that get a new id each time.
        rows: A file of rows to be scored barely.
        seconds: How long it is looked at.
        settle: How long caches are filled before.
        rate: Repeated scans a second, and likewise rows.
        new: New scans a second.
    """

    repeated: Path
    fresh: Path
    rows: Path
    seconds: float = 600.0
    settle: float = 60.0
    rate: float = 200.0
    new: float = 20.0


def soaked(server: Running, soak: Soak) -> Soaked:
    """Ask a service for some time, and look at it all the while."""
    fill = Load(server.port, SCAN, str(soak.fresh), _CONNECTIONS, soak.settle, 0.0, start=_APART)
    filled = fill.measured()
    replace(fill, bodies=str(soak.repeated), seconds=soak.settle / 2).measured()
    asking = replace(
        fill, bodies=str(soak.repeated), seconds=soak.seconds, warm=_WARM, rate=soak.rate, most=_CONNECTIONS
    )
    once = replace(asking, bodies=str(soak.fresh), rate=soak.new, good=RECORDED, start=0)
    bare = replace(asking, path=ROW, bodies=str(soak.rows))
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(load.measured) for load in (once, asking, bare)]
        samples, began = [], time.perf_counter()
        while not all(one.done() for one in asked):
            samples.append(Sample(round(time.perf_counter() - began, 1), own_bytes(server), _files(server)))
            time.sleep(min(1.0, soak.seconds / 30))
        heard = [one.result() for one in asked]
    samples = [one for one in samples if _WARM <= one.at <= _WARM + soak.seconds]
    part = max(len(samples) // _PART, 1)
    first, last = samples[:part], samples[-part:]
    return Soaked(
        soak.seconds,
        filled["sent"],
        sum(one["sent"] for one in heard),
        heard[0]["sent"],
        sum(one["errors"] for one in heard[1:]) + heard[0]["hung"],
        int(median(one.resident for one in first)),
        int(median(one.resident for one in last)),
        max(one.files for one in first),
        max(one.files for one in last),
        samples,
    )


@dataclass(frozen=True)
class Slope:
    """How memory grew, bytes a minute, by least squares over means of half a minute, with its 95 % interval."""

    bytes_a_minute: float
    low: float
    high: float


def slope(samples: list[Sample]) -> Slope | None:
    """How memory grew over all looks, what new scans add to the state included; None where they are too few."""
    parts = int(samples[-1].at // _MEANS_OF) or 1
    if parts < _FEWEST_MEANS:
        return None
    split = np.array_split(np.array([(one.at / 60, one.resident) for one in samples]), parts)
    at, resident = np.array([part.mean(axis=0) for part in split]).T
    fitted = linregress(at, resident)
    off = float(student.ppf(0.975, parts - 2) * fitted.stderr)
    found = float(fitted.slope)
    return Slope(round(found), round(found - off), round(found + off))


def minutes(samples: list[Sample]) -> dict[str, dict[str, int]]:
    """Memory and open files after one, five and ten minutes, as far as it came."""
    return {
        str(minute): {"resident": one.resident, "files": one.files}
        for minute in (1, 5, 10)
        if (one := min(samples, key=lambda sample: abs(sample.at - 60 * minute))).at > 60 * minute - _NEAR
    }


def _files(server: Running) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def main() -> None:
    """Soaks and judges."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=Soak.seconds, help="how long it is looked at")
    parser.add_argument("--settle", type=float, default=Soak.settle, help="seconds in which caches are filled before")
    parser.add_argument("--new", type=float, default=Soak.new, help="new scans a second")
    parser.add_argument("--rate", type=float, default=Soak.rate, help="repeated scans, and rows, a second")
    parser.add_argument("--folder", type=Path, help="where the model is kept and found again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shepherd-soak-") as temporary:
        folder = (asked.folder or Path(temporary)).resolve()
        bench = Bench(folder, folder / "peers", QUICK)
        scans = bench.scans().read_bytes().splitlines()
        again = [line.replace(MARK, b"again%07d" % number) for number, line in enumerate(scans[:REPEATED])]
        soak = Soak(
            bench.written("repeated", again),
            bench.written("fresh", scans[:FRESH]),
            bench.written("rows", row_bodies(bench)),
            asked.seconds,
            asked.settle,
            asked.rate,
            asked.new,
        )
        with bench.service(f"soak-{time.time_ns()}") as server:
            found = soaked(server, soak)
    told: dict[str, Any] = asdict(found) | {"allowed_bytes": found.allowed_bytes, "flat": found.flat}
    grown = slope(found.samples)
    told |= {"minutes": minutes(found.samples), "slope": None if grown is None else asdict(grown)}
    told["samples"] = found.samples[:: max(len(found.samples) // 20, 1)]
    print(json.dumps(told | {"load_average": load_average()}))
    sys.exit(0 if found.flat and not found.errors else 1)


if __name__ == "__main__":
    main()
