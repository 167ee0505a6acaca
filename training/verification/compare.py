"""Two runs held against each other: every parameter, figure, tag and file that the second has to have as well."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from training.provenance import PROVENANCE, SEAL
from training.tracking.killed import PROCESS, STARTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from training.tracking.snapshot import Registered, Snapshot

NOTHING = "nothing"
LONGEST = 120
MANIFEST = "bundle/manifest.json"
OF_ITS_OWN = frozenset(
    {PROCESS, STARTED, "mlflow.user", "mlflow.source.name", "mlflow.source.type", "mlflow.log-model.history"}
)
"""Tags that say who ran it where."""
_IDENTITY = (b"artifact_path:", b"model_id:", b"model_size_bytes:", b"model_uuid:", b"run_id:", b"utc_time_created:")
"""Lines of a model's description that are of this copy of it."""
_GRAPH = "model.onnx"
_WEIGHTS = ".data"
_LABEL = "registered_model_meta"
"""Added to a copy, with its number."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it is derived.

    Attributes:
        artefact: What it is part of, such as `record.json`.
        value: Which value of that; empty for the whole.
        found: In the run.
        expected: As derived.
    """

    artefact: str
    value: str
    found: str
    expected: str

    def __str__(self) -> str:
        """In one line."""
        what = f"{self.artefact} {self.value}".rstrip()
        return f"{what}: found {self.found}, expected {self.expected}"

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def compare(run: Snapshot, again: Snapshot) -> tuple[Difference, ...]:
    """Where a run is not what was derived again.

    Tags that people add, and what a signature leaves, are no part of what was derived, and neither is the file of what
    it was derived from, which its own seal holds.
    """
    kept, made = ({name: path for name, path in one.files.items() if name != PROVENANCE} for one in (run, again))
    return (
        *_values("parameter", _but(run.params, SEAL), _but(again.params, SEAL)),
        *_values("metric", run.metrics, again.metrics),
        *_values("tag", _shared(run.tags, again.tags), _but(again.tags, *OF_ITS_OWN)),
        *_values("dataset", run.inputs, again.inputs),
        *_values("trial", run.trials, again.trials),
        *files("", kept, made),
        *_models(run.registered, again.registered),
    )


def files(label: str, found: Mapping[str, Path], expected: Mapping[str, Path]) -> Iterator[Difference]:
    """Where files are not the same: JSON by its values, others by their hash."""
    for name in sorted({*found, *expected}):
        here, there = found.get(name), expected.get(name)
        if here is None or there is None:
            yield Difference(f"{label}{name}", "", *("a file" if one else "no such file" for one in (here, there)))
        elif name.endswith(".json"):
            yield from _of_json(f"{label}{name}", here.read_bytes(), there.read_bytes())
        else:
            yield from _of_bytes(f"{label}{name}", here.read_bytes(), there.read_bytes())


def _models(found: Registered | None, expected: Registered | None) -> Iterator[Difference]:
    """Where the registered model is not the same; its weights lie in a file of a name drawn by lot."""
    label = "registered model "
    if found is None or expected is None:
        yield Difference("registered model", "", *("a version" if one else "no version" for one in (found, expected)))
        return
    yield from _values(f"{label}tag", _shared(found.tags, expected.tags), expected.tags)
    plain = [
        {name: path for name, path in one.files.items() if name not in {_GRAPH, _LABEL} and not name.endswith(_WEIGHTS)}
        for one in (found, expected)
    ]
    described = [one.pop("MLmodel", None) for one in plain]
    yield from files(label, plain[0], plain[1])
    yield from _of_bytes(f"{label}MLmodel", *map(_description, described))
    yield from _of_bytes(f"{label}{_GRAPH}", _graph(found.files), _graph(expected.files))


def _description(path: Path | None) -> bytes:
    lines = path.read_bytes().splitlines() if path else ()
    return b"\n".join(line for line in lines if not line.lstrip().startswith(_IDENTITY))


def _graph(files: Mapping[str, Path]) -> bytes:
    """The graph with its weights, whose file has a name drawn by lot that the graph holds."""
    content = files[_GRAPH].read_bytes() if _GRAPH in files else b""
    for name, path in sorted(files.items()):
        if name.endswith(_WEIGHTS):
            content = content.replace(name.encode(), _WEIGHTS.encode()) + path.read_bytes()
    return content


def _values(label: str, found: Mapping[str, object], expected: Mapping[str, object]) -> Iterator[Difference]:
    for name in sorted({*found, *expected}):
        here, there = found.get(name, NOTHING), expected.get(name, NOTHING)
        if not _same(here, there):
            yield Difference(label, name, _told(here), _told(there))


def _of_json(label: str, found: bytes, expected: bytes) -> Iterator[Difference]:
    if found == expected:
        return
    try:
        here = dict(_leaves("", json.loads(found)))
    except (json.JSONDecodeError, UnicodeDecodeError):
        yield Difference(label, "", "no JSON", "JSON")
        return
    told = list(_values(label, here, dict(_leaves("", json.loads(expected)))))
    yield from told or _of_bytes(label, found, expected)


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    """The numbers and words of a JSON value with their paths, such as `search.folds[0]`."""
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _leaves(f"{path}.{name}" if path else name, part)
    elif isinstance(value, list) and value:
        for number, part in enumerate(value):
            yield from _leaves(f"{path}[{number}]", part)
    else:
        yield path, value


def _of_bytes(label: str, found: bytes, expected: bytes) -> Iterator[Difference]:
    if found != expected:
        yield Difference(label, "sha256", *(hashlib.sha256(one).hexdigest() for one in (found, expected)))


def _same(found: object, expected: object) -> bool:
    if isinstance(found, float) and isinstance(expected, float) and math.isnan(found):
        return math.isnan(expected)
    return type(found) is type(expected) and found == expected


def _told(value: object) -> str:
    text = repr(value) if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _but(values: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in names}


def _shared(found: Mapping[str, str], expected: Mapping[str, str]) -> dict[str, str]:
    """What was found under the expected names; whoever likes may add tags of their own."""
    return {name: value for name, value in found.items() if name in expected and name not in OF_ITS_OWN}
