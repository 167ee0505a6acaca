"""The commands: every one that the page shows runs as it stands, and each refuses with a message and a code."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer.main
from typer.testing import CliRunner

import shepherd as command_line
from data.errors import ShepherdError

PAGE = (Path(__file__).parents[3] / "docs" / "audiences.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(python)?\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
COMMANDS = typer.main.get_command(command_line.app).commands["audience"].commands


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each command of the page said; they run in one folder, in the order of the page."""
    folder = tmp_path_factory.mktemp("page")
    said = {}
    with pytest.MonkeyPatch.context() as here:
        here.chdir(folder)
        for language, block in BLOCKS:
            if language == "python":
                exec(compile(block, "docs/audiences.md", "exec"), {})  # noqa: S102 - our own page
                continue
            for line in block.splitlines():
                done = CliRunner().invoke(command_line.app, shlex.split(line)[1:])
                assert done.exception is None, (line, done.exception)
                said[line] = done.stdout
    return folder, said


def _said(told, *words):
    (text,) = [text for line, text in told[1].items() if all(word in line for word in words)]
    return text


def test_the_page_shows_every_command_and_each_has_help():
    shown = {
        line.split()[2]
        for language, block in BLOCKS
        if not language
        for line in block.splitlines()
        if "audience " in line
    }

    assert shown == set(COMMANDS)
    assert all(command.help for command in COMMANDS.values())
    assert [
        parameter.name for one in COMMANDS.values() for parameter in one.params if not getattr(parameter, "help", None)
    ] == []


def test_the_commands_of_the_page_say_what_it_promises(told):
    folder, _ = told
    assert re.search(
        r"^\d+ of [\d,]+ members \(\d+\.\d %\) as of 2025-05-01T00:00:00\+00:00$",
        _said(told, "audience size", "kiwifruit"),
        re.MULTILINE,
    )
    profile = _said(told, "audience profile")
    assert re.search(r"^region +audience % +everybody % +index$", profile, re.MULTILINE)
    assert "champions 核心客户" in profile
    assert "kiwifruit" in profile
    assert "kiwi-chengdu" in _said(told, "audience list")
    assert "June mailing" in _said(told, "audience show")
    assert len(_said(told, "audience preview").rstrip().splitlines()) == 3 + 1 + 5
    assert "lift on held-out seeds" in _said(told, "lookalike")
    assert sorted(path.name for path in (folder / "var" / "audiences").iterdir()) == [
        "alike.json",
        "alike.parquet",
        "kiwi-rivals.json",
        "kiwi-rivals.parquet",
        "lists",
    ]
    assert pq.read_table(folder / "var" / "audiences" / "alike.parquet").num_rows == 500
    assert len(list((folder / "var" / "audiences" / "lists").iterdir())) == 1
    assert (folder / "var" / "alike.parquet").exists()


def test_every_filter_that_the_page_shows_is_one():
    from features.audience.parser import parse  # noqa: PLC0415 - the tests of the commands need it once

    table = PAGE.partition("## The filter")[2].partition("\nJoin them")[0]
    shown = [
        text for row in re.findall(r"^\| (`.*?`) \| ", table, re.MULTILINE) for text in re.findall(r"`(.*?)`", row)
    ]

    assert len(shown) > 12
    for text in shown:
        assert parse(text)


def _run(*words):
    return CliRunner().invoke(command_line.app, ["audience", *map(str, words)])


