"""What MLflow holds of a fit: parameters, figures with intervals, curves, the record, the report and the bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.curves import draw
from training.provenance import PROVENANCE, SEAL, software, source
from training.report.content import content_of, examples
from training.report.page import opening, report_page
from training.sites.pipeline import FittedSites
from training.tracking.datasets import log_datasets
from training.tracking.killed import close_killed
from training.tracking.metrics import figures, proved
from training.tracking.notes import note
from training.tracking.runs import EXPERIMENT, REPORT, experiment_of, register, run
from training.tracking.stores import client, current
from training.tracking.study import log_study

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlflow import MlflowClient

    from training.effect.study import FittedEffects
    from training.pipeline import Fitted
    from training.provenance import Provenance
    from training.ranking_pipeline import FittedOrder
    from training.report.content import Content
    from training.tracking.stores import Store

NOTE = "mlflow.note.content"


@dataclass(frozen=True)
class Tracked:
    """Where a fit can be found again."""

    run_id: str
    model_name: str
    model_version: str


def track(
    fitted: Fitted | FittedOrder | FittedSites,
    bundle: Path,
    where: Store,
    proofs: Mapping[str, float] | None = None,
    origin: Provenance | None = None,
    changes: FittedEffects | None = None,
) -> Tracked:
    """Write one fit to the store and register its model; `registry.challenge` makes it the challenger.

    Args:
        fitted: Model, predictions and record.
        bundle: Folder of the exported model.
        where: The store.
        proofs: Further figures by name: what was replayed and compared before the export.
        origin: What it needs to be derived again; a run without it cannot be verified.
        changes: What offers change, of a task that asks it.
    """
    commit = source() if origin is None else origin.source
    content = content_of(fitted, bundle, commit, changes)
    tracked = client(where)
    record = fitted.record
    close_killed(tracked)
    experiment = experiment_of(tracked, where, record.task)
    with run(tracked, experiment, bundle.name, commit) as run_id:
        if origin is not None:
            tracked.log_param(run_id, SEAL, origin.seal())
            tracked.log_text(run_id, origin.text(), PROVENANCE)
        told = {**figures(record), **(proofs or {}), **proved(content.manifest, content.gates)}
        _log_figures(tracked, run_id, told, _parameters(content, origin))
        root = "" if origin is None else origin.data.root
        log_datasets(tracked, run_id, record, fitted.model.task.features.names, root)
        tracked.log_artifacts(run_id, str(bundle), "bundle")
        tracked.log_dict(run_id, record.as_dict(), "record.json")
        tracked.log_dict(run_id, _definitions(fitted), "features.json")
        tracked.log_dict(run_id, examples(content), "examples.json")
        if changes is not None:
            tracked.log_dict(run_id, changes.record.as_dict(), "effects.json")
        for name, figure in draw(content.curves, record.attributions).items():
            tracked.log_figure(run_id, figure, f"curves/{name}.png")
        tracked.log_text(run_id, report_page(content), REPORT)
        tracked.set_tag(run_id, NOTE, f"{opening(content)}\n\n{note(record)}")
        _log_study(tracked, experiment, run_id, fitted)
        with current(where):
            version = register(tracked, run_id, record.task, fitted, bundle)
    return Tracked(run_id, EXPERIMENT.format(task=record.task), version)


def _log_figures(
    tracked: MlflowClient, run_id: str, figures: Mapping[str, float], parameters: Mapping[str, object]
) -> None:
    from mlflow.entities import Metric, Param

    metrics = [Metric(name, value, 0, 0) for name, value in figures.items()]
    tracked.log_batch(run_id, metrics, [Param(name, str(value)) for name, value in parameters.items()])


def _parameters(content: Content, origin: Provenance | None) -> dict[str, object]:
    """What the fit was made with: the search's choice, the data and their time, and the software."""
    record, (first, last) = content.record, content.span
    versions = software() if origin is None else origin.software
    return {
        **{f"search.{name}": value for name, value in record.search.parameters.items()},
        "trials": record.search.trials,
        "seed": record.seed,
        "data_hash": record.data_hash,
        "data_first": first.isoformat(),
        "data_last": last.isoformat(),
        "feature_fingerprint": record.fingerprint,
        "features": len(content.manifest.features),
        "test_from": record.test_from.isoformat(),
        **{f"version.{name}": value for name, value in versions.items()},
    }


def _log_study(tracked: MlflowClient, experiment: str, run_id: str, fitted: Fitted | FittedOrder | FittedSites) -> None:
    if isinstance(fitted, FittedSites):
        return
    searched = fitted.model.task.metrics[0]
    log_study(tracked, experiment, run_id, fitted.tried, greater_is_better=searched.greater_is_better)


def _definitions(fitted: Fitted | FittedOrder | FittedSites) -> dict[str, dict[str, str]]:
    return {
        feature.name: {"meaning": feature.meaning, "unit": feature.unit, "null": feature.null_rule}
        for feature in fitted.model.task.features
    }
