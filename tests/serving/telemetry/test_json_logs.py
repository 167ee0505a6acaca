from __future__ import annotations

import io
import json
import logging
import threading
import time
from typing import TYPE_CHECKING

import pytest

from serving.telemetry import json_logs
from serving.telemetry.json_logs import FIELDS, JsonHandler, RequestLine, write_json_logs

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the loggers write, until the test is over."""
    loggers = [logging.getLogger(name) for name in ("serving", "uvicorn.error")]
    before = [(one, one.handlers, one.level, one.propagate) for one in loggers]
    stream = io.StringIO()
    write_json_logs(stream)
    yield stream
    for one, handlers, level, propagate in before:
        one.handlers, one.propagate = handlers, propagate
        one.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_object(written: io.StringIO) -> None:
    logging.getLogger("serving.requests").info("request", extra={FIELDS: {"status": 200, "decision_id": None}})
    logging.getLogger("serving").warning("two\nlines of %s", "text")

    first, second = lines(written)

    assert set(first) == {"time", "level", "logger", "message", "status"}
    assert (first["level"], first["logger"], first["status"]) == ("info", "serving.requests", 200)
    assert second["message"] == "two\nlines of text"
    assert str(first["time"]).endswith("+00:00")


def test_an_error_tells_where_and_not_what(written: io.StringIO) -> None:
    try:
        int("the phone number 13800000000")
    except ValueError:
        logging.getLogger("serving").exception("POST /v1/scans/score failed")

    (line,) = lines(written)

    assert line["error"] == "ValueError"
    assert "test_json_logs.py" in line["raised"][-1]
    assert "13800000000" not in written.getvalue()


def test_lines_of_requests_are_gathered_and_say_what_a_record_says(written: io.StringIO) -> None:
    handler = JsonHandler(written)
    line = RequestLine("POST", "/v1/scans/score", 200, 0.25, "d1")
    handler.request(line)
    assert not written.getvalue()

    handler.flush()
    logging.getLogger("serving.requests").info(
        "request",
        extra={
            FIELDS: {"method": "POST", "route": "/v1/scans/score", "status": 200, "seconds": 0.25, "decision_id": "d1"}
        },
    )

    gathered, record = lines(written)
    assert list(gathered) == list(record)
    assert {**gathered, "time": ""} == {**record, "time": ""}
    assert len(str(gathered["time"])) == len(str(record["time"])) == len("2026-01-01T00:00:00.000+00:00")


def test_what_was_gathered_comes_before_what_is_logged_after_it(written: io.StringIO) -> None:
    handler = write_json_logs(written)
    handler.request(RequestLine("GET", "/livez", 200, 0.1))

    logging.getLogger("serving").warning("later")

    assert [line["message"] for line in lines(written)] == ["request", "later"]


def test_lines_are_written_within_moments_and_none_is_lost(written: io.StringIO) -> None:
    handler = JsonHandler(written)

    def ask(first: int) -> None:
        for number in range(first, first + 500):
            handler.request(RequestLine("GET", "/livez", number, 0.1))

    threads = [threading.Thread(target=ask, args=(first,)) for first in (0, 500, 1_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until = time.monotonic() + 5
    while len(lines(written)) < 1_500 and time.monotonic() < until:
        time.sleep(0.02)

    assert sorted(line["status"] for line in lines(written)) == list(range(1_500))


def test_no_more_is_gathered_than_fits(written: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_logs, "_MOST_GATHERED", 3)
    monkeypatch.setattr(json_logs, "GATHER_SECONDS", 60.0)
    handler = JsonHandler(written)

    for _ in range(4):
        handler.request(RequestLine("GET", "/livez", 200, 0.1))

    assert len(lines(written)) == 3


def test_a_stream_that_is_gone_harms_nobody(written: io.StringIO) -> None:
    handler = JsonHandler(written)
    handler.request(RequestLine("GET", "/livez", 200, 0.1))
    written.close()

    handler.flush()
