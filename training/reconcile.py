"""What a killed process left under home and in MLflow, mended before anything else is written.

Bundles are written aside and renamed, and whoever moves a pointer or an alias is alone in the folder of the task. So
whatever is found there half done, by somebody who is alone in turn, was left by a process that was killed. The pointer
is the truth, because serving reads it: a promotion that did not reach the pointer did not come about, and one that did
is brought to its end.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from training.bundles import Pointer, alone, bundles, resolve
from training.promotions import WITHDRAWN, Promotion, append, cut_torn, promotions
from training.tracking.killed import close_killed
from training.tracking.runs import BUNDLE, EXPERIMENT
from training.tracking.stores import client, store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

OVERRIDDEN: Final = "shepherd.override"
OVERRIDDEN_BY: Final = "shepherd.override.by"
OVERRIDE_REASON: Final = "shepherd.override.reason"
SIGNED_BY: Final = "shepherd.signed.by"
SIGNED_REASON: Final = "shepherd.signed.reason"
SIGNED_AT: Final = "shepherd.signed.at"

POINTERS: Final[tuple[Pointer, ...]] = ("champion", "challenger")

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mended:
    """What had to be mended, each in words; empty where nobody was killed."""

    runs: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """All of it, a line each."""
        return (*(f"run {run} was killed and is closed as KILLED" for run in self.runs), *self.tasks)


def reconcile(home: Path) -> Mended:
    """Mend what killed processes left: runs, half registered models, bundles, pointers and aliases of every task.

    Cheap where there is nothing to do: some queries, whatever the number of runs. What was done is also logged, as a
    warning, because a kill is somebody's business.

    Args:
        home: Where bundles and the store lie.

    Raises:
        DependencyDown: The store does not answer.
        DataError: The file of promotions holds what nobody wrote.
    """
    tracked, root = client(store(home)), bundles(home)
    runs = close_killed(tracked)
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    mended = Mended(runs, tuple(word for folder in folders for word in _mend(tracked, folder)))
    for word in mended.words:
        _LOG.warning("mended: %s", word)
    return mended


def registered(tracked: MlflowClient, task: str, bundle: str) -> ModelVersion | None:
    """The newest version in the registry that was made with a bundle; None where there is none."""
    found = tracked.search_model_versions(f"name = '{EXPERIMENT.format(task=task)}' and tags.`{BUNDLE}` = '{bundle}'")
    return max(found, key=lambda one: int(one.version), default=None)


def pointed(folder: Path, pointer: Pointer) -> str:
    """The version that a pointer of a task names; empty where there is none.

    Raises:
        DataError: What it holds is no name of a version.
    """
    return resolve(folder.parent, folder.name, pointer).name if (folder / pointer).exists() else ""


def signature_tags(line: Promotion) -> dict[str, str]:
    """What a signed promotion leaves at the version and at its run; nothing where nobody signed."""
    return {SIGNED_BY: line.by, SIGNED_REASON: line.reason, SIGNED_AT: line.at} if line.by else {}


def write_tags(tracked: MlflowClient, version: ModelVersion, line: Promotion) -> None:
    """Leave at a version and its run who signed, and at the version what was passed over."""
    passed = {OVERRIDDEN: json.dumps(line.overridden), OVERRIDDEN_BY: line.by, OVERRIDE_REASON: line.reason}
    signed = signature_tags(line)
    for tag, value in signed.items():
        tracked.set_tag(str(version.run_id), tag, value)
    for tag, value in {**(passed if line.overridden else {}), **signed}.items():
        tracked.set_model_version_tag(version.name, version.version, tag, value)


def _mend(tracked: MlflowClient, folder: Path) -> Iterator[str]:
    with alone(folder):
        yield from _cleared(folder)
        yield from _aliased(tracked, folder)
        yield from _finished(tracked, folder)


def _cleared(folder: Path) -> Iterator[str]:
    """Take away what was written aside and never renamed, and the end of a line that was torn off."""
    for aside in folder.glob(".*-*"):
        if aside.is_dir():
            shutil.rmtree(aside)
        else:
            aside.unlink()
        yield f"{folder.name}: {aside.name} was half written and is gone"
    if cut_torn(folder):
        yield f"{folder.name}: the last line of promotions was half written and is gone"


def _aliased(tracked: MlflowClient, folder: Path) -> Iterator[str]:
    """Let aliases name what the pointers do; one of another home's bundle is left alone, for nothing of it is known."""
    name = EXPERIMENT.format(task=folder.name)
    models = tracked.search_registered_models(f"name = '{name}'")
    aliases: dict[str, str] = models[0].aliases if models else {}
    for pointer in POINTERS:
        served, number = pointed(folder, pointer), aliases.get(pointer)
        bundle = tracked.get_model_version(name, number).tags.get(BUNDLE, "") if number else ""
        if bundle == served or (number and not (bundle and (folder / bundle).is_dir())):
            continue
        right = registered(tracked, folder.name, served) if served else None
        if right is not None:
            tracked.set_registered_model_alias(name, pointer, right.version)
        elif number:
            tracked.delete_registered_model_alias(name, pointer)
        else:
            continue
        told = f"{bundle or 'nothing'}, and names {served if right else 'nothing'}"
        yield f"{folder.name}: the alias {pointer} named {told} as the pointer does"


def _finished(tracked: MlflowClient, folder: Path) -> Iterator[str]:
    """Withdraw the last promotion where it did not reach the pointer, else bring its signature to its end."""
    lines = promotions(folder)
    if not lines or lines[-1].action == WITHDRAWN:
        return
    last, champion = lines[-1], pointed(folder, "champion")
    if last.version != champion:
        append(folder, Promotion(datetime.now(UTC).isoformat(), WITHDRAWN, last.version, champion))
        yield f"{folder.name}: {last.version} was promoted but not pointed to, and {champion or 'nobody'} is champion"
    elif last.by:
        version = registered(tracked, folder.name, champion)
        if version is not None and version.tags.get(SIGNED_AT) != last.at:
            write_tags(tracked, version, last)
            yield f"{folder.name}: the signature under the promotion of {champion} was cut short, and is whole"
