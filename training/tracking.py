"""What MLflow holds of a fit: parameters, figures with intervals, curves, the record and the bundle."""

from __future__ import annotations

import logging
import math
import os
import re
import shlex
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DependencyDown
from training.curves import draw
from training.drift import weighted
from training.pipeline import Fitted
from training.record import error_by_chance, relative_error
from training.report.page import FILE, report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow import MlflowClient

    from training.interval import Interval
    from training.ranking_pipeline import FittedOrder
    from training.record import Record
    from training.sites.pipeline import FittedSites

EXPERIMENT = "shepherd-{task}"
PROCESS = "shepherd.process"
BUNDLE = "shepherd.bundle"
NAMED = "MLFLOW_TRACKING_URI"
DATABASES = ("sqlite:", "postgresql", "mysql", "mssql")
SERVING_PACKAGES = ("numpy", "onnxruntime")


@dataclass(frozen=True)
class Store:
    """Where runs are tracked.

    Attributes:
        uri: A tracking URI.
        artifacts: Where files of new experiments go; none leaves it to the server behind the URI.
    """

    uri: str
    artifacts: str | None

    @property
    def command(self) -> str:
        """What opens the page: a command, or the address of a server that runs already."""
        if self.uri.startswith(("http://", "https://")):
            return self.uri
        return shlex.join([str(Path(sys.executable).with_name("mlflow")), "ui", "--backend-store-uri", self.uri])


@dataclass(frozen=True)
class Tracked:
    """Where a fit can be found again."""

    run_id: str
    model_name: str
    model_version: str


def store(home: Path) -> Store:
    """The server or database that MLFLOW_TRACKING_URI names, else a SQLite file under `home`, by its absolute path."""
    named = os.environ.get(NAMED, "")
    if named and not named.startswith(DATABASES):
        return Store(named, None)
    root = home.resolve()
    root.mkdir(parents=True, exist_ok=True)
    # A database keeps no files: without a place named here, MLflow would put them below the working folder.
    return Store(named or f"sqlite:///{root / 'mlflow.db'}", (root / "mlartifacts").as_uri())


def client(where: Store) -> MlflowClient:
    """A client of a store that answers; MLflow is told to send no word of its use anywhere before its first import.

    Raises:
        DependencyDown: The store does not answer.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow  # noqa: PLC0415 - nine seconds cold, and its telemetry starts with the import

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        tracked = mlflow.MlflowClient(tracking_uri=where.uri)
        tracked.search_experiments(max_results=1)
    except (mlflow.MlflowException, ImportError, OSError) as refusal:
        raise DependencyDown(
            f"MLflow's store at {where.uri}: found no answer ({refusal}), expected a store of runs; start its server, "
            "mend MLFLOW_TRACKING_URI, or unset it to track in a file under --home"
        ) from refusal
    return tracked


def track(
    fitted: Fitted | FittedOrder | FittedSites, bundle: Path, where: Store, proofs: Mapping[str, float] | None = None
) -> Tracked:
    """Write one fit to the store, register its model, and point the alias `challenger` at it.

    Args:
        fitted: Model, predictions and record.
        bundle: Folder of the exported model.
        where: The store.
        proofs: Further figures by name: what was replayed and compared before the export.
    """
    tracked = client(where)
    record = fitted.record
    _close_killed(tracked, experiment := _experiment(tracked, where, record.task))
    with _run(tracked, experiment, bundle.name) as run_id:
        _log_figures(tracked, run_id, record, proofs or {})
        tracked.log_artifacts(run_id, str(bundle), "bundle")
        tracked.log_dict(run_id, record.as_dict(), "record.json")
        tracked.log_dict(run_id, _definitions(fitted), "features.json")
        for name, figure in draw(fitted).items():
            tracked.log_figure(run_id, figure, f"curves/{name}.png")
        if isinstance(fitted, Fitted):
            _report(tracked, run_id, fitted, bundle)
        with _current(where):
            version = _register(tracked, run_id, record.task, fitted, bundle)
    return Tracked(run_id, EXPERIMENT.format(task=record.task), version)


def _report(tracked: MlflowClient, run_id: str, fitted: Fitted, bundle: Path) -> None:
    """The page that a reviewer signs; its verdict, money and risks open the run's note."""
    written = report(fitted, bundle, _commit())
    tracked.log_text(run_id, written.html, FILE)
    tracked.set_tag(run_id, "mlflow.note.content", f"{written.opening}\n\n{note(fitted.record)}")


def figures(record: Record) -> dict[str, float]:
    """Every number of a record under one flat name; an interval gives NAME, NAME_low and NAME_high.

    What has no meaning (NaN) is left out: a metric that is absent says so, one that is 0 would lie.
    """
    found: dict[str, float] = {}
    for prefix, part in {
        "test": record.metrics,
        "money": record.money,
        "rates": record.rates,
        **_baselines(record),
        **_slices(record),
    }.items():
        for name, interval in part.items():
            found |= flat(f"{prefix}/{name}", interval)
    found |= {f"rows/{name}": float(rows) for name, rows in record.rows.items()}
    found |= {f"positives/{name}": float(rows) for name, rows in record.positives.items()}
    found |= {f"attribution/{name}": value for name, value in record.attributions.items()}
    found |= {f"drift/feature/{name}": value for name, value in record.drift.items()}
    found |= {
        "drift/weighted": weighted(record),
        "calibration/relative_error": relative_error(record),
        "calibration/error_by_chance": error_by_chance(record),
    }
    for number, (default, chosen) in enumerate(zip(record.search.default, record.search.chosen, strict=True), start=1):
        found |= {f"search/default/fold_{number}": default, f"search/chosen/fold_{number}": chosen}
    return {name: value for name, value in found.items() if not math.isnan(value)}


