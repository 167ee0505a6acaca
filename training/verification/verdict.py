"""What a verification says: equal, or everything in which the run is not as derived, all at once."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import GateRefused
from training.gates import GAIN, LABEL_RATE, MONEY, RATE_BY_CHANCE, RATE_THEN
from training.tracking.runs import REPORT
from training.tracking.snapshot import snapshot
from training.tracking.stores import store
from training.verification.compare import MANIFEST, Difference, compare
from training.verification.origin import as_learned, circumstances, given, sealed, tables_of, task_of
from training.verification.standing import standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data.sources import DataSet
    from data.steps import Steps
    from training.provenance import Provenance
    from training.task import AnyTask
    from training.tracking.snapshot import Snapshot
    from training.tracking.stores import Store

    _Declared = tuple[Provenance, AnyTask, tuple[Difference, ...]]

NOTE = "mlflow.note.content"
_BESIDE = (GAIN, RATE_THEN, RATE_BY_CHANCE)
"""How figures begin that compare a model with its champion."""


@dataclass(frozen=True)
class Verdict:
    """What came of a verification.

    Attributes:
        run_id: The run.
        version: Its bundle.
        differences: Where it is not as derived; empty where all is equal.
        circumstances: What is not as it was when the run was made.
        left_out: What could not be derived again, by name.
        measured: Figures of time, which are read and not compared.
        compared: How many values and files were held against each other, by kind.
    """

    run_id: str
    version: str
    differences: tuple[Difference, ...]
    circumstances: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()
    compared: Mapping[str, int] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "run": self.run_id,
            "version": self.version,
            "equal": self.equal,
            "differences": [one.as_dict() for one in self.differences],
            "circumstances": list(self.circumstances),
            "left_out": list(self.left_out),
            "measured": list(self.measured),
            "compared": dict(self.compared),
        }

    def text(self) -> str:
        """For a person: circumstances first, because they may explain what follows."""
        lines = [*(f"not as it was: {one}" for one in self.circumstances)]
        told = ", ".join(f"{count:,} {name}" for name, count in self.compared.items())
        if self.equal:
            lines.append(f"run {self.run_id} ({self.version}) is equal to what was derived again: {told}")
        lines += [f"measured, not derived: {name}" for name in self.measured]
        lines += [f"not re-derived: {name}" for name in self.left_out]
        return "\n".join(lines)

    def require_equal(self) -> None:
        """Refuse what differs.

        Raises:
            GateRefused: Something differs; the message names each artefact and value, found and expected.
        """
        if self.differences:
            listed = "\n".join(f"  {one}" for one in self.differences)
            raise GateRefused(
                f"run {self.run_id} is not what its data and its record give: {len(self.differences)} differences; do "
                f"not sign it: train again, or bring back what was altered\n{listed}"
            )


def verify(run_id: str, *, home: Path, data: Path | None = None, task_file: str | None = None, steps: Steps) -> Verdict:
    """Derive a run again from what it says of itself and from the data, and hold both against each other.

    Args:
        run_id: The run, in the store that MLFLOW_TRACKING_URI names, else in the one under `home`.
        home: Where bundles and pointers lie; nothing is written there but example tables that were taken away.
        data: Where the tables are by now; where the run says if not given.
        task_file: The file that declares the task, where it does not ship.
        steps: Collects how long each step took.

    Raises:
        UsageError: There is no such run, or no file of its task.
        DataError: The run holds no provenance, or its data are not where they were.
        DependencyDown: The store does not answer.
        GateRefused: A proof that held when the run was made fails.
    """
    with tempfile.TemporaryDirectory(prefix="shepherd-verify-") as name:
        folder = Path(name)
        where = store(home)
        with steps.step("fetch the run"):
            run = snapshot(where, run_id, folder / "run")
        declared = derived_from(run, task_file, ours=where.uri.startswith("sqlite:"))
        data_set = tables_of(declared[0].data, declared[1], data, home, steps)
        return _verdict(run, declared, data_set, where, home, folder, steps)


def _verdict(
    run: Snapshot, declared: _Declared, data_set: DataSet, where: Store, home: Path, folder: Path, steps: Steps
) -> Verdict:
    from training.verification.derive import champion_of_then, data_differ, derive

    origin, task, told = declared
    if (other_data := data_differ(run, data_set)) is not None:
        left = "everything but the data: what is learned from others is other"
        return Verdict(run.run_id, run.version, (*told, other_data), circumstances(origin), (left,))
    champion = champion_of_then(origin, run, home, where, folder / "champion")
    again = derive(origin, task, data_set, folder / "again", champion, steps)
    found = differences(told, run, again, home)
    lacking = bool(origin.champion) and champion is None
    return Verdict(
        run.run_id,
        run.version,
        tuple(one for one in found if not (lacking and _of_champion(one))),
        circumstances(origin),
        (_lacking(origin.champion),) if lacking else (),
        tuple(origin.measured),
        _counts(again),
    )


def derived_from(
    run: Snapshot, task_file: str | None, *, ours: bool
) -> tuple[Provenance, AnyTask, tuple[Difference, ...]]:
    """What a run is derived from, its task as it was learned, and in what its file of origin is not as it was sealed.

    Raises:
        UsageError: There is no file of its task.
        DataError: The run holds no provenance.
    """
    declared, other_file = task_of(run, given(run), task_file, ours=ours)
    origin, unsealed = sealed(run, declared)
    return origin, as_learned(declared, origin), (*unsealed, *other_file)


def _lacking(champion: str) -> str:
    return (
        f"the comparison with the champion {champion}, whose bundle is gone, and what rests on it: the gates of money "
        f"and label rate, the verdict, the note and {REPORT}"
    )


def differences(told: tuple[Difference, ...], run: Snapshot, again: Snapshot, home: Path) -> tuple[Difference, ...]:
    """All in which a run is not as derived: what was told before, what it holds, and what is said of it under home."""
    return (*told, *compare(run, again), *standing(run, again, home))


def _of_champion(difference: Difference) -> bool:
    """Whether a value rests on the comparison with the champion of then."""
    if difference.artefact.endswith(MANIFEST.rpartition("/")[2]):
        return difference.value == "champion" or difference.value.removeprefix("metrics.").startswith(_BESIDE)
    if difference.artefact == "metric":
        return difference.value.startswith((*_BESIDE, f"gate/{MONEY}", f"gate/{LABEL_RATE}", "verdict/"))
    return difference.artefact == REPORT or (difference.artefact, difference.value) == ("tag", NOTE)


def _counts(again: Snapshot) -> dict[str, int]:
    return {
        "parameters": len(again.params),
        "figures": len(again.metrics),
        "tags": len(again.tags),
        "files": len(again.files) + (len(again.registered.files) if again.registered else 0),
    }
