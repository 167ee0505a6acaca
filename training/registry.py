"""The life of a model after its fit: challenger, then champion if no gate refuses, and back to the one before."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from data.errors import GateRefused, UsageError
from training.export import point, read, resolve
from training.gates import Gate, gates
from training.promotions import BACK, PROMOTED, Promotion, append, before
from training.release import bundles
from training.tracking import BUNDLE, EXPERIMENT, client, store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from training.export import Manifest
    from training.promotions import Override

__all__ = ["Gate", "back", "challenge", "gates", "promote"]

OVERRIDDEN = "shepherd.override"
OVERRIDDEN_BY = "shepherd.override.by"
OVERRIDE_REASON = "shepherd.override.reason"
COMPARED = "champion compared with"


def challenge(task: str, version: str, home: Path) -> None:
    """Let the pointer `challenger` name a version; whatever is exported may challenge."""
    point(bundles(home), task, "challenger", version)


def promote(task: str, home: Path, version: str | None = None, override: Override | None = None) -> tuple[Gate, ...]:
    """Make a version the champion: the alias in MLflow's registry, and the pointer that serving reads when it starts.

    Args:
        task: Whose model.
        home: Where bundles and the store lie.
        version: The bundle's version; by default the challenger.
        override: Gates that refuse and are passed over; recorded in the registry and in the file of promotions.

    Returns:
        The gates, all passed but those that were passed over.

    Raises:
        GateRefused: A gate was not passed; the message names each, with found and required. Nothing changed.
        UsageError: There is no such version, the registry holds none, or what is to be passed over does not refuse.
        DataError: Nothing was trained yet, or the bundle is not as it was written.
    """
    folder = resolve(bundles(home), task, "challenger") if version is None else _version(task, home, version)
    manifest = read(folder).manifest
    previous = _champion(task, home)
    shown = (*gates(manifest), *_compared(manifest, previous))
    refused = [gate for gate in shown if not gate.passed]
    overridden = _overridden(shown, override)
    if left := [gate for gate in refused if gate not in overridden]:
        listed = "; ".join(map(str, left))
        raise GateRefused(f"{task} {manifest.version} stays a challenger: {listed}. Train another, or change the task.")
    said = tuple(gate.as_dict() for gate in overridden)
    by, reason = (override.by, override.reason) if override else ("", "")
    tags = {OVERRIDDEN: json.dumps(said), OVERRIDDEN_BY: by, OVERRIDE_REASON: reason} if override else {}
    line = Promotion(_now(), PROMOTED, manifest.version, previous, said, by, reason)
    _crown(task, home, line, tags)
    return shown


def back(task: str, home: Path) -> str:
    """Return to who was champion before the present one: pointer and alias; gives that version.

    Raises:
        UsageError: There is no champion, or none was before it; or the registry holds none of that version.
        DataError: The former champion's bundle is gone, or is not as it was written.
    """
    folder, current = bundles(home) / task, _champion(task, home)
    former = before(folder, current) if current else ""
    if not former:
        raise UsageError(
            f"{task}: found no champion before {current or 'the first'}, expected one in {folder / 'promotions.jsonl'};"
            " name the version to promote instead"
        )
    read(folder / former)
    _crown(task, home, Promotion(_now(), BACK, former, current), {})
    return former


def _crown(task: str, home: Path, line: Promotion, tags: Mapping[str, str]) -> None:
    """Write the line first, then the alias, and the pointer last: it alone says who is served."""
    registered = _registered(task, line.version, home)
    append(bundles(home) / task, line)
    tracked, name = client(store(home)), EXPERIMENT.format(task=task)
    for tag, value in tags.items():
        tracked.set_model_version_tag(name, registered, tag, value)
    tracked.set_registered_model_alias(name, "champion", registered)
    point(bundles(home), task, "champion", line.version)


def _compared(manifest: Manifest, champion: str) -> tuple[Gate, ...]:
    """Whether the figures of money are of today's champion; nothing where money means nothing to the task."""
    if "money" in manifest.criteria.inapplicable or champion in {manifest.version, manifest.champion}:
        return ()
    return (Gate(COMPARED, manifest.champion or "none", champion or "none", passed=False),)


def _overridden(shown: tuple[Gate, ...], override: Override | None) -> tuple[Gate, ...]:
    """The gates that refuse and are passed over.

    Raises:
        UsageError: A name is that of no gate, or of one that was passed.
    """
    if override is None:
        return ()
    refused = {gate.name: gate for gate in shown if not gate.passed}
    if strange := [name for name in override.gates if name not in refused]:
        raise UsageError(
            f"--override: found {', '.join(map(repr, strange))}, expected gates that refuse: "
            f"{', '.join(map(repr, refused)) or 'none does'}; leave the others out"
        )
    return tuple(refused[name] for name in dict.fromkeys(override.gates))


def _champion(task: str, home: Path) -> str:
    """The version that is champion; empty where none is."""
    root = bundles(home)
    return resolve(root, task, "champion").name if (root / task / "champion").exists() else ""


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _version(task: str, home: Path, version: str) -> Path:
    folders = {path.parent.name: path.parent for path in (bundles(home) / task).glob("*/manifest.json")}
    if version not in folders:
        raise UsageError(
            f"unknown version {version!r} of task {task!r}: {bundles(home) / task} holds "
            f"{', '.join(sorted(folders)) or 'none yet'}; name one of them, or make one with `shepherd train`"
        )
    return folders[version]


def _registered(task: str, version: str, home: Path) -> str:
    """The registry's number of a bundle's version."""
    tracked = client(store(home))
    name = EXPERIMENT.format(task=task)
    found = [each for each in tracked.search_model_versions(f"name = '{name}'") if each.tags.get(BUNDLE) == version]
    if not found:
        raise UsageError(
            f"the registry of {store(home).uri} holds no version of {name} made with bundle {version}; "
            "train it against this store, or set MLFLOW_TRACKING_URI to the one that has it"
        )
    return str(found[0].version)
