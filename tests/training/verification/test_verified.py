"""A run that nobody touched is equal; one altered thing of each kind is found and named, and nothing else is."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace

import msgspec
import pyarrow.parquet as pq
import pytest

from data.errors import DataError, UsageError
from data.sources import open_folder
from data.steps import Steps
from training.provenance import Origin
from training.task import Example
from training.tracking.snapshot import snapshot
from training.tracking.stores import client, store
from training.verification.derive import champion_of_then
from training.verification.origin import circumstances, given, tables_of, task_of
from training.verification.verdict import Verdict, verify


@contextmanager
def altered(*paths):
    """Put files back as they were."""
    before = {path: path.read_bytes() for path in paths}
    yield
    for path, content in before.items():
        path.write_bytes(content)


def artefact(kept, name):
    task = kept.trained.fitted.record.task
    return kept.home / "mlartifacts" / task / kept.run_id / "artifacts" / name


def model_file(kept, pattern):
    task = kept.trained.fitted.record.task
    tracked = client(store(kept.home))
    version = tracked.search_model_versions(f"name = 'shepherd-{task}'")
    (source,) = [one.source for one in version if one.run_id == kept.run_id]
    (path,) = (kept.home / "mlartifacts" / task / "models" / source.split("/")[1] / "artifacts").glob(pattern)
    return path


def names(found):
    return {one.artefact for one in found}


def flip(path):
    """Another byte in the middle, as a careful forger would leave the rest."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def in_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content, indent=2))


@contextmanager
def rewritten(kept, table, column, value, **row):
    """Another value in one row of the store, or none, and the row as it was afterwards."""
    where, given = " AND ".join(f"{name} = ?" for name in row), tuple(row.values())
    with closing(sqlite3.connect(kept.home / "mlflow.db")) as database:
        (before,) = database.execute(f"SELECT * FROM {table} WHERE {where}", given).fetchall()
        database.execute(f"DELETE FROM {table} WHERE {where}", given)
        if value is not None:
            columns = [one[1] for one in database.execute(f"PRAGMA table_info({table})")]
            other = [value if name == column else old for name, old in zip(columns, before, strict=True)]
            _insert(database, table, other)
        database.commit()
        yield
        database.execute(f"DELETE FROM {table} WHERE {where}", given)
        _insert(database, table, before)
        database.commit()


def _insert(database, table, row):
    database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def test_a_run_that_nobody_touched_is_equal(renewed, sited, tmp_path):
    assert renewed.found(tmp_path / "renewed") == ()
    assert sited.found(tmp_path / "sited") == ()


def test_the_run_that_is_held_has_a_champion_a_search_and_a_signature(renewed):
    """Or the tests below would show less than they say."""
    manifest = renewed.trained.released.bundle.manifest
    assert manifest.champion
    assert "money/gain_over_champion" in manifest.metrics
    assert renewed.trained.fitted.record.search.trials == 3


def _earn_more(record):
    record["metrics"]["roc_auc"]["value"] += 0.1


def _mean_less(features):
    features["years"]["meaning"] = "Something else"


def _pay_more(manifest):
    manifest["payoff"]["value_fen"][0][0] = 1


def _be_faster(manifest):
    manifest["metrics"]["latency/p99_ms"] = 0.001


@pytest.mark.parametrize(
    ("name", "change", "value"),
    [
        ("record.json", _earn_more, "metrics.roc_auc.value"),
        ("features.json", _mean_less, "years.meaning"),
        ("bundle/manifest.json", _pay_more, "payoff.value_fen[0][0]"),
        ("bundle/manifest.json", _be_faster, "metrics.latency/p99_ms"),
    ],
)
def test_an_altered_value_is_named(renewed, tmp_path, name, change, value):
    path = artefact(renewed, name)
    with altered(path):
        in_json(path, change)
        (one,) = renewed.found(tmp_path)

    assert (one.artefact, one.value) == (name, value)
    assert one.found != one.expected


@pytest.mark.parametrize("name", ["record.json", "bundle/manifest.json", "features.json"])
def test_what_says_the_same_in_other_bytes_is_named_too(renewed, tmp_path, name):
    path = artefact(renewed, name)
    with altered(path):
        path.write_text(json.dumps(json.loads(path.read_text()), indent=7))
        (one,) = renewed.found(tmp_path)

    assert (one.artefact, one.value) == (name, "sha256")


