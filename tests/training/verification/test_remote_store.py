"""The same with a tracking server that keeps the artefacts and hands them out itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data.sources import open_folder
from data.steps import Steps
from training.verification.verdict import verify
from training.walk import train

READY_WITHIN_SECONDS = 180


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server with a database and a place for artefacts of its own, and that place."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [
        str(Path(sys.executable).with_name("mlflow")),
        *("server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'server.db'}"),
        *("--artifacts-destination", str(folder / "kept"), "--serve-artifacts"),
    ]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "NO_PROXY": "127.0.0.1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            words, cwd=folder, env=kept | quiet, stdout=log, stderr=log, start_new_session=True
        )
        address = f"http://127.0.0.1:{port}"
        _wait_until_ready(process, address, folder / "log")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", address)
            patch.setenv("NO_PROXY", "127.0.0.1")
            yield folder / "kept"
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def _wait_until_ready(process, address, log):
    ends = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):  # noqa: S310 - our own address
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.3)
    pytest.fail(f"no server in {READY_WITHIN_SECONDS} s:\n{log.read_text()}")


def test_a_run_of_a_remote_store_is_derived_again_and_what_was_altered_there_is_found(
    server, renewal, written_contracts, tmp_path
):
    brand, home = written_contracts(tmp_path / "brand"), tmp_path / "home"
    trained = train(renewal, open_folder(brand), now=datetime.now(UTC), home=home, trials=1)
    run_id = trained.tracked.run_id

    assert verify(run_id, home=home, task_file=renewal.file, steps=Steps()).differences == ()
    assert not (home / "mlflow.db").exists()
    (page,) = server.rglob("report.html")
    page.write_text(page.read_text().replace("<", "< ", 1))
    (one,) = verify(run_id, home=tmp_path / "elsewhere", task_file=renewal.file, steps=Steps()).differences
    assert one.artefact == "report.html"