def test_each_command_prints_one_json_object(told, monkeypatch):
    folder, _ = told
    monkeypatch.chdir(folder)
    data = ("--data", "var/brand", "--at", "2025-05-01T00:00:00+00:00", "--json")
    calls = [
        ("size", "everybody", *data),
        ("preview", "everybody", "--limit", 2, *data),
        ("profile", 'bought(category="milk")', *data),
        ("save", "again", "everybody", *data),
        ("list", "--json"),
        ("show", "again", "--json"),
        ("refresh", "again", *data),
        ("remove", "again", "--json"),
    ]

    said = {}
    for call in calls:
        done = _run(*call)
        assert done.exception is None, (call, done.exception)
        assert done.stdout.count("\n") == 1
        said[call[0]] = json.loads(done.stdout, parse_constant=pytest.fail)

    assert said["size"]["size"] == said["size"]["everybody"] > 1_000
    assert said["size"]["share"] == 1
    assert len(said["preview"]["members"]) == 2
    assert {"region", "channel", "segment", "demand"} < set(said["profile"]["profile"])
    assert said["save"]["audiences"][0]["counted"]["size"] == said["size"]["size"]
    assert said["refresh"] == said["save"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("size", "bougt()"), 2, "did you mean 'bought'?"),
        (("size", "everybody", "--at", "June"), 2, "--at: found 'June', expected a date"),
        (("save", "A b", "everybody"), 2, "name of an audience: found 'A b'"),
        (("save", "a", 'audience("b")'), 2, "an audience that is not saved"),
        (("save", "a"), 2, "either a FILTER, or a list"),
        (("save", "a", "everybody", "--top", "3"), 2, "either a FILTER, or a list"),
        (("save", "a", "everybody", "--members", "x.txt"), 2, "either a FILTER, or a list"),
        (("save", "a", "--members", "none.txt"), 2, "found no such file"),
        (("show", "a"), 2, "found none of that name"),
        (("remove", "a"), 2, "found none of that name"),
        (("refresh", "a"), 2, "found none of that name"),
        (("lookalike", "--seeds", "none.txt", "--out", "x.csv"), 2, "found no such file"),
        (("lookalike", "--seeds", "none.txt", "--out", "x.xls"), 2, "expected .parquet or .csv"),
    ],
)
def test_wrong_usage_is_said_and_leaves_nothing(told, tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    reads = words[0] in {"size", "refresh", "lookalike"}
    done = _run(*words, *(("--data", told[0] / "var" / "brand") if reads else ()))

    assert isinstance(done.exception, ShepherdError)
    assert done.exception.exit_code == code
    assert message in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_too_few_seeds_and_missing_tables_are_bad_data(told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seeds.txt").write_text("nobody\n")
    (tmp_path / "brand").mkdir()
    (tmp_path / "brand" / "products.csv").write_text("product_id,category,brand\np1,tea,ours\n")

    few = _run("lookalike", "--seeds", "seeds.txt", "--out", "x.csv", "--data", told[0] / "var" / "brand")
    none = _run("size", "everybody", "--data", "brand")

    assert [few.exception.exit_code, none.exception.exit_code] == [3, 3]
    assert "expected at least 50" in str(few.exception)
    assert "found no table members" in str(none.exception)
    assert not (tmp_path / "x.csv").exists()


def test_a_damaged_audience_is_named_after_the_others_were_listed(tmp_path, shepherd):
    for name in ("good", "bad"):
        assert shepherd("audience", "save", name, "everybody", folder=tmp_path).returncode == 0
    (tmp_path / "var" / "audiences" / "bad.json").write_text("{")

    done, plain = (shepherd("audience", "list", *words, folder=tmp_path) for words in (("--json",), ()))

    assert done.returncode == plain.returncode == 3
    said = json.loads(done.stdout)
    assert [one["name"] for one in said["audiences"]] == ["good"]
    assert list(said["damaged"]) == ["bad"]
    assert plain.stdout.startswith("good ")
    assert "save bad again, or drop it with `shepherd audience remove bad`" in plain.stderr
    assert shepherd("audience", "remove", "bad", folder=tmp_path).returncode == 0
    assert shepherd("audience", "list", folder=tmp_path).returncode == 0


def test_old_data_are_pointed_out(told, monkeypatch):
    monkeypatch.chdir(told[0])

    assert "the newest purchase is of 2025-05-01" in _run("size", "bought(within=30d)", "--data", "var/brand").stdout
