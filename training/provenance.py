"""What a run has to say of itself so that all the rest of it can be derived again from the data."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from data.errors import DataError
from training.sites.task import SiteTask
from training.task import Task
from training.tune import Trial, Tuned

if TYPE_CHECKING:
    from data.sources import DataSet
    from training.bundles import Manifest
    from training.record import Record
    from training.task import AnyTask, LabelledTask

PROVENANCE: Final = "provenance.json"
SEAL: Final = "provenance_sha256"
"""The parameter of a run that holds the hash of its file; MLflow lets nobody log a parameter a second time."""
COMMIT: Final = "mlflow.source.git.commit"
CHANGED: Final = "shepherd.source_changed"
MEASURED: Final = "latency/"
"""How figures begin that no two exports have alike."""

_LOCK = Path(__file__).parents[1] / "requirements" / "dev.lock"
_PACKAGES = (
    "shepherd",
    "lightgbm",
    "numpy",
    "scipy",
    "scikit-learn",
    "onnx",
    "onnxruntime",
    "duckdb",
    "pyarrow",
    "pandas",
    "matplotlib",
    "mlflow",
    "optuna",
)


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the tables were read from.

    Attributes:
        root: The folder by its absolute path, or the prefix of an object store.
        time_zone: Zone of times that name none.
        example: Name of the folder under --home where these are the example tables of the task; else empty.
    """

    root: str
    time_zone: str | None
    example: str


class TaskFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file outside this repository that declared the task; its text is there to be read, and is never run."""

    path: str
    sha256: str
    text: str


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the search chose.

    Attributes:
        parameters: Those that differ from the task's own; empty where nothing was better on every fold.
        trials: How many sets were tried.
    """

    parameters: dict[str, float | int | str | bool]
    trials: int


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that no derivation can find out; whatever else a run holds follows from it and from the data.

    Attributes:
        task: Name of the task.
        file: The file that declared it; None for a task that ships.
        cut: Where the test begins; None where a rule of the task says it.
        cluster: Whose workers grew the trees; None for this process.
        data: The tables.
        seed: Where chance started.
        choice: Of the search; None where nothing is searched.
        moment: When the bundle was made, which its version names.
        champion: The version that its money is compared with; empty where there was none.
        measured: Figures of time, which no two exports have alike.
        source: The commit of the source, and whether it was changed; empty where it was no checkout.
        software: Versions of Python and of what the figures rest on.
        machine: What else sums of floating-point numbers depend on.
        tried: What the search tried; nothing where nothing is searched.
    """

    task: str
    file: TaskFile | None
    cut: datetime | None
    cluster: str | None
    data: Origin
    seed: int
    choice: Choice | None
    moment: datetime
    champion: str
    measured: dict[str, float]
    source: dict[str, str]
    software: dict[str, str]
    machine: dict[str, str]
    tried: tuple[Trial, ...] = ()

    def text(self) -> str:
        """As it stands in the run: JSON, the same for the same values."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode() + "\n"

    def seal(self) -> str:
        """The hash of that text."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    def tuned(self) -> Tuned | None:
        """The choice, for a fit that judges it anew instead of searching."""
        choice = self.choice
        return None if choice is None else Tuned(choice.parameters, (), (), choice.trials, None, self.tried)


def provenance(
    task: AnyTask,
    data_set: DataSet,
    home: Path,
    *,
    record: Record,
    manifest: Manifest,
    tried: tuple[Trial, ...] = (),
) -> Provenance:
    """What is known when a bundle has just been made.

    Args:
        task: As it was learned, with its cut.
        data_set: What it was learned from.
        home: Where example tables lie.
        record: Of the fit.
        manifest: Of the bundle.
        tried: What the search tried.
    """
    return Provenance(
        task=task.name,
        file=task_file(task.file) if task.file else None,
        cut=None if isinstance(task, SiteTask) or task.split.validate_from else task.split.test_from,
        cluster=task.learner.cluster if isinstance(task, Task) else None,
        data=_origin(task, data_set, home),
        seed=record.seed,
        choice=None if isinstance(task, SiteTask) else _choice(task, record),
        moment=datetime.fromisoformat(manifest.created),
        champion=manifest.champion,
        measured={name: value for name, value in manifest.metrics.items() if name.startswith(MEASURED)},
        source=source(),
        software=software(),
        machine=machine(),
        tried=tried,
    )


def decoded(text: bytes, where: str) -> Provenance:
    """The file of a run, read back.

    Raises:
        DataError: It is none that a run wrote.
    """
    try:
        return msgspec.json.decode(text, type=Provenance)
    except msgspec.DecodeError as error:
        raise DataError(
            f"{where}: found no provenance ({error}), expected {PROVENANCE} as `shepherd train` writes it; without it "
            "nothing can be derived again"
        ) from error


def task_file(path: str) -> TaskFile:
    """A file that declares a task, as it is now."""
    text = Path(path).read_bytes()
    return TaskFile(path, hashlib.sha256(text).hexdigest(), text.decode())


def source() -> dict[str, str]:
    """The commit of the source that runs, and whether it was changed; nothing where it is not a checkout."""
    folder = Path(__file__).parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {COMMIT: commit, CHANGED: str(changed).lower()}


def software() -> dict[str, str]:
    """Versions of Python and of the packages that figures rest on, and the hash of the lock of all."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}, **_lock()}


def _lock() -> dict[str, str]:
    """The hash of what `make` installs; nothing where the source is no checkout."""
    return {"lock": hashlib.sha256(_LOCK.read_bytes()).hexdigest()} if _LOCK.is_file() else {}


def machine() -> dict[str, str]:
    """System, C library and vector instructions: with others, sums may be rounded differently."""
    configuration = np.show_config(mode="dicts")
    found = configuration.get("SIMD Extensions", {}).get("found", [])
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "instructions": " ".join(found),
    }


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603, S607 - fixed words


def _choice(task: LabelledTask, record: Record) -> Choice:
    own = task.learner.parameters
    chosen = {name: value for name, value in record.search.parameters.items() if (name, value) not in own.items()}
    return Choice(chosen, record.search.trials)


def _origin(task: AnyTask, data_set: DataSet, home: Path) -> Origin:
    if "://" in data_set.root:
        return Origin(data_set.root, data_set.time_zone, "")
    root = Path(data_set.root).resolve()
    example = task.example.folder if task.example and root == (home / task.example.folder).resolve() else ""
    return Origin(str(root), data_set.time_zone, example)
