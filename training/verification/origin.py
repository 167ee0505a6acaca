"""What a run is derived from: its provenance as it was sealed, the task that it names, and the tables."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from data.errors import DataError, UsageError
from data.sources import open_folder
from training.catalogue import find, shipped
from training.provenance import PROVENANCE, SEAL, Choice, Provenance, decoded, machine, software, source, task_file
from training.sites.task import SiteTask
from training.verification.compare import MANIFEST, Difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data.sources import DataSet
    from data.steps import Steps
    from training.provenance import Origin
    from training.task import AnyTask
    from training.tracking.snapshot import Snapshot

RECORD = "record.json"


def given(run: Snapshot) -> Provenance:
    """The provenance of a run as its file says it.

    Raises:
        DataError: The run holds no provenance, or one that cannot be read.
    """
    path = run.files.get(PROVENANCE)
    if path is None:
        raise DataError(
            f"run {run.run_id}: found no {PROVENANCE} in it, expected what it was derived from; a run that was tracked "
            "without it cannot be verified: train again"
        )
    return decoded(path.read_bytes(), f"run {run.run_id}, {PROVENANCE}")


def sealed(run: Snapshot, task: AnyTask) -> tuple[Provenance, tuple[Difference, ...]]:
    """The provenance of a run of a task, and where its file is not as it was sealed.

    Of a broken seal what other parts of the run bear witness to is taken from them, so that the rest can be derived.
    """
    said, text = given(run), run.files[PROVENANCE].read_bytes()
    found, expected = hashlib.sha256(text).hexdigest(), run.params.get(SEAL, "no such parameter")
    if found == expected:
        return said, ()
    kept = _witnessed(run, said, task)
    changed = tuple(_changed(said, kept))
    return kept, changed or (Difference(PROVENANCE, "sha256", found, f"{expected}, the parameter {SEAL}"),)


def _witnessed(run: Snapshot, said: Provenance, task: AnyTask) -> Provenance:
    """The same with what record, bundle, datasets and tags say instead of what the file says of it."""
    record, manifest = in_json(run, RECORD), in_json(run, MANIFEST)
    root = json.loads(run.inputs.get(f"{run.task} train source", "{}")).get("uri", said.data.root)
    kept = msgspec.structs.replace(
        said,
        task=run.task,
        data=msgspec.structs.replace(said.data, root=root),
        seed=record.get("seed", said.seed),
        cut=said.cut and msgspec.convert(record.get("test_from", said.cut), datetime),
        moment=msgspec.convert(manifest.get("created", said.moment), datetime),
        champion=manifest.get("champion", said.champion),
        measured={name: manifest.get("metrics", {}).get(name, value) for name, value in said.measured.items()},
        source={name: run.tags.get(name, value) for name, value in said.source.items()},
    )
    search = record.get("search")
    if isinstance(task, SiteTask) or search is None:
        return kept
    own = task.learner.parameters
    chosen = {name: value for name, value in search["parameters"].items() if (name, value) not in own.items()}
    return msgspec.structs.replace(kept, choice=Choice(chosen, search["trials"]))


def in_json(run: Snapshot, name: str) -> dict[str, Any]:
    """What a file of a run says; nothing where it is gone or says nothing that can be read."""
    path = run.files.get(name)
    try:
        read = json.loads(path.read_bytes()) if path else {}
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _changed(said: Provenance, kept: Provenance) -> Iterator[Difference]:
    for name in said.__struct_fields__:
        found, expected = getattr(said, name), getattr(kept, name)
        if found != expected:
            yield Difference(PROVENANCE, name, str(found), str(expected))


def circumstances(origin: Provenance) -> tuple[str, ...]:
    """What is not as it was when the run was made, so that sums may be rounded otherwise; said before anything else."""
    now = {"software": software(), "machine": machine(), "source": source()}
    then = {"software": origin.software, "machine": origin.machine, "source": origin.source}
    return tuple(
        f"{what} {name}: recorded {then[what].get(name, 'none')}, here {now[what].get(name, 'none')}"
        for what in then
        for name in {**then[what], **now[what]}
        if then[what].get(name) != now[what].get(name)
    )


def task_of(run: Snapshot, said: Provenance, file: str | None, *, ours: bool) -> tuple[AnyTask, tuple[Difference, ...]]:
    """The task as it is declared, and whether the file that declares it is another by now.

    The text that a run carries is never run, and neither is a file that a store of others names.

    Args:
        run: The run.
        said: Its provenance.
        file: The file that the caller names.
        ours: Whether the store is a file of this machine, so that the path in it is one of our own.

    Raises:
        UsageError: The task is declared by a file that is not there, or a file is given for a task that ships.
    """
    if said.file is None:
        if file is not None or run.task not in shipped():
            raise UsageError(
                f"--task: found {file!r} for the task {run.task!r}, which ships with Shepherd, expected none; leave "
                f"it out, or use the version that has it (tasks here: {', '.join(shipped())})"
            )
        return find(run.task), ()
    path = file or (said.file.path if ours else "")
    if not Path(path).is_file():
        raise UsageError(
            f"task {run.task!r}: found no file {path or 'of it here'}, expected the one that declares it "
            f"({Path(said.file.path).name} where it was trained); give it with --task FILE.py (its text as of the run "
            f"stands in {PROVENANCE})"
        )
    here = task_file(path).sha256
    same = here == said.file.sha256
    return find(path), () if same else (Difference("task file", Path(path).name, here, said.file.sha256),)


def as_learned(task: AnyTask, origin: Provenance) -> AnyTask:
    """A task with the cut of a run, and grown by the workers that grew it."""
    task = task if origin.cut is None else task.cut_at(origin.cut)
    return task if origin.cluster is None else task.grown_on(origin.cluster)


def tables_of(recorded: Origin, task: AnyTask, given: Path | None, home: Path, steps: Steps) -> DataSet:
    """The tables: of a folder that is given, of the recorded one, or the task's example, made again.

    Raises:
        DataError: They are nowhere; the message says where they were and how to give another place.
    """
    if given is not None:
        return open_folder(given, recorded.time_zone)
    if "://" in recorded.root or Path(recorded.root).is_dir():
        return open_folder(recorded.root, recorded.time_zone)
    if recorded.example and task.example is not None:
        with steps.step(task.example.title):
            return task.example.made(home / task.example.folder)
    raise DataError(
        f"the data of the run: found nothing at {recorded.root}, from where they were read, expected the tables; give "
        "their new place with --data DIR"
    )
