"""The edge of the HTTP surface: how large and deep a body may be, and the one shape of every refusal.

A refusal lists every problem with what was found, what was expected and how to mend it, and never repeats a value that
was sent: logs and screens of callers are no place for it.
"""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import numpy as np
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serving.contracts import ErrorAnswer, ErrorDetail, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastapi import FastAPI, Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY: Final = 64 * 1024
LARGEST_BATCH: Final = 1024 * 1024
# A thousand rows of the fraud task's 165 features, by name as JSON lines, were measured to be 5.3 MB; 1 MiB would hold
# 198 of them, and the contract says 1,000. The same rows as an Arrow stream are 0.7 MB, within the limit of a batch.
LARGEST_LINES: Final = 8 * 1024 * 1024
DEEPEST: Final = 32
"""Objects and lists within each other; no body of ours needs more than four."""
_JSON: Final = b"application/json"
_NOT_LINES: Final = (_JSON, b"application/vnd.apache.arrow.stream")
_TEXT: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SIMPLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_HTTP_FIXES: Final = {
    400: "send a body that can be read: JSON in UTF-8",
    404: "look up the routes under /docs",
    405: "use a method that the Allow header names",
}
_logger = logging.getLogger("serving")


def refusal(status: int, what: str, problems: Sequence[Problem], headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer that refuses, in the one shape that all of them have."""
    body = ErrorAnswer(error=ErrorDetail(what=what, problems=tuple(problems)))
    return JSONResponse(body.model_dump(mode="json"), status_code=status, headers=headers)


def install(app: FastAPI) -> None:
    """Give an application the body limit and the handlers of everything that can go wrong."""
    app.add_middleware(BodyLimit)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)


class BodyLimit:
    """Refuses a body that is too large with 413, one that is too deep with 400, before anyone parses it.

    The length is believed where it already says too much, and counted where it does not. A batch may be larger than
    one question, and larger still where it writes the name of every feature into every row.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, and pass the request on if it is small and shallow enough."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kind, said = _content(scope["headers"])
        batch = scope["path"].endswith("/batch")
        largest = LARGEST_BODY if not batch else LARGEST_BATCH if kind in _NOT_LINES else LARGEST_LINES
        if said > largest:
            await _too_large(largest)(scope, receive, send)
            return
        body, complete = await self._read(receive, largest)
        if len(body) > largest:
            await _too_large(largest)(scope, receive, send)
            return
        if (kind == _JSON or not batch) and is_too_deep(body):  # lines are read by a type that has no depth
            await _too_deep()(scope, receive, send)
            return
        if kind == _JSON and b"\0" in body:  # no JSON in UTF-8 holds one; what is read as UTF-16 was checked by nobody
            await _told(400)(scope, receive, send)
            return
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": not complete}]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, replay, send)

    @staticmethod
    async def _read(receive: Receive, largest: int) -> tuple[bytes, bool]:
        parts: list[bytes] = []
        read = 0
        while read <= largest:
            message = await receive()
            if message["type"] != "http.request":
                return b"".join(parts), False
            parts.append(message.get("body", b""))
            read += len(parts[-1])
            if not message.get("more_body", False):
                return b"".join(parts), True
        return b"".join(parts), False


def is_too_deep(body: bytes) -> bool:
    """Whether JSON holds more than `DEEPEST` objects and lists within each other.

    >>> is_too_deep(b"[" * 33), is_too_deep(b"[" * 32), is_too_deep(b"[]" * 33), is_too_deep(b'"' + b"[" * 33 + b'"')
    (True, False, False, False)
    """
    if body.count(b"[") + body.count(b"{") <= DEEPEST:  # nearly every body, and it costs nothing
        return False
    marks = np.frombuffer(_TEXT.sub(b"", body), np.uint8)
    opened = (marks == ord("[")) | (marks == ord("{"))
    closed = (marks == ord("]")) | (marks == ord("}"))
    depth = np.cumsum(opened.astype(np.int32) - closed.astype(np.int32))
    return bool(depth.size and depth.max() > DEEPEST)


def no_such_route() -> JSONResponse:
    """Answer 404 for a path that is no route."""
    return _told(404)


def no_such_method(methods: Iterable[str]) -> JSONResponse:
    """Answer 405 for a route that is asked another way."""
    return _told(405, {"allow": ", ".join(sorted(methods))})


def _content(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, int]:
    """The kind of a body without its parameters, and how long it is said to be; 0 where nothing is said."""
    kind, said = b"", 0
    for name, value in headers:
        if name == b"content-type":
            kind = value.partition(b";")[0].strip().lower()
        elif name == b"content-length" and value.isdigit():
            said = int(value[:20])
    return kind, said


def _too_large(largest: int) -> JSONResponse:
    problem = Problem(
        where="body",
        found=f"more than {largest:,} bytes",
        expected=f"at most {largest:,} bytes",
        fix="send less in one request",
    )
    return refusal(413, "The body is too large.", [problem], {"connection": "close"})


def _too_deep() -> JSONResponse:
    problem = Problem(
        where="body",
        found=f"more than {DEEPEST} objects and lists within each other",
        expected="a body that the OpenAPI page describes",
        fix="send it flat",
    )
    return refusal(400, "The body is too deep.", [problem])


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    problems = [_problem(found) for found in error.errors()] if isinstance(error, RequestValidationError) else []
    places = "1 place" if len(problems) == 1 else f"{len(problems)} places"
    return refusal(422, f"The request breaks its contract in {places}.", problems)


async def _http(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        return _told(500)
    return _told(error.status_code, dict(error.headers or {}))


def _told(status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    """A refusal of HTTP itself."""
    problem = Problem(
        where="request",
        found=HTTPStatus(status).phrase.lower(),
        expected="a request that the OpenAPI page describes",
        fix=_HTTP_FIXES.get(status, "see /docs"),
    )
    return refusal(status, f"{HTTPStatus(status).phrase}.", [problem], headers)


async def _fault(request: Request, error: Exception) -> JSONResponse:
    route = getattr(request.scope.get("route"), "path", "no route")  # the pattern: a path itself holds member ids
    _logger.error("%s %s failed", request.method, route, exc_info=error)
    problem = Problem(
        where="service",
        found="a fault of the service",
        expected="an answer",
        fix="try again; if it stays, tell the operator the time of the request",
    )
    return refusal(500, "The service failed.", [problem])


def _problem(error: dict[str, object]) -> Problem:
    location = error["loc"]
    kind, message = str(error["type"]), str(error["msg"])
    parts = [_shown(part) for part in location] if isinstance(location, tuple) else []
    if kind == "extra_forbidden":
        return Problem(
            where=".".join(parts), found="an unknown key", expected="only the keys under /docs", fix="leave it out"
        )
    if kind == "json_invalid":
        return Problem(where="body", found="text that is no JSON", expected="a JSON object", fix="mend its syntax")
    return Problem(
        where=".".join(parts),
        found=_kind(error.get("input")),
        expected=message.removeprefix("Value error, "),
        fix="send a value that fits, or leave an optional key out",
    )


def _shown(part: object) -> str:
    """A place in the request; a key that the caller made up is shown only if it is a plain name."""
    text = str(part)
    return text if _SIMPLE_NAME.fullmatch(text) or isinstance(part, int) else "(a key that is no plain name)"


def _kind(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str() | bytes():
            return f"text of {len(value)} characters"
        case list():
            return "a list"
        case _:
            return "an object"
