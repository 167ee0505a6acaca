"""Runs of every kind of task side by side: the same names, so that MLflow's compare view lines up."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest

from training.tracking.datasets import DIGEST
from training.tracking.stores import client, store
from training.tracking.study import PARENT, STUDY, TOP
from training.tracking.tracked import track

CORE = {
    *("gate/data contract", "gate/leakage", "gate/replay", "gate/parity", "gate/latency", "gate/judged"),
    *("parity/wrong_leaves", "parity/max_raw_difference", "parity/rows", "parity/edge_rows"),
    *("latency/p50_ms", "latency/p99_ms", "rows/train", "rows/test"),
    *("verdict/ship", "verdict/refused"),
}
PROVED = {"contract/rows", "leakage/rows", "replay/values", "replay/mismatches"}
PARAMETERS = {
    *("data_hash", "data_first", "data_last", "test_from", "seed", "trials", "features", "feature_fingerprint"),
    *("version.python", "version.lightgbm", "version.lock"),
}


@pytest.fixture(scope="module")
def runs(fitted, released, fitted_order, released_order, made_site, tmp_path_factory):
    """A run of each kind in one store, by kind, with the store."""
    patch = pytest.MonkeyPatch()
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    where = store(tmp_path_factory.mktemp("side by side"))
    forecast, bundle, figures = made_site
    tracked = {
        "labelled": track(fitted, released.folder, where, released.bundle.manifest.metrics),
        "order": track(fitted_order, released_order.folder, where, released_order.bundle.manifest.metrics),
        "site": track(forecast, bundle.folder, where, figures),
    }
    seen = client(where)
    yield seen, {name: seen.get_run(one.run_id) for name, one in tracked.items()}
    patch.undo()


def test_every_kind_has_the_core_of_the_figures(runs):
    for name, run in runs[1].items():
        assert CORE - set(run.data.metrics) == set(), name
        assert PARAMETERS - set(run.data.params) == set(), name
        assert any(metric.startswith("test/") for metric in run.data.metrics), name
        assert any(metric.startswith("baseline/") for metric in run.data.metrics), name
    assert PROVED - set(runs[1]["site"].data.metrics) == set()


def test_a_name_means_the_same_in_every_kind(runs):
    metrics = {name: run.data.metrics for name, run in runs[1].items()}

    assert all(one["parity/wrong_leaves"] == one["parity/max_raw_difference"] == 0 for one in metrics.values())
    assert {name for name, one in metrics.items() if any(metric.startswith("money/") for metric in one)} == {"labelled"}
    for one in metrics.values():
        gates = {value for name, value in one.items() if name.startswith("gate/")}
        assert gates <= {0.0, 1.0}
        assert one["verdict/ship"] == min(gates)
        assert 0 < one["latency/p50_ms"] <= one["latency/p99_ms"]
        assert not any(math.isnan(value) for value in one.values())


@pytest.mark.parametrize("kind", ["labelled", "order", "site"])
def test_every_run_opens_with_its_verdict_and_carries_its_page(runs, kind, tmp_path):
    seen, found = runs
    run = found[kind]
    page = Path(seen.download_artifacts(run.info.run_id, "report.html", tmp_path)).read_text(encoding="utf-8")

    verdict = "**Ship" if run.data.metrics["verdict/ship"] else "**Do not ship"
    assert run.data.tags["mlflow.note.content"].startswith(verdict)
    assert verdict.removeprefix("**") in page
    drawn = {Path(one.path).stem for one in seen.list_artifacts(run.info.run_id, "curves")}
    assert (
        drawn
        == {
            "labelled": {"precision_recall", "calibration", "money", "attributions"},
            "order": {"recall", "ndcg", "attributions"},
            "site": {"forecast", "coverage", "size", "attributions"},
        }[kind]
    )


@pytest.mark.parametrize("kind", ["labelled", "order", "site"])
def test_ten_examples_are_kept_as_plain_words(runs, kind, tmp_path):
    seen, found = runs
    path = seen.download_artifacts(found[kind].info.run_id, "examples.json", tmp_path)
    told = json.loads(Path(path).read_text(encoding="utf-8"))

    assert 5 <= len(told["decisions"]) <= 10
    assert len(told["errors"]) == 10
    assert all(one["reasons"] and re.fullmatch("[0-9a-f]{10}", one["row"]) for one in told["decisions"])


def test_data_are_named_with_their_hash_and_what_they_were_for(runs, fitted):
    (train, test) = sorted(runs[1]["labelled"].inputs.dataset_inputs, key=lambda one: one.dataset.name, reverse=True)

    assert {one.dataset.digest for one in (train, test)} == {fitted.record.data_hash[:DIGEST]}
    assert [tag.value for one in (train, test) for tag in one.tags] == ["train", "test"]
    assert json.loads(test.dataset.profile)["num_rows"] == fitted.record.rows["test"]
    columns = json.loads(train.dataset.schema)["mlflow_colspec"]
    assert [one["name"] for one in columns] == list(fitted.model.task.features.names)


def test_the_model_has_a_signature_and_an_example(runs):
    seen, found = runs
    for name, run in found.items():
        (model,) = seen.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
        files = {path.name for path in Path(url2pathname(urlparse(model.artifact_location).path)).iterdir()}
        assert {"model.onnx", "MLmodel", "input_example.json"} <= files, name


def test_what_the_search_tried_is_a_table_and_the_best_are_runs_below(runs, fitted_order, tmp_path):
    seen, found = runs
    run = found["order"]
    path = seen.download_artifacts(run.info.run_id, STUDY, tmp_path)
    lines = list(csv.DictReader(io.StringIO(Path(path).read_text(encoding="utf-8"))))
    children = seen.search_runs([run.info.experiment_id], f"tags.`{PARENT}` = '{run.info.run_id}'")

    assert [float(line["value"]) for line in lines] == [one.value for one in fitted_order.tried]
    assert lines[0]["num_leaves"] == ""  # the task's own parameters
    assert len(children) == min(TOP, len(lines)) == 2
    assert {one.data.metrics["search/value"] for one in children} == {one.value for one in fitted_order.tried}
    assert all(one.info.status == "FINISHED" and one.info.start_time < run.info.start_time for one in children)
    newest = seen.search_runs([run.info.experiment_id], max_results=1)[0]
    assert newest.info.run_id == run.info.run_id


def test_sites_and_a_search_of_one_trial_have_no_runs_below(runs):
    seen, found = runs
    for kind in ("labelled", "site"):
        run = found[kind]
        assert [one.info.run_id for one in seen.search_runs([run.info.experiment_id])] == [run.info.run_id]
    assert STUDY not in {one.path for one in seen.list_artifacts(found["site"].info.run_id)}
