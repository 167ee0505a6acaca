"""Deaths at a chosen write, and what has to hold after the start that follows."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from data.sources import open_folder
from data.steps import Steps
from training.retraining.step import Order, retrain
from training.tracking.stores import client, store

ORDER = Order(trials=1)

FIGURES = {"contract/rows": 1_500.0, "leakage/rows": 500.0, "replay/values": 300.0, "replay/mismatches": 0.0}
RATES = {"label/rate": 0.3, "label/rate_of_champion": 0.3, "label/rate_by_chance": 0.01}
MONEY = {"money/gain_over_champion": 1.0, "money/gain_over_champion_high": 2.0} | RATES
"""Of a version that is compared with a champion, and a little better."""
CHANGES = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}


class Killed(BaseException):
    """Stands for the signal that nobody can catch: nothing is written after it."""


class Deaths:
    """Counts what is written, below a folder and into databases, and ends it all at the chosen one."""

    def __init__(self):
        self.folder, self.at, self.written = None, None, 0

    @contextmanager
    def at_write(self, number, folder):
        """Die at that write; None only counts."""
        self.folder, self.at, self.written = str(folder), number, 0
        try:
            yield self
        finally:
            self.folder = None

    def changed(self):
        self.written += 1
        if self.at is not None and self.written >= self.at:
            raise Killed(self.written)

    def audited(self, name, given):
        if self.folder is None or name not in CHANGES or not str(given[0]).startswith(self.folder):
            return
        if name == "open" and not (isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        self.changed()

    def executed(self, _connection, _cursor, statement, *_):
        if self.folder is not None and not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
            self.changed()

    def committed(self, _connection):
        if self.folder is not None:
            self.changed()


def doctored(folder, version, figures):
    """A copy of a bundle under another version, with figures that let it through the gates."""
    other = Path(shutil.copytree(folder, folder.parent / version))
    path = other / "manifest.json"
    manifest = json.loads(path.read_text())
    gains = [name for name in manifest["metrics"] if name.startswith("baseline/")]
    manifest["metrics"].update(FIGURES | dict.fromkeys(gains, 0.01) | figures)
    path.write_text(json.dumps(manifest | {"version": version, "champion": "first" if figures else ""}))
    return other


def standing(home):
    """What has to hold after every start: gives champion and challenger."""
    tracked = client(store(home))
    name, folder = "shepherd-renewal", home / "bundles" / "renewal"
    experiments = [one.experiment_id for one in tracked.search_experiments()]
    assert tracked.search_runs(experiments, "attributes.status = 'RUNNING'") == []
    for version in tracked.search_model_versions(f"name = '{name}'"):
        assert tracked.get_run(version.run_id).info.status == "FINISHED"
        bundle = folder / version.tags["shepherd.bundle"]
        assert (bundle / "manifest.json").is_file()
        assert tracked.list_artifacts(version.run_id, "bundle")
    for model in tracked.search_logged_models(experiments):
        assert str(model.status) != "PENDING"
    pointers = {
        one: (folder / one).read_text().strip() for one in ("champion", "challenger") if (folder / one).exists()
    }
    models = tracked.search_registered_models(f"name = '{name}'")
    aliases = models[0].aliases if models else {}
    named = {
        alias: tracked.get_model_version(name, number).tags["shepherd.bundle"] for alias, number in aliases.items()
    }
    assert named == pointers
    if folder.exists():
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    return pointers


def called(task, brand, home, order=ORDER):
    """One call of the step."""
    now = datetime(2026, 11, 1, 3, 10, tzinfo=UTC)
    return retrain(task, open_folder(brand), order, home=home, now=now, steps=Steps())
