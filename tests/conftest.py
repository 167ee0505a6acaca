"""The real journey, walked once for every test that reads what it left."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

STORES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
"""Would lead a run away from its own folder."""


@dataclass(frozen=True)
class Journey:
    """What `shepherd run --json` said, and the folder it wrote; tests read it and change nothing in it."""

    home: Path
    said: str
    result: dict[str, Any]

    @property
    def coupon(self) -> dict[str, Any]:
        return self.result["tasks"]["coupon"]


def pytest_collection_modifyitems(items):
    """What reads the journey is marked `journey`: `-m "not journey"` leaves it out."""
    for item in items:
        if "journey" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.journey)


@pytest.fixture(scope="session")
def shepherd():
    """The command as a process of its own: how a user runs it, from a folder that is not ours."""

    def run(*words, folder=None, **environment):
        return subprocess.run(  # noqa: S603 - our own command
            [str(Path(sys.executable).with_name("shepherd")), *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name not in STORES} | environment,
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def journey(tmp_path_factory, shepherd):
    """Walked by the first worker that asks; the others wait and read what it left."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "journey"
    folder.mkdir(exist_ok=True)
    home, said = folder / "brand" / "var", folder / "said.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            home.parent.mkdir(exist_ok=True)
            done = shepherd("run", "--json", "--trials", 2, "--home", home, folder=home.parent)
            assert done.returncode == 0, done.stderr
            said.write_text(done.stdout)
    return Journey(home, said.read_text(), json.loads(said.read_text()))
