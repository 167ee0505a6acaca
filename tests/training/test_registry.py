"""Who becomes champion, and who is refused by which gate."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import pytest

from data.errors import DataError, GateRefused, UsageError
from serving.bundle import read, resolve
from serving.manifest import Criteria
from training.baseline import without
from training.registry import challenge, gates, promote
from training.release import criteria
from training.tracking.stores import client, store
from training.tracking.tracked import track

GAIN = "baseline/complaints/gain_roc_auc"
PROOFS = {"contract/rows": 1_500.0, "leakage/rows": 500.0, "replay/values": 300.0, "replay/mismatches": 0.0}
GENERAL = (
    *("data contract", "leakage", "replay", "parity", "latency", "judged", "drift", "money", "calibration"),
    "label rate",
)


@pytest.fixture(scope="module")
def tracked(fitted, released, tmp_path_factory):
    """A home whose model is tracked and challenges, and whose manifest passes every gate."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        home = tmp_path_factory.mktemp("registry") / "home"
        folder = home / "bundles" / "renewal" / released.folder.name
        shutil.copytree(released.folder, folder)
        _doctor(folder, lambda manifest: manifest["metrics"].update(PROOFS | dict.fromkeys(_gains(manifest), 0.01)))
        track(fitted, folder, store(home))
        challenge("renewal", folder.name, home)
    return home


