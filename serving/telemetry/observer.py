"""Watches every request from outside: one line in the log, one count in the metrics, one span where they are wanted."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

import msgspec

from serving.access.gate import KEY, NO_ROUTE, ROUTE
from serving.telemetry.json_logs import FIELDS, REQUESTS, RequestLine

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from serving.telemetry.json_logs import JsonHandler
    from serving.telemetry.metrics import Metrics
    from serving.telemetry.spans import Spans

DECISION: Final = "shepherd.decision_id"
"""Where a route leaves the id of its decision, in the request's scope, for the log."""
_SERVER_FAULT: Final = 500
_TOO_MANY: Final = 429
_CLOSED: Final = 499
"""The status of a request whose caller went away, as proxies write it."""

_logger = logging.getLogger(REQUESTS)


class Requests:
    """Where it is told what came of a request.

    Args:
        metrics: Where it is counted.
        lines: Where its line is written; by way of the logger `serving.requests`, which costs ten times as much, if not
            given.
    """

    def __init__(self, metrics: Metrics, lines: JsonHandler | None = None) -> None:
        self._metrics, self._lines = metrics, lines

    def tell(
        self,
        route: str,
        method: str,
        status: int,
        seconds: float,
        decision_id: str | None = None,
        key: str | None = None,
    ) -> None:
        """Count a request and write its line; none of what is refused for load, because lines would cost what is short.

        Args:
            route: The pattern of its route.
            method: Of HTTP, or `other`.
            status: What it was answered.
            seconds: How long it took.
            decision_id: The decision that was answered.
            key: The name of its key.
        """
        self._metrics.observe_request(route, method, status, seconds)
        if status == _TOO_MANY or not _logger.isEnabledFor(logging.INFO):
            return
        line = RequestLine(method, route, status, round(seconds, 6), decision_id, key)
        if self._lines is not None:
            self._lines.request(line)
        else:
            _logger.info("request", extra={FIELDS: msgspec.structs.asdict(line)})

    def flush(self) -> None:
        """Write the lines that were gathered."""
        if self._lines is not None:
            self._lines.flush()


class Observer:
    """Times a request, and says what came of it.

    Args:
        app: What is behind it; the gate, which says the route.
        requests: Where that is told.
        spans: Where it sends spans; None nowhere.
    """

    def __init__(self, app: ASGIApp, requests: Requests, spans: Spans | None = None) -> None:
        self._app, self._requests, self._spans = app, requests, spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and watch."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with nullcontext() if self._spans is None else self._spans.request(scope):
            try:
                await self._app(scope, receive, watched)
            except Exception:
                status = _SERVER_FAULT
                raise
            finally:
                self._tell(scope, status or _CLOSED, time.perf_counter() - started)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route, decision_id = scope.get(ROUTE, NO_ROUTE), scope.get(DECISION)
        if self._spans is not None:
            self._spans.answered(route, status, decision_id)
        self._requests.tell(route, _method(scope["method"]), status, seconds, decision_id, scope.get(KEY))


def _method(name: str) -> str:
    """A method that a caller made up is no label."""
    return name if name in {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"} else "other"
