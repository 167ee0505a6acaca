"""The life of a model after its fit: challenger, then champion if no gate refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.errors import GateRefused, UsageError
from training.export import point, read, resolve
from training.release import bundles
from training.tracking import BUNDLE, EXPERIMENT, client, store

if TYPE_CHECKING:
    from pathlib import Path

    from training.export import Manifest


@dataclass(frozen=True)
class Gate:
    """One condition of a promotion, with what was found and what is required."""

    name: str
    found: str
    required: str
    passed: bool

    def as_dict(self) -> dict[str, str | bool]:
        """For JSON."""
        return {"name": self.name, "found": self.found, "required": self.required, "passed": self.passed}

    def __str__(self) -> str:
        """One line that a reviewer can act on."""
        return f"{self.name}: found {self.found}, required {self.required}"


def challenge(task: str, version: str, home: Path) -> None:
    """Let the pointer `challenger` name a version; whatever is exported may challenge."""
    point(bundles(home), task, "challenger", version)


def promote(task: str, home: Path, version: str | None = None) -> tuple[Gate, ...]:
    """Make a version the champion: the alias in MLflow's registry, and the pointer that serving reads when it starts.

    Args:
        task: Whose model.
        home: Where bundles and the store lie.
        version: The bundle's version; by default the challenger.

    Returns:
        The gates it passed.

    Raises:
        GateRefused: A gate was not passed; the message names each, with found and required. Nothing changed.
        UsageError: There is no such version, or the registry holds none.
        DataError: Nothing was trained yet, or the bundle is not as it was written.
    """
    folder = resolve(bundles(home), task, "challenger") if version is None else _version(task, home, version)
    manifest = read(folder).manifest
    passed = gates(manifest)
    refused = [gate for gate in passed if not gate.passed]
    if refused:
        listed = "; ".join(map(str, refused))
        raise GateRefused(f"{task} {manifest.version} stays a challenger: {listed}. Train another, or change the task.")
    _alias(task, manifest.version, home)
    point(bundles(home), task, "champion", manifest.version)
    return passed


def gates(manifest: Manifest) -> tuple[Gate, ...]:
    """What a champion has to show: the exported graph is the model, it was judged, and it is better than its rivals.

    In each metric that decides, the model is ahead of every rival, which is what would be used instead of it. An
    ablation is the model with something left out, and level with it wherever that something says little: it refuses a
    model only by being surely better, the whole paired interval of the model's gain below 0. Metrics that do not decide
    are reported and refuse nothing (see `docs/decisions/0012`).

    A figure without meaning (a test in which nothing came true) is absent from a manifest, so absence must not pass.
    """
    parity = manifest.parity
    exact = parity.wrong_leaves == 0 and parity.max_raw_difference == 0.0
    found = f"{parity.wrong_leaves} wrong leaves, raw difference {parity.max_raw_difference}"
    criteria = manifest.criteria
    ahead = [_ahead(manifest, rival, metric) for rival in criteria.rivals for metric in criteria.metrics]
    no_worse = [_no_worse(manifest, ablation, metric) for ablation in criteria.ablations for metric in criteria.metrics]
    figures = sum(name.startswith("test/") for name in manifest.metrics)
    judged = Gate("judged", f"{figures} figures of the test", "some", figures > 0)
    return (Gate("parity", found, "0 and 0.0", exact), judged, *ahead, *no_worse)


def _ahead(manifest: Manifest, rival: str, metric: str) -> Gate:
    gain = manifest.metrics.get(f"baseline/{rival}/gain_{metric}")
    return Gate(f"{rival}: gain in {metric}", _figure(gain), "more than 0", gain is not None and gain > 0)


def _no_worse(manifest: Manifest, ablation: str, metric: str) -> Gate:
    high = manifest.metrics.get(f"baseline/{ablation}/gain_{metric}_high")
    name = f"{ablation}: upper end of the gain in {metric}"
    return Gate(name, _figure(high), "0 or more", high is not None and high >= 0)


def _figure(value: float | None) -> str:
    return "no figure" if value is None else f"{value:+.4f}"


def _version(task: str, home: Path, version: str) -> Path:
    folders = {path.parent.name: path.parent for path in (bundles(home) / task).glob("*/manifest.json")}
    if version not in folders:
        raise UsageError(
            f"unknown version {version!r} of task {task!r}: {bundles(home) / task} holds "
            f"{', '.join(sorted(folders)) or 'none yet'}; name one of them, or make one with `shepherd train`"
        )
    return folders[version]


def _alias(task: str, version: str, home: Path) -> None:
    tracked = client(store(home))
    name = EXPERIMENT.format(task=task)
    found = [each for each in tracked.search_model_versions(f"name = '{name}'") if each.tags.get(BUNDLE) == version]
    if not found:
        raise UsageError(
            f"the registry of {store(home).uri} holds no version of {name} made with bundle {version}; "
            "train it against this store, or set MLFLOW_TRACKING_URI to the one that has it"
        )
    tracked.set_registered_model_alias(name, "champion", found[0].version)
