"""What is said of a run outside of it: by the bundle that serving reads, by pointers, aliases and signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.bundles import bundles, resolve
from training.promotions import came_about
from training.registry import signature_tags
from training.tracking.snapshot import listed
from training.verification.compare import Difference, files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from training.bundles import Pointer
    from training.tracking.snapshot import Snapshot

POINTERS: tuple[Pointer, ...] = ("champion", "challenger")
_BUNDLE = "bundle/"


def standing(run: Snapshot, again: Snapshot, home: Path) -> tuple[Difference, ...]:
    """Where bundle, pointers and promotions under home contradict the run; nothing where home has not its bundle."""
    folder = bundles(home) / run.task
    if not (folder / again.version).is_dir():
        return ()
    return (*_served(again, folder), *_pointed(run, again, folder), *_signed(run, again, folder))


def _served(again: Snapshot, folder: Path) -> Iterator[Difference]:
    """The bundle as serving reads it."""
    made = {name.removeprefix(_BUNDLE): path for name, path in again.files.items() if name.startswith(_BUNDLE)}
    yield from files(f"served bundle {again.version}/", listed(folder / again.version), made)


def _pointed(run: Snapshot, again: Snapshot, folder: Path) -> Iterator[Difference]:
    for pointer in POINTERS:
        if run.registered is None or not (folder / pointer).exists():
            continue
        pointed, named = resolve(folder.parent, run.task, pointer).name, pointer in run.registered.aliases
        if named != (pointed == again.version):
            told = again.version if named else "another version"
            yield Difference("alias", pointer, told, f"{pointed}, as the pointer says")


def _signed(run: Snapshot, again: Snapshot, folder: Path) -> Iterator[Difference]:
    lines = [line for line in came_about(folder) if line.version == again.version and line.by]
    expected = signature_tags(lines[-1]) if lines else {}
    tags = {"tag": run.tags, "registered model tag": run.registered.tags if run.registered else {}}
    for label, found in tags.items():
        signed = {name: value for name, value in found.items() if name.startswith("shepherd.signed.")}
        for name in sorted({*signed, *expected}):
            here, there = signed.get(name, "nothing"), expected.get(name, "nothing")
            if here != there:
                yield Difference(label, name, here, there)
