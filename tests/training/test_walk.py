"""The first journey on the real grocery data: what it prints, what it leaves, and the pages of the README on it."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data.journey import complete_journey
from data.steps import Steps
from serving.bundle import read, resolve
from training.pipeline import fit
from training.served import server
from training.tasks.coupon import TASK
from training.tracking.stores import Store, client

README = Path(__file__).parents[2] / "README.md"
METRICS = ("average_precision", "roc_auc")
BASELINES = ("past_redemption_rate", "logistic_regression")
STEPS = [
    "read Complete Journey",
    "simulate a small world",
    "simulate a small world",
    *(
        f"{task}: {name}"
        for task in ("coupon", "fraud")
        for name in (
            "check the tables",
            "build features",
            "search parameters",
            "fit and calibrate",
            "judge on the test",
            "look for leakage",
            "replay event by event",
            "export and prove parity",
            "track in MLflow",
            "promote",
            "serve one answer over HTTP",
        )
    ),
    *(
        f"site: {name}"
        for name in (
            "check the tables",
            "look around stores",
            "calibrate who takes from whom",
            "fit",
            "judge on held-out stretches of town",
            "look for leakage",
            "ask stores one by one",
            "export and prove parity",
            "track in MLflow",
            "promote",
            "serve one answer over HTTP",
        )
    ),
]


def _intervals(part):
    return [(name, value) for name, value in part.items() if isinstance(value, dict) and set(value) >= {"low", "high"}]


def _readme(language):
    """The only block of that language which is code of ours."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 1
    return blocks[0]


@pytest.fixture(scope="module")
def copied(journey, tmp_path_factory):
    """A second folder with what the walk left, for tests that go on from it."""
    return Path(shutil.copytree(journey.home, tmp_path_factory.mktemp("again") / "var"))


@pytest.fixture(scope="module")
def again(copied):
    """The same fit a second time, on what the first left."""
    steps = Steps()
    fitted = fit(TASK, complete_journey(copied / "journey"), home=copied, trials=2, steps=steps)
    return fitted, {step.name: step.seconds for step in steps.done}


@pytest.fixture(scope="module")
def store(journey):
    tracked = client(Store(f"sqlite:///{journey.home / 'mlflow.db'}", None))
    return tracked, tracked.get_run(journey.coupon["run_id"])


def test_standard_output_is_one_json_object_and_nothing_else(journey):
    assert journey.said.count("\n") == 1
    assert json.loads(journey.said, parse_constant=pytest.fail) == journey.result


def test_the_object_has_the_keys_that_were_promised(journey):
    assert set(journey.result) == {"seconds", "steps", "tasks", "mlflow"}
    assert set(journey.result["tasks"]) == {"coupon", "fraud", "site"}
    assert set(journey.coupon) >= {"metrics", "baselines", "parity", "served"}
    assert set(journey.coupon["metrics"]) == set(METRICS)
    assert set(journey.coupon["baselines"]) == set(BASELINES)
    assert set(journey.coupon["parity"]) == {"wrong_leaves", "max_raw_difference", "rows"}


def test_every_step_is_named_timed_and_in_order(journey):
    steps = journey.result["steps"]
    assert [step["name"] for step in steps if step["name"] in STEPS] == STEPS
    assert all(set(step) == {"name", "seconds", "rows"} and step["seconds"] >= 0 for step in steps)
    assert sum(step["seconds"] for step in steps) <= journey.result["seconds"] < 300


def test_scans_of_a_small_world_are_judged_and_one_is_answered(journey):
    fraud = journey.result["tasks"]["fraud"]
    assert fraud["parity"]["wrong_leaves"] == fraud["parity"]["max_raw_difference"] == 0
    assert set(fraud["baselines"]) == {"analyst_rules", "lightgbm_without_rings", "isolation_forest"}
    assert (
        fraud["metrics"]["average_precision"]["value"]
        > fraud["baselines"]["analyst_rules"]["average_precision"]["value"]
    )
    (answer,) = fraud["served"]["answers"]
    assert answer["action"] in {"pay", "reduce", "step_up", "hold", "block"}
    assert all(reason["code"] and reason["sentence"] and reason["sentence_zh"] for reason in answer["reasons"])


def test_the_split_is_the_one_of_the_task(journey):
    assert journey.coupon["rows"] == {"train": 2_466, "test": 3_739, "dropped": 384}
    assert journey.coupon["positives"]["test"] / 3_739 == pytest.approx(0.137, abs=0.0005)


