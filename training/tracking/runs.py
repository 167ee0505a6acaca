"""One run from its beginning to its registered model."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError
from training.tracking.killed import owner, take_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mlflow import MlflowClient
    from mlflow.entities import Run

    from training.pipeline import Fitted
    from training.ranking_pipeline import FittedOrder
    from training.sites.pipeline import FittedSites
    from training.tracking.stores import Store

EXPERIMENT = "shepherd-{task}"
BUNDLE = "shepherd.bundle"
REPORT = "report.html"
SERVING_PACKAGES = ("numpy", "onnxruntime")


def experiment_of(tracked: MlflowClient, where: Store, task: str) -> str:
    """The experiment of a task, made where there is none."""
    name = EXPERIMENT.format(task=task)
    found = tracked.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    location = None if where.artifacts is None else f"{where.artifacts}/{task}"
    return str(tracked.create_experiment(name, artifact_location=location))


def newest(tracked: MlflowClient, task: str) -> Run:
    """The run of a task's newest model; what lies beside it in the experiment (trials, weeks looked at) is passed over.

    Raises:
        DataError: No model of the task was registered there.
    """
    name = EXPERIMENT.format(task=task)
    found = [one for one in tracked.search_model_versions(f"name = '{name}'") if BUNDLE in one.tags]
    if not found:
        raise DataError(
            f"task {task!r}: found no model in the store of runs, expected one; make it with `shepherd train --task "
            f"{task}`, or name the folder or the task of another"
        )
    return tracked.get_run(str(max(found, key=lambda one: int(one.version)).run_id))


@contextmanager
def run(tracked: MlflowClient, experiment: str, name: str, commit: Mapping[str, str]) -> Iterator[str]:
    """A run that ends as FINISHED; or as FAILED and with nothing registered, if what is inside fails."""
    run_id = str(tracked.create_run(experiment, run_name=name, tags={**owner(), **commit}).info.run_id)
    try:
        yield run_id
    except BaseException:
        take_back(tracked, run_id, experiment)
        tracked.set_terminated(run_id, "FAILED")
        raise
    tracked.set_terminated(run_id, "FINISHED")


def register(
    tracked: MlflowClient, run_id: str, task: str, fitted: Fitted | FittedOrder | FittedSites, bundle: Path
) -> str:
    """Log the ONNX model to the run and register it, tagged with its bundle when it is whole; gives its version."""
    import mlflow
    import onnx
    from mlflow.models import infer_signature

    name = EXPERIMENT.format(task=task)
    example = np.nan_to_num(fitted.predictions.matrix[:1]).astype(np.float64)
    with _lent(run_id):
        logged = mlflow.onnx.log_model(
            onnx.load(bundle / "model.onnx"),
            name="model",
            signature=infer_signature(example, fitted.predictions.output[:1]),
            input_example=example,
            onnx_execution_providers=["CPUExecutionProvider"],
            pip_requirements=[f"{package}=={metadata.version(package)}" for package in SERVING_PACKAGES],
        )
        with _unsaid():
            version = str(mlflow.register_model(logged.model_uri, name).version)
    tracked.set_model_version_tag(name, version, BUNDLE, bundle.name)
    return version


@contextmanager
def _lent(run_id: str) -> Iterator[None]:
    """Make a run the current one for calls of MLflow that take no other, and leave it RUNNING.

    MLflow would call it FINISHED here, before what it registers is tagged; only `run` may, or a kill leaves half of it.
    """
    import mlflow

    mlflow.start_run(run_id=run_id)
    try:
        yield
    finally:
        mlflow.end_run("RUNNING")


@contextmanager
def _unsaid() -> Iterator[None]:
    """Keep MLflow from telling standard error of each version it registers; what fails is still raised."""
    from mlflow.utils.logging_utils import MLFLOW_LOGGING_STREAM

    before = MLFLOW_LOGGING_STREAM.enabled
    MLFLOW_LOGGING_STREAM.enabled = False
    try:
        yield
    finally:
        MLFLOW_LOGGING_STREAM.enabled = before
