"""Judges the simulated world: how fast it is made, how real, how hard, and that its truth leaks nowhere.

    python -m benchmarks.world            # hours on two cores: worlds of 1M, 10M and 50M scans
    python -m benchmarks.world --quick    # minutes; what needs size is null, with its reason under `skipped`
    python -m benchmarks.world --world DIR    # judges a world that is there

Prints one JSON object, last. Each world is made in a process of its own; its speed is in scans a second of the wall
clock, all tables written. Reality check and baselines look at the world of 1M scans; leaks likewise.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.analyst import baselines
from benchmarks.leaks import FEWEST_RINGS, leaks
from benchmarks.margins import real_data, reality_check
from benchmarks.truth import HONEST, truth_table
from data.sources import open_folder
from features.memory import peak_bytes

if TYPE_CHECKING:
    from data.sources import DataSet

TRUTH: Final = "truth"
PRESET: Final = "world/v1"
SIZES: Final = {"1M": 43_500, "10M": 435_000, "50M": 2_175_000}
QUICK: Final = {"1M": 12_000, "10M": None, "50M": None}
_QUICK_DAYS: Final = 60
_DAYS: Final = 90
_TWICE: Final = (600, 21)
_JUDGES: Final = 20250303


def judge(folder: Path, real: Path) -> dict[str, Any]:
    """Reality check, baselines and leaks of a world.

    Args:
        folder: Where `shepherd simulate` wrote it, in Parquet.
        real: The folder of real sets.
    """
    world, truth = open_folder(folder), folder / TRUTH
    margins = reality_check(world, real)
    _tell("reality check", {name: one.value for name, one in margins.distances.items()})
    found = leaks(world, truth, np.random.default_rng(_JUDGES))
    _tell("leaks", {name: str(one.area) for name, one in found.items()})
    beaten = baselines(world, truth, np.random.default_rng(_JUDGES))
    _tell("baselines", {name: str(one.caught["all"]) for name, one in beaten.items()})
    told = size(world, truth)
    few = [name for name in told["families"] if name != HONEST and name not in found]
    return {
        "world": told,
        "distances": {name: one.as_dict() for name, one in margins.distances.items()},
        "leaks": {name: one.as_dict() for name, one in found.items()} | dict.fromkeys(few),
        "baselines": {name: one.as_dict() for name, one in beaten.items()},
        "skipped": {
            **margins.skipped,
            **{f"leaks.{name}": f"has fewer than {FEWEST_RINGS} rings" for name in few},
        },
    }


def size(world: DataSet, truth: Path) -> dict[str, Any]:
    """Scans, members who scan, and the share of scans of each family and crowd."""
    shares: dict[str, dict[str, float]] = {}
    with world.connect() as connection:
        scans, members = connection.sql("SELECT count(*), count(DISTINCT member_id) FROM scans").fetchall()[0]
        for column in ("family", "crowd"):
            found = connection.sql(f"""
                SELECT {column}, count(*) / sum(count(*)) OVER () FROM {truth_table(truth, "scans")}
                GROUP BY {column} ORDER BY {column}
            """).fetchall()
            shares[column] = {name: round(share, 5) for name, share in found}
    return {"scans": scans, "members_who_scan": members, "families": shares["family"], "crowds": shares["crowd"]}


def made(folder: Path, members: int, days: int) -> dict[str, Any]:
    """Makes a world in a process of its own: scans a second, seconds, peak bytes, bytes on disk."""
    command = [sys.executable, "-m", "benchmarks.world", "--simulate", str(folder)]
    command += ["--members", str(members), "--days", str(days)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ourselves
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    _tell("made", measured)
    return measured


def _make(folder: Path, members: int, days: int) -> dict[str, Any]:
    from data.world.preset import PRESETS  # noqa: PLC0415 - a world that is there is judged without its maker
    from data.world.request import Request  # noqa: PLC0415 - likewise
    from data.world.simulation import simulate  # noqa: PLC0415 - likewise

    began, cpu = time.perf_counter(), time.process_time()
    report = simulate(Request(preset=PRESET, members=members, days=days, seed=PRESETS[PRESET].seeds[0]), folder)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    scans = report.rows["scans"]
    return {
        "members": members,
        "days": days,
        "scans": scans,
        "scans_per_second": round(scans / seconds),
        "scans_per_cpu_second": round(scans / cpu),
        "wall_seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_bytes": peak_bytes(),
        "disk_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        "content_hash": open_folder(folder).content_hash(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def same_twice(folder: Path) -> bool:
    """Whether a small world is the same to the bit when two processes make it."""
    hashes = {made(folder / f"twice-{turn}", *_TWICE)["content_hash"] for turn in range(2)}
    return len(hashes) == 1


def measure(folder: Path, real: Path, *, quick: bool) -> dict[str, Any]:
    """All figures; see DESIGN.md, section 9."""
    sizes: dict[str, dict[str, Any]] = {}
    skipped: dict[str, str] = {}
    judged: dict[str, Any] = {}
    for name, members in (QUICK if quick else SIZES).items():
        if members is None:
            skipped[name] = f"making a world of {name} scans takes more than the ten minutes of --quick"
            continue
        sizes[name] = made(folder / name, members, _QUICK_DAYS if quick else _DAYS)
        if not judged:
            judged = judge(folder / name, real)
        shutil.rmtree(folder / name)
    if quick:
        skipped["1M"] = f"looked at {QUICK['1M']} members over {_QUICK_DAYS} days instead"
    return {
        "scans_per_second": {name: sizes[name]["scans_per_second"] if name in sizes else None for name in SIZES},
        "peak_bytes": {name: sizes[name]["peak_bytes"] if name in sizes else None for name in SIZES},
        "sizes": sizes,
        "same_twice": same_twice(folder),
        **judged,
        "skipped": {**skipped, **judged["skipped"]},
    }


def _tell(what: str, figures: dict[str, Any]) -> None:
    print(f"{what}:", json.dumps(figures), file=sys.stderr, flush=True)


def _asked_for(asked: argparse.Namespace) -> dict[str, Any]:
    if asked.world:
        return judge(asked.world, asked.real)
    with tempfile.TemporaryDirectory(prefix="shepherd-benchmark-") as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return measure(folder, asked.real, quick=asked.quick)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.world", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the same keys within ten minutes")
    parser.add_argument("--json", action="store_true", help="say nothing on the way")
    parser.add_argument("--folder", type=Path, help="where worlds are made; by default a temporary one")
    parser.add_argument("--world", type=Path, help="judge this world, make none")
    parser.add_argument("--real", type=Path, default=real_data(), help="the folder of real sets")
    parser.add_argument("--simulate", type=Path, help="only make a world (what a measurement starts)")
    parser.add_argument("--members", type=int, default=SIZES["1M"], help="with --simulate")
    parser.add_argument("--days", type=int, default=_DAYS, help="with --simulate")
    asked = parser.parse_args()
    if asked.simulate:
        print(json.dumps(_make(asked.simulate, asked.members, asked.days)))
        return
    with redirect_stderr(io.StringIO()) if asked.json else nullcontext():
        result = _asked_for(asked)
    print(json.dumps(result | {"load_average": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    main()