@pytest.mark.parametrize("name", ["bundle/model.onnx", "curves/calibration.png", "report.html"])
def test_an_altered_file_is_named(renewed, tmp_path, name):
    path = artefact(renewed, name)
    with altered(path):
        flip(path)
        (one,) = renewed.found(tmp_path)

    assert (one.artefact, one.value) == (name, "sha256")


@pytest.mark.parametrize("name", ["bundle/table-cells.parquet", "bundle/head-fold-0.onnx"])
def test_an_altered_table_or_head_of_a_forecast_is_named(sited, tmp_path, name):
    path = artefact(sited, name)
    with altered(path):
        flip(path)
        assert names(sited.found(tmp_path)) == {name}


def test_a_file_too_many_and_one_too_few_are_named(renewed, tmp_path):
    path, strange = artefact(renewed, "curves/money.png"), artefact(renewed, "curves/better.png")
    with altered(path):
        path.unlink()
        strange.write_text("a picture")
        found = renewed.found(tmp_path)
    strange.unlink()

    assert [str(one) for one in found] == [
        "curves/better.png: found a file, expected no such file",
        "curves/money.png: found no such file, expected a file",
    ]


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (lambda one: one.update(seed=7), "seed"),
        (lambda one: one["choice"]["parameters"].update(num_leaves=31), "choice"),
        (lambda one: one.update(moment="2026-01-01T00:00:00Z"), "moment"),
        (lambda one: one.update(champion=""), "champion"),
        (lambda one: one["measured"].update({"latency/p50_ms": 0.0}), "measured"),
        (lambda one: one["data"].update(root="/nowhere"), "data"),
        (lambda one: one["software"].update(numpy="1.0"), "sha256"),
    ],
    ids=["seed", "parameters", "moment", "champion", "latency", "folder", "software"],
)
def test_an_altered_provenance_is_named_and_the_rest_derived_without_it(renewed, tmp_path, change, value):
    path = artefact(renewed, "provenance.json")
    with altered(path):
        in_json(path, change)
        (one,) = renewed.found(tmp_path)

    assert (one.artefact, one.value) == ("provenance.json", value)


@pytest.mark.parametrize(
    ("table", "key", "value", "told"),
    [
        ("latest_metrics", "test/roc_auc", 0.99, "metric"),
        ("latest_metrics", "latency/p50_ms", 0.0, "metric"),
        ("latest_metrics", "replay/values", None, "metric"),
        ("params", "seed", "8", "parameter"),
        ("params", "data_hash", "x", "parameter"),
        ("params", "search.num_leaves", None, "parameter"),
        ("params", "provenance_sha256", "x", "provenance.json"),
        ("tags", "mlflow.source.git.commit", "f00", "tag"),
        ("tags", "mlflow.note.content", "ship it", "tag"),
        ("tags", "shepherd.signed.by", "Cy", "tag"),
    ],
)
def test_an_altered_value_of_the_store_is_named(renewed, tmp_path, table, key, value, told):
    with rewritten(renewed, table, "value", value, run_uuid=renewed.run_id, key=key):
        (one,) = renewed.found(tmp_path)

    assert one.artefact == told
    assert one.value in {key, "sha256"}


def test_an_altered_figure_of_a_trial_is_named(renewed, tmp_path):
    tracked = client(store(renewed.home))
    experiment = tracked.get_run(renewed.run_id).info.experiment_id
    trial, *_ = tracked.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{renewed.run_id}'")
    row = {"run_uuid": trial.info.run_id, "key": "search/value"}
    with rewritten(renewed, "latest_metrics", "value", 0.99, **row):
        (one,) = renewed.found(tmp_path)

    assert (one.artefact, one.value, one.found) == ("trial", f"{trial.info.run_name} search/value", "0.99")


def test_an_altered_dataset_is_named(renewed, tmp_path):
    with closing(sqlite3.connect(renewed.home / "mlflow.db")) as database:
        statement = "SELECT source_id FROM inputs WHERE destination_id = ?"
        (dataset, *_) = [one for (one,) in database.execute(statement, (renewed.run_id,))]
    with rewritten(renewed, "datasets", "digest", "f00", dataset_uuid=dataset):
        (one,) = renewed.found(tmp_path)

    assert (one.artefact, one.found) == ("dataset", "f00")


