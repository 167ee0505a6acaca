"""The image's steps, taken one by one in folders: what they leave behind starts by itself and answers.

Where no container can be built, this is what an image would hold: the packages of the lock alone, the sources that are
copied and no others, the environment and the command. Users and volumes are the container's own, and are not made.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.model_servers import end, free_port
from tests.deploy.test_deploy_files import DOCKERFILE, ROOT
from tests.serving.live.conftest import bundles, encoded, scans, world

if TYPE_CHECKING:
    from serving.live.bodies import ScanBody

__all__ = ["bundles", "scans", "world"]
IMAGE = "serve"
_OF_THE_CONTAINER = ("groupadd", "useradd")
_LONGEST_START = 300.0
_PATIENCE = 900
_OF_THE_MODEL = {"attribution._add"}
"""Compiled when the first model is loaded; an image holds none."""


@dataclass
class Stage:
    """A stage of the image, in a folder that stands for its root.

    Attributes:
        root: That folder.
        place: The working directory within it.
        environment: What was set.
        entry: The entry point and the command.
        health: The command of the probe.
    """

    root: Path
    place: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    entry: dict[str, list[str]] = field(default_factory=dict)
    health: list[str] = field(default_factory=list)

    def within(self, path: str) -> Path:
        """Where a path of the image lies."""
        return self.root / (path if path.startswith("/") else f"{self.place}/{path}").lstrip("/")

    def said(self, words: str) -> str:
        """A word of the image, with its places for ours and its variables for what they are."""
        there = re.sub(r"(?<![\w.])/(opt/shepherd|srv/shepherd|var/lib/shepherd)", rf"{self.root}/\1", words)
        return re.sub(r"\$(\w+)", lambda name: self.environment.get(name[1]) or os.environ.get(name[1], ""), there)


def built(folder: Path, context: Path) -> Stage:
    """The stage that serves, and those it takes from."""
    stages: dict[str, Stage] = {}
    for words in re.split(r"(?m)^FROM ", DOCKERFILE)[1:]:
        head, *lines = [line for line in words.splitlines() if line and not line.startswith("#")]
        name = head.split()[-1]
        if not _is_needed(name):
            continue
        stage = stages[name] = Stage(folder / name)
        stage.root.mkdir()
        for line in lines:
            instruction, _, rest = line.partition(" ")
            _taken(stage, instruction, rest, stages, context)
    return stages[IMAGE]


def _is_needed(name: str) -> bool:
    last = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
    return name == IMAGE or f"--from={name} " in last


def _taken(stage: Stage, instruction: str, rest: str, stages: dict[str, Stage], context: Path) -> None:
    match instruction:
        case "ENV":
            stage.environment |= dict(word.split("=", 1) for word in shlex.split(stage.said(rest)))
        case "WORKDIR":
            stage.place = rest
            stage.within(rest).mkdir(parents=True, exist_ok=True)
        case "COPY":
            _copied(stage, shlex.split(rest), stages, context)
        case "RUN" if not rest.startswith(_OF_THE_CONTAINER):
            # A virtual environment of the interpreter at hand stands for that of the base image.
            command = re.sub(r"^python ", f"{shlex.quote(sys.executable)} ", stage.said(rest))
            environment = {**os.environ, **stage.environment}
            subprocess.run(  # noqa: S602 - a line of our own Dockerfile
                command, shell=True, check=True, cwd=stage.within("."), env=environment, timeout=_PATIENCE
            )
        case "RUN":
            stage.within("/var/lib/shepherd").mkdir(parents=True)
        case "ENTRYPOINT" | "CMD":
            stage.entry[instruction] = json.loads(rest)
        case "HEALTHCHECK":
            stage.health = json.loads(rest.partition(" CMD ")[2])
        case "USER" | "VOLUME" | "EXPOSE" | "STOPSIGNAL":
            pass
        case _:
            pytest.fail(f"the Dockerfile has a step that is not known here: {instruction} {rest}")


def _copied(stage: Stage, words: list[str], stages: dict[str, Stage], context: Path) -> None:
    *options, target = words
    sources = [word for word in options if not word.startswith("--")]
    origin = next((stages[word.partition("=")[2]] for word in options if word.startswith("--from=")), None)
    for source in sources:
        there = context / source if origin is None else origin.within(source)
        to = stage.within(target) / Path(source).name if target.endswith("/") else stage.within(target)
        to.parent.mkdir(parents=True, exist_ok=True)
        if there.is_dir() and origin is not None:
            to.symlink_to(there)  # a virtual environment works where it was made
        elif there.is_dir():
            shutil.copytree(there, to, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(there, to)


def test_every_folder_that_is_imported_is_copied() -> None:
    copied = re.findall(r"(?m)^COPY (\w+) \1$", DOCKERFILE[DOCKERFILE.rindex("FROM ") :])
    asked = "import sys, serving.app; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    ours = {path.parent.name for path in ROOT.glob("*/__init__.py")}

    assert ours & set(done.stdout.split()) <= set(copied)


@pytest.mark.faults
@pytest.mark.skipif("not os.environ.get('SHEPHERD_TEST_LONG')", reason="fetches all packages: run `make faults`")
def test_what_the_steps_leave_behind_serves(tmp_path: Path, bundles: Path, world: Path, scans: list[ScanBody]) -> None:
    image = built(tmp_path, ROOT)
    home = image.within("/var/lib/shepherd")
    kept = _kernels(home)
    assert kept
    shutil.copytree(bundles, home / "bundles")
    shutil.copytree(world, home / "world")
    plain = {name: os.environ[name] for name in ("LANG", "LC_ALL") if name in os.environ}
    environment = plain | image.environment | {"HOME": str(tmp_path), "SHEPHERD_DEADLINE_MS": "20000"}
    python = str(image.within("/opt/shepherd/bin/python"))
    entry = [python if word == "python" else word for word in image.entry["ENTRYPOINT"]]
    words = [image.said(word) for word in image.entry["CMD"]]

    def run(*more: str) -> str:
        done = subprocess.run(  # noqa: S603 - what the image starts
            [*entry, *more], cwd=image.within("."), env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    key = json.loads(run("keys", "add", "till-1", "--scope", "score", "--home", str(home), "--json"))["key"]
    port, log = free_port(), tmp_path / "said"
    with log.open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 - what the image starts
            [*entry, *words, "--port", str(port)], cwd=image.within("."), env=environment, stdout=said, stderr=said
        )
    try:
        until = time.monotonic() + _LONGEST_START
        probe = [word.replace("8000", str(port)) for word in image.health[1:]]
        while subprocess.run([entry[0], *probe], check=False, capture_output=True, env=environment).returncode:  # noqa: S603 - as above
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(1)
        said_to = {"Content-Type": "application/json"}
        with pytest.raises(urllib.error.HTTPError, match="401"):
            _asked(port, encoded(scans[0]), said_to)
        answer = _asked(port, encoded(scans[0]), said_to | {"Authorization": f"Bearer {key}"})
        assert (answer["degraded"], answer["recorded"]) == ("none", True)
        assert _kernels(home) - kept <= _OF_THE_MODEL
    finally:
        end(process)
    packages = subprocess.run(  # noqa: S603 - as above
        [entry[0], "-m", "pip", "list", "--format=json"], check=True, capture_output=True, env=environment
    )
    names = {one["name"].lower() for one in json.loads(packages.stdout)}
    assert names.isdisjoint({"pandas", "scikit-learn", "lightgbm", "mlflow", "pytest"})


def _kernels(home: Path) -> set[str]:
    return {path.name.partition("-")[0] for path in (home / "kernels").rglob("*.nbc")}


def _asked(port: int, body: bytes, headers: dict[str, str]) -> dict[str, object]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/scans/score", body, headers)
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 - this machine
        found: dict[str, object] = json.load(reply)
        return found
