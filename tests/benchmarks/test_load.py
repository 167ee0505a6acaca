"""The load generator, held to a server whose behaviour is known."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.load import MARK, Heard, Load, percentiles
from benchmarks.model_servers import free_port, running
from benchmarks.serving import KEYS, PARTS, PEERS, laid_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Known:
    """A server that answers as it is told, and keeps what it was asked."""

    def __init__(self, answer: Callable[[int], tuple[int, float]]) -> None:
        self.bodies: list[bytes] = []
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                self.bodies.append(await reader.readexactly(length))
                status, pause = self._answer(len(self.bodies))
                await asyncio.sleep(pause)
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 4\r\n\r\ngood".encode())
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            writer.close()


@contextmanager
def serving(answer: Callable[[int], tuple[int, float]]) -> Iterator[tuple[int, Known]]:
    known, port, ready, stop = Known(answer), free_port(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        server = await asyncio.start_server(known.serve, "127.0.0.1", port)
        ready.set()
        await stop.wait()
        server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the next turn of the loop

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(10)
    try:
        yield port, known
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def bodies(folder: Path, *lines: bytes) -> str:
    path = folder / "bodies"
    path.write_bytes(b"\n".join(lines))
    return str(path)


def test_every_connection_asks_again_and_answers_are_counted_by_status(tmp_path: Path) -> None:
    with serving(lambda number: (429 if number % 4 == 0 else 200, 0.005)) as (port, known):
        found = Load(port, "/x", bodies(tmp_path, b"one " + MARK, b"two " + MARK), 4, seconds=0.6, warm=0.1).measured()

    assert found["statuses"].keys() == {"200", "429"}
    assert found["errors"] == found["statuses"]["429"]
    assert found["sent"] == sum(found["statuses"].values())
    assert found["good_ms"]["p50"] >= 5
    assert found["other_ms"]["p50"] >= 5
    assert found["hung"] == 0
    assert len(set(known.bodies)) == len(known.bodies) >= found["sent"]
    assert known.bodies[0].startswith((b"one 0", b"two 0"))


def test_at_a_fixed_rate_waiting_counts_from_when_it_was_due(tmp_path: Path) -> None:
    def stalls(number: int) -> tuple[int, float]:
        return 200, 0.3 if number == 20 else 0.0

    with serving(stalls) as (port, _):
        load = Load(port, "/x", bodies(tmp_path, b"{}"), 1, seconds=1.0, warm=0.0, rate=100.0, most=1)
        found = load.measured()

    assert 90 <= found["sent"] <= 110
    assert found["good_ms"]["p50"] < 100
    assert found["good_ms"]["p99"] > 150  # those behind the one that stalled had to wait as well


def test_what_is_never_answered_is_hung(tmp_path: Path) -> None:
    with serving(lambda number: (200, 60.0 if number > 5 else 0.0)) as (port, _):
        load = Load(port, "/x", bodies(tmp_path, b"{}"), 2, seconds=0.3, warm=0.0, patience=0.3)
        found = load.measured()

    assert found["hung"] == 2
    assert found["statuses"].get("200", 0) == found["sent"] - 2 <= 5


def test_an_answer_without_the_mark_is_not_good(tmp_path: Path) -> None:
    with serving(lambda _: (200, 0.0)) as (port, _):
        path = bodies(tmp_path, b"{}")
        rest: dict[str, Any] = {"seconds": 0.2, "warm": 0.0}
        good = Load(port, "/x", path, good="good", **rest).measured()
        other = Load(port, "/x", path, good="recorded", **rest).measured()

    assert good["good_per_second"] > 0 == good["errors"]
    assert other["good_per_second"] == 0
    assert other["errors"] == other["sent"] > 0


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="nothing was asked"):
        Load(free_port(), "/x", bodies(tmp_path, b"{}"), seconds=0.1, warm=0.0, patience=0.1).measured()


def test_only_what_was_due_in_the_span_counts() -> None:
    heard = Heard(b"")
    for due in (0.5, 1.0, 1.5, 2.0):
        heard.hear(due, due + 0.1, 200, b"")

    found = heard.as_dict(1.0, 2.0)

    assert found["sent"] == 2
    assert found["good_by_second"] == [2]
    assert found["good_ms"] == {"p50": 100.0, "p99": 100.0, "p99_9": 100.0}
    assert percentiles([]) is None


def test_good_answers_are_counted_by_the_second_in_which_they_came() -> None:
    heard = Heard(b"")
    for due, status in ((0.2, 200), (1.1, 200), (1.2, 429), (1.9, 200), (3.4, 200), (4.1, 200)):
        heard.hear(due, due + 0.2, status, b"")

    assert heard.as_dict(0.0, 4.0)["good_by_second"] == [1, 1, 1, 1]


def test_a_server_that_ends_is_said_with_its_last_words(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="broken"),
        running(["/bin/sh", "-c", "echo broken; exit 3"], tmp_path, {}, "/livez"),
    ):
        pass


def test_every_key_is_printed_whatever_was_measured() -> None:
    printed = laid_out(dict.fromkeys(PARTS))

    assert {key for keys in KEYS.values() for key in keys} <= printed.keys()
    assert printed["ratio"] == dict.fromkeys(PEERS)
    assert printed["half_load"]["p99_ms"] is None
    assert json.loads(json.dumps(printed)) == printed