def test_the_model_keeps_its_floor(journey):
    assert journey.coupon["metrics"]["average_precision"]["value"] >= 0.50
    assert journey.coupon["metrics"]["roc_auc"]["value"] >= 0.82


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("metric", METRICS)
def test_the_model_is_ahead_of_each_baseline_on_each_metric(journey, baseline, metric):
    ours, theirs = journey.coupon["metrics"][metric], journey.coupon["baselines"][baseline]
    assert ours["value"] > theirs[metric]["value"]
    assert theirs[f"gain_{metric}"]["value"] == pytest.approx(ours["value"] - theirs[metric]["value"])


def test_every_figure_lies_in_its_interval(journey):
    parts = (journey.coupon["metrics"], journey.coupon["money"], *journey.coupon["baselines"].values())
    figures = [figure for part in parts for figure in _intervals(part)]
    assert len(figures) == 2 + 4 + 2 * 4
    for name, figure in figures:
        assert set(figure) == {"value", "low", "high"}, name
        assert figure["low"] <= figure["value"] <= figure["high"], name


def test_the_graph_is_the_model(journey):
    assert journey.coupon["parity"]["wrong_leaves"] == 0
    assert journey.coupon["parity"]["max_raw_difference"] == 0.0
    assert journey.coupon["parity"]["rows"] > 3_739


def test_the_model_pays(journey):
    money = journey.coupon["money"]
    assert money["gain_over_best_constant"]["low"] > 0
    best = max(money[f"always_{action}"]["value"] for action in TASK.payoff.actions)
    assert money["gain_over_best_constant"]["value"] == pytest.approx(money["model"]["value"] - best)


def test_the_search_judged_on_folds_that_look_forward(journey):
    search = journey.coupon["search"]
    assert search["trials"] == 2
    assert len(search["folds"]) == len(search["default"]) == len(search["chosen"]) == 3
    assert [learned for learned, _ in search["folds"]] == sorted(learned for learned, _ in search["folds"])


def test_the_answer_ranks_running_campaigns_with_reasons(journey):
    served = journey.coupon["served"]
    assert served["model"] == {
        "task": "coupon",
        "version": journey.coupon["version"],
        "feature_fingerprint": TASK.features.fingerprint(),
    }
    assert datetime.fromisoformat(served["at"]).tzinfo is not None
    assert served["member_id"]
    assert served["decision_id"]
    chances = [offer["probability"] for offer in served["offers"]]
    assert chances == sorted(chances, reverse=True)
    assert chances
    assert all(0 < chance < 1 for chance in chances)
    skip, send = TASK.payoff.value_fen
    for offer in served["offers"]:
        worth = max((1 - offer["probability"]) * row[0] + offer["probability"] * row[1] for row in (skip, send))
        assert offer["expected_value_fen"] == pytest.approx(worth)
        assert offer["action"] in TASK.payoff.actions
        assert {reason["feature"] for reason in offer["reasons"]} <= set(TASK.features.names)
        assert all(reason["sentence"].endswith("chance.") for reason in offer["reasons"])


def test_the_answer_is_what_the_built_row_says(journey):
    served = journey.coupon["served"]
    scored = {offer["campaign_id"]: offer["probability"] for offer in served["offers"]}
    assert any(reason["feature"] for offer in served["offers"] for reason in offer["reasons"])
    rows = pq.read_table(
        journey.home / "features" / "coupon.parquet", filters=[("member_id", "=", served["member_id"])]
    ).to_pylist()
    values = {row["campaign_id"]: row for row in rows}
    for offer in served["offers"]:
        assert offer["campaign_id"] in scored
        for reason in offer["reasons"]:
            assert values[offer["campaign_id"]][reason["feature"]] == reason["value"]


def test_the_champion_is_the_version_that_was_made(journey):
    bundle = resolve(journey.home / "bundles", "coupon", "champion")
    assert bundle == resolve(journey.home / "bundles", "coupon", "challenger")
    assert bundle.name == journey.coupon["version"]
    assert journey.coupon["alias"] == "champion"
    manifest = read(bundle).manifest
    assert manifest.metrics["test/roc_auc"] == journey.coupon["metrics"]["roc_auc"]["value"]
    assert manifest.feature_names == TASK.features.names
    assert manifest.feature_fingerprint == TASK.features.fingerprint()


