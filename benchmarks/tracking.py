"""What tracking costs a run, and how the commands fare that read a store of many runs.

    python -m benchmarks.tracking --folder DIR [--task NAME --data DIR] [--runs N] [--trials N] [--calls N]

The same fit is made once without tracking and once with it: the difference is what `track in MLflow` takes, in seconds
of the clock and of the processor, in megabytes on the disk and in memory. Then the store is filled with copies of that
run's figures, and every command that reads it or refuses is timed as a process of its own, from its start to its exit:
the median of several calls, the commands by turns, so that what else the machine does meets all of them alike; beside
it the part that asks the store. Without `--data` the site task of a small world is fitted. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.server_process import load_average
from data.checks import require
from data.errors import GateRefused
from data.sources import open_folder
from data.steps import Steps
from training.catalogue import find
from training.journey import make
from training.provenance import provenance
from training.reconcile import reconcile
from training.registry import challenge, promote
from training.tracking.runs import BUNDLE, EXPERIMENT
from training.tracking.snapshot import snapshot
from training.tracking.stores import client, store
from training.tracking.tracked import track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from data.sources import DataSet
    from training.task import AnyTask
    from training.tracking.tracked import Tracked

RUNS: Final = 500
CALLS: Final = 5
MOST_SECONDS: Final = 3.0
"""Within which a command answers that fits nothing."""
_MEGABYTE: Final = 1e6
_NO_RUN: Final = "0" * 32
_AT_ONCE: Final = 1 << 16  # bytes read from a command


@contextmanager
def clock() -> Iterator[dict[str, float]]:
    """Seconds of the clock and of this process inside, known once it is left."""
    found: dict[str, float] = {}
    began, used = time.perf_counter(), time.process_time()
    yield found
    found |= {
        "seconds": round(time.perf_counter() - began, 3),
        "cpu_seconds": round(time.process_time() - used, 3),
    }


def overhead(task: AnyTask, data_set: DataSet, home: Path, trials: int = 1) -> tuple[dict[str, object], Tracked]:
    """What a run costs beyond its fit; the second run of a store is told beside the first, which makes the store.

    Args:
        task: What is fitted.
        data_set: Tables that keep their contracts.
        home: An empty folder.
        trials: Sets of parameters to try.

    Returns:
        The figures, and the run that was tracked last.
    """
    checked = sum(require(data_set, datetime.now(UTC)).tables.values())
    with clock() as fit:
        made = make(task, data_set, checked, home=home, trials=trials, seed=0, steps=Steps())
    before = _memory()
    with clock() as reach:
        client(store(home))
    folder, manifest = made.released.folder, made.released.bundle.manifest
    tracked, took = [], []
    for _ in range(2):
        with clock() as one:
            origin = provenance(
                task, data_set, home, record=made.fitted.record, manifest=manifest, tried=made.fitted.tried
            )
            tracked.append(track(made.fitted, folder, store(home), made.figures, origin, made.changes))
        took.append(one)
        if len(tracked) == 1:
            first = _size(home / "mlartifacts")
    challenge(task.name, manifest.version, home)
    run = client(store(home)).get_run(tracked[0].run_id)
    return {
        "task": task.name,
        "fit_without_tracking": fit,
        "reach_a_new_store": reach,
        "track_first": took[0],
        "track_next": took[1],
        "metrics": len(run.data.metrics),
        "parameters": len(run.data.params),
        "megabytes": {
            "files_of_a_run": round((_size(home / "mlartifacts") - first) / _MEGABYTE, 3),
            "of_these_the_bundle": round(_size(folder) / _MEGABYTE, 3),
            "database_of_two_runs": round((home / "mlflow.db").stat().st_size / _MEGABYTE, 3),
            "memory_of_tracking": round((_memory() - before) / _MEGABYTE, 1),
        },
    }, tracked[1]


def crowd(home: Path, task: str, like: str, runs: int) -> dict[str, float]:
    """Fill a store until it holds so many runs, each with the figures and the registered model of one; gives its time.

    Args:
        home: Where the store lies.
        task: Whose experiment.
        like: The run whose parameters and figures they get.
        runs: How many there should be in all.
    """
    from mlflow.entities import Metric, Param  # noqa: PLC0415 - after telemetry is off

    seen = client(store(home))
    run = seen.get_run(like)
    metrics = [Metric(name, value, 0, 0) for name, value in run.data.metrics.items()]
    parameters = [Param(name, value) for name, value in run.data.params.items()]
    there = len(seen.search_runs([run.info.experiment_id], max_results=runs))
    with clock() as took:
        for number in range(there, runs):
            name = f"20250101T000000Z-{number:08x}"
            one = seen.create_run(run.info.experiment_id, run_name=name, tags=_plain(run.data.tags)).info.run_id
            seen.log_batch(one, metrics, parameters)
            seen.set_terminated(one, "FINISHED")
            version = seen.create_model_version(EXPERIMENT.format(task=task), run.info.artifact_uri, one)
            seen.set_model_version_tag(version.name, version.version, BUNDLE, name)
    return took


def asked(home: Path, task: str, run_id: str, folder: Path) -> dict[str, dict[str, float]]:
    """The parts of commands that ask the store, in this process."""
    parts: dict[str, Callable[[], object]] = {
        "train: reach the MLflow store": lambda: client(store(home)),
        "train, retrain: mend what was killed": lambda: reconcile(home),
        "promote": lambda: _promoted(task, home),
        "verify: fetch the run": lambda: snapshot(store(home), run_id, folder / "fetched"),
    }
    found = {}
    for name, part in parts.items():
        with clock() as found[name]:
            part()
    return found


def commands(words: Mapping[str, tuple[str, ...]], calls: int = CALLS) -> dict[str, dict[str, float]]:
    """Each command as a process of its own: seconds to its last word, to its exit, of the processor, and its exit code.

    Args:
        words: What is asked, by name.
        calls: How often, one command after the other; the median of each figure is told, and the longest call.
    """
    rounds = [{name: _command(given) for name, given in words.items()} for _ in range(calls)]
    return {
        name: {
            **{figure: statistics.median(one[name][figure] for one in rounds) for figure in rounds[0][name]},
            "longest_seconds": max(one[name]["seconds"] for one in rounds),
        }
        for name in words
    }


def answering(home: Path, task: str, data: Path) -> dict[str, tuple[str, ...]]:
    """The words of commands that answer and fit nothing, for a home whose data are not new; the first three ask MLflow.

    With them stand refusals of each kind: of what there is none of, and of a name that nobody has.
    """
    where, name = ("--home", str(home)), Path(task).stem
    return {
        "promote": ("promote", name, *where),
        "verify an unknown run": ("verify", _NO_RUN, *where),
        "retrain with nothing new": ("retrain", "--task", task, "--data", str(data), "--trials", "1", *where),
        "promote --back without a former champion": ("promote", name, "--back", *where),
        "monitor without a log": ("monitor", "--task", task, *where),
        "train an unknown task": ("train", "--task", "nothing", *where),
        "help": ("--help",),
    }


def _command(words: tuple[str, ...]) -> dict[str, float]:
    used = _children()
    began = answered = time.perf_counter()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "shepherd", *words], env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as done:
        while done.stdout is not None and os.read(done.stdout.fileno(), _AT_ONCE):
            answered = time.perf_counter()
    return {
        "answer_seconds": round(answered - began, 3),
        "seconds": round(time.perf_counter() - began, 3),
        "cpu_seconds": round(_children() - used, 3),
        "exit_code": float(done.returncode),
    }


def _promoted(task: str, home: Path) -> None:
    """Promote, or be refused: the store is asked after the gates, so a refusal is the shorter way."""
    try:
        promote(task, home)
    except GateRefused:
        return


def _plain(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if not name.startswith("mlflow.run")}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _memory() -> int:
    """The most that this process ever held, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder")
    parser.add_argument("--task", default="site")
    parser.add_argument("--data", type=Path, help="a folder of tables; the example of the task if not given")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--trials", type=int, default=1)
    parser.add_argument("--calls", type=int, default=CALLS, help="of each command")
    given = parser.parse_args()
    home, task = given.folder / "home", find(given.task)
    if given.data is None and task.example is None:
        parser.error(f"--data: the task {given.task!r} comes with no example")
    data_set = open_folder(given.data) if given.data else task.example.made(given.folder / "data")  # type: ignore[union-attr] # asked above
    load = load_average()
    costs, tracked = overhead(task, data_set, home, given.trials)
    words = answering(home, given.task, Path(data_set.root))
    few = {
        "asked": asked(home, task.name, tracked.run_id, given.folder / "few"),
        "commands": commands(words, given.calls),
    }
    filled = crowd(home, task.name, tracked.run_id, given.runs)
    many = {
        "asked": asked(home, task.name, tracked.run_id, given.folder / "many"),
        "commands": commands(words, given.calls),
    }
    print(
        json.dumps(
            {
                "load_average": [load, load_average()],
                "run": costs,
                "store": {
                    "runs": given.runs,
                    "filled": filled,
                    "database_megabytes": round((home / "mlflow.db").stat().st_size / _MEGABYTE, 1),
                },
                "with_two_runs": few,
                "with_all_runs": many,
                "most_seconds": MOST_SECONDS,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
