"""Runs of three tasks and several seeds, each derived again from its data: all are to be equal, and how long it takes.

One small world is written once; every task learns from it with every seed, and is verified. Times are seconds of
processor time and of the clock, of the training and of the verification.

    python -m benchmarks.verify [--folder DIR] [--members 2000] [--trials 2] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from data.sources import open_folder
from data.steps import Steps
from data.world.request import Request
from data.world.simulation import simulate
from training.catalogue import find
from training.verification.verdict import verify
from training.walk import train

if TYPE_CHECKING:
    from collections.abc import Callable

    from data.sources import DataSet

Result = TypeVar("Result")
TASKS: Final = ("fraud", "offers", "site")
DAYS: Final = 90


@dataclass(frozen=True)
class Verified:
    """One run and its verification.

    Attributes:
        task: Its task.
        seed: Where its chance started.
        equal: Whether nothing differs.
        differences: What does.
        compared: Values and files that were held against each other.
        trained: Seconds of processor time and of the clock that the training took.
        verified: The same of the verification.
    """

    task: str
    seed: int
    equal: bool
    differences: tuple[str, ...]
    compared: int
    trained: tuple[float, float]
    verified: tuple[float, float]


def verified(task: str, data_set: DataSet, home: Path, trials: int, seed: int) -> Verified:
    """Train once and derive once."""
    declared, now = find(task), datetime.now(UTC)
    done, trained = _timed(lambda: train(declared, data_set, now=now, home=home, trials=trials, seed=seed))
    verdict, took = _timed(lambda: verify(done.tracked.run_id, home=home, steps=Steps()))
    told = tuple(map(str, verdict.differences))
    return Verified(task, seed, verdict.equal, told, sum(verdict.compared.values()), trained, took)


def _timed(call: Callable[[], Result]) -> tuple[Result, tuple[float, float]]:
    busy, began = time.process_time(), time.perf_counter()
    result = call()
    return result, (round(time.process_time() - busy, 1), round(time.perf_counter() - began, 1))


def main() -> int:
    """Print one line a run; exit code 1 if one is not equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("var") / "verify")
    parser.add_argument("--members", type=int, default=2_000)
    parser.add_argument("--trials", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    asked = parser.parse_args()
    simulate(Request(preset="world/v1", members=asked.members, days=DAYS, seed=7), asked.folder / "world")
    data_set, failed = open_folder(asked.folder / "world"), 0
    for seed in asked.seeds:
        for task in asked.tasks:
            one = verified(task, data_set, asked.folder / "home", asked.trials, seed)
            failed += not one.equal
            sys.stdout.write(json.dumps({**asdict(one), "load": round(os.getloadavg()[0], 1)}) + "\n")
            sys.stdout.flush()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
