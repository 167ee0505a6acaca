"""Models change while they serve: what is not as it should be is refused by name, and the one before goes on."""

from __future__ import annotations

import asyncio
import hashlib
import json
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from data.errors import DataError
from serving.bundle import LARGEST_PART, point
from serving.live.models import LOOK_SECONDS, Models, Pair
from serving.live.service import LiveService

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from serving.live.bodies import ScanBody
    from serving.settings import Settings


@pytest.fixture
def copied(bundles: Path, tmp_path: Path) -> Path:
    """Bundles of its own, with a version `bad` that is still good, but for its name."""
    root = tmp_path / "bundles"
    shutil.copytree(bundles, root)
    shutil.copytree(root / "fraud" / "v2", root / "fraud" / "bad")
    changed(root / "fraud" / "bad", version="bad")
    return root


def changed(folder: Path, **keys: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def put(folder: Path, model: bytes) -> None:
    """A model with its right sha256: whoever can write bundles can write that, too."""
    (folder / "model.onnx").write_bytes(model)
    changed(folder, files={"model.onnx": hashlib.sha256(model).hexdigest()})


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(LARGEST_PART + 1)


def one_feature_fewer(folder: Path) -> None:
    features = json.loads((folder / "manifest.json").read_text())["features"]
    changed(folder, features=features[:-1], reference=None)


def pointed(folder: Path, text: str) -> None:
    (folder.parent / "champion").write_text(text)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "the model is missing": (lambda one: (one / "model.onnx").unlink(), "model.onnx"),
    "the manifest is missing": (lambda one: (one / "manifest.json").unlink(), "manifest.json"),
    "a byte of the model": (lambda one: flipped(one / "model.onnx"), "sha256"),
    "a byte of the manifest": (lambda one: (one / "manifest.json").write_bytes(b"\xff" + b"{}"), "breaks its format"),
    "a truncated graph": (lambda one: put(one, (one / "model.onnx").read_bytes()[:-900]), "bundle"),
    "another format": (lambda one: changed(one, format_version=99), "format version 99"),
    "other features": (lambda one: changed(one, feature_fingerprint="0" * 64), "fingerprint"),
    "an unknown key": (lambda one: changed(one, surprise=1), "surprise"),
    "another shape": (one_feature_fewer, "width 164|fingerprint"),
    "a pointer to nowhere": (lambda one: pointed(one, "v404\n"), "v404"),
    "a pointer with a path": (lambda one: pointed(one, "../../etc\n"), "names no version"),
    "a pickle": (lambda one: put(one, pickle.dumps({"a": 1})), "bundle"),
    "a huge file": (lambda one: huge(one / "model.onnx"), "model.onnx"),
    "an empty manifest": (lambda one: (one / "manifest.json").write_bytes(b""), "breaks its format"),
}


@pytest.fixture
def models(copied: Path) -> Models:
    return Models(copied, "fraud", "champion")


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_bundle_is_refused_by_name_and_the_old_one_goes_on(models: Models, copied: Path, kind: str) -> None:
    spoil, named = BAD[kind]
    before = models.pair
    (copied / "fraud" / "champion").write_text("bad\n")
    spoil(copied / "fraud" / "bad")

    with pytest.raises(DataError, match=f"(?i){named}"):
        models.load()

    assert models.pair is before
    assert set(models.refused) == {"champion"}
    point(copied, "fraud", "champion", "v2")
    assert models.load().champion.version == "v2"
    assert models.refused == {}


def test_the_copy_that_is_spoilt_was_good(models: Models, copied: Path) -> None:
    point(copied, "fraud", "champion", "bad")

    assert models.load().champion.version == "bad"


def test_a_challenger_comes_and_goes_and_one_of_the_champions_version_is_none(models: Models, copied: Path) -> None:
    found = []
    for version in ("v2", "v1"):
        point(copied, "fraud", "challenger", version)
        found.append(models.load().challenger)
    point(copied, "fraud", "challenger", "v2")
    models.load()
    (copied / "fraud" / "challenger").unlink()

    assert [one and one.version for one in found] == ["v2", None]
    assert models.load().challenger is None


def test_pointers_are_watched(models: Models, copied: Path) -> None:
    async def watched() -> str:
        watching = asyncio.create_task(models.watch())
        point(copied, "fraud", "champion", "v2")
        for _ in range(50):
            await asyncio.sleep(LOOK_SECONDS / 5)
            if models.pair.champion.version == "v2":
                break
        watching.cancel()
        return models.pair.champion.version

    assert asyncio.run(watched()) == "v2"


def test_the_canary_answers_its_share_and_the_same_ids_each_time(models: Models, copied: Path) -> None:
    point(copied, "fraud", "challenger", "v2")
    pair: Pair = models.load()
    ids = [hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest() for number in range(2_000)]

    small, large = ({one for one in ids if pair.answering(one, share) is pair.challenger} for share in (0.1, 0.3))

    assert small < large
    assert len(small) / len(ids) == pytest.approx(0.1, abs=0.03)
    assert not any(pair.answering(one, 0.0) is pair.challenger for one in ids)
    assert all(pair.answering(one, 1.0) is pair.challenger for one in ids)


@pytest.mark.parametrize(("canary", "answers", "beside"), [(0.0, "v1", "v2"), (1.0, "v2", "v1")])
def test_the_other_model_is_asked_beside_for_the_record(
    settings: Settings, copied: Path, scans: list[ScanBody], canary: float, answers: str, beside: str
) -> None:
    point(copied, "fraud", "challenger", "v2")

    async def judged() -> dict[str, Any]:
        live = LiveService.open(settings.model_copy(update={"bundles": copied, "canary": canary}))
        answer = json.loads((await live.desk.score(scans[0])).body)
        found: dict[str, Any] = json.loads(live.decision(answer["decision_id"])[1])
        await live.close()
        return found

    found = asyncio.run(judged())

    assert found["version"] == found["answer"]["model"]["version"] == answers
    assert list(found["shadow"]) == [beside]
