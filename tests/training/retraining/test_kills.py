"""kill -9 at points drawn over the whole time that real processes train, promote and retrain."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.counts import times
from tests.training.retraining.deaths import standing
from training.reconcile import reconcile
from training.tracking.stores import client, store

RESOURCES = Path(__file__).parents[1] / "resources"
KILLED = -signal.SIGKILL


class Commands:
    """Runs `shepherd` in processes of its own, each forked from one that has imported everything."""

    def __init__(self, process, folder):
        self._process, self._said = process, folder / "said.txt"

    def run(self, *words, kill_after=None):
        """How a command ended, what it said, and how long it took."""
        began = time.monotonic()
        self._process.stdin.write(json.dumps([str(self._said), *map(str, words)]) + "\n")
        self._process.stdin.flush()
        process = int(self._process.stdout.readline())
        if kill_after is not None:
            time.sleep(max(0.0, kill_after - (time.monotonic() - began)))
            os.kill(process, signal.SIGKILL)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return code, self._said.read_text(encoding="utf-8"), time.monotonic() - began


@pytest.fixture(scope="module")
def commands(task_file, brand, tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands")
    first = ["retrain", "--task", task_file, "--data", brand, "--home", folder / "home", "--trials", "2"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "SHEPHERD_"))}
    with subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, RESOURCES / "forked_commands.py", *first],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])},
    ) as process:
        assert "ready\n" in iter(process.stdout.readline, "")
        yield Commands(process, folder)
        process.stdin.close()


@pytest.fixture(scope="module")
def begun(template, commands, task_file, brand, tmp_path_factory):
    """A home in which `first` is champion, with the features that the commands use again."""
    home = Path(shutil.copytree(template, tmp_path_factory.mktemp("begun") / "home"))
    for words in (("promote", "renewal", "first"), ("build", "--task", task_file, "--data", brand)):
        code, said, _ = commands.run(*words, "--home", home)
        assert code == 0, said
    return home


def _versions(home):
    return {path.parent.name for path in (home / "bundles" / "renewal").glob("*/manifest.json")}


def _registered(home):
    return [
        one.tags["shepherd.bundle"] for one in client(store(home)).search_model_versions("name = 'shepherd-renewal'")
    ]


def _mended(home):
    reconcile(home)
    return standing(home)


def _after_promote(home, commands, words):
    assert _mended(home)["champion"] in {"first", "second"}
    code, said, _ = commands.run(*words, "--home", home)
    assert code == 0, said
    assert standing(home)["champion"] == "second"


def _after_back(home, commands, words):
    if _mended(home)["champion"] == "second":
        code, said, _ = commands.run(*words, "--home", home)
        assert code == 0, said
    assert standing(home)["champion"] == "first"


def _after_train(home, _commands, _words):
    found = _mended(home)
    assert found["champion"] == "first"
    assert found["challenger"] in {"first", *(_versions(home) - {"second"})}
    assert found["challenger"] in _registered(home)


def _after_retrain(home, commands, words):
    """Called again, it goes on; one model was made of the data, not two, and it is champion."""
    assert len(list((home / "retrain" / "renewal").glob("*.tmp"))) <= 1
    code, said, _ = commands.run(*words, "--home", home)
    assert code == 0, said
    told = json.loads(said.splitlines()[-1])
    found = standing(home)
    assert found["champion"] == found["challenger"] == told["version"]
    assert _versions(home) == {"first", "second", told["version"]}
    assert sorted(_registered(home)) == sorted(_versions(home))


@pytest.mark.faults
@pytest.mark.parametrize(
    ("act", "few", "promised"),
    [("promote", 1, 10), ("back", 1, 5), ("train", 1, 17), ("retrain", 1, 18)],
)
def test_killed_at_any_moment_all_is_mended_at_the_next_start(  # noqa: PLR0917 - fixtures
    act, few, promised, begun, commands, task_file, brand, tmp_path
):
    fitting = ("--task", task_file, "--data", brand, "--trials", "2")
    words, check = {
        "promote": (("promote", "renewal", "second", "--by", "Ana"), _after_promote),
        "back": (("promote", "renewal", "--back"), _after_back),
        "train": (("train", *fitting), _after_train),
        "retrain": (("retrain", *fitting, "--promote", "--json"), _after_retrain),
    }[act]
    base = begun
    if act == "back":
        base = Path(shutil.copytree(begun, tmp_path / "base"))
        assert commands.run("promote", "renewal", "second", "--home", base)[0] == 0
    whole = Path(shutil.copytree(base, tmp_path / "whole"))
    code, said, seconds = commands.run(*words, "--home", whole)
    assert code == 0, said
    generator, killed, left = np.random.default_rng(31), 0, []
    while killed < times(few, promised):
        home = Path(shutil.copytree(base, tmp_path / f"home-{len(left)}"))  # MLflow knows a database by its path
        code, said, _ = commands.run(*words, "--home", home, kill_after=generator.uniform(0, seconds))
        assert code in {KILLED, 0}, said
        killed += code == KILLED
        left.append(_left(home))
        check(home, commands, words)
        shutil.rmtree(home)
    sys.stdout.write(f"{act}: {killed} killed within {seconds:.1f} s; runs left open: {left}\n")


def _left(home):
    """How many runs, and of which state, a kill left; told beside the figures."""
    tracked = client(store(home))
    experiments = [one.experiment_id for one in tracked.search_experiments()]
    return len(tracked.search_runs(experiments, "attributes.status = 'RUNNING'"))
