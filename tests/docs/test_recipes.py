"""The two recipes of CONTRIBUTING.md, for a new feature and for a new model, followed to the letter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
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

ROOT = Path(__file__).parents[2]
RECIPES = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FEATURE, WORD, MODEL = (
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


SPEAKS = "tests/features/test_wording.py::test_every_feature_of_a_task_speaks_both_languages"
LISTED = "tests/features/test_dictionary_page.py"


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """The sources in a folder of their own, with the feature of the recipe declared and its operator imported."""
    copy = tmp_path_factory.mktemp("recipe")
    for name in ("data", "features", "training", "serving", "benchmarks", "docs", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    _insert(copy / "features/rfm.py", "RFM = FeatureSet(\n", FEATURE.replace("\n", ",\n"))
    _insert(copy / "features/rfm.py", "    derived,\n", "distinct,\n")
    return copy


def _insert(path, mark, line):
    text = path.read_text(encoding="utf-8")
    assert text.count(mark) == 1
    path.write_text(text.replace(mark, f"{mark}    {line}"), encoding="utf-8")


def _python(copy, *words):
    done = subprocess.run(  # noqa: S603 - our own modules
        [sys.executable, "-m", *words],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def test_what_the_recipe_of_a_feature_says_is_all_that_it_takes(copied):
    asked = ("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", SPEAKS, LISTED)
    failed, said = _python(copied, *asked)
    assert failed
    assert "speaks_both_languages[member_distinct_store_90d]" in said
    assert "run `make docs`" in said

    _insert(copied / "features/wording.py", "COLUMNS_ZH: Final = {\n", WORD)
    assert _python(copied, "docs.generate") == (0, "")

    failed, said = _python(copied, *asked)
    assert not failed, said
    page = (copied / "docs/features.md").read_text(encoding="utf-8")
    assert "| `member_distinct_store_90d` |" in page
    assert "Different stores visited in the last 90 days" in page


def test_a_feature_takes_one_line_and_its_word_another():
    assert [recipe.count("\n") for recipe in (FEATURE, WORD)] == [1, 1]
