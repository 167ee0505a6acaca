"""A tracking server that does not answer is told within seconds, before anything that takes long."""

from __future__ import annotations

import os
import socket
import time

import pytest

import shepherd
from data.errors import DependencyDown
from training.registry import promote
from training.tracking.probe import impatient
from training.tracking.stores import Store, client, require_answer

NAMED = "MLFLOW_TRACKING_URI"
SECONDS = 15


@pytest.fixture
def silent():
    """The address of a port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def refused():
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    "words",
    [
        ("promote", "renewal"),
        ("promote", "renewal", "--back"),
        ("retrain", "--task", "TASK", "--data", "BRAND"),
        ("train", "--task", "TASK", "--data", "BRAND"),
        ("run", "--task", "TASK", "--data", "BRAND"),
        ("verify", "0" * 32),
        ("monitor", "--task", "fraud"),
    ],
    ids=" ".join,
)
def test_every_command_that_asks_a_server_says_at_once_that_it_is_down(
    words, home, task_file, brand, refused, monkeypatch
):
    promote("renewal", home, "first")
    promote("renewal", home, "second")
    monkeypatch.setenv(NAMED, refused)
    given = {"TASK": str(task_file), "BRAND": str(brand)}
    began = time.monotonic()

    with pytest.raises(DependencyDown) as refusal:
        shepherd.app([*(given.get(word, word) for word in words), "--home", str(home)], standalone_mode=False)

    assert time.monotonic() - began < SECONDS
    assert refusal.value.exit_code == 5
    said = str(refusal.value)
    assert said.startswith(f"MLflow's store at {refused}: found that the connection was refused, expected")
    assert "HTTPConnectionPool" not in said
    assert NAMED in said


def test_a_server_that_never_says_a_word_is_waited_for_some_seconds_only(silent, monkeypatch):
    monkeypatch.setenv(NAMED, silent)
    began = time.monotonic()

    with pytest.raises(DependencyDown, match=r"found no answer in time \(5 s a try\)"):
        require_answer()

    assert time.monotonic() - began < SECONDS


def test_the_patience_that_somebody_set_rules(silent, monkeypatch):
    monkeypatch.setenv(NAMED, silent)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    began = time.monotonic()

    with pytest.raises(DependencyDown, match=r"found no answer in time \(1 s a try\)"):
        require_answer()

    assert 1 <= time.monotonic() - began < 4


def test_the_little_patience_ends_with_the_question(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)

    with impatient():
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "60"
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"

    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_a_database_at_which_nobody_listens_is_told_at_once_and_its_password_is_not(refused):
    where = Store(refused.replace("http://", "postgresql://shop:hush@"), None)

    with pytest.raises(DependencyDown, match="connection was refused") as refusal:
        client(where)

    assert "hush" not in str(refusal.value)
    assert refused.removeprefix("http://") in str(refusal.value)


def test_files_are_asked_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv(NAMED, f"sqlite:///{tmp_path / 'runs.db'}")

    require_answer()

    assert list(tmp_path.iterdir()) == []
