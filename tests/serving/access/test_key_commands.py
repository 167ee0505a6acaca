from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from data.errors import UsageError
from serving.access.keys import Grant, Keys
from shepherd import app

if TYPE_CHECKING:
    from pathlib import Path


def said(*words: object) -> str:
    done = CliRunner().invoke(app, ["keys", *map(str, words)], catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_key_is_shown_once_and_then_opens(tmp_path: Path) -> None:
    shown = said("add", "till-7", "--scope", "score", "--scope", "read", "--rate", "5", "--home", tmp_path)
    key = shown.splitlines()[0]

    listed = said("list", "--home", tmp_path)

    assert "cannot be shown again" in shown
    assert listed == "till-7: score, read; 5 a second, 5 at once\n"
    assert key not in listed
    assert Keys.read(tmp_path / "keys.json").allowed(f"Bearer {key}".encode(), "score") == Grant("till-7")
    assert said("remove", "till-7", "--home", tmp_path) == "till-7 is removed.\n"
    assert said("list", "--home", tmp_path) == "No keys: the service answers only this machine.\n"


def test_every_command_speaks_json(tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    made = json.loads(said("add", "crm", "--scope", "batch", "--burst", 7, "--file", file, "--json"))
    assert set(made) == {"name", "key"}

    assert json.loads(said("list", "--file", file, "--json")) == {
        "keys": [{"name": "crm", "scopes": ["batch"], "rate": 1000.0, "burst": 7, "until": None}]
    }
    assert json.loads(said("remove", "crm", "--file", file, "--json")) == {"removed": "crm"}


def test_a_key_may_end_by_itself(tmp_path: Path) -> None:
    said("add", "agency", "--scope", "batch", "--days", 90, "--home", tmp_path)

    (key,) = json.loads(said("list", "--home", tmp_path, "--json"))["keys"]
    left = datetime.fromisoformat(key["until"]) - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < left <= timedelta(days=90)
    assert ", until " in said("list", "--home", tmp_path)


def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\['fly'\]"):
        said("add", "crm", "--scope", "fly", "--home", tmp_path)
    assert not list(tmp_path.iterdir())