def test_the_verdict_names_every_gate(journey):
    assert "parity: found 0 wrong leaves, raw difference 0.0" in journey.coupon["verdict"]
    for baseline in BASELINES:
        for metric in METRICS:
            assert f"{baseline}: gain in {metric}: found +" in journey.coupon["verdict"]


def test_nothing_is_left_aside(journey):
    left = [path for path in journey.home.rglob("*") if path.name.startswith(".") or path.suffix == ".tmp"]
    assert left == []
    assert {path.name for path in journey.home.iterdir()} == {
        "bundles",
        "features",
        "journey",
        "mlartifacts",
        "mlflow.db",
        "studies",
        "world",
    }
    assert [path.name for path in journey.home.parent.iterdir()] == ["var"]


def test_the_last_line_opens_a_store_that_exists(journey):
    program, ui, option, uri = shlex.split(journey.result["mlflow"])
    assert (ui, option) == ("ui", "--backend-store-uri")
    assert Path(program).is_file()
    path = Path(uri.removeprefix("sqlite:///"))
    assert path == journey.home / "mlflow.db"
    with sqlite3.connect(path) as database:
        names = [name for (name,) in database.execute("SELECT name FROM experiments")]
    database.close()
    assert "shepherd-coupon" in names


def test_the_run_is_finished_and_has_a_note(journey, store):
    _, run = store
    assert run.info.status == "FINISHED"
    assert run.info.run_name == journey.coupon["version"]
    note = run.data.tags["mlflow.note.content"]
    assert "Test from 2017-08-01, scored once; rows: 2,466 learned from; 3,739 tested on, once; 384 dropped" in note
    assert "平均精确率**: 0.5" in note
    for baseline in BASELINES:
        assert f"Ahead of {baseline} " in note


def test_the_run_holds_the_parameters(journey, store):
    _, run = store
    parameters = run.data.params
    assert parameters["trials"] == "2"
    assert parameters["seed"] == "0"
    assert parameters["test_from"] == "2017-08-01T00:00:00+00:00"
    assert parameters["feature_fingerprint"] == TASK.features.fingerprint()
    assert re.fullmatch("[0-9a-f]{64}", parameters["data_hash"])
    for name, value in journey.coupon["search"]["parameters"].items():
        assert parameters[f"search.{name}"] == str(value)


def test_the_run_holds_every_figure_with_its_interval(journey, store):
    _, run = store
    metrics = run.data.metrics
    expected = {f"test/{metric}": journey.coupon["metrics"][metric] for metric in METRICS}
    expected |= {f"money/{name}": figure for name, figure in journey.coupon["money"].items()}
    for baseline, figures in journey.coupon["baselines"].items():
        expected |= {f"baseline/{baseline}/{name}": figure for name, figure in figures.items()}
    for name, figure in expected.items():
        assert metrics[name] == pytest.approx(figure["value"], rel=1e-12)
        assert metrics[f"{name}_low"] == pytest.approx(figure["low"], rel=1e-12)
        assert metrics[f"{name}_high"] == pytest.approx(figure["high"], rel=1e-12)
    assert metrics["rows/dropped"] == 384
    assert {name for name in metrics if name.startswith("slice/kind/type_a/")} >= {"slice/kind/type_a/roc_auc_low"}
    assert all(math.isfinite(value) for value in metrics.values())


def test_the_runs_of_the_three_tasks_line_up_in_the_compare_view(journey, store):
    tracked, _ = store
    runs = {name: tracked.get_run(task["run_id"]) for name, task in journey.result["tasks"].items()}
    shared = {
        *("gate/data contract", "gate/leakage", "gate/replay", "gate/parity", "gate/latency", "gate/judged"),
        *("contract/rows", "leakage/rows", "replay/values", "replay/mismatches", "parity/wrong_leaves"),
        *("parity/max_raw_difference", "latency/p50_ms", "latency/p99_ms", "rows/train", "rows/test"),
        *("verdict/ship", "verdict/refused"),
    }
    for name, run in runs.items():
        assert shared - set(run.data.metrics) == set(), name
        assert {"data_first", "data_last", "data_hash", "seed", "version.python"} <= set(run.data.params), name
        assert run.data.metrics["replay/mismatches"] == run.data.metrics["parity/wrong_leaves"] == 0, name
        assert run.data.tags["mlflow.note.content"].startswith(("**Ship", "**Do not ship")), name
        assert {one.dataset.digest for one in run.inputs.dataset_inputs} == {run.data.params["data_hash"][:36]}
        assert "report.html" in {one.path for one in tracked.list_artifacts(run.info.run_id)}, name
    money = {name: "money/gain_over_best_constant" in run.data.metrics for name, run in runs.items()}
    assert money == {"coupon": True, "fraud": True, "site": False}


