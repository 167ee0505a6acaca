"""Logs for machines: one JSON object a line. No line holds an id of a member, a path, a body or a key.

Lines of requests are gathered and written some at a time, at most a tenth of a second later: a line by itself costs
more than a score. What else is logged is written at once, after the lines that were gathered before it.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
import traceback
from collections import deque
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELDS: Final = "shepherd"
"""The attribute of a record that holds what stands in the line besides the message."""
GATHER_SECONDS: Final = 0.1
REQUESTS: Final = "serving.requests"
"""The logger of requests."""
_MOST_GATHERED: Final = 10_000
_encode = msgspec.json.Encoder().encode


class RequestLine(msgspec.Struct, omit_defaults=True, frozen=True):
    """What is told of one request.

    Attributes:
        method: Of HTTP.
        route: The pattern of its route: a path itself may name members.
        status: What it was answered.
        seconds: How long it took.
        decision_id: The decision that was answered; None where there is none.
        key: The name of its key; None likewise.
    """

    method: str
    route: str
    status: int
    seconds: float
    decision_id: str | None = None
    key: str | None = None


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object: time, level, logger, message, and the fields that came along.

    Of an error only its kind and where it was raised are told: what it says may repeat what a caller sent.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line, without its end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields: Mapping[str, object] | None = getattr(record, FIELDS, None)
        if fields:
            line |= {name: value for name, value in fields.items() if value is not None}
        if record.exc_info and record.exc_info[0] is not None:
            line |= {"error": record.exc_info[0].__name__, "raised": _raised(record)}
        return _encode(line).decode()


class JsonHandler(logging.StreamHandler[IO[str]]):
    """Writes records at once, and lines of requests when some have gathered.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self.setFormatter(JsonLines())
        self._gathered: deque[bytes] = deque()
        self._some = threading.Event()
        self._thread: threading.Thread | None = None
        self._second, self._prefix = -1, b""

    def request(self, line: RequestLine) -> None:
        """Gather the line of a request; it is written within a tenth of a second, or at `flush`."""
        self._gathered.append(self._begun() + _encode(line)[1:])
        if not self._some.is_set():
            self._some.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_now_and_then, name="log lines", daemon=True)
                self._thread.start()
        if len(self._gathered) >= _MOST_GATHERED:  # whoever asks waits for the stream then, as for any other line
            self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, after what came before it."""
        self._write_gathered()
        super().emit(record)

    def flush(self) -> None:
        """Write all that was gathered."""
        self._write_gathered()
        with contextlib.suppress(OSError, ValueError):  # a log that cannot be written ends no service
            super().flush()

    def _begun(self) -> bytes:
        """How a line begins: what is the same for all within a second is made once."""
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._prefix = datetime.fromtimestamp(second, UTC).strftime('{"time":"%Y-%m-%dT%H:%M:%S.').encode()
        return self._prefix + _BEGUN % int(1_000 * (now - second))

    def _write_now_and_then(self) -> None:
        while True:
            self._some.wait()
            time.sleep(GATHER_SECONDS)
            self._some.clear()
            self.flush()

    def _write_gathered(self) -> None:
        with self.lock or contextlib.nullcontext():
            lines = []
            with contextlib.suppress(IndexError):  # by one thread at a time, while another may add
                while True:
                    lines.append(self._gathered.popleft())
            if lines:
                with contextlib.suppress(OSError, ValueError):
                    self.stream.write(b"\n".join([*lines, b""]).decode())


def write_json_logs(stream: IO[str] | None = None, level: int = logging.INFO) -> JsonHandler:
    """Let the loggers `serving` and `uvicorn.error` write JSON lines.

    Args:
        stream: Where to; standard error if not given.
        level: The least level that is written.

    Returns:
        The handler: for lines of requests, and for tests to take off again.
    """
    handler = JsonHandler(stream or sys.stderr)
    for name in ("serving", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
    return handler


def _raised(record: logging.LogRecord) -> list[str]:
    """Where an error came from, the innermost last: files and lines of code, no values."""
    trace = record.exc_info[2] if record.exc_info else None
    return [f"{one.filename.rpartition('/')[2]}:{one.lineno} {one.name}" for one in traceback.extract_tb(trace)][-8:]


_BEGUN: Final = b'%%03d+00:00","level":"info","logger":"%s","message":"request",' % REQUESTS.encode()
