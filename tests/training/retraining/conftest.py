"""A home with two versions that no gate refuses, copied for each test."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sqlalchemy
from sqlalchemy import event

import training.tracking.runs
from tests.training.retraining.deaths import MONEY, Deaths, called, doctored
from training.catalogue import find
from training.registry import challenge, promote
from training.tracking.killed import PROCESS, STARTED
from training.tracking.stores import store
from training.tracking.tracked import track


@pytest.fixture(scope="session")
def deaths():
    found = Deaths()
    sys.addaudithook(found.audited)  # stays for good, and does nothing outside of `at_write`
    event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", found.executed)
    event.listen(sqlalchemy.engine.Engine, "commit", found.committed)
    yield found
    event.remove(sqlalchemy.engine.Engine, "before_cursor_execute", found.executed)
    event.remove(sqlalchemy.engine.Engine, "commit", found.committed)


@pytest.fixture(autouse=True)
def _no_store_of_the_user(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def of_the_dead():
    """Tags of a process of this machine that is over."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return {PROCESS: f"{socket.gethostname()}:{process.pid}", STARTED: "1@"}


@pytest.fixture
def doomed(monkeypatch, of_the_dead):
    """Whatever is tracked was tracked by a process that is over by the time anybody looks."""
    monkeypatch.setattr(training.tracking.runs, "owner", lambda: of_the_dead)


@pytest.fixture(scope="session")
def template(fitted, released, tmp_path_factory):
    """A home whose challenger is `first`; `second` is registered too, and earns more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        home = tmp_path_factory.mktemp("template") / "home"
        root = home / "bundles" / "renewal"
        root.mkdir(parents=True)
        bare = shutil.copytree(released.folder, tmp_path_factory.mktemp("bare") / "renewal" / released.folder.name)
        for version, figures in {"first": {}, "second": MONEY}.items():
            shutil.move(doctored(bare, version, figures), root / version)
            track(fitted, root / version, store(home))
        challenge("renewal", "first", home)
    return home


@pytest.fixture
def home(template, tmp_path):
    return Path(shutil.copytree(template, tmp_path / "home"))


@pytest.fixture(scope="session")
def brand(written_contracts, tmp_path_factory):
    """The table `contracts` with one row less than `first` and `second` were made of: new data."""
    folder = written_contracts(tmp_path_factory.mktemp("new") / "brand")
    table = pq.read_table(folder / "contracts.parquet")
    pq.write_table(table.slice(0, table.num_rows - 1), folder / "contracts.parquet")
    return folder


@pytest.fixture(scope="session")
def task_file(tmp_path_factory):
    """The task renewal without the baseline that is better than its model."""
    text = (Path(__file__).parents[1] / "resources" / "renewal.py").read_text(encoding="utf-8")
    path = tmp_path_factory.mktemp("task") / "renewal.py"
    path.write_text(text.replace(" logistic_regression()", ""), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def task(task_file):
    return find(str(task_file))


@pytest.fixture(scope="session")
def retrained(template, task, brand, tmp_path_factory):
    """A home in which `first` was champion when new data came, and what the step said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        home = Path(shutil.copytree(template, tmp_path_factory.mktemp("retrained") / "home"))
        promote("renewal", home, "first")
        return home, called(task, brand, home)
