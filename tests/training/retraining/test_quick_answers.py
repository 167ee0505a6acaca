"""A command that only answers starts without the libraries that fit, draw and export, and so answers at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from training.registry import promote

ROOT = Path(__file__).parents[3]
SCORES = {"numba", "onnxruntime"}
FITS = {
    "dask",
    "geopandas",
    "lightgbm",
    "matplotlib",
    "onnx",
    "optuna",
    "scipy.optimize",
    "scipy.stats",
    "sklearn",
}
LISTING = f"""
import shepherd, sys
try:
    shepherd.main()
except SystemExit as left:
    print(left.code or 0, *sorted(set({sorted(SCORES | FITS)!r}) & set(sys.modules)), sep=",")
"""


def asked(*words, home, first=""):
    """The exit code of a command, and what it loaded of what it should not."""
    done = subprocess.run(  # noqa: S603 - our own statements
        [sys.executable, "-c", first + LISTING, *map(str, words), "--home", str(home)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
    )
    assert done.returncode == 0, done.stderr
    code, *heavy = done.stdout.splitlines()[-1].split(",")
    return int(code), heavy


@pytest.fixture
def idle(retrained, tmp_path):
    """A home in which all is done: `first` is champion, and a challenger was made of the newest data."""
    return Path(shutil.copytree(retrained[0], tmp_path / "home"))


def test_a_retraining_with_nothing_new_loads_nothing_that_fits(idle, task_file, brand):
    assert asked("retrain", "--task", task_file, "--data", brand, "--trials", 1, home=idle) == (0, [])


def test_a_promotion_and_the_way_back_load_nothing_that_fits(home):
    promote("renewal", home, "first")

    assert asked("promote", "renewal", "second", home=home) == (0, [])
    assert asked("promote", "renewal", "--back", home=home) == (0, [])


def test_an_unknown_run_is_refused_before_anything_that_fits_is_loaded(home):
    assert asked("verify", "0" * 32, home=home) == (2, [])


@pytest.mark.parametrize(
    "words",
    [
        ("promote", "renewal"),
        ("promote", "renewal", "--back"),
        ("run", "--task", "nothing"),
        ("train", "--task", "nothing"),
        ("build", "--task", "nothing"),
        ("retrain", "--task", "nothing", "--data", "nowhere"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_refused_before_anything_heavy_is_loaded(words, tmp_path):
    code, heavy = asked(*words, home=tmp_path)

    assert code in {2, 3}
    assert heavy == []


@pytest.mark.parametrize("words", [("monitor", "--task", "fraud"), ("history", "nowhere")], ids=" ".join)
def test_commands_of_the_service_load_what_scores_and_nothing_that_fits(words, tmp_path):
    code, heavy = asked(*words, home=tmp_path)

    assert code == 3
    assert set(heavy) <= SCORES


@pytest.mark.parametrize("task", ["coupon", "coupon_rank", "fraud", "next_category", "next_purchase", "offers", "site"])
def test_a_task_is_looked_up_without_what_fits_it(task, tmp_path):
    assert asked("train", "--task", task, "--data", tmp_path / "nowhere", home=tmp_path) == (3, [])


def test_what_is_loaded_would_be_seen(tmp_path):
    assert asked("promote", "renewal", home=tmp_path, first="import lightgbm\n")[1] != []
