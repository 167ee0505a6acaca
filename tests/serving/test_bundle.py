from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from data.errors import DataError, UsageError
from serving.bundle import make, point, read, resolve, write
from serving.holdout import Holdout
from serving.manifest import Criteria
from serving.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def folder(home: Path, tmp_path: Path) -> Path:
    """A copy of a good bundle, to be spoiled."""
    shutil.copytree(home / "bundles" / "coupon" / "v1", tmp_path / "coupon" / "v1")
    return tmp_path / "coupon" / "v1"


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_what_was_written_is_read(folder: Path, tmp_path: Path) -> None:
    bundle = read(folder)

    again = read(write(make(tmp_path / "other", bundle.manifest, bundle.model)))

    assert (again.manifest, again.model) == (bundle.manifest, bundle.model)
    assert again.folder == tmp_path / "other" / "coupon" / "v1"
    assert (again.folder / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()
    assert [path.name for path in again.folder.parent.iterdir()] == ["v1"]


def test_the_holdout_and_the_criteria_of_a_bundle_are_read_as_they_were_written(folder: Path, tmp_path: Path) -> None:
    bundle = read(folder)
    holdout, criteria = Holdout(0.02, "campaign_id", {"spring": 0.0}), Criteria(("auc",), ("rules",), ("smaller",))
    manifest = msgspec.structs.replace(bundle.manifest, holdout=holdout, criteria=criteria)

    again = read(write(make(tmp_path / "other", manifest, bundle.model))).manifest

    assert (bundle.manifest.holdout, bundle.manifest.criteria) == (None, Criteria())
    assert (again.holdout, again.criteria) == (holdout, criteria)


def test_a_holdout_that_is_none_is_refused(folder: Path) -> None:
    changed(folder, lambda manifest: manifest.update(holdout={"share": 1.5}))

    with pytest.raises(DataError, match=r"breaks its format \(Holdout: found the shares \[1.5\]"):
        read(folder)


def test_a_changed_byte_is_refused(folder: Path) -> None:
    model = bytearray((folder / "model.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (folder / "model.onnx").write_bytes(model)

    with pytest.raises(DataError, match=r"model.onnx with sha256 .* expected .* changed after export"):
        read(folder)


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json"])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(DataError, match=f"{name}.*No such file.*export the bundle again"):
        read(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.update(format_version=1), "format version 1, expected 2"),
        (lambda manifest: manifest.update(format_version="1"), "breaks its format"),
        (lambda manifest: manifest.update(surprise=1), "unknown field `surprise`"),
        (lambda manifest: manifest.pop("payoff"), "required field `payoff`"),
        (lambda manifest: manifest.pop("prices"), "required field `prices`"),
        (lambda manifest: manifest["parity"].pop("wrong_leaves"), "required field `wrong_leaves`"),
        (lambda manifest: manifest["features"][0].update(extra=1), "unknown field `extra`"),
        (lambda manifest: manifest.update(features=[]), "no features, or one twice"),
        (lambda manifest: manifest["features"].append(manifest["features"][0]), "no features, or one twice"),
        (lambda manifest: manifest["files"].update({"../../model.onnx": "0"}), "expected exactly model.onnx"),
        (lambda manifest: manifest.update(files={}), "expected exactly model.onnx"),
        (lambda manifest: manifest.update(version="v2"), "version 'v2'.*expected those of the folder"),
        (lambda manifest: manifest["payoff"].update(value_fen=[[1]]), "row 1 of value_fen"),
    ],
)
def test_a_manifest_that_is_not_as_written_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    changed(folder, change)

    with pytest.raises(DataError, match=message):
        read(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"format_version": 1e400}', b"[" * 100_000])
def test_a_manifest_that_is_no_manifest_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)

    with pytest.raises(DataError, match="breaks its format"):
        read(folder)


def test_a_version_never_changes(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="already written"):
        write(read(folder))

    assert [path.name for path in (tmp_path / "coupon").iterdir()] == ["v1"]


@pytest.mark.parametrize("name", ["../v1", "", "a/b", ".hidden", "champion", "x" * 101])
def test_a_name_that_is_no_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    bundle = read(folder)

    with pytest.raises(UsageError, match="expected letters, digits"):
        write(make(tmp_path, msgspec.structs.replace(bundle.manifest, version=name), bundle.model))


def test_a_pointer_names_a_version_and_moves_in_one_step(folder: Path, tmp_path: Path) -> None:
    bundle = read(folder)
    write(make(tmp_path, msgspec.structs.replace(bundle.manifest, version="v2"), bundle.model))

    for version in ("v1", "v2"):
        point(tmp_path, "coupon", "champion", version)
        assert resolve(tmp_path, "coupon", "champion") == tmp_path / "coupon" / version

    assert sorted(path.name for path in (tmp_path / "coupon").iterdir()) == ["champion", "v1", "v2"]


def test_nothing_points_to_a_bundle_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    point(tmp_path, "coupon", "champion", "v1")
    with pytest.raises(DataError, match="No such file"):
        point(tmp_path, "coupon", "champion", "v9")

    assert resolve(tmp_path, "coupon", "champion") == folder


def test_a_missing_pointer_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file.*shepherd run"):
        resolve(tmp_path, "coupon", "champion")


@pytest.mark.parametrize("content", ["", "../../etc", "a\nb", "\x00"])
def test_a_pointer_to_nothing_is_refused(folder: Path, tmp_path: Path, content: str) -> None:
    (folder.parent / "champion").write_text(content)

    with pytest.raises(DataError, match="names no version"):
        resolve(tmp_path, "coupon", "champion")


def test_a_model_that_is_no_model_is_refused(folder: Path, tmp_path: Path) -> None:
    manifest = read(folder).manifest

    with pytest.raises(DataError, match=r"onnxruntime .* cannot load"):
        Scorer(make(tmp_path, manifest, b"no graph"))


def test_a_model_of_another_width_is_refused(folder: Path, tmp_path: Path) -> None:
    bundle = read(folder)
    narrow = msgspec.structs.replace(bundle.manifest, features=bundle.manifest.features[:2])

    with pytest.raises(DataError, match="expected double features of width 2"):
        Scorer(make(tmp_path, narrow, bundle.model))
