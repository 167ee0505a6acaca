"""The run made again: data, features, model, bundle, proofs and all that is tracked of them, in a store of its own."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from data.checks import require
from data.errors import DataError
from training.bundles import bundles, point
from training.journey import make
from training.tracking.snapshot import bundle_of, snapshot
from training.tracking.stores import Store
from training.tracking.tracked import track
from training.verification.compare import MANIFEST, Difference
from training.verification.origin import RECORD, in_json

if TYPE_CHECKING:
    from data.sources import DataSet
    from data.steps import Steps
    from training.provenance import Provenance
    from training.task import AnyTask
    from training.tracking.snapshot import Snapshot


def data_differ(run: Snapshot, data_set: DataSet) -> Difference | None:
    """Whether the tables are others than the run learned from; None where they are those.

    Parameter, record and bundle all name their hash, so one that was altered is told from data that were.
    """
    said = [run.params.get("data_hash"), *(in_json(run, name).get("data_hash") for name in (RECORD, MANIFEST))]
    found = data_set.content_hash()
    return None if found in said else Difference("data", f"sha256 of {data_set.root}", found, str(said[0]))


def derive(
    origin: Provenance, task: AnyTask, data_set: DataSet, folder: Path, champion: Path | None, steps: Steps
) -> Snapshot:
    """Make a run again from its provenance and its data: fitted with the recorded parameters, proved, tracked aside.

    Args:
        origin: What it was made from.
        task: As it was learned.
        data_set: The tables that it learned from.
        folder: Where everything is written; nothing is taken from what an earlier run left.
        champion: The bundle that its money was compared with; None where there was none, or it is gone.
        steps: Collects how long each step took.

    Raises:
        DataError: The tables break their contracts.
        GateRefused: A proof fails that held when the run was made.
    """
    home = folder / "home"
    if champion is not None:
        shutil.copytree(champion, bundles(home) / task.name / origin.champion)
        point(bundles(home), task.name, "champion", origin.champion)
    with steps.step("check the tables") as step:
        step.rows = checked = sum(require(data_set, datetime.now(UTC)).tables.values())
    trials = 1 if origin.choice is None else origin.choice.trials
    made = make(task, data_set, checked, home=home, trials=trials, seed=origin.seed, steps=steps, earlier=origin)
    with steps.step("track aside"):
        aside = Store(f"sqlite:///{folder / 'mlflow.db'}", (folder / "mlartifacts").as_uri())
        tracked = track(made.fitted, made.released.folder, aside, made.figures, origin, made.changes)
        return snapshot(aside, tracked.run_id, folder / "fetched")


def champion_of_then(origin: Provenance, run: Snapshot, home: Path, where: Store, folder: Path) -> Path | None:
    """The bundle that the money of a run was compared with: under home, else as its own run keeps it.

    Raises:
        DataError: What the run names as its champion is no name of a version, but a path.
    """
    if not origin.champion:
        return None
    if origin.champion in {".", ".."} or Path(origin.champion).name != origin.champion:
        raise DataError(
            f"run {run.run_id}: found the champion {origin.champion!r}, expected the name of a version; a run that "
            "says so was altered"
        )
    kept = bundles(home) / run.task / origin.champion
    return kept if kept.is_dir() else bundle_of(where, run.task, origin.champion, folder)
