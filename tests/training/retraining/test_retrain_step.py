"""One step for a scheduler: new data make a challenger, the same data nothing, and a killed step goes on."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import training.walk
from data.errors import DataError, DependencyDown, GateRefused
from data.sources import open_folder
from serving.bundle import read, resolve
from tests.training.retraining.deaths import ORDER, Killed, called, standing
from training.declaration import declaration
from training.promotions import Override, promotions
from training.registry import promote
from training.retraining.lock import held
from training.retraining.measurement import measure
from training.retraining.state import Question, State, path_of, write
from training.retraining.state import read as read_state
from training.tracking.stores import client, store


@pytest.fixture
def again(retrained, tmp_path):
    """A copy of that home."""
    return Path(shutil.copytree(retrained[0], tmp_path / "home"))


@pytest.fixture
def no_learning(monkeypatch):
    """Nothing may be learned a second time."""
    monkeypatch.setattr(training.walk, "learn", lambda *_, **__: pytest.fail("learned again"))


def _state_path(task, brand, home):
    return path_of(home / "retrain" / "renewal", Question.of(task, open_folder(brand).content_hash(), 0, 1))


def test_new_data_make_a_challenger_with_its_drift_and_gates(retrained):
    home, outcome = retrained
    told = outcome.as_dict()

    assert standing(home) == {"champion": "first", "challenger": told["version"]}
    assert told["version"].startswith("20261101T031000Z-")
    assert (told["did"], told["resumed"], told["promoted"], told["champion"]) == ("trained", False, False, "first")
    assert "label rate" in [gate["name"] for gate in told["gates"]]
    assert {gate["passed"] for gate in told["gates"]} == {True}
    assert all(gate["found"] and gate["required"] for gate in told["gates"])
    assert told["drift"]["against"] == "first"
    assert {one["feature"] for one in told["drift"]["top"]} == {"complaints", "years"}
    assert all(0 <= one["psi"] < 0.1 for one in told["drift"]["top"])
    assert told["drift"]["label_rate"] == pytest.approx(told["drift"]["champion_label_rate"], abs=0.02)
    assert read(resolve(home / "bundles", "renewal", "challenger")).manifest.champion == "first"
    json.dumps(told, allow_nan=False)


def test_what_was_measured_is_a_run_beside_the_model_s(retrained):
    home, outcome = retrained
    tracked = client(store(home))

    run = tracked.get_run(outcome.state.logged)

    assert tracked.get_experiment(run.info.experiment_id).name == "shepherd-retraining"
    assert run.data.metrics["drift/feature/complaints"] == outcome.state.moved.features["complaints"]
    assert run.data.tags["shepherd.run"] == outcome.state.run_id
    assert tracked.get_run(outcome.state.run_id).info.status == "FINISHED"
    assert [one.path for one in tracked.list_artifacts(run.info.run_id)] == ["retraining.json"]


@pytest.mark.usefixtures("no_learning")
def test_the_same_data_are_nothing_new(task, brand, again, retrained):
    outcome = called(task, brand, again)

    assert outcome.as_dict()["did"] == "nothing"
    assert outcome.version == retrained[1].version
    assert outcome.why.startswith("nothing is new: 20261101T031000Z-")


@pytest.mark.usefixtures("no_learning")
def test_data_that_another_command_learned_from_are_nothing_new(task, brand, again, retrained):
    shutil.rmtree(again / "retrain")

    outcome = called(task, brand, again)

    assert (outcome.trained, outcome.version, outcome.state) == (False, retrained[1].version, None)


def _learned_again(task, brand, home, order=ORDER):
    """Whether the step sets out to learn, and why; it ends there."""
    with pytest.MonkeyPatch.context() as patch:

        def learn(*_, **__):
            raise Killed

        patch.setattr(training.walk, "learn", learn)
        with pytest.raises(Killed):
            called(task, brand, home, order)
    states = [one for path in (home / "retrain" / "renewal").glob("*.json") if (one := read_state(path)).ended is None]
    return states[0].reason


@pytest.mark.parametrize("kept", [True, False], ids=["beside its state", "of another command"])
@pytest.mark.parametrize(
    "change",
    [
        lambda task: replace(task, learner=replace(task.learner, bags=4)),
        lambda task: replace(task, label=replace(task.label, sql=task.label.sql.replace("lapsed AS", "1 - lapsed AS"))),
        lambda task: replace(task, payoff=replace(task.payoff, value_fen=((0, -1), (-50, -400), (-300, -100)))),
        lambda task: replace(task, metrics=task.metrics[:1], baselines=()),
        lambda task: replace(task, split=replace(task.split, folds=3)),
    ],
    ids=["learner", "label", "pay-off", "metrics and baselines", "split"],
)
def test_another_declaration_is_another_question(task, brand, again, retrained, change, kept):
    if not kept:
        shutil.rmtree(again / "retrain")

    reason = _learned_again(change(task), brand, again)

    assert reason == f"the task declares other things than {retrained[1].version} was made of"


@pytest.mark.parametrize(("order", "said"), [({"seed": 3}, "seed 0 and 1 trials"), ({"trials": 2}, "seed 0 and 1")])
def test_another_seed_and_more_trials_are_other_questions(task, brand, again, order, said):
    shutil.rmtree(again / "retrain")

    assert said in _learned_again(task, brand, again, replace(ORDER, **order))


def test_what_was_made_before_declarations_were_kept_is_made_again_once(task, brand, again, retrained):
    shutil.rmtree(again / "retrain")
    path = again / "bundles" / "renewal" / retrained[1].version / "manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest.pop("declaration") == declaration(task)
    path.write_text(json.dumps(manifest))

    outcome = called(task, brand, again)

    assert f"({retrained[1].version} was made before declarations were kept)" in outcome.why
    assert outcome.as_dict()["did"] == "trained"
    assert called(task, brand, again).as_dict()["did"] == "nothing"


def test_poisoned_labels_are_refused_at_the_desk_as_well_by_their_gate_alone(task, brand, again, tmp_path):
    poisoned = shutil.copytree(brand, tmp_path / "brand")
    table = pq.read_table(poisoned / "contracts.parquet")
    lapsed = [int(one or number % 3 == 0) for number, one in enumerate(table["lapsed"].to_pylist())]
    column = pa.array(lapsed, table.schema.field("lapsed").type)
    table = table.set_column(table.column_names.index("lapsed"), "lapsed", column)
    pq.write_table(table, poisoned / "contracts.parquet")

    outcome = called(task, poisoned, again, replace(ORDER, promote=True))

    assert [gate.name for gate in outcome.gates if not gate.passed] == ["label rate"]
    with pytest.raises(GateRefused, match=r"stays a challenger: label rate: found 0\.\d+ against 0\.\d+"):
        promote("renewal", again)
    assert standing(again)["champion"] == "first"
    promote("renewal", again, override=Override(("label rate",), "Li Na", "a new contract since May"))
    assert standing(again)["champion"] == outcome.version
    (passed,) = promotions(again / "bundles" / "renewal")[-1].overridden
    assert passed["name"] == "label rate"


@pytest.mark.usefixtures("no_learning")
def test_a_promotion_may_be_asked_for_later(task, brand, again, retrained):
    outcome = called(task, brand, again, replace(ORDER, promote=True))

    assert outcome.as_dict()["promoted"]
    assert standing(again)["champion"] == retrained[1].version
    assert outcome.refused == ""


@pytest.mark.usefixtures("no_learning")
def test_a_label_rate_that_jumped_keeps_it_from_being_promoted(task, brand, again):
    path = resolve(again / "bundles", "renewal", "challenger") / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["metrics"]["label/rate"] = 0.99
    path.write_text(json.dumps(manifest))

    outcome = called(task, brand, again, replace(ORDER, promote=True))

    assert standing(again)["champion"] == "first"
    assert outcome.refused.startswith("label rate: found 0.99 against 0.")
    again_told = called(task, brand, again, replace(ORDER, promote=True))
    assert again_told.as_dict()["did"] == "nothing"


@pytest.mark.usefixtures("no_learning")
@pytest.mark.parametrize("kept", [("version", "run_id", "verdict"), ("version", "run_id"), ("moved",), ()])
def test_a_killed_step_goes_on_from_its_last_whole_stage(task, brand, again, retrained, kept):
    path = _state_path(task, brand, again)
    state = read_state(path)
    fresh = State(state.question, state.began, state.reason)
    write(path, msgspec.structs.replace(fresh, **{name: getattr(state, name) for name in kept}))
    before = client(store(again)).search_model_versions("name = 'shepherd-renewal'")

    outcome = called(task, brand, again)

    assert outcome.resumed
    assert outcome.version == retrained[1].version
    assert len(client(store(again)).search_model_versions("name = 'shepherd-renewal'")) == len(before)
    ended = read_state(path)
    assert ended.ended is not None
    assert msgspec.structs.replace(ended, ended=None, logged="", moved=None) == msgspec.structs.replace(
        state, ended=None, logged="", moved=None
    )


def test_a_bundle_that_never_came_to_be_registered_is_made_anew(task, brand, again, retrained, monkeypatch):
    version = retrained[1].version
    path = _state_path(task, brand, again)
    write(path, State(read_state(path).question, read_state(path).began))
    tracked = client(store(again))
    (number,) = [
        one.version
        for one in tracked.search_model_versions("name = 'shepherd-renewal'")
        if one.tags["shepherd.bundle"] == version
    ]
    tracked.delete_model_version("shepherd-renewal", number)
    (again / "bundles" / "renewal" / "challenger").write_text("first\n")
    seen = []

    def learn(*_, moment, **__):
        seen.append((moment, sorted(path.name for path in (again / "bundles" / "renewal").iterdir())))
        raise Killed

    monkeypatch.setattr(training.walk, "learn", learn)
    with pytest.raises(Killed):
        called(task, brand, again)

    ((moment, left),) = seen
    assert moment == datetime(2026, 11, 1, 3, 10, tzinfo=UTC)
    assert version not in left
    assert standing(again) == {"champion": "first", "challenger": "first"}


def test_data_that_break_their_contracts_leave_nothing_behind(task, tmp_path):
    (tmp_path / "brand").mkdir()
    (tmp_path / "brand" / "members.csv").write_text("member_id\n")

    with pytest.raises(DataError):
        called(task, tmp_path / "brand", tmp_path / "home")

    assert not (tmp_path / "home").exists()


def test_data_that_change_meanwhile_make_no_challenger(task, brand, again, retrained, tmp_path, monkeypatch):
    other = shutil.copytree(brand, tmp_path / "brand")
    table = pq.read_table(other / "contracts.parquet")
    pq.write_table(table.slice(0, table.num_rows - 5), other / "contracts.parquet")

    class Trained:
        class fitted:  # noqa: N801 - as the attribute is called
            class record:  # noqa: N801 - likewise
                data_hash = "another"

    monkeypatch.setattr(training.walk, "learn", lambda *_, **__: Trained)
    with pytest.raises(DataError, match="found other tables"):
        called(task, other, again)

    assert standing(again)["challenger"] == retrained[1].version


def _hold(folder, ready, enough):
    with held(folder):
        ready.set()
        enough.wait(30)


def test_of_two_at_once_the_second_is_told_who_is_at_it(task, brand, again, no_learning):  # noqa: ARG001 - a guard
    context = multiprocessing.get_context("fork")
    ready, enough = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(again / "retrain" / "renewal", ready, enough))
    other.start()
    try:
        assert ready.wait(30)
        with pytest.raises(DependencyDown, match=rf"process {other.pid} of \S+ since .*--wait SECONDS"):
            called(task, brand, again)
        with pytest.raises(DependencyDown):
            called(task, brand, again, replace(ORDER, wait=0.3))
        enough.set()
        assert called(task, brand, again, replace(ORDER, wait=30)).as_dict()["did"] == "nothing"
    finally:
        enough.set()
        other.join()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    context = multiprocessing.get_context("fork")
    ready, enough = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, ready, enough))
    other.start()
    assert ready.wait(30)
    other.kill()
    other.join()

    with held(tmp_path):
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} of ")


def test_without_a_champion_nothing_is_measured(task, brand, tmp_path):
    moved = measure(task, open_folder(brand), None, tmp_path)

    assert moved.as_dict()["against"] is None


def test_rows_that_moved_and_labels_that_were_poisoned_are_seen(task, brand, again, tmp_path):
    other = shutil.copytree(brand, tmp_path / "brand")
    table = pq.read_table(other / "contracts.parquet")
    years = pa.array([None if year is None else year + 10 for year in table["years"].to_pylist()])
    lapsed = pa.array([1] * table.num_rows)
    for name, column in {"years": years, "lapsed": lapsed}.items():
        table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table, other / "contracts.parquet")

    moved = measure(task, open_folder(other), read(resolve(again / "bundles", "renewal", "champion")), tmp_path)

    assert list(moved.features) == ["years", "complaints"]
    assert moved.features["years"] > 1
    assert moved.features["complaints"] < 0.1
    assert moved.label == 1


def test_a_feature_that_means_something_else_by_now_is_not_held_against(task, brand, again, tmp_path):
    path = resolve(again / "bundles", "renewal", "champion") / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["features"][0]["meaning"] = "Complaints of the last two years"
    path.write_text(json.dumps(manifest))

    moved = measure(task, open_folder(brand), read(path.parent), tmp_path)

    assert moved.unmatched == ("complaints",)
    assert list(moved.features) == ["years"]
