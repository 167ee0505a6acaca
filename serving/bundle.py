"""The model bundle: a folder that holds everything one answer rests on, written and read in this file.

`bundles/TASK/VERSION/` holds `manifest.json` (for people and checks) and `model.onnx` (for the scorer); beside the
versions stand the pointers `champion` and `challenger`, text files with a version, replaced in one step. A version
never changes after it was written, nothing in it can execute, and reading refuses whatever is not as it was written.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import DataError, UsageError
from serving.graph import graph_problems
from serving.manifest import FORMAT_VERSION, MANIFEST, MODEL, NAME, Manifest, head_file, table_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Pointer = Literal["champion", "challenger"]
POINTERS: Final[tuple[Pointer, ...]] = ("champion", "challenger")

LARGEST_MANIFEST: Final = 16 << 20
LARGEST_PART: Final = 1 << 30
MOST_TABLE_ROWS: Final = 20_000_000
"""Rows of a table in all: a file of a kilobyte can say that it holds a billion."""


class _Format(msgspec.Struct):
    format_version: int


@dataclass(frozen=True)
class Bundle:
    """A manifest with the model that it describes, as bytes of the hash in the manifest.

    Attributes:
        manifest: What the bundle is.
        model: The ONNX graph.
        folder: Where it lies, or will lie once written: `bundles/TASK/VERSION`.
        heads: The graphs of further forests, by the name of the head.
        tables: Parquet files of tables that answers rest on, by the name of the table.
    """

    manifest: Manifest
    model: bytes
    folder: Path
    heads: Mapping[str, bytes] = field(default_factory=dict)
    tables: Mapping[str, bytes] = field(default_factory=dict)


def make(
    root: Path,
    manifest: Manifest,
    model: bytes,
    heads: Mapping[str, bytes] | None = None,
    tables: Mapping[str, bytes] | None = None,
) -> Bundle:
    """Join a manifest, its graphs and its tables for `root/TASK/VERSION`, entering their hashes in the manifest."""
    parts = {
        MODEL: model,
        **{head_file(name): graph for name, graph in (heads or {}).items()},
        **{table_file(name): table for name, table in (tables or {}).items()},
    }
    files = {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}
    manifest = msgspec.structs.replace(manifest, format_version=FORMAT_VERSION, files=files)
    return Bundle(manifest, model, root / manifest.task / manifest.version, dict(heads or {}), dict(tables or {}))


def write(bundle: Bundle) -> Path:
    """Write a bundle to its folder, aside first and renamed when complete; gives that folder.

    Raises:
        UsageError: The names cannot be folders, or this version exists already (a version never changes).
    """
    version, folder = bundle.manifest.version, bundle.folder
    _require_names(bundle.manifest.task, version)
    if folder.exists():
        raise UsageError(
            f"Bundle {folder}: found this version already written, expected a new one, because a version never "
            "changes; name another version, or delete the folder if nothing points to it."
        )
    with alone(folder.parent, among_writers=True):
        aside = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=folder.parent))
        try:
            _write_durably(aside / MODEL, bundle.model)
            for name, graph in bundle.heads.items():
                _write_durably(aside / head_file(name), graph)
            for name, table in bundle.tables.items():
                _write_durably(aside / table_file(name), table)
            manifest = msgspec.json.format(msgspec.json.encode(bundle.manifest), indent=2) + b"\n"
            _write_durably(aside / MANIFEST, manifest)
            aside.chmod(0o755)
            aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return folder


@contextmanager
def alone(folder: Path, *, among_writers: bool = False) -> Iterator[None]:
    """Keep `bundles/TASK` to oneself: nobody else writes a bundle, moves a pointer or clears up meanwhile.

    Held by the process and gone with it, however it ends; whoever comes meanwhile waits. So whatever lies aside in the
    folder of somebody who is alone there was left by a process that was killed.

    Args:
        folder: Made where it is not there.
        among_writers: Only against being alone: several may write bundles at once, each its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if among_writers else fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # closed here, it may still be open in a process that was forked
        os.close(descriptor)


def read(folder: Path) -> Bundle:
    """Read a bundle and verify every file against the manifest; only then is anything of it parsed.

    Raises:
        DataError: A file is missing, too large, no plain file or not of this bundle; a byte was changed; the format is
            unknown; a key is missing, extra or of another type; or a graph or table holds what export never writes.
    """
    manifest = _read_manifest(folder)
    heads, tables = manifest.head_names, manifest.table_names
    _require_alone(folder, manifest)
    parts = {
        name: _read_part(folder, name, manifest) for name in (MODEL, *map(head_file, heads), *map(table_file, tables))
    }
    problems = [f"{name}: {one}" for name in (MODEL, *map(head_file, heads)) for one in graph_problems(parts[name])]
    problems += [f"{table_file(name)}: {one}" for name in tables for one in _table_problems(parts[table_file(name)])]
    if problems:
        raise DataError(
            f"Bundle {folder}: " + "; ".join(problems) + "; expected what export writes, so do not trust who wrote it."
        )
    return Bundle(
        manifest,
        parts[MODEL],
        folder,
        {name: parts[head_file(name)] for name in heads},
        {name: parts[table_file(name)] for name in tables},
    )


