"""Runs whose process was killed: they are closed, and what they half registered is taken back.

MLflow would show such a run as running for ever. Whose a run is, its tags say: machine, process, and when that process
started, because numbers of processes are given out again.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow import MlflowClient
    from mlflow.entities import Run

PROCESS: Final = "shepherd.process"
STARTED: Final = "shepherd.process_started"
OURS: Final = "name LIKE 'shepherd-%'"
"""Experiments and registered models that this house made."""

_PARENT = "mlflow.parentRunId"
_ENDED = "ZX"  # states of a process that ended and that nobody has asked about yet
_STATE, _STARTED_AT = 0, 19  # behind the name of the program, which may hold anything


def owner() -> dict[str, str]:
    """Tags by which a run says whose it is: this process, on this machine."""
    return {PROCESS: f"{socket.gethostname()}:{os.getpid()}", STARTED: started(os.getpid())}


def started(process: int) -> str:
    """When a process was started, in ticks since a boot, and which boot; empty where the system does not say."""
    fields = _fields(process)
    return f"{fields[_STARTED_AT]}@{_boot()}" if fields else ""


def is_gone(tags: Mapping[str, str]) -> bool:
    """Whether the process that a run's tags name is over; never of another machine, of which nothing is known here."""
    host, _, process = tags.get(PROCESS, "").rpartition(":")
    if host != socket.gethostname() or not process.isdigit():
        return False
    ticks, _, boot = tags.get(STARTED, "").partition("@")
    if boot and _boot() and boot != _boot():
        return True
    fields = _fields(int(process))
    if not fields:
        return not _is_there(int(process))
    return fields[_STATE] in _ENDED or bool(ticks and fields[_STARTED_AT] != ticks)


def close_killed(tracked: MlflowClient) -> tuple[str, ...]:
    """Close every run of ours whose process is gone, as KILLED; gives their ids.

    What it registered goes first: a registered model is whole, and its run is FINISHED. So a kill in here is mended by
    the next call. Runs of a search have no process of their own to name, and are judged by that of the run they belong
    to.
    """
    experiments = [one.experiment_id for one in tracked.search_experiments(filter_string=OURS)]
    if not experiments:
        return ()
    running = tracked.search_runs(experiments, "attributes.status = 'RUNNING'")
    killed = [run for run in running if is_gone(_owner_of(tracked, run))]
    for run in killed:
        take_back(tracked, run.info.run_id, run.info.experiment_id)
        tracked.set_terminated(run.info.run_id, "KILLED")
    return tuple(str(run.info.run_id) for run in killed)


def take_back(tracked: MlflowClient, run_id: str, experiment: str) -> None:
    """Delete what a run registered before it was over, unless an alias names it; a model half logged has failed."""
    for version in tracked.search_model_versions(f"run_id = '{run_id}'"):
        # What a search finds says nothing of aliases.
        if not tracked.get_model_version(version.name, version.version).aliases:
            tracked.delete_model_version(version.name, version.version)
    for model in tracked.search_logged_models([experiment], f"source_run_id = '{run_id}'"):
        if str(model.status) == "PENDING":
            tracked.finalize_logged_model(model.model_id, "FAILED")


def _owner_of(tracked: MlflowClient, run: Run) -> Mapping[str, str]:
    """The tags of the run, or of the run it belongs to, that name a process."""
    tags: Mapping[str, str] = run.data.tags
    while PROCESS not in tags and _PARENT in tags:
        tags = tracked.get_run(tags[_PARENT]).data.tags
    return tags


def _fields(process: int) -> list[str]:
    """What the system says of a process, from its state on; nothing where there is none, or no such system."""
    try:
        told = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return told.rpartition(")")[2].split()


def _boot() -> str:
    """Which start of the machine this is; empty where that is hidden."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
