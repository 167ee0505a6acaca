"""The recipe of CONTRIBUTING.md for a new model, followed to the letter; the one for a feature has tests/contracts."""

from __future__ import annotations

import re
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

import training.tasks
from data.sources import open_folder
from data.world.request import Request
from data.world.simulation import simulate
from serving.bundle import read, resolve
from training.catalogue import find, shipped
from training.walk import train

RECIPES = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
FEATURE, MODEL = (
    textwrap.dedent(block) for block in re.findall(r"^ +```python\n(.*?)^ +```", RECIPES, re.DOTALL | re.MULTILINE)
)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """The file of the recipe, where tasks lie."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "comeback.py").write_text(MODEL, encoding="utf-8")
    monkeypatch.setattr(training.tasks, "__path__", [*training.tasks.__path__, str(folder)])
    yield "comeback"
    sys.modules.pop("training.tasks.comeback", None)


def test_a_task_that_is_written_is_found_by_its_name(written):
    assert written in shipped()
    assert find(written).name == written


def test_a_model_takes_one_file(written, tmp_path):
    world = simulate(Request(members=300, days=42, seed=1), tmp_path / "world")

    trained = train(
        find(written), open_folder(world.folder), now=datetime.now(UTC), home=tmp_path / "var", trials=1, seed=0
    )

    manifest = read(resolve(tmp_path / "var" / "bundles", written, "challenger")).manifest
    assert manifest.version == trained.released.bundle.manifest.version
    assert manifest.parity.wrong_leaves == 0
    assert manifest.payoff.actions == ("wait", "remind")
    assert set(trained.fitted.record.baselines) == {"recency", "logistic_regression"}
    assert trained.fitted.record.metrics["roc_auc"].value > 0.5


def test_a_feature_takes_one_line():
    assert FEATURE.count("\n") == 1
    assert "distinct(LINES" in FEATURE
