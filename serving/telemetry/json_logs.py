"""Logs for machines: one JSON object a line. No line holds an id of a member, a path, a body or a key."""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELDS: Final = "shepherd"
"""The attribute of a record that holds what stands in the line besides the message."""
_encode = msgspec.json.Encoder().encode


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


def write_json_logs(stream: IO[str] | None = None, level: int = logging.INFO) -> logging.Handler:
    """Let the loggers `serving` and `uvicorn.error` write JSON lines.

    Args:
        stream: Where to; standard error if not given.
        level: The least level that is written.

    Returns:
        The handler, for tests to take off again.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
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
