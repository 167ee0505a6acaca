"""All that a run left in a store, fetched so that it can be held against another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.errors import DataError, UsageError
from training.tracking.runs import BUNDLE, EXPERIMENT
from training.tracking.stores import client, fetch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mlflow import MlflowClient
    from mlflow.entities import Dataset, Run

    from training.tracking.stores import Store

NAME = "mlflow.runName"
PARENT = "mlflow.parentRunId"
_FINISHED = "FINISHED"
_SHOWN = 5


@dataclass(frozen=True)
class Registered:
    """The version of a model that a run registered.

    Attributes:
        number: The registry's number of it.
        tags: Its tags.
        aliases: Which of `champion` and `challenger` it is.
        files: What is loaded under its name, by path.
    """

    number: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]
    files: Mapping[str, Path]


@dataclass(frozen=True)
class Snapshot:
    """What a run holds.

    Attributes:
        run_id: Its id.
        task: Whose model it made.
        params: What it was made with.
        metrics: The last value of each figure.
        tags: Its tags.
        inputs: What it says of each dataset: digest, source, columns and rows.
        trials: Parameters and figures of the best trials of its search, which are runs of their own.
        files: Its artefacts by path.
        registered: The model that it registered; None where the registry holds none of it.
    """

    run_id: str
    task: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    inputs: Mapping[str, str]
    trials: Mapping[str, str | float]
    files: Mapping[str, Path]
    registered: Registered | None

    @property
    def version(self) -> str:
        """The version of the bundle, after which the run is named."""
        return self.tags.get(NAME, "")


def snapshot(where: Store, run_id: str, folder: Path) -> Snapshot:
    """Fetch a run, its artefacts and the model that it registered into a folder.

    Raises:
        UsageError: There is no such run, or it is a trial of another.
        DataError: It never came to its end.
        DependencyDown: The store does not answer.
    """
    tracked = client(where)
    task = _task_of(tracked, where, run_id)
    run = tracked.get_run(run_id)
    if run.info.status != _FINISHED:
        raise DataError(
            f"run {run_id}: found it {run.info.status}, expected {_FINISHED}; it never came to its end, so there is "
            "nothing to verify: train again"
        )
    return Snapshot(
        run_id=run_id,
        task=task,
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags=dict(run.data.tags),
        inputs=_inputs([one.dataset for one in run.inputs.dataset_inputs] if run.inputs else []),
        trials=_trials(tracked, run),
        files=listed(fetch(where, f"runs:/{run_id}/", folder / "run")),
        registered=_registered(tracked, where, run_id, EXPERIMENT.format(task=task), folder / "model"),
    )


def listed(folder: Path) -> dict[str, Path]:
    """The files below a folder, by their path in it; none where there is no such folder."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def _task_of(tracked: MlflowClient, where: Store, run_id: str) -> str:
    """The task of a run, by the experiment that it is in."""
    prefix = EXPERIMENT.format(task="")
    names = {one.experiment_id: one.name for one in tracked.search_experiments() if one.name.startswith(prefix)}
    # A search finds what is not there without an error, whatever the store.
    found = tracked.search_runs(list(names), f"attributes.run_id = '{_word(run_id)}'") if names else []
    if not found:
        latest = tracked.search_runs(list(names), order_by=["start_time DESC"], max_results=_SHOWN) if names else []
        known = ", ".join(one.info.run_id for one in latest if PARENT not in one.data.tags) or "none yet"
        raise UsageError(
            f"unknown run {run_id!r}: the store at {where.uri} holds, the latest first, {known}; name one of its runs, "
            "or the store with --home or MLFLOW_TRACKING_URI"
        )
    if parent := found[0].data.tags.get(PARENT):
        raise UsageError(f"run {run_id}: found a trial of run {parent}, expected the whole run: verify that one")
    return names[found[0].info.experiment_id].removeprefix(prefix)


def _inputs(datasets: Sequence[Dataset]) -> dict[str, str]:
    kinds = ("digest", "source", "schema", "profile")
    return {f"{one.name} {kind}": str(getattr(one, kind)) for one in datasets for kind in kinds}


def _trials(tracked: MlflowClient, run: Run) -> dict[str, str | float]:
    found: dict[str, str | float] = {}
    for one in tracked.search_runs([run.info.experiment_id], f"tags.`{PARENT}` = '{run.info.run_id}'"):
        found |= {f"{one.info.run_name} {name}": value for name, value in one.data.params.items()}
        found |= {f"{one.info.run_name} {name}": value for name, value in one.data.metrics.items()}
    return found


def _word(run_id: str) -> str:
    """What can be quoted in a search; a run's id has letters, digits and dashes alone."""
    return "".join(sign for sign in run_id if sign.isalnum() or sign == "-")


def _registered(tracked: MlflowClient, where: Store, run_id: str, name: str, folder: Path) -> Registered | None:
    versions = [one for one in tracked.search_model_versions(f"name = '{name}'") if one.run_id == run_id]
    if not versions:
        return None
    number = str(versions[0].version)
    aliases = tracked.get_registered_model(name).aliases
    return Registered(
        number,
        dict(versions[0].tags),
        tuple(sorted(alias for alias, target in aliases.items() if str(target) == number)),
        listed(fetch(where, f"models:/{name}/{number}", folder)),
    )


def bundle_of(where: Store, task: str, version: str, folder: Path) -> Path | None:
    """The folder of a bundle as its run keeps it; None where the registry knows none of that version."""
    tracked, name = client(where), EXPERIMENT.format(task=task)
    runs = [one.run_id for one in tracked.search_model_versions(f"name = '{name}'") if one.tags.get(BUNDLE) == version]
    return fetch(where, f"runs:/{runs[0]}/bundle", folder) if runs else None