def _baselines(record: Record) -> dict[str, Mapping[str, Interval]]:
    return {f"baseline/{name}": part for name, part in record.baselines.items()}


def _slices(record: Record) -> dict[str, Mapping[str, Interval]]:
    return {
        f"slice/{column}/{_word(value)}": part
        for column, parts in record.slices.items()
        for value, part in parts.items()
    }


def _word(value: str) -> str:
    """A value as part of a metric's name, where MLflow takes letters of any script, digits and few signs.

    >>> _word("华东 50% off"), _word("..")
    ('华东 50_ off', '_')
    """
    return re.sub(r"[^\w.\- :]|^\.*$", "_", value)


def flat(name: str, interval: Interval) -> dict[str, float]:
    """An interval as NAME, NAME_low and NAME_high."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _experiment(tracked: MlflowClient, where: Store, task: str) -> str:
    name = EXPERIMENT.format(task=task)
    found = tracked.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    location = None if where.artifacts is None else f"{where.artifacts}/{task}"
    return str(tracked.create_experiment(name, artifact_location=location))


@contextmanager
def _run(tracked: MlflowClient, experiment: str, name: str) -> Iterator[str]:
    """A run that ends as FINISHED, or as FAILED if what is inside fails."""
    process = f"{socket.gethostname()}:{os.getpid()}"
    run_id = str(tracked.create_run(experiment, run_name=name, tags={PROCESS: process, **_commit()}).info.run_id)
    try:
        yield run_id
    except BaseException:
        tracked.set_terminated(run_id, "FAILED")
        raise
    tracked.set_terminated(run_id, "FINISHED")


def _close_killed(tracked: MlflowClient, experiment: str) -> None:
    """A run whose process on this machine is gone was killed; MLflow would show it as running for ever."""
    for run in tracked.search_runs([experiment], "attributes.status = 'RUNNING'"):
        host, _, process = run.data.tags.get(PROCESS, "").partition(":")
        if host == socket.gethostname() and process.isdigit() and not _alive(int(process)):
            tracked.set_terminated(run.info.run_id, "KILLED")


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _commit() -> dict[str, str]:
    """The commit of the source that runs, and whether it was changed; nothing where it is not a checkout."""
    source = Path(__file__).parent
    try:
        commit = _git(source, "rev-parse", "HEAD")
        changed = bool(_git(source, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"mlflow.source.git.commit": commit, "shepherd.source_changed": str(changed).lower()}


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603, S607 - fixed words


def _log_figures(tracked: MlflowClient, run_id: str, record: Record, proofs: Mapping[str, float]) -> None:
    from mlflow.entities import Metric, Param  # noqa: PLC0415 - after telemetry is off

    parameters = {
        **{f"search.{name}": value for name, value in record.search.parameters.items()},
        "trials": record.search.trials,
        "seed": record.seed,
        "data_hash": record.data_hash,
        "feature_fingerprint": record.fingerprint,
        "test_from": record.test_from.isoformat(),
    }
    metrics = [Metric(name, value, 0, 0) for name, value in {**figures(record), **proofs}.items()]
    tracked.log_batch(run_id, metrics, [Param(name, str(value)) for name, value in parameters.items()])
    tracked.set_tag(run_id, "mlflow.note.content", note(record))


def note(record: Record) -> str:
    """What a reviewer reads first on the run's page."""
    lines = [f"**{name}** {interval}" for name, interval in record.metrics.items()]
    for name, part in record.baselines.items():
        lines += [
            f"{metric} over {name}: {interval}" for metric, interval in part.items() if metric.startswith("gain_")
        ]
    if record.money:
        lines.append(f"fen a row over doing the same for all: {record.money['gain_over_best_constant']}")
    rows = ", ".join(f"{count:,} {name}" for name, count in record.rows.items())
    return "\n\n".join([f"Test from {record.test_from:%Y-%m-%d}, scored once; rows: {rows}.", *lines])


def _definitions(fitted: Fitted | FittedOrder | FittedSites) -> dict[str, dict[str, str]]:
    return {
        feature.name: {"meaning": feature.meaning, "unit": feature.unit, "null": feature.null_rule}
        for feature in fitted.model.task.features
    }


@contextmanager
def _current(where: Store) -> Iterator[None]:
    """Lend a store to the calls of MLflow that look one up for the whole process, and take it back.

    MLflow writes it to MLFLOW_TRACKING_URI, where the next fit of another home would find it.
    """
    import mlflow  # noqa: PLC0415 - as above

    named = os.environ.get(NAMED)
    mlflow.set_tracking_uri(where.uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(named)  # type: ignore[arg-type] # None makes it forget


def _register(
    tracked: MlflowClient, run_id: str, task: str, fitted: Fitted | FittedOrder | FittedSites, bundle: Path
) -> str:
    """Log the ONNX model to the run, register it, and point the alias `challenger` at it; gives its version."""
    import mlflow  # noqa: PLC0415 - as above
    import onnx  # noqa: PLC0415 - beside the only place that needs it
    from mlflow.models import infer_signature  # noqa: PLC0415 - as above

    name = EXPERIMENT.format(task=task)
    example = np.nan_to_num(fitted.predictions.matrix[:1]).astype(np.float64)
    with mlflow.start_run(run_id=run_id):
        logged = mlflow.onnx.log_model(
            onnx.load(bundle / "model.onnx"),
            name="model",
            registered_model_name=name,
            signature=infer_signature(example, fitted.predictions.output[:1]),
            pip_requirements=[f"{package}=={metadata.version(package)}" for package in SERVING_PACKAGES],
        )
    version = str(logged.registered_model_version)
    tracked.set_model_version_tag(name, version, BUNDLE, bundle.name)
    tracked.set_registered_model_alias(name, "challenger", version)
    return version