def test_a_tag_that_somebody_added_alters_nothing(renewed, tmp_path):
    tracked = client(store(renewed.home))
    tracked.set_tag(renewed.run_id, "seen by", "Cy")

    assert renewed.found(tmp_path) == ()


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("model.onnx", "registered model model.onnx"),
        ("*.data", "registered model model.onnx"),
        ("MLmodel", "registered model MLmodel"),
        ("requirements.txt", "registered model requirements.txt"),
    ],
)
def test_an_altered_file_of_the_registered_model_is_named(renewed, tmp_path, pattern, name):
    path = model_file(renewed, pattern)
    with altered(path):
        path.write_bytes(path.read_bytes().replace(b"numpy", b"numpi").replace(b"double", b"single") + b"#")
        if pattern in {"model.onnx", "*.data"}:
            flip(path)
        assert names(renewed.found(tmp_path)) == {name}


def test_the_bundle_that_is_served_is_held_as_well(renewed, tmp_path):
    version = renewed.trained.released.bundle.manifest.version
    path = renewed.home / "bundles" / "renewal" / version / "model.onnx"
    with altered(path):
        flip(path)
        assert names(renewed.found(tmp_path)) == {f"served bundle {version}/model.onnx"}


def test_an_alias_that_is_not_the_pointer_is_named(renewed, tmp_path):
    with rewritten(renewed, "registered_model_aliases", "version", 1, alias="champion"):
        (one,) = renewed.found(tmp_path)

    assert (one.artefact, one.value, one.found) == ("alias", "champion", "another version")


def test_other_data_are_named_alone(renewed, tmp_path):
    path = renewed.brand / "contracts.parquet"
    with altered(path):
        table = pq.read_table(path)
        pq.write_table(table.slice(1), path)
        (one,) = renewed.found(tmp_path)

    assert one.artefact == "data"
    assert one.expected == renewed.trained.fitted.record.data_hash


def test_the_command_says_equal_and_names_what_is_not(renewed, shepherd, tmp_path):
    moved = shutil.copytree(renewed.brand, tmp_path / "moved")
    done = shepherd("verify", renewed.run_id, "--home", renewed.home, "--data", moved, "--json")

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["equal"] is True
    assert said["differences"] == said["left_out"] == said["circumstances"] == []
    path = renewed.brand / "contracts.parquet"
    with altered(path):
        flip(path)
        refused = shepherd("verify", renewed.run_id, "--home", renewed.home, "--json")
    assert refused.returncode == 4
    assert "data sha256" in refused.stderr
    assert json.loads(refused.stdout)["equal"] is False


@contextmanager
def moved_away(path):
    """Nothing where something was."""
    aside = path.rename(path.with_name(f"{path.name}-aside"))
    yield
    aside.rename(path)


def test_data_that_were_moved_away_are_asked_for_by_the_folder_where_they_were(renewed, tmp_path):
    with moved_away(renewed.brand), pytest.raises(DataError, match="give their new place with --data DIR") as refusal:
        renewed.found(tmp_path)

    assert str(renewed.brand) in str(refusal.value)


def test_example_data_that_were_taken_away_are_made_again(renewal, tmp_path, written_contracts):
    def made(folder):
        return open_folder(written_contracts(folder))

    task = replace(renewal, example=Example("example", "write contracts", made))
    origin = Origin(str(tmp_path / "gone"), None, "example")

    tables = tables_of(origin, task, None, tmp_path, steps := Steps())
    assert tables.root == str(tmp_path / "example")
    assert [step.name for step in steps.done] == ["write contracts"]


def test_an_unknown_run_is_refused_with_those_there_are(renewed):
    with pytest.raises(UsageError, match=rf"unknown run 'nobody': the store at \S+ holds.* {renewed.run_id}"):
        verify("nobody", home=renewed.home, steps=Steps())


def test_a_run_that_never_ended_cannot_be_verified(renewed):
    with (
        rewritten(renewed, "runs", "status", "KILLED", run_uuid=renewed.run_id),
        pytest.raises(DataError, match="found it KILLED, expected FINISHED"),
    ):
        verify(renewed.run_id, home=renewed.home, steps=Steps())


def test_a_trial_is_no_whole_run(renewed, tmp_path):
    tracked = client(store(renewed.home))
    experiment = tracked.get_run(renewed.run_id).info.experiment_id
    trial, *_ = tracked.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{renewed.run_id}'")

    with pytest.raises(UsageError, match=f"found a trial of run {renewed.run_id}, expected the whole run"):
        snapshot(store(renewed.home), trial.info.run_id, tmp_path)


