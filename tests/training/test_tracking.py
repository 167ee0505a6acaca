"""What MLflow holds of a fit, and where."""

from __future__ import annotations

import json
import math
import os
import shlex
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

import training.provenance
import training.tracking.tracked
from data.errors import DependencyDown
from training.interval import Interval
from training.report import words
from training.tracking.killed import PROCESS
from training.tracking.metrics import figures
from training.tracking.notes import note
from training.tracking.stores import Store, client, store
from training.tracking.tracked import track


@pytest.fixture(autouse=True)
def _no_store_of_the_user(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def first(fitted, released, tmp_path_factory):
    """A fit tracked in a home of its own."""
    where = store(tmp_path_factory.mktemp("tracked") / "home")
    return where, track(fitted, released.folder, where)


def _dead_process():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def _open_run(tracked, experiment, tags):
    return tracked.create_run(experiment, tags=tags).info.run_id


def test_the_store_is_a_file_of_the_home_by_its_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    where = store(Path("some") / ".." / "var")

    assert where.uri == f"sqlite:///{tmp_path / 'var' / 'mlflow.db'}"
    assert where.artifacts == (tmp_path / "var" / "mlartifacts").as_uri()


def test_the_server_that_the_environment_names_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")

    assert store(tmp_path / "home") == Store("http://127.0.0.1:5000", None)
    assert not (tmp_path / "home").exists()


def test_a_database_that_the_environment_names_keeps_its_files_at_home(tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)

    assert store(tmp_path / "home") == Store(uri, (tmp_path / "home" / "mlartifacts").as_uri())


def test_a_fit_goes_to_the_store_that_the_environment_names(fitted, released, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'elsewhere.db'}")

    tracked = track(fitted, released.folder, store(tmp_path / "home"))

    assert os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path / 'elsewhere.db'}"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    run = client(Store(f"sqlite:///{tmp_path / 'elsewhere.db'}", None)).get_run(tracked.run_id)
    assert run.info.status == "FINISHED"
    assert not (tmp_path / "mlruns").exists()
    assert not (tmp_path / "home" / "mlflow.db").exists()


def test_one_fit_does_not_lead_the_next_into_its_store(first, tmp_path):
    where, _ = first

    assert store(tmp_path / "home").uri != where.uri
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_the_command_that_opens_the_page_survives_a_folder_with_spaces(tmp_path):
    where = store(tmp_path / "my shop")

    assert shlex.split(where.command)[1:] == ["ui", "--backend-store-uri", where.uri]


def test_a_server_is_opened_by_its_address():
    assert Store("http://tracking:5000", None).command == "http://tracking:5000"


