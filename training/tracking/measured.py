"""A run of figures alone: what was measured on an occasion, with no model of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from training.tracking.killed import close_killed
from training.tracking.runs import experiment_of, run
from training.tracking.stores import client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.tracking.stores import Store

_AT_ONCE: Final = 1_000  # a store takes no more in one call


def log_measured(  # noqa: PLR0913 - all that a run of figures has
    where: Store,
    kind: str,
    name: str,
    *,
    figures: Mapping[str, float],
    tags: Mapping[str, str],
    told: dict[str, object],
    task: str = "",
    files: Mapping[str, str] | None = None,
) -> str:
    """Write a run of figures to the experiment of its kind, or of a task; gives its id.

    Args:
        where: The store.
        kind: What was done, such as `retraining`; its experiment is shepherd-KIND where no task is named.
        name: Of the run.
        figures: Metrics by name.
        tags: What people may search by.
        told: All of it, kept as KIND.json.
        task: Whose experiment it goes to.
        files: Further texts by the names of their files.
    """
    from mlflow.entities import Metric

    tracked = client(where)
    close_killed(tracked)
    with run(tracked, experiment_of(tracked, where, task or kind), name, tags) as run_id:
        metrics = [Metric(metric, value, 0, 0) for metric, value in figures.items()]
        for start in range(0, len(metrics), _AT_ONCE):
            tracked.log_batch(run_id, metrics[start : start + _AT_ONCE])
        tracked.log_dict(run_id, told, f"{kind}.json")
        for file, text in (files or {}).items():
            tracked.log_text(run_id, text, file)
    return run_id
