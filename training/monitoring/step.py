"""One call for a scheduler: a week measured and written down as a run, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from training.monitoring.page import FILE, opening, page
from training.monitoring.result import KIND
from training.reconcile import registered
from training.tracking.measured import log_measured
from training.tracking.runs import BUNDLE, experiment_of
from training.tracking.stores import client, store
from training.tracking.study import PARENT
from training.tracking.tracked import NOTE

if TYPE_CHECKING:
    from pathlib import Path

    from training.monitoring.result import Monitored

DIGEST: Final = "shepherd.monitored"
_FINISHED: Final = "FINISHED"


@dataclass(frozen=True)
class Written:
    """Where a week is found again.

    Attributes:
        run_id: Its run.
        model_run: The run of the champion's training; empty where the registry does not know it.
        again: Whether it had been written before.
        opens: What opens the page of runs.
    """

    run_id: str
    model_run: str
    again: bool
    opens: str


def write(found: Monitored, home: Path, *, force: bool = False) -> Written:
    """Write a week as a run of the task's experiment, beside the champion's; the same week is found, not made again.

    Args:
        found: The week.
        home: Whose store.
        force: Whether to write it anew all the same.

    Raises:
        DependencyDown: The store does not answer.
    """
    where = store(home)
    tracked = client(where)
    model = registered(tracked, found.task, found.version)
    model_run = "" if model is None else str(model.run_id)
    if not force:
        asked = f"tags.`{DIGEST}` = '{found.digest}' and attributes.status = '{_FINISHED}'"
        before = tracked.search_runs([experiment_of(tracked, where, found.task)], asked, max_results=1)
        if before:
            return Written(str(before[0].info.run_id), model_run, again=True, opens=where.command)
    tags = {
        "shepherd.kind": KIND,
        "shepherd.task": found.task,
        "shepherd.verdict": found.level.name.lower(),
        "shepherd.from": found.week.since.isoformat(),
        "shepherd.until": found.week.until.isoformat(),
        BUNDLE: found.version,
        DIGEST: found.digest,
        NOTE: opening(found),
        **({"shepherd.challenger": found.beside[0].version} if found.beside else {}),
        **({"shepherd.run": model_run, PARENT: model_run} if model_run else {}),
    }
    run_id = log_measured(
        where,
        KIND,
        f"monitor {found.task} {found.week.since:%Y-%m-%d} to {found.week.until:%Y-%m-%d}",
        figures=found.figures(),
        tags=tags,
        told=found.as_dict(),
        task=found.task,
        files={FILE: page(found)},
    )
    return Written(run_id, model_run, again=False, opens=where.command)
