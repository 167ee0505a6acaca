"""A task file from outside the repository, walked by the command line as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from data.errors import UsageError
from serving.bundle import read, resolve
from serving.decisions import decide
from serving.scorer import Scorer
from training.catalogue import find

TASK = Path(__file__).parent / "resources" / "renewal.py"


def _shepherd(*words):
    command = [sys.executable, "-m", "shepherd", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command


def test_a_task_file_is_trained_exported_promoted_and_scored(contracts, tmp_path):
    home = tmp_path / "home"
    done = _shepherd("run", "--task", TASK, "--data", contracts, "--home", home, "--trials", 3, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)["tasks"]["renewal"]
    assert result["metrics"]["roc_auc"]["value"] > 0.7
    assert (
        result["metrics"]["roc_auc"]["low"]
        < result["metrics"]["roc_auc"]["value"]
        < result["metrics"]["roc_auc"]["high"]
    )
    assert result["parity"]["wrong_leaves"] == 0
    assert result["parity"]["max_raw_difference"] == 0.0
    assert result["money"]["always_call"]["value"] < result["money"]["model"]["value"]

    scorer = Scorer(read(resolve(home / "bundles", "renewal", "challenger")))
    rows = pq.read_table(home / "features" / "renewal.parquet")
    matrix = np.column_stack([rows[name].to_numpy() for name in scorer.manifest.feature_names]).astype(np.float32)
    chosen, _ = decide(scorer.probability(matrix), scorer.manifest.payoff)
    taken = {scorer.manifest.payoff.actions[action] for action in chosen}
    assert taken == {"wait", "call", "visit"}
    assert result["served"]["answers"][0]["action"] in taken


def test_a_search_that_was_stopped_goes_on(contracts, tmp_path):
    home = tmp_path / "home"
    words = ("train", "--task", TASK, "--data", contracts, "--home", home, "--json", "--trials")
    first = json.loads(_shepherd(*words, 2).stdout)
    again = json.loads(_shepherd(*words, 3).stdout)
    assert (first["search"]["trials"], again["search"]["trials"]) == (2, 3)
    assert again["search"]["default"] == first["search"]["default"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no task file at"),
        ("NAME = 1", "holds no task: found TASK = None, expected TASK = Task"),
        ("TASK = 'coupon'", "holds no task: found TASK = 'coupon'"),
    ],
)
def test_a_file_that_declares_no_task_is_refused_with_the_fix(tmp_path, content, message):
    path = tmp_path / "mine.py"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=message):
        find(str(path))


def test_an_unknown_task_names_those_there_are():
    with pytest.raises(UsageError, match=r"unknown task 'coupons': expected one of .*coupon"):
        find("coupons")
