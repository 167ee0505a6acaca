"""The real journey, walked once for every test that reads what it left."""

from __future__ import annotations

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What reads the journey runs on one worker, so that it is walked once (`-n 2 --dist loadgroup`)."""
    for item in items:
        if "journey" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.journey)
            item.add_marker(pytest.mark.xdist_group("journey"))


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
    home = tmp_path_factory.mktemp("journey") / "var"
    done = shepherd("run", "--json", "--trials", 2, "--home", home, folder=home.parent)
    assert done.returncode == 0, done.stderr
    return Journey(home, done.stdout, json.loads(done.stdout))