def test_a_run_without_provenance_says_so(renewed, tmp_path):
    path = artefact(renewed, "provenance.json")
    with altered(path):
        path.unlink()
        with pytest.raises(DataError, match=r"found no provenance\.json in it.*train again"):
            renewed.found(tmp_path)


def test_a_provenance_that_cannot_be_read_is_named(renewed, tmp_path):
    path = artefact(renewed, "provenance.json")
    with altered(path):
        path.write_text("{}")
        with pytest.raises(DataError, match=r"provenance\.json: found no provenance \(Object missing required"):
            renewed.found(tmp_path)


def test_a_task_file_that_changed_is_named_and_one_that_is_gone_is_asked_for(renewed, tmp_path):
    run = snapshot(store(renewed.home), renewed.run_id, tmp_path / "run")
    said = given(run)
    changed = tmp_path / "renewal.py"
    changed.write_text(said.file.text + "\n# changed\n")

    (one,) = task_of(run, said, str(changed), ours=True)[1]
    assert (one.artefact, one.value, one.expected) == ("task file", "renewal.py", said.file.sha256)
    with pytest.raises(UsageError, match=r"found no file \S+gone\.py, expected the one that declares it"):
        task_of(run, said, str(tmp_path / "gone.py"), ours=True)
    with pytest.raises(UsageError, match=r"found no file of it here, .* give it with --task FILE\.py"):
        task_of(run, said, None, ours=False)
    with pytest.raises(UsageError, match="which ships with Shepherd, expected none"):
        task_of(replace(run, task="coupon"), msgspec.structs.replace(said, file=None), str(changed), ours=True)


def test_other_software_is_told_before_anything_else(renewed, tmp_path):
    run = snapshot(store(renewed.home), renewed.run_id, tmp_path / "run")
    origin = given(run)
    assert circumstances(origin) == ()
    older = msgspec.structs.replace(origin, software=origin.software | {"numpy": "1.0"}, machine={})

    told = circumstances(older)
    assert told[0].startswith("software numpy: recorded 1.0, here 2")
    assert {one.split(":")[0] for one in told[1:]} == {"machine system", "machine libc", "machine instructions"}
    lines = Verdict("run", "version", (), told).text().splitlines()
    assert lines[0] == f"not as it was: {told[0]}"


def test_a_champion_whose_bundle_was_taken_away_is_fetched_from_its_own_run(renewed, tmp_path):
    where, first = store(renewed.home), renewed.trained.released.bundle.manifest.champion
    run = snapshot(where, renewed.run_id, tmp_path / "run")
    origin = given(run)
    with moved_away(renewed.home / "bundles" / "renewal" / first):
        fetched = champion_of_then(origin, run, renewed.home, where, tmp_path / "champion")

    kept = renewed.home / "bundles" / "renewal" / first
    assert (fetched / "manifest.json").read_bytes() == (kept / "manifest.json").read_bytes()
    assert (fetched / "model.onnx").read_bytes() == (kept / "model.onnx").read_bytes()


@pytest.mark.parametrize("name", ["../../elsewhere", "/etc", "..", "a/b"])
def test_a_champion_is_no_path(renewed, tmp_path, name):
    run = snapshot(store(renewed.home), renewed.run_id, tmp_path / "run")
    origin = msgspec.structs.replace(given(run), champion=name)

    with pytest.raises(DataError, match="expected the name of a version"):
        champion_of_then(origin, run, renewed.home, store(renewed.home), tmp_path)


def test_a_champion_whose_bundle_is_gone_is_left_out_by_name(renewed):
    root, first = renewed.home / "bundles" / "renewal", renewed.trained.released.bundle.manifest.champion
    tag = {"name": "shepherd-renewal", "version": 1, "key": "shepherd.bundle"}
    with moved_away(root / first), rewritten(renewed, "model_version_tags", "value", "another", **tag):
        verdict = verify(renewed.run_id, home=renewed.home, steps=Steps())

    assert verdict.differences == ()
    (left,) = verdict.left_out
    assert left.startswith(f"the comparison with the champion {first}, whose bundle is gone, and what rests on it")
    assert set(verdict.measured) == {"latency/p50_ms", "latency/p99_ms"}
