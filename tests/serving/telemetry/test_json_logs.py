from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest

from serving.telemetry.json_logs import FIELDS, write_json_logs

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
