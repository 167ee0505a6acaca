"""The life of a model after its fit: challenger, then champion if no gate refuses, and back to the one before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from data.errors import GateRefused, UsageError
from training.bundles import alone, bundles, point, read, resolve
from training.gates import Gate, gates
from training.promotions import BACK, PROMOTED, PROMOTIONS, Promotion, append, before, came_about
from training.reconcile import pointed, reconcile, registered, signature_tags, write_tags
from training.tracking.runs import EXPERIMENT
from training.tracking.stores import client, store

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow.entities.model_registry import ModelVersion

    from training.bundles import Manifest
    from training.promotions import Override, Signature

__all__ = ["Gate", "back", "challenge", "gates", "promote", "shown", "signature_tags"]

COMPARED = "champion compared with"


def challenge(task: str, version: str, home: Path) -> None:
    """Let the alias and the pointer `challenger` name a version; whatever is registered may challenge.

    Raises:
        UsageError: The registry holds no such version.
    """
    found = _registered(task, version, home)
    with alone(bundles(home) / task):
        client(store(home)).set_registered_model_alias(found.name, "challenger", found.version)
        point(bundles(home), task, "challenger", version)


def shown(manifest: Manifest, champion: str) -> tuple[Gate, ...]:
    """All gates of a version as they stand beside today's champion."""
    return (*gates(manifest), *_compared(manifest, champion))


def promote(
    task: str,
    home: Path,
    version: str | None = None,
    override: Override | None = None,
    signature: Signature | None = None,
) -> tuple[Gate, ...]:
    """Make a version the champion: the alias in MLflow's registry, and the pointer that serving reads when it starts.

    Args:
        task: Whose model.
        home: Where bundles and the store lie.
        version: The bundle's version; by default the challenger.
        override: Gates that refuse and are passed over; recorded in the registry and in the file of promotions.
        signature: Who answers for the promotion; whoever passes a gate over signs with that.

    Returns:
        The gates, all passed but those that were passed over.

    Raises:
        GateRefused: A gate was not passed; the message names each, with found and required. Nothing changed.
        UsageError: There is no such version, the registry holds none, or what is to be passed over does not refuse.
        DataError: Nothing was trained yet, or the bundle is not as it was written.
    """
    _asked(task, home, version)  # before anything is reached or written
    reconcile(home)
    with alone(bundles(home) / task):
        manifest = read(_asked(task, home, version)).manifest
        previous = pointed(bundles(home) / task, "champion")
        found = shown(manifest, previous)
        overridden = _overridden(found, override)
        if left := [gate for gate in found if not gate.passed and gate not in overridden]:
            stays, advice = _instead(bundles(home) / task, manifest.version, previous)
            raise GateRefused(f"{task} {manifest.version} {stays}: {'; '.join(map(str, left))}. {advice}")
        signed = override.signature if override else signature
        by, reason = (signed.by, signed.reason) if signed else ("", "")
        said = tuple(gate.as_dict() for gate in overridden)
        _crown(task, home, Promotion(_now(), PROMOTED, manifest.version, previous, said, by, reason))
    return found


def back(task: str, home: Path, signature: Signature | None = None) -> str:
    """Return to who was champion before the present one: pointer and alias; gives that version.

    Args:
        task: Whose model.
        home: Where bundles and the store lie.
        signature: Who answers for the return.

    Raises:
        UsageError: There is no champion, or none was before it; or the registry holds none of that version.
        DataError: The former champion's bundle is gone, or is not as it was written.
    """
    folder = bundles(home) / task
    _former(folder)  # before anything is reached or written
    reconcile(home)
    with alone(folder):
        current, former = _former(folder)
        read(folder / former)
        signed = (signature.by, signature.reason) if signature else ("", "")
        _crown(task, home, Promotion(_now(), BACK, former, current, (), *signed))
    return former


def _crown(task: str, home: Path, line: Promotion) -> None:
    """Write the line first, then the alias, then the pointer, which alone says who is served; last who signed.

    Cut short before the pointer, all of it is taken back at the next start; after it, brought to its end.
    """
    version = _registered(task, line.version, home)
    append(bundles(home) / task, line)
    tracked = client(store(home))
    tracked.set_registered_model_alias(version.name, "champion", version.version)
    point(bundles(home), task, "champion", line.version)
    write_tags(tracked, version, line)


def _former(folder: Path) -> tuple[str, str]:
    """Who is champion, and who was before."""
    current = pointed(folder, "champion")
    former = before(folder, current) if current else ""
    if not former:
        raise UsageError(
            f"{folder.name}: found no champion before {current or 'the first'}, expected one in {folder / PROMOTIONS};"
            f" `shepherd promote {folder.name} VERSION` makes any other one champion that its gates let pass"
        )
    return current, former


def _instead(folder: Path, version: str, champion: str) -> tuple[str, str]:
    """What a version that is refused stays, and what to do instead."""
    if version != champion and version == before(folder, champion):
        return "is not promoted", f"It was champion before {champion}: `shepherd promote {folder.name} --back` returns."
    if version != champion and any(line.version == version for line in came_about(folder)):
        return "is not promoted", (
            "It was champion once: train on today's data, or take it back with --override GATE, --by NAME and --reason "
            "TEXT."
        )
    stays = "stays a challenger" if version == pointed(folder, "challenger") else "is not promoted"
    return stays, "Train another, or change the task."


def _compared(manifest: Manifest, champion: str) -> tuple[Gate, ...]:
    """Whether the figures of money are of today's champion; nothing where money means nothing to the task."""
    if "money" in manifest.criteria.inapplicable or champion in {manifest.version, manifest.champion}:
        return ()
    return (Gate(COMPARED, manifest.champion or "none", champion or "none", passed=False),)


def _overridden(found: tuple[Gate, ...], override: Override | None) -> tuple[Gate, ...]:
    """The gates that refuse and are passed over.

    Raises:
        UsageError: A name is that of no gate, or of one that was passed.
    """
    if override is None:
        return ()
    refused = {gate.name: gate for gate in found if not gate.passed}
    if strange := [name for name in override.gates if name not in refused]:
        raise UsageError(
            f"--override: found {', '.join(map(repr, strange))}, expected gates that refuse: "
            f"{', '.join(map(repr, refused)) or 'none does'}; leave the others out"
        )
    return tuple(refused[name] for name in dict.fromkeys(override.gates))


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _asked(task: str, home: Path, version: str | None) -> Path:
    """The folder of the version that is named, or of the challenger."""
    if version is None:
        return resolve(bundles(home), task, "challenger")
    folders = {path.parent.name: path.parent for path in (bundles(home) / task).glob("*/manifest.json")}
    if version not in folders:
        raise UsageError(
            f"unknown version {version!r} of task {task!r}: {bundles(home) / task} holds "
            f"{', '.join(sorted(folders)) or 'none yet'}; name one of them, or make one with `shepherd train`"
        )
    return folders[version]


def _registered(task: str, version: str, home: Path) -> ModelVersion:
    """What the registry holds of a bundle's version."""
    found = registered(client(store(home)), task, version)
    if found is None:
        raise UsageError(
            f"the registry of {store(home).uri} holds no version of {EXPERIMENT.format(task=task)} made with bundle "
            f"{version}; train it against this store, or set MLFLOW_TRACKING_URI to the one that has it"
        )
    return found
