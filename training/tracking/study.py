"""What a search tried: all of it as a table, and its best trials as runs below the run, for MLflow's compare view."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlflow import MlflowClient

    from training.tune import Trial

STUDY: Final = "study.csv"
PARENT: Final = "mlflow.parentRunId"
TOP: Final = 5
"""How many trials get a run of their own; the table has all."""


def log_study(
    tracked: MlflowClient, experiment: str, run_id: str, tried: Sequence[Trial], *, greater_is_better: bool
) -> None:
    """Write the table of all trials to a run, and the best of them as its child runs, each in one batch.

    A child begins when its trial did, before the run itself, so that the newest run is never a trial.

    Args:
        tracked: The store.
        experiment: Of the run.
        run_id: The run of the whole fit.
        tried: The trials; where there is one alone, nothing was searched and no child is made.
        greater_is_better: Which way the searched metric is up.
    """
    if not tried:
        return
    tracked.log_text(run_id, table(tried), STUDY)
    if len(tried) == 1:
        return
    sign = -1.0 if greater_is_better else 1.0
    for trial in sorted(tried, key=lambda one: sign * one.value)[:TOP]:
        _log_trial(tracked, experiment, run_id, trial)


def table(tried: Sequence[Trial]) -> str:
    """Every trial as CSV: number, value, each fold, when and how long, and its parameters; empty where it kept its own.

    >>> from datetime import UTC, datetime
    >>> from training.tune import Trial
    >>> print(table([Trial(0, {"leaves": 3}, (0.25,), 0.25, datetime(2026, 1, 1, tzinfo=UTC), 1.5)]).strip())
    number,value,fold_1,started,seconds,leaves
    0,0.25,0.25,2026-01-01T00:00:00+00:00,1.5,3
    """
    names = sorted({name for one in tried for name in one.parameters})
    folds = [f"fold_{number}" for number in range(1, 1 + max(len(one.folds) for one in tried))]
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow(["number", "value", *folds, "started", "seconds", *names])
    for one in tried:
        told = (one.parameters.get(name, "") for name in names)
        lines.writerow([one.number, one.value, *one.folds, one.started.isoformat(), one.seconds, *told])
    return written.getvalue()


def _log_trial(tracked: MlflowClient, experiment: str, run_id: str, trial: Trial) -> None:
    from mlflow.entities import Metric, Param

    tags = {PARENT: run_id}
    child = tracked.create_run(experiment, _milliseconds(trial.started), tags, f"trial {trial.number}").info.run_id
    figures = {"search/value": trial.value}
    figures |= {f"search/fold_{number}": value for number, value in enumerate(trial.folds, start=1)}
    metrics = [Metric(name, value, 0, 0) for name, value in figures.items()]
    tracked.log_batch(child, metrics, [Param(f"search.{name}", str(value)) for name, value in trial.parameters.items()])
    ended = trial.started + timedelta(seconds=trial.seconds)
    tracked.set_terminated(child, "FINISHED", _milliseconds(ended))


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)
