"""What a service that does nothing takes is measured by one that does nothing, and answers all the same."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.floor import COMMITS_PER_SECOND, Commits, _whole
from benchmarks.load import Load
from benchmarks.model_servers import running

REQUEST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"


def test_a_request_is_whole_once_its_body_has_come() -> None:
    assert [_whole(REQUEST[:size]) for size in (0, 20, len(REQUEST) - 1)] == [0, 0, 0]
    assert _whole(REQUEST + REQUEST[:9]) == len(REQUEST)
    assert _whole(b"GET /readyz HTTP/1.1\r\n\r\n") == len(b"GET /readyz HTTP/1.1\r\n\r\n")


def test_the_server_of_nothing_answers_at_a_rate(tmp_path: Path) -> None:
    bodies = tmp_path / "bodies"
    bodies.write_bytes(b"{}")
    command = [sys.executable, "-m", "benchmarks.floor", "answer", "--port", "{port}"]
    with running(command, tmp_path, {"PYTHONPATH": str(Path(__file__).parents[2])}, "/readyz") as server:
        load = Load(server.port, "/x", str(bodies), 4, seconds=0.5, warm=0.1, rate=200.0)
        found = load.measured()

    assert found["errors"] == 0
    assert 90 <= found["sent"] <= 110


def test_commits_keep_their_pace_and_leave_nothing(tmp_path: Path) -> None:
    found = Commits(tmp_path, rate=2_000, seconds=0.2, entry_bytes=100, sync=True).milliseconds()

    assert len(found) == int(0.2 * COMMITS_PER_SECOND)
    assert min(found) > 0
    assert list(tmp_path.iterdir()) == []