def test_a_store_that_does_not_answer_is_named_with_the_fix(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    with pytest.raises(
        DependencyDown, match=r"127\.0\.0\.1:9: found that the connection was refused.*unset it to track in a file"
    ):
        client(Store("http://127.0.0.1:9", None))


def test_a_run_ends_finished_with_its_model_registered(first, released):
    where, tracked = first
    seen = client(where)

    assert seen.get_run(tracked.run_id).info.status == "FINISHED"
    version = seen.get_model_version("shepherd-renewal", tracked.model_version)
    assert version.run_id == tracked.run_id
    assert version.tags["shepherd.bundle"] == released.folder.name


def test_a_run_is_running_until_its_model_is_tagged(fitted, released, tmp_path, monkeypatch):
    """A process that is killed in between leaves a run that the next start closes, and no model without a bundle."""
    tag, seen = MlflowClient.set_model_version_tag, []

    def tagged(self, name, version, *words):
        seen.append(self.get_run(self.get_model_version(name, version).run_id).info.status)
        tag(self, name, version, *words)

    monkeypatch.setattr(MlflowClient, "set_model_version_tag", tagged)
    tracked = track(fitted, released.folder, store(tmp_path / "home"))

    assert seen == ["RUNNING"]
    assert client(store(tmp_path / "home")).get_run(tracked.run_id).info.status == "FINISHED"


def test_a_registration_is_not_told_to_standard_error(fitted, released, tmp_path, capfd):
    where = store(tmp_path / "home")
    for _ in range(2):
        track(fitted, released.folder, where)

    said = capfd.readouterr().err
    assert "egistered model" not in said
    assert "Created version" not in said
    assert len(client(where).search_model_versions("name = 'shepherd-renewal'")) == 2


def test_a_run_carries_its_report_and_its_note_opens_with_the_verdict(first, fitted, tmp_path):
    where, tracked = first
    seen = client(where)
    told = seen.get_run(tracked.run_id).data.tags["mlflow.note.content"]
    page = Path(seen.download_artifacts(tracked.run_id, "report.html", tmp_path)).read_text(encoding="utf-8")

    assert told.startswith("**Do not ship: refused by ")
    assert "data contract: found no figure" in told.partition("\n")[0]
    assert told.endswith(note(fitted.record))
    assert page.startswith("<!DOCTYPE html>")
    assert "Do not ship: refused by " in page


def test_a_run_says_whose_it_is(first):
    where, tracked = first
    tags = client(where).get_run(tracked.run_id).data.tags

    assert tags[PROCESS] == f"{socket.gethostname()}:{os.getpid()}"
    assert len(tags["mlflow.source.git.commit"]) == 40
    assert tags["shepherd.source_changed"] in {"true", "false"}


def test_a_run_whose_process_was_killed_is_closed_by_the_next(fitted, released, first):
    where, tracked = first
    seen = client(where)
    experiment = seen.get_run(tracked.run_id).info.experiment_id
    here = socket.gethostname()
    killed = _open_run(seen, experiment, {PROCESS: f"{here}:{_dead_process()}"})
    alive = _open_run(seen, experiment, {PROCESS: f"{here}:{os.getpid()}"})
    elsewhere = _open_run(seen, experiment, {PROCESS: f"not-{here}:{_dead_process()}"})
    strange = _open_run(seen, experiment, {PROCESS: "no process"})
    unmarked = _open_run(seen, experiment, {})

    again = track(fitted, released.folder, where)

    status = {run: seen.get_run(run).info.status for run in (killed, alive, elsewhere, strange, unmarked)}
    assert status == {
        killed: "KILLED",
        alive: "RUNNING",
        elsewhere: "RUNNING",
        strange: "RUNNING",
        unmarked: "RUNNING",
    }
    assert seen.get_run(again.run_id).info.status == "FINISHED"


@pytest.mark.parametrize("failure", [RuntimeError("full disk"), KeyboardInterrupt()])
def test_a_run_that_fails_inside_is_closed_as_failed(fitted, released, tmp_path, monkeypatch, failure):
    def fail(_curves, _attributions):
        raise failure

    monkeypatch.setattr(training.tracking.tracked, "draw", fail)
    where = store(tmp_path / "home")

    with pytest.raises(type(failure)):
        track(fitted, released.folder, where)

    seen = client(where)
    experiment = seen.get_experiment_by_name("shepherd-renewal")
    (run,) = seen.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"


def test_figures_leave_out_what_has_no_meaning(fitted):
    nothing = Interval(math.nan, math.nan, math.nan)
    half = Interval(0.5, math.nan, math.nan)
    record = replace(
        fitted.record, metrics={"roc_auc": nothing, "brier": half}, slices={"kind": {"NaN": {"roc_auc": nothing}}}
    )

    flat = figures(record)

    assert not any(name.startswith(("test/roc_auc", "slice/")) for name in flat)
    assert {name: value for name, value in flat.items() if name.startswith("test/")} == {"test/brier": 0.5}
    assert not any(map(math.isnan, flat.values()))


def test_figures_are_flat_names_of_every_number(fitted):
    flat = figures(fitted.record)

    assert flat["test/roc_auc"] == fitted.record.metrics["roc_auc"].value
    assert flat["test/roc_auc_low"] == fitted.record.metrics["roc_auc"].low
    assert flat["baseline/complaints/gain_roc_auc_high"] == fitted.record.baselines["complaints"]["gain_roc_auc"].high
    assert flat["rows/test"] == fitted.record.rows["test"]
    assert flat["search/default/fold_1"] == fitted.record.search.default[0]
    assert {name for name in flat if name.startswith("attribution/")} == {"attribution/complaints", "attribution/years"}


def test_a_record_without_meaning_is_null_in_json_and_names_are_left_alone(fitted):
    nothing = Interval(math.nan, math.nan, math.nan)
    record = replace(fitted.record, slices={"kind": {"NaN tea": {"roc_auc": nothing}}})

    plain = json.loads(json.dumps(record.as_dict(), allow_nan=False))

    assert plain["slices"] == {"kind": {"NaN tea": {"roc_auc": {"value": None, "low": None, "high": None}}}}
    assert plain["test_from"] == record.test_from.isoformat()
    assert "T" in plain["test_from"]


def test_a_slice_may_have_any_value(fitted, released, tmp_path):
    values = ["华东", "50% off", "buy 1, get 1 (tea)", "a//b", "..", "<script>", "", "2.5"]
    sliced = {"kind": dict.fromkeys(values, fitted.record.metrics)}
    where = store(tmp_path / "home")

    tracked = track(replace(fitted, record=replace(fitted.record, slices=sliced)), released.folder, where)

    metrics = client(where).get_run(tracked.run_id).data.metrics
    found = [name for name in metrics if name.startswith("slice/kind/") and name.endswith("/roc_auc")]
    assert {"slice/kind/华东/roc_auc", "slice/kind/2.5/roc_auc"} <= set(found)
    assert len(found) == len(values) - 1  # "" and ".." are told alike


def test_the_note_is_what_a_reviewer_reads_first(fitted):
    text = note(fitted.record)

    assert text.startswith(f"Test from {fitted.record.test_from:%Y-%m-%d}, scored once; rows: ")
    for metric, interval in fitted.record.metrics.items():
        said = words.metric(metric)
        gain = words.spanned(fitted.record.baselines["complaints"][f"gain_{metric}"])
        assert f"{said.chinese}**: {words.spanned(interval)}" in text
        assert f"{said.chinese}: {gain}" in text
    assert "领先：" in text
    assert "beyond the best single action for all" in text


def test_a_source_that_is_no_checkout_is_tracked_without_a_commit(monkeypatch):
    def missing(*_words, **_options):
        raise FileNotFoundError("git")

    monkeypatch.setattr(training.provenance, "subprocess", SimpleNamespace(run=missing, CalledProcessError=OSError))

    assert training.provenance.source() == {}
