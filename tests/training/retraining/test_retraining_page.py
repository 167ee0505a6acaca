"""docs/retraining.md and the units beside it: every example is read by its own reader, and cron's line is run."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from shepherd import app

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "retraining.md").read_text(encoding="utf-8")


def _blocks(language):
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert found
    return found


def _options(words):
    """What the command line makes of words; it refuses what it does not know."""
    program, name, *given = words
    assert Path(program).name == "shepherd"
    command = typer.main.get_command(app).commands[name]
    with command.make_context(name, given) as context:
        return dict(context.params)


@pytest.fixture
def shell(retrained, brand, task_file, tmp_path):
    """Runs a line in a folder laid out as the page has it, on a small task."""
    shutil.copytree(retrained[0], tmp_path / "var")
    shutil.copytree(brand, tmp_path / "brand")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "shepherd").symlink_to(Path(sys.executable).with_name("shepherd"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHEPHERD_", "MLFLOW_"))}

    def run(line):
        return subprocess.run(  # noqa: S603 - the page's own line
            ["bash", "-c", line.replace("--task fraud", f"--task {task_file} --trials 1")],  # noqa: S607 - likewise
            cwd=tmp_path,
            env=kept | {"PATH": f"{tmp_path}/.venv/bin{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    return run


def test_the_line_of_cron_and_the_first_example_are_run(shell, tmp_path, retrained):
    (line,) = _blocks("crontab")
    (first,) = _blocks("sh")
    minute, hour, *days, command = line.split(" ", 5)
    assert (minute, hour, days) == ("10", "3", ["*"] * 3)

    done = shell(command.replace("cd /srv/shepherd", f"cd {tmp_path}"))

    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "retrain.log").read_text().splitlines()[-1])
    assert (told["did"], told["version"]) == ("nothing", retrained[1].version)
    assert {name for name in told if f"`{name}`" not in PAGE} == set()
    assert _options(shlex.split(first))["as_json"]


def test_python_examples_compile_and_call_a_real_command():
    airflow, dagster = (ast.parse(block) for block in _blocks("python"))
    command = next(
        ast.literal_eval(node.value)
        for node in dagster.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "COMMAND"
    )

    assert _options(command)["task"] == "fraud"
    assert [node.func.id for node in ast.walk(airflow) if isinstance(node, ast.Call) and hasattr(node.func, "id")]


@pytest.mark.parametrize(("code", "mapped"), [(0, 0), (1, 1), (2, 199), (3, 199), (4, 99), (5, 1)])
def test_airflow_s_script_maps_every_exit_code(code, mapped):
    script = next(
        node.value.value
        for node in ast.parse(_blocks("python")[0]).body
        if isinstance(node, ast.Assign) and node.targets[0].id == "RETRAIN"
    )
    lines = [line for line in script.splitlines() if line.startswith("shepherd ")]

    done = subprocess.run(["bash", "-c", f"shepherd() {{ return {code}; }}\n{script}"], check=False)  # noqa: S603, S607

    assert done.returncode == mapped
    assert _options(shlex.split(lines[0]))["data"] == Path("/srv/brand")


def test_yaml_examples_parse_and_call_a_real_command():
    stages, job = (yaml.safe_load(block) for block in _blocks("yaml"))
    words = shlex.split(stages["stages"]["retrain"]["cmd"].partition(" > ")[0])
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    asked = _options(["shepherd", *container["args"]])

    assert str(_options(words)["data"]) in stages["stages"]["retrain"]["deps"]
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    assert {str(asked["home"]), str(asked["data"])} == {one["mountPath"] for one in container["volumeMounts"]}
    rules = job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert [rule["onExitCodes"]["containerName"] for rule in rules] == [container["name"]]
    assert pod["restartPolicy"] == "Never"  # or a policy of failures is refused


def _unit(name):
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(ROOT / "deploy" / name, encoding="utf-8")
    return unit


def test_the_unit_calls_the_step_and_gains_no_more_than_the_snapshot_s():
    unit, snapshot, timer = (
        _unit(f"shepherd-{name}") for name in ("retrain.service", "snapshot.service", "retrain.timer")
    )
    (given,) = _blocks("ini")
    values = dict(line.split("=", 1) for line in given.splitlines())
    line = unit["Service"]["ExecStart"]
    for name, value in values.items():
        assert f"${{{name}}}" in line
        line = line.replace(f"${{{name}}}", value)
    asked = _options(shlex.split(line))

    assert "$" not in line
    assert asked["task"] == "fraud"
    assert unit["Service"]["ReadWritePaths"] == str(asked["home"])
    own = {"EnvironmentFile", "Environment", "ExecStart", "TimeoutStartSec"}
    for name, value in snapshot["Service"].items():
        assert name in own or unit["Service"][name] == value
    assert unit["Service"]["RestartPreventExitStatus"].split() == ["2", "3", "4"]
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert timer["Timer"]["OnCalendar"]
