"""The newcomer's way through docs/coupons.md, its very lines in a shell, on a world as small as works."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "coupons.md").read_text(encoding="utf-8")
WALK, SERVE, ASK, BROUGHT, WORTH = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
SMALLER = {"--members 5000": "--members 2000", "--trials 2": "--trials 1"}
READY_WITHIN_SECONDS = 120


def _smaller(block, port=8000):
    for whole, part in SMALLER.items():
        block = block.replace(whole, part)
    return block.replace("shepherd serve", f"shepherd serve --port {port}").replace(":8000", f":{port}")


def _environment():
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHEPHERD_", "MLFLOW_"))}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "NO_PROXY": "*"}


def _shell(block, folder):
    done = subprocess.run(  # noqa: S603 - the page's own lines
        ["bash", "-e", "-c", block],  # noqa: S607 - likewise
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("newcomer")
    return folder, _shell(_smaller(WALK), folder)


@pytest.fixture(scope="module")
def port(walked):
    """Where the page's server listens, in the folder of the walk."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    with subprocess.Popen(  # noqa: S603 - the page's own line
        ["bash", "-c", _smaller(SERVE, free)],  # noqa: S607 - likewise
        cwd=walked[0],
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        _wait_until_ready(process, free)
        yield free
        os.killpg(process.pid, signal.SIGTERM)


def _wait_until_ready(process, port):
    ends = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"the server was not ready in {READY_WITHIN_SECONDS} s (exit code {process.poll()})")


def test_the_walk_ends_with_a_champion_and_its_decisions(walked):
    folder, said = walked

    assert (folder / "var" / "bundles" / "offers" / "champion").is_file(), said
    assert "champion: data contract" in said
    assert "decisions in var/may.csv; to answer the same live: SHEPHERD_OFFERS=var/may.rows.parquet" in said
    decisions = pa_csv.read_csv(folder / "var" / "may.csv")
    assert decisions.num_rows > 700
    assert 0 < decisions["action"].to_pylist().count("send") < decisions.num_rows
    assert sum(decisions["expected_cost_fen"].drop_null().to_pylist()) <= 20_000


def test_the_members_who_ask_get_what_was_decided(walked, port):
    folder, _ = walked
    one, sent, unknown = map(json.loads, _shell(_smaller(ASK, port), folder).replace("}{", "}\n{").splitlines())

    decided = {row["member_id"]: row for row in pa_csv.read_csv(folder / "var" / "may.csv").to_pylist()}
    mine = decided[one["member_id"]]
    assert one["no_offer"] is None
    assert sent == one
    assert [offer["offer_id"] for offer in one["offers"] if offer["action"] == "send"] == [mine["offer_id"]]
    assert unknown["no_offer"]["code"] == "unknown_member"


def test_what_it_brought_and_what_members_are_worth_follow(walked):
    folder, _ = walked
    shown = _shell(_smaller(BROUGHT), folder)
    valued = _shell(_smaller(WORTH), folder)

    assert json.loads(shown.splitlines()[-1])["violations"]["to_holdout"] == 0
    assert "Coupons from 2025-03-20 to 2025-06-01" in shown
    assert valued.count("purchases (BG/NBD, in days): r ") == 2
    assert pq.read_table(folder / "var" / "value.parquet").num_rows > 100