def discard(folder: Path) -> None:
    """Take a bundle away, in one step for whoever looks.

    Raises:
        UsageError: A pointer names it.
    """
    with alone(folder.parent):
        for pointer in POINTERS:
            if (folder.parent / pointer).exists() and resolve(folder.parents[1], folder.parent.name, pointer) == folder:
                raise UsageError(f"Bundle {folder}: found it to be {pointer}, expected none; promote another first.")
        aside = folder.with_name(f".{folder.name}-discarded")
        folder.rename(aside)
        shutil.rmtree(aside)


def point(root: Path, task: str, pointer: Pointer, version: str) -> Path:
    """Let `root/TASK/champion` (or `challenger`) name a version, in one step, after reading that version.

    Raises:
        DataError: The version cannot be read.
        UsageError: A name cannot be a folder.
    """
    _require_names(task, version)
    read(root / task / version)
    target = root / task / pointer
    descriptor, aside = tempfile.mkstemp(prefix=f".{pointer}-", dir=target.parent)
    os.close(descriptor)
    _write_durably(Path(aside), f"{version}\n".encode())
    Path(aside).chmod(0o644)
    Path(aside).replace(target)
    return target


def resolve(root: Path, task: str, pointer: Pointer) -> Path:
    """Give the folder of the version that a pointer names.

    Raises:
        DataError: There is no such pointer, or what it holds is no name of a version.
    """
    path = root / task / pointer
    if not path.is_file():
        raise DataError(
            f"Pointer {path}: found no such file, expected one with the version to serve; train and promote a model of "
            f"the task {task!r} first (`shepherd run` does both)."
        )
    version = path.read_text(encoding="utf-8").strip()
    if not NAME.fullmatch(version):
        raise DataError(
            f"Pointer {path}: found content that names no version, expected the name of a folder beside it; promote "
            "the model again."
        )
    return path.parent / version


def _require_alone(folder: Path, manifest: Manifest) -> None:
    """Refuse a folder that holds anything besides the bundle: it has no business there."""
    strange = sorted(path.name for path in folder.iterdir() if path.name not in {MANIFEST, *manifest.files})
    if strange:
        shown = ", ".join(map(ascii, strange[:3]))
        raise DataError(
            f"Bundle {folder}: found {len(strange)} files that are none of its own ({shown}), expected only what "
            f"{MANIFEST} lists; remove the bundle, or restore it."
        )


def _read_part(folder: Path, name: str, manifest: Manifest) -> bytes:
    graph = _read_file(folder / name, LARGEST_PART)
    found = hashlib.sha256(graph).hexdigest()
    if found != manifest.files[name]:
        raise DataError(
            f"Bundle {folder}: found {name} with sha256 {found}, expected {manifest.files[name]}; the file was "
            "changed after export, so export the bundle again or restore it."
        )
    return graph


def _read_manifest(folder: Path) -> Manifest:
    content = _read_file(folder / MANIFEST, LARGEST_MANIFEST)
    try:
        found = msgspec.json.decode(content, type=_Format).format_version
        if found != FORMAT_VERSION:
            raise DataError(
                f"Bundle {folder}: found format version {found}, expected {FORMAT_VERSION}; read it with the release "
                "of Shepherd that wrote it, or export it again."
            )
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, UsageError, RecursionError) as error:
        raise DataError(
            f"Bundle {folder}: found a {MANIFEST} that breaks its format ({error}), expected exactly the keys of "
            f"format version {FORMAT_VERSION}; export the bundle again."
        ) from error
    problems = manifest.problems(folder.parent.name, folder.name)
    if problems:
        raise DataError(f"Bundle {folder}: " + "; ".join(problems) + "; export the bundle again.")
    return manifest


def _table_problems(content: bytes) -> list[str]:
    """What is wrong with a table, by what its file says of itself; nothing of it is unpacked."""
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            rows: int = file.metadata.num_rows
    except (pa.ArrowException, OSError):
        return ["found bytes that are no Parquet file"]
    return [f"found {rows:,} rows, expected at most {MOST_TABLE_ROWS:,}"] * (rows > MOST_TABLE_ROWS)


def _read_file(path: Path, largest: int) -> bytes:
    """The bytes of a plain file: a link may lead anywhere, a pipe never ends."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no path
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > largest:
                raise DataError(
                    f"Bundle file {path}: found no plain file of at most {largest:,} bytes, expected what export "
                    "wrote; export the bundle again."
                )
            return file.read(largest)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no name of a file"
        raise DataError(
            f"Bundle file {path}: found none that can be read ({reason}), expected it where export wrote it; "
            "export the bundle again or mend the path."
        ) from error


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _require_names(task: str, version: str) -> None:
    wrong = [name for name in (task, version) if not NAME.fullmatch(name) or name in POINTERS]
    if wrong:
        raise UsageError(
            f"Bundle: found the names {wrong}, expected letters, digits, dot, dash and underscore (at most 100, none "
            f"of {list(POINTERS)}) for task and version; choose another name."
        )
