"""Bundles made to harm: each is refused by name, and nothing of it runs, is unpacked or is opened elsewhere."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper

from data.errors import DataError
from serving.bundle import read, resolve
from serving.graph import graph_problems
from serving.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Harm = Callable[[Path], object]


class Payload:
    """Leaves a mark wherever it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def told(folder: Path, **changes: object) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest_of(folder) | changes))


def model(folder: Path, content: bytes, name: str = "model.onnx") -> None:
    """Put a file in place with the hash that it has: the writer of a bundle can always do that."""
    (folder / name).write_bytes(content)
    told(folder, files=manifest_of(folder)["files"] | {name: hashlib.sha256(content).hexdigest()})


def edited(folder: Path, change: Callable[[onnx.ModelProto], object]) -> None:
    graph = onnx.load_from_string((folder / "model.onnx").read_bytes())
    change(graph)
    model(folder, graph.SerializeToString())


def node(operator: str, domain: str = "", **attributes: Any) -> Harm:
    """One more operator in a graph that is good otherwise."""

    def change(graph: onnx.ModelProto) -> None:
        graph.graph.node.append(helper.make_node(operator, ["features"], ["more"], domain=domain, **attributes))
        if domain and domain not in {one.domain for one in graph.opset_import}:
            graph.opset_import.append(helper.make_opsetid(domain, 1))

    return lambda folder: edited(folder, change)


def elsewhere(place: str) -> Harm:
    """A constant that lies in another file."""

    def change(graph: onnx.ModelProto) -> None:
        tensor = graph.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=place)

    return lambda folder: edited(folder, change)


def branch() -> onnx.GraphProto:
    said = helper.make_tensor_value_info("said", TensorProto.DOUBLE, None)
    return helper.make_graph([helper.make_node("Identity", ["features"], ["said"])], "inner", [], [said])


def zipped(size: int = 1 << 24) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.onnx", bytes(size))
    return packed.getvalue()


