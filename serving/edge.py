"""The edge of the HTTP surface: how large a body may be, and the one shape of every refusal.

A refusal lists every problem with what was found, what was expected and how to mend it, and never repeats a value that
was sent: logs and screens of callers are no place for it.
"""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serving.contracts import ErrorAnswer, ErrorDetail, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import FastAPI, Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY: Final = 64 * 1024
LARGEST_BATCH: Final = 8 * 1024 * 1024  # 1,000 rows of a few hundred features by name
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
    """Refuses a body that is too large with 413, by its counted length, before anyone parses it.

    A batch may be larger than one question.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, and pass the request on if it is small enough."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        largest = LARGEST_BATCH if scope["path"].endswith("/batch") else LARGEST_BODY
        body, complete = await self._read(receive, largest)
        if len(body) > largest:
            await self._too_large(largest)(scope, receive, send)
            return
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": not complete}]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, replay, send)

    @staticmethod
    async def _read(receive: Receive, largest: int) -> tuple[bytes, bool]:
        body = b""
        while len(body) <= largest:
            message = await receive()
            if message["type"] != "http.request":
                return body, False
            body += message.get("body", b"")
            if not message.get("more_body", False):
                return body, True
        return body, False

    @staticmethod
    def _too_large(largest: int) -> JSONResponse:
        problem = Problem(
            where="body",
            found=f"more than {largest:,} bytes",
            expected=f"at most {largest:,} bytes",
            fix="send less in one request",
        )
        return refusal(413, "The body is too large.", [problem], {"connection": "close"})


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    problems = [_problem(found) for found in error.errors()] if isinstance(error, RequestValidationError) else []
    places = "1 place" if len(problems) == 1 else f"{len(problems)} places"
    return refusal(422, f"The request breaks its contract in {places}.", problems)


async def _http(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    problem = Problem(
        where="request",
        found=HTTPStatus(status).phrase.lower(),
        expected="a request that the OpenAPI page describes",
        fix=_HTTP_FIXES.get(status, "see /docs"),
    )
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
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
