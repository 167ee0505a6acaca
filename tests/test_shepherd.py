"""The command line as a process: help, exit codes, one JSON object, and nothing half-written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

import shepherd as command_line

README = Path(__file__).parents[1] / "README.md"
COMMANDS = typer.main.get_command(command_line.app).commands
HEAVY = ("numpy", "pyarrow", "duckdb", "pandas", "mlflow", "lightgbm", "sklearn", "optuna", "matplotlib", "fastapi")

ORDERS = """\
line_id,order_id,ts,member_id,channel,product_id,quantity,amount_fen,discount_fen
l1,o1,2025-05-01 09:00:00,m1,pos,p1,1,300,0
l2,o1,2025-05-01 09:00:00,m1,pos,p2,1,-5,0
l2,o2,2025-05-02 09:00:00,m1,pos,p1,one,300,0
"""


@pytest.fixture
def faulty(tmp_path):
    """A folder with seven faults in two tables: times without zone and an empty table among them."""
    folder = tmp_path / "brand"
    folder.mkdir()
    (folder / "orders.csv").write_text(ORDERS)
    (folder / "members.csv").write_text("member_id\n")
    return folder


def _text(done):
    """What was said, without frames and line breaks that depend on the terminal."""
    return re.sub(r"[\s│╭╮╰╯─]+", " ", done.stdout + done.stderr)


def _refused(done, code):
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return _text(done)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_documented(name):
    text = README.read_text(encoding="utf-8")

    assert COMMANDS[name].help
    assert re.search(rf"^shepherd {name}\b", text, flags=re.MULTILINE) or f"`shepherd {name}" in text


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_parameter_of_a_command_has_help(name):
    without = [parameter.name for parameter in COMMANDS[name].params if not getattr(parameter, "help", None)]

    assert without == []


def test_the_readme_calls_no_command_or_option_that_is_not_there():
    blocks = re.findall(r"```\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line.split("#")[0].split() for block in blocks for line in block.splitlines()]
    calls = [words for words in lines if words[:1] == ["shepherd"]]

    assert calls
    for _, name, *words in calls:
        options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, name


def test_each_command_says_its_help(shepherd):
    for name in COMMANDS:
        done = shepherd(name, "--help")
        assert done.returncode == 0, done.stderr
        assert f"shepherd {name}" in _text(done)
    assert "All of it: read, check, build" in _text(shepherd("--help"))


def test_help_imports_nothing_heavy():
    script = (
        "import sys; sys.argv = ['shepherd', '--help']\n"
        "import shepherd\n"
        "try: shepherd.main()\n"
        "except SystemExit as end: assert not end.code\n"
        f"print('HEAVY', *sorted({set(HEAVY)!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)  # noqa: S603 - ours

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY"


def test_a_command_that_is_not_there_is_wrong_usage(shepherd):
    assert "No such command 'fly'" in _refused(shepherd("fly"), 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "--task", "cupon"), "unknown task 'cupon': expected one of coupon"),
        (("train", "--test-from", "August"), "--test-from: found 'August', expected a date such as 2017-08-01"),
        (("run", "--trials", "0"), "Invalid value for '--trials'"),
        (("run", "--seed", "-1"), "Invalid value for '--seed'"),
        (("serve", "--port", "70000"), "Invalid value for '--port'"),
        (("serve", "--pointer", "loser"), "Invalid value for '--pointer'"),
    ],
)
def test_wrong_usage_is_said_with_what_was_expected_and_leaves_nothing(shepherd, tmp_path, words, message):
    said = _refused(shepherd(*words, "--home", tmp_path / "home", folder=tmp_path), 2)

    assert message in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("nowhere", "nowhere: found no such folder; expected one that holds tables as Parquet or CSV files"),
        (".", "found no table; expected files such as orders.parquet or orders.csv"),
    ],
)
def test_a_folder_without_tables_is_said_with_what_was_expected(shepherd, tmp_path, folder, message):
    assert message in _refused(shepherd("check", folder, folder=tmp_path), 3)
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_is_a_file_is_wrong_usage(shepherd, tmp_path):
    home = tmp_path / "home"
    home.write_text("mine")

    assert "is a file" in _refused(shepherd("build", "--home", home), 2)
    assert home.read_text() == "mine"


def test_a_time_zone_that_is_not_there_is_wrong_usage(shepherd, faulty):
    assert "Asia/Shangha" in _refused(shepherd("check", faulty, "--time-zone", "Asia/Shangha"), 2)


def test_check_names_every_fault_of_a_folder_at_once(shepherd, faulty):
    said = _refused(shepherd("check", faulty), 3)

    assert "orders.ts in orders.csv, rows 1, 2, 3 (3 rows)" in said
    assert "orders.amount_fen in orders.csv, row 2" in said
    assert "orders.line_id in orders.csv" in said
    assert "orders.quantity in orders.csv, row 3" in said
    assert "members in members.csv" in said
    assert said.count("found ") == said.count("expected ") == said.count("to mend ") == 7
    assert said.rstrip().endswith("7 findings")


def test_check_prints_one_json_object_with_the_same_findings(shepherd, faulty):
    done = shepherd("check", faulty, "--json")

    assert done.returncode == 3
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    said = json.loads(done.stdout, parse_constant=pytest.fail)
    assert said["passed"] is False
    assert {(finding["table"], finding["column"]) for finding in said["findings"]} == {
        ("orders", "ts"),
        ("orders", "amount_fen"),
        ("orders", "line_id"),
        ("orders", "quantity"),
        ("orders", "member_id"),
        ("members", "registered_at"),
        ("members", None),
    }


def test_times_without_a_zone_are_read_in_the_zone_that_is_named(shepherd, faulty):
    refused = json.loads(shepherd("check", faulty, "--json").stdout)
    read = json.loads(shepherd("check", faulty, "--json", "--time-zone", "Asia/Shanghai").stdout)

    (naive,) = [finding for finding in refused["findings"] if finding["column"] == "ts"]
    assert naive["rows"] == [1, 2, 3]
    assert "--time-zone" in naive["fix"] or "zone" in naive["fix"]
    assert [finding for finding in read["findings"] if finding["column"] == "ts"] == []


def test_a_sound_folder_passes(shepherd, tmp_path):
    (tmp_path / "members.csv").write_text("member_id,registered_at\nm1,2025-01-01T00:00:00Z\n")

    done = shepherd("check", tmp_path, "--json")

    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["tables"] == {"members": 1}


def test_data_for_no_task_name_what_each_task_lacks(shepherd, tmp_path):
    (tmp_path / "brand").mkdir()
    (tmp_path / "brand" / "products.csv").write_text("product_id,category,brand\np1,tea,ours\n")

    said = _refused(shepherd("run", "--data", tmp_path / "brand", "--home", tmp_path / "home"), 3)

    assert "has the tables of no task" in said
    assert "coupon: sends, campaigns, offers, redemptions" in said
    assert "fraud: scans" in said


@pytest.mark.parametrize("name", ["run", "build"])
def test_bad_data_stop_a_journey_before_anything_is_written(shepherd, faulty, tmp_path, name):
    done = shepherd(name, "--data", faulty, "--home", tmp_path / "home", "--json")

    said = _refused(done, 3)
    assert done.stdout == ""
    assert "orders.amount_fen in orders.csv, row 2" in said
    assert "orders.ts in orders.csv, rows 1, 2, 3" in said
    assert not (tmp_path / "home").exists()


def test_tables_that_a_task_needs_are_named_at_once_and_nothing_is_built(shepherd, tmp_path):
    (tmp_path / "brand").mkdir()
    (tmp_path / "brand" / "members.csv").write_text("member_id,registered_at\nm1,2025-01-01T00:00:00Z\n")

    done = shepherd("train", "--data", tmp_path / "brand", "--home", tmp_path / "home", "--json")

    assert "missing sends, campaigns, offers, redemptions" in _refused(done, 3)
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []


def test_promoting_before_training_says_what_to_do_first(shepherd, tmp_path):
    said = _refused(shepherd("promote", "coupon", "--home", tmp_path / "home"), 3)

    assert "train and promote a model of the task 'coupon' first" in said
    assert not (tmp_path / "home").exists()


def test_a_file_of_the_working_folder_does_not_stand_in_for_ours(shepherd, faulty, tmp_path):
    for name in ("data", "features", "serving", "training", "shepherd"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(77)")

    assert shepherd("check", faulty, folder=tmp_path).returncode == 3


def test_two_processes_write_the_same_world_and_it_keeps_the_contracts(shepherd, tmp_path):
    asked = ("--members", 150, "--days", 14, "--seed", 5, "--arrive", "flash_bots=3", "--json")
    one = shepherd("simulate", "one", *asked, folder=tmp_path)
    two = shepherd("simulate", "two", *asked, folder=tmp_path)
    other = shepherd("simulate", "other", *asked[:5], 6, "--csv", "scans", "--csv", "offers", "--json", folder=tmp_path)

    said = [json.loads(done.stdout, parse_constant=pytest.fail) for done in (one, two, other)]
    assert [done.returncode for done in (one, two, other)] == [0, 0, 0], one.stderr + two.stderr + other.stderr
    assert one.stderr == ""
    assert said[0]["content_hash"] == said[1]["content_hash"] != said[2]["content_hash"]
    for folder in ("one", "other"):
        checked = shepherd("check", folder, folder=tmp_path)
        assert checked.returncode == 0, checked.stdout
    again = shepherd("simulate", "one", *asked[:-1], folder=tmp_path)
    assert "nothing was done" in again.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other", "two"]


def test_a_world_that_cannot_be_is_refused_with_every_reason(shepherd, tmp_path):
    done = shepherd("simulate", "world", "--members", 3, "--days", 9, "--leave-out", "bots", folder=tmp_path)

    said = _refused(done, 2)
    assert all(f"--{option}: found" in said for option in ("members", "days", "leave-out"))
    assert "FAMILY=DAY" in _refused(shepherd("simulate", "world", "--arrive", "bots", folder=tmp_path), 2)
    assert list(tmp_path.iterdir()) == []
