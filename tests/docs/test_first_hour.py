"""The first hour of each of the three users, the very lines of the pages in one folder; `--durations 0` gives times."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = Path(__file__).parents[2] / "docs" / "first-hour"
BLOCKS = {
    name: re.findall(r"^```sh\n(.*?)^```", (PAGES / f"{name}.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for name in ("data-scientist", "service-developer", "reviewer")
}
SERVE, *ASKED = BLOCKS["service-developer"]
READY_WITHIN_SECONDS = 300
TOLD = {
    "data-scientist": (
        ("no findings in 17 tables",),
        ("campaigns.ends_at", "to mend", "exit code 3"),
        ("model ahead by", "analyst_rules", "run "),
        ("平均精确率", "可以上线", "mlflow"),
        ("without_mine", "Task mine: 1"),
        ("fraud 2", "mine 2", "'test/average_precision'"),
    ),
    "service-developer": (
        ('"decision_id":', '"reasons":[{', '"recorded":true', '"degraded":"none"'),
        ("same bytes\n409\n",),
        ('"action":"pay"', '"degraded":"state"', '"recorded":false', "503"),
        (": equal", "Decisions: 1 equal.", "chain of 1 entries holds"),
        ("shepherd_decisions_total", '"fraud"'),
    ),
    "reviewer": (
        ("可以上线", "report.html", "mlflow"),
        ("equal",),
        ("fraud has a new champion", "calibration: found"),
        ("stays a challenger: ", "analyst_rules: gain in average_precision: found -", "exit code 4"),
    ),
}
"""What each block has to say, in the order of its page; the service's first block serves while the others run."""


@dataclass
class Shell:
    """Runs lines in one folder, with ports of its own."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHEPHERD_", "MLFLOW_"))}
        return kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "NO_PROXY": "*",
            "COLUMNS": "200",
        }

    def line(self, block: str) -> str:
        for shown, own in self.ports.items():
            block = re.sub(rf"\b{shown}\b", str(own), block)
        return block

    def run(self, block: str) -> str:
        done = subprocess.run(  # noqa: S603 - the page's own lines
            ["bash", "-e", "-o", "pipefail", "-c", self.line(block)],  # noqa: S607 - likewise
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=1_200,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    @contextmanager
    def serving(self, line: str) -> Iterator[None]:
        with subprocess.Popen(  # noqa: S603 - the page's own line
            ["bash", "-c", f"exec {line.strip()} --port {self.ports['8000']}"],  # noqa: S607 - likewise
            cwd=self.folder,
            env=self.environment | {"SHEPHERD_DEADLINE_MS": "5000"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                until = time.monotonic() + READY_WITHIN_SECONDS
                while not _answers(self.ports["8000"]):
                    assert process.poll() is None
                    assert time.monotonic() < until
                    time.sleep(0.1)
                yield
            finally:
                process.send_signal(signal.SIGTERM)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """One folder for the three hours: each takes up what the one before left."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        ports = {"8000": one.getsockname()[1], "8001": two.getsockname()[1]}
    return Shell(tmp_path_factory.mktemp("hour"), ports)


@pytest.fixture(scope="module")
def served(shell: Shell) -> Iterator[Shell]:
    with shell.serving(SERVE):
        yield shell


def _says(shell: Shell, page: str, place: int, blocks: list[str]) -> None:
    said = shell.run(blocks[place])
    assert [words for words in TOLD[page][place] if words not in said] == [], said


@pytest.mark.parametrize("step", range(1, len(BLOCKS["data-scientist"]) + 1))
def test_hour_of_a_data_scientist(shell: Shell, step: int) -> None:
    _says(shell, "data-scientist", step - 1, BLOCKS["data-scientist"])


@pytest.mark.parametrize("step", range(2, len(ASKED) + 2))
def test_hour_of_a_service_developer(served: Shell, step: int) -> None:
    _says(served, "service-developer", step - 2, ASKED)


@pytest.mark.parametrize("step", range(1, len(BLOCKS["reviewer"]) + 1))
def test_hour_of_a_reviewer(shell: Shell, step: int) -> None:
    _says(shell, "reviewer", step - 1, BLOCKS["reviewer"])


def test_every_step_of_a_page_is_held_to_what_it_says() -> None:
    assert len(TOLD["data-scientist"]) == len(BLOCKS["data-scientist"])
    assert len(TOLD["service-developer"]) == len(ASKED)
    assert len(TOLD["reviewer"]) == len(BLOCKS["reviewer"])


@pytest.mark.parametrize("name", BLOCKS)
def test_every_step_says_its_time(name: str) -> None:
    steps = re.findall(r"^## \d\. .*$", (PAGES / f"{name}.md").read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert len(steps) == len(BLOCKS[name])
    assert [step for step in steps if not re.search(r"\((\d+ s|under a second)\)$", step)] == []