def test_the_run_holds_bundle_record_definitions_and_curves(journey, store, tmp_path):
    tracked, run = store
    found = Path(tracked.download_artifacts(run.info.run_id, "", str(tmp_path)))
    assert {path.name for path in (found / "bundle").iterdir()} == {"manifest.json", "model.onnx"}
    written = journey.home / "bundles" / "coupon" / journey.coupon["version"]
    for path in written.iterdir():
        assert (found / "bundle" / path.name).read_bytes() == path.read_bytes()
    curves = {path.name: path.read_bytes() for path in (found / "curves").iterdir()}
    assert set(curves) == {"precision_recall.png", "calibration.png", "money.png", "attributions.png"}
    assert all(content.startswith(b"\x89PNG") for content in curves.values())
    features = json.loads((found / "features.json").read_text())
    assert tuple(features) == TASK.features.names
    assert all(set(each) == {"meaning", "unit", "null"} and each["meaning"] for each in features.values())
    record = json.loads((found / "record.json").read_text(), parse_constant=pytest.fail)
    assert record["metrics"] == journey.coupon["metrics"]
    assert record["test_from"] == "2017-08-01T00:00:00+00:00"
    assert sum(tenth["rows"] for tenth in record["calibration"]) == 3_739
    assert list(record["attributions"].values()) == sorted(record["attributions"].values(), reverse=True)


def test_the_model_is_registered_under_both_aliases(journey, store):
    tracked, run = store
    champion, challenger = (
        tracked.get_model_version_by_alias("shepherd-coupon", alias) for alias in ("champion", "challenger")
    )
    assert champion.version == challenger.version
    assert champion.run_id == run.info.run_id
    assert champion.tags["shepherd.bundle"] == journey.coupon["version"]


def test_a_second_fit_goes_on_from_the_first(journey, again):
    fitted, seconds = again
    first = {step["name"]: step["seconds"] for step in journey.result["steps"]}
    assert fitted.built.reused
    assert seconds["build features"] < first["coupon: build features"] / 4
    assert fitted.record.as_dict()["search"] == journey.coupon["search"]


def test_a_second_fit_finds_the_same_to_the_last_digit(journey, again):
    fitted, _ = again
    for part in ("metrics", "baselines", "money", "rows", "positives"):
        assert fitted.record.as_dict()[part] == journey.coupon[part]


def test_a_second_fit_leaves_the_files_of_the_first(journey, again, copied):
    assert again
    for folder in ("features", "journey"):
        for path in (journey.home / folder).iterdir():
            assert (copied / folder / path.name).stat().st_mtime_ns == path.stat().st_mtime_ns, path
    for folder in ("features", "journey", "studies"):
        left = sorted(path.name for path in (copied / folder).iterdir())
        assert left == sorted(path.name for path in (journey.home / folder).iterdir())


def test_the_python_of_the_readme_runs_as_shown(journey, copied):
    done = subprocess.run(  # noqa: S603 - the README's own lines
        [sys.executable, "-P", "-c", _readme("python")],
        capture_output=True,
        text=True,
        check=False,
        cwd=copied.parent,
    )
    assert done.returncode == 0, done.stderr
    said = re.findall(r"-?\d\.\d{3} \[-?\d\.\d{3}, -?\d\.\d{3}\]", done.stdout)
    figure, gain = journey.coupon["metrics"], journey.coupon["baselines"]["logistic_regression"]
    assert [each.split()[0] for each in said] == [
        f"{figure['average_precision']['value']:.3f}",
        f"{gain['gain_average_precision']['value']:.3f}",
    ]


def test_the_question_of_the_readme_is_answered(journey):
    asked, *_ = re.findall(r"curl -s http://127\.0\.0\.1:8000(\S+) .*-d '(.*)'", README.read_text(encoding="utf-8"))
    path, body = asked
    with server(journey.home) as url:
        request = urllib.request.Request(  # noqa: S310 - a loopback address
            f"{url}{path}", body.encode(), {"content-type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310 - likewise
            answer = json.loads(reply.read())
    assert answer["offers"]
    assert answer["no_offer"] is None