def archived(folder: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(folder / "manifest.json", "../../manifest.json")
    return packed.getvalue()


def linked(folder: Path, name: str) -> None:
    (folder / name).rename(folder.parent / "outside")
    (folder / name).symlink_to(folder.parent / "outside")


def piped(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")


def within(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").mkdir()


def effects(folder: Path, head: str) -> None:
    told(
        folder,
        files=manifest_of(folder)["files"] | {f"head-{head}.onnx": "0" * 64},
        effects={"heads": {head: {"kind": "chance"}}},
    )


def functions(graph: onnx.ModelProto) -> None:
    inner = helper.make_node("Identity", ["x"], ["y"])
    graph.functions.append(helper.make_function("own", "Run", ["x"], ["y"], [inner], [helper.make_opsetid("", 18)]))


def sparse(graph: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1), "sparse")
    graph.graph.sparse_initializer.append(
        helper.make_sparse_tensor(values, numpy_helper.from_array(np.zeros(1, np.int64), "at"), [1 << 40])
    )


def wider(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1 << 20


def astray(graph: onnx.ModelProto) -> None:
    (ensemble, *_) = [one for one in graph.graph.node if one.op_type == "TreeEnsemble"]
    for attribute in ensemble.attribute:
        if attribute.name == "nodes_falsenodeids":
            attribute.ints[:] = [1 << 40] * len(attribute.ints)


HOSTILE: dict[str, tuple[Harm, str]] = {
    "a pickle as the model": (lambda at: model(at, pickle.dumps(Payload(at.parent / "ran"))), "no ONNX graph"),
    "a pickle as the manifest": (
        lambda at: (at / "manifest.json").write_bytes(pickle.dumps(Payload(at.parent / "ran"))),
        "breaks its format",
    ),
    "a pickle beside the model": (
        lambda at: (at / "model.pkl").write_bytes(pickle.dumps(Payload(at.parent / "ran"))),
        r"1 files that are none of its own \('model.pkl'\)",
    ),
    "code beside the model": (lambda at: (at / "__init__.py").write_text("import os"), "none of its own"),
    "a library beside the model": (lambda at: (at / "ops.so").write_bytes(b"\x7fELF"), "none of its own"),
    "a folder beside the model": (lambda at: (at / "deep").mkdir(), "none of its own"),
    "a zip bomb as the model": (lambda at: model(at, zipped()), "no ONNX graph"),
    "a gzip bomb as the model": (lambda at: model(at, zlib.compress(bytes(1 << 24))), "no ONNX graph"),
    "an archive as the model": (lambda at: model(at, archived(at)), "no ONNX graph"),
    "nothing as the model": (lambda at: model(at, b""), "found 0 graphs"),
    "a program as the model": (lambda at: model(at, b"#!/bin/sh\ntouch ran\n"), "no ONNX graph"),
    "a graph of onnxruntime's own form": (lambda at: model(at, b"\x18\0\0\0ORTM" + bytes(64)), "no ONNX graph"),
    "two graphs in one file": (lambda at: model(at, (at / "model.onnx").read_bytes() * 2), "found 2 graphs"),
    "half a graph": (lambda at: model(at, (at / "model.onnx").read_bytes()[:-9]), "no ONNX graph"),
    "a length beyond the file": (lambda at: model(at, b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), "no ONNX graph"),
    "a number that never ends": (lambda at: model(at, b"\x08" + b"\xff" * 64), "no ONNX graph"),
    "constants in the file of passwords": (elsewhere("../../../../../../etc/passwd"), "lie in another file"),
    "constants at an absolute place": (elsewhere("/etc/passwd"), "lie in another file"),
    "constants in the manifest": (elsewhere("manifest.json"), "lie in another file"),
    "constants in an attribute elsewhere": (
        node(
            "Constant",
            value=TensorProto(data_type=1, dims=[1], data_location=TensorProto.EXTERNAL),
        ),
        "lie in another file",
    ),
    "an operator of its own": (node("Run", "evil.example"), r"evil.example.Run, which export never writes"),
    "an operator in Python": (node("PyFunc", "ai.onnx.contrib"), "ai.onnx.contrib.PyFunc"),
    "an operator of onnxruntime": (node("FusedMatMul", "com.microsoft"), "com.microsoft.FusedMatMul"),
    "a loop": (node("Loop", body=branch()), "a graph within a graph"),
    "a branch": (node("If", then_branch=branch(), else_branch=branch()), "a graph within a graph"),
    "a scan": (node("Scan", body=branch(), num_scan_inputs=1), "a graph within a graph"),
    "a tensor of any size": (node("ConstantOfShape"), "ConstantOfShape"),
    "an expansion of any size": (node("Tile"), "Tile"),
    "chance": (node("RandomNormal", shape=[1 << 40]), "RandomNormal"),
    "functions": (lambda at: edited(at, functions), "functions or training steps"),
    "sparse constants": (lambda at: edited(at, sparse), "sparse constants"),
    "another width": (lambda at: edited(at, wider), "cannot load|width 3"),
    "trees that lead astray": (lambda at: edited(at, astray), "cannot load"),
    "a link as the model": (lambda at: linked(at, "model.onnx"), "none that can be read"),
    "a link as the manifest": (lambda at: linked(at, "manifest.json"), "none that can be read"),
    "a pipe as the model": (piped, "no plain file"),
    "a folder as the model": (within, "none that can be read|no plain file"),
    "a head outside the folder": (lambda at: effects(at, "../../../outside"), "breaks its format|names of heads"),
    "a task outside the folder": (lambda at: told(at, task="../../outside"), "expected those of the folder"),
    "a file outside the folder": (
        lambda at: told(at, files=manifest_of(at)["files"] | {"../../../outside": "0" * 64}),
        "expected exactly model.onnx",
    ),
    "a class to be made": (lambda at: told(at, __class__="os.system"), "breaks its format"),
    "a manifest of brackets": (lambda at: (at / "manifest.json").write_bytes(b"[" * 1_000_000), "breaks its format"),
    "a deep manifest": (
        lambda at: (at / "manifest.json").write_bytes(
            b'{"format_version": 2, "x": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}"
        ),
        "breaks its format",
    ),
    "a number of a million digits": (
        lambda at: (at / "manifest.json").write_bytes(b'{"format_version": ' + b"9" * 1_000_000 + b"}"),
        "breaks its format|found format version",
    ),
    "a manifest without end": (lambda at: (at / "manifest.json").write_bytes(b" " * ((16 << 20) + 1)), "no plain file"),
    "numbers that are none": (
        lambda at: (at / "manifest.json").write_text(
            (at / "manifest.json").read_text().replace('"score_base": ', '"score_base": NaN, "x": ', 1)
        ),
        "breaks its format",
    ),
    "a spread that lies": (
        lambda at: told(at, reference={"features": [], "score": {"edges": [2, 1], "counts": [1]}}),
        "found the spread of 0 features",
    ),
    "another byte in the model": (
        lambda at: (at / "model.onnx").write_bytes((at / "model.onnx").read_bytes() + b"\x00"),
        "found model.onnx with sha256",
    ),
}


@pytest.fixture
def folder(home: Path, tmp_path: Path) -> Path:
    shutil.copytree(home / "bundles" / "coupon" / "v1", tmp_path / "bundles" / "coupon" / "v1")
    return tmp_path / "bundles" / "coupon" / "v1"


def test_there_are_enough() -> None:
    assert len(HOSTILE) >= 40


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_refused_by_name(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    harm, expected = HOSTILE[name]
    harm(folder)
    monkeypatch.setattr(pickle, "loads", _never)
    monkeypatch.setattr(pickle, "load", _never)

    with pytest.raises(DataError, match=expected) as refused:
        Scorer(read(folder))

    assert "coupon" in str(refused.value)
    assert not (folder.parent / "ran").exists()
    assert len(str(refused.value)) < 2_000


def test_the_good_one_is_not_refused(folder: Path) -> None:
    Scorer(read(folder))


def test_every_operator_that_is_allowed_is_one_that_is_written(folder: Path) -> None:
    assert graph_problems((folder / "model.onnx").read_bytes()) == []


@pytest.mark.parametrize(
    "content", ["../../outside", "/etc", "..", ".", "", "v1/../v1", "v1\nv2", "\u202ev1", "v" * 101, "-rf"], ids=repr
)
def test_a_pointer_leads_nowhere_else(folder: Path, content: str) -> None:
    (folder.parent / "champion").write_text(content)

    with pytest.raises(DataError, match="names no version"):
        resolve(folder.parent.parent, "coupon", "champion")


@pytest.mark.parametrize("name", ["x/../../../outside", "/etc/passwd", "..", "", "x\0", "-"], ids=repr)
def test_a_part_of_a_bundle_lies_in_its_folder(folder: Path, name: str) -> None:
    site = SimpleNamespace(heads={name: None}, tables=(name,))
    manifest = msgspec.structs.replace(read(folder).manifest, site=site)

    assert any("2 names of heads and tables that are none" in one for one in manifest.problems("coupon", folder.name))


def test_a_small_file_that_says_it_holds_a_billion_rows_is_not_unpacked(tmp_path: Path) -> None:
    from serving.bundle import _table_problems  # noqa: PLC0415 - what reads a table's own word about itself

    pq.write_table(pa.table({"x": pa.nulls(22_020_096, pa.bool_())}), tmp_path / "x")

    assert (tmp_path / "x").stat().st_size < 1 << 20
    assert _table_problems((tmp_path / "x").read_bytes()) == ["found 22,020,096 rows, expected at most 20,000,000"]
    assert _table_problems(b"PAR1" * 9) == ["found bytes that are no Parquet file"]


def _never(*_: object) -> None:
    raise AssertionError("something was unpickled")
