"""The service developer's way through docs/service.md, its very lines in a shell, on a small world's model."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = (Path(__file__).parents[3] / "docs" / "service.md").read_text(encoding="utf-8")
SERVE, *BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
READY_WITHIN_SECONDS = 60


@pytest.fixture(scope="module")
def shell(bundles: Path, world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Runs lines beside a service, in the folder that `shepherd run` would have filled."""
    folder = tmp_path_factory.mktemp("walk")
    shutil.copytree(bundles, folder / "var" / "bundles")
    shutil.copytree(world, folder / "var" / "world")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHEPHERD_")}
    environment = kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "NO_PROXY": "*"}

    def run(block: str) -> str:
        done = subprocess.run(  # noqa: S603 - the page's own lines
            ["bash", "-e", "-c", block.replace(":8000", f":{port}")],  # noqa: S607 - likewise
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    with subprocess.Popen(  # noqa: S603 - the page's own line
        ["bash", "-c", SERVE.replace("shepherd serve", f"exec shepherd serve --port {port}")],  # noqa: S607 - likewise
        cwd=folder,
        env=environment | {"SHEPHERD_DEADLINE_MS": "5000"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            until = time.monotonic() + READY_WITHIN_SECONDS
            while not _answers(port):
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
            yield run
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


def test_the_page_runs_as_shown(shell: Callable[[str], str]) -> None:
    first, again, events, decision, forget, metrics, load, snapshot = (shell(block) for block in BLOCKS)

    assert '"recorded":true' in first
    assert '"reasons":[{' in first
    assert again.split("\n")[:2] == ["same bytes", "409"]
    assert events == '{"recorded":1,"repeated":0}'
    assert '"features":{' in decision
    assert ": equal" in decision
    assert "Decisions: 1 equal." in decision
    assert "Forgotten: " in forget
    assert "Decisions: 1 forgotten." in forget
    assert forget.endswith("410\n")
    assert "shepherd_decisions_total" in metrics
    assert '"champion":"v1"' in load
    assert "snapshot" in snapshot