@pytest.fixture
def home(tracked, tmp_path, monkeypatch):
    """A copy of it, which a test may change."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return shutil.copytree(tracked, tmp_path / "home")


def _gains(manifest):
    gains = [name for name in manifest["metrics"] if name.startswith("baseline/") and "/gain_" in name]
    return [name for name in gains if not name.endswith(("_low", "_high"))]


def _judgements(manifest):
    return [name for name in manifest["metrics"] if name.startswith("test/")]


def _doctor(folder, change):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def _challenger(home):
    return resolve(home / "bundles", "renewal", "challenger")


def _champion_exists(home):
    tracked = client(store(home))
    return (home / "bundles" / "renewal" / "champion").exists() or "champion" in tracked.get_registered_model(
        "shepherd-renewal"
    ).aliases


def test_a_challenger_that_passes_every_gate_becomes_champion(home):
    passed = promote("renewal", home)

    assert all(gate.passed for gate in passed)
    assert [gate.name for gate in passed] == [
        *GENERAL,
        "complaints: gain in roc_auc",
        "complaints: gain in average_precision",
        "logistic_regression: gain in roc_auc",
        "logistic_regression: gain in average_precision",
    ]
    assert resolve(home / "bundles", "renewal", "champion") == _challenger(home)
    registered = client(store(home)).get_model_version_by_alias("shepherd-renewal", "champion")
    assert registered.tags["shepherd.bundle"] == _challenger(home).name


def test_a_version_is_promoted_by_its_name_and_again_without_harm(home):
    version = _challenger(home).name
    (home / "bundles" / "renewal" / "challenger").unlink()

    assert promote("renewal", home, version) == promote("renewal", home, version)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda manifest: manifest["parity"].update(wrong_leaves=3),
            "parity: found 3 wrong leaves, raw difference 0.0, required 0 and 0.0",
        ),
        (
            lambda manifest: manifest["parity"].update(max_raw_difference=1e-300),
            "parity: found 0 wrong leaves, raw difference 1e-300, required 0 and 0.0",
        ),
        (
            lambda manifest: manifest["metrics"].update({GAIN: -0.0125}),
            "complaints: gain in roc_auc: found -0.0125, required more than 0",
        ),
        (
            lambda manifest: manifest["metrics"].update({GAIN: 0.0}),
            "complaints: gain in roc_auc: found +0.0000, required more than 0",
        ),
        (
            lambda manifest: [manifest["metrics"].pop(name) for name in _judgements(manifest)],
            "judged: found 0 figures of the test, required some",
        ),
    ],
    ids=["wrong leaf", "raw difference", "behind a baseline", "level with a baseline", "never judged"],
)
def test_a_gate_refuses_by_name_and_changes_nothing(home, change, message):
    _doctor(_challenger(home), change)

    with pytest.raises(GateRefused) as refusal:
        promote("renewal", home)

    assert message in str(refusal.value)
    assert "stays a challenger" in str(refusal.value)
    assert not _champion_exists(home)


def test_all_refusals_are_named_at_once(home):
    def worst(manifest):
        manifest["parity"].update(wrong_leaves=1)
        manifest["metrics"].update(dict.fromkeys(_gains(manifest), -1.0))

    _doctor(_challenger(home), worst)

    with pytest.raises(GateRefused) as refusal:
        promote("renewal", home)

    assert str(refusal.value).count("found -1.0000") == 4
    assert "parity: found 1 wrong leaves" in str(refusal.value)


def test_the_intervals_of_a_gain_are_no_gates(home):
    manifest = read(_challenger(home)).manifest

    assert not [gate for gate in gates(manifest) if gate.name.endswith(("_low", "_high"))]


def _first_decides_and_complaints_are_an_ablation(manifest):
    manifest["criteria"] = {
        "metrics": ["roc_auc"],
        "rivals": ["logistic_regression"],
        "ablations": ["complaints"],
        "inapplicable": ["worst slice"],
    }


def test_metrics_that_do_not_decide_and_ablations_that_are_level_refuse_nothing(home):
    def level(manifest):
        _first_decides_and_complaints_are_an_ablation(manifest)
        manifest["metrics"].update(dict.fromkeys(_gains(manifest), -0.01))
        manifest["metrics"]["baseline/logistic_regression/gain_roc_auc"] = 0.0001
        manifest["metrics"][f"{GAIN}_high"] = 0.0

    _doctor(_challenger(home), level)

    assert [str(gate) for gate in promote("renewal", home)][len(GENERAL) :] == [
        "logistic_regression: gain in roc_auc: found +0.0001, required more than 0",
        "complaints: upper end of the gain in roc_auc: found +0.0000, required 0 or more",
    ]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (f"{GAIN}_high", -0.0001, "complaints: upper end of the gain in roc_auc: found -0.0001, required 0 or more"),
        (f"{GAIN}_high", None, "complaints: upper end of the gain in roc_auc: found no figure, required 0 or more"),
        (
            "baseline/logistic_regression/gain_roc_auc",
            0.0,
            "logistic_regression: gain in roc_auc: found +0.0000, required more than 0",
        ),
        (
            "baseline/logistic_regression/gain_roc_auc",
            None,
            "logistic_regression: gain in roc_auc: found no figure, required more than 0",
        ),
    ],
    ids=["a better ablation", "an ablation without a figure", "level with a rival", "a rival without a figure"],
)
def test_a_rival_is_to_be_beaten_and_an_ablation_not_to_be_better(home, name, value, message):
    def changed(manifest):
        _first_decides_and_complaints_are_an_ablation(manifest)
        manifest["metrics"][f"{GAIN}_high"] = 0.01
        manifest["metrics"][name] = value
        manifest["metrics"] = {name: value for name, value in manifest["metrics"].items() if value is not None}

    _doctor(_challenger(home), changed)

    with pytest.raises(GateRefused) as refusal:
        promote("renewal", home)

    assert str(refusal.value).count("required") == 1
    assert message in str(refusal.value)
    assert not _champion_exists(home)


def test_a_task_says_what_its_champion_has_to_show(renewal):
    smaller = without("smaller", ["years"])
    task = replace(renewal, baselines=(*renewal.baselines, smaller), first_metric_decides=True)

    without_slices = ("worst slice",)
    assert criteria(task) == Criteria(
        ("roc_auc",), ("complaints", "logistic_regression"), ("smaller",), inapplicable=without_slices
    )
    assert criteria(renewal) == Criteria(
        ("roc_auc", "average_precision"), ("complaints", "logistic_regression"), inapplicable=without_slices
    )
    assert criteria(replace(renewal, slices=("month",))).inapplicable == ()


def test_the_command_exits_with_4_and_the_name_of_the_gate(home, shepherd):
    _doctor(_challenger(home), lambda manifest: manifest["metrics"].update({GAIN: -0.0125}))

    done = shepherd("promote", "renewal", "--home", home, "--json")

    assert done.returncode == 4
    assert done.stdout == ""
    assert "complaints: gain in roc_auc: found -0.0125, required more than 0" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_says_what_was_passed(home, shepherd):
    done = shepherd("promote", "renewal", "--home", home, "--json")

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["task"] == "renewal"
    assert {gate["passed"] for gate in said["gates"]} == {True}


def test_an_unknown_version_is_refused_with_those_there_are(home):
    with pytest.raises(UsageError, match=r"unknown version '1' of task 'renewal': \S+ holds 20\d{6}T\d{6}Z-"):
        promote("renewal", home, "1")


@pytest.mark.parametrize("version", ["..", "../renewal", "", "champion"])
def test_a_version_is_no_path(home, version):
    with pytest.raises(UsageError, match="unknown version"):
        promote("renewal", home, version)


def test_without_a_challenger_there_is_nothing_to_promote(home):
    (home / "bundles" / "renewal" / "challenger").unlink()

    with pytest.raises(DataError, match=r"found no such file.*train and promote a model of the task 'renewal' first"):
        promote("renewal", home)


def test_a_task_that_was_never_trained_has_no_version_either(home):
    with pytest.raises(UsageError, match=r"unknown version '1' of task 'coupon': \S+ holds none yet"):
        promote("coupon", home, "1")


def test_a_bundle_that_another_store_tracked_is_refused_with_the_fix(home, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'elsewhere.db'}")

    with pytest.raises(UsageError, match=r"holds no version of shepherd-renewal .*MLFLOW_TRACKING_URI"):
        promote("renewal", home)

    assert not (home / "bundles" / "renewal" / "champion").exists()


def test_a_damaged_bundle_is_not_promoted(home):
    model = _challenger(home) / "model.onnx"
    os.truncate(model, model.stat().st_size - 1)

    with pytest.raises(DataError, match="changed after export"):
        promote("renewal", home)

    assert not _champion_exists(home)
