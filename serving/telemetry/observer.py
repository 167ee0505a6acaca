"""Watches every request from outside: one line in the log, one count in the metrics, one span where they are wanted."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from serving.access.gate import KEY, NO_ROUTE, ROUTE
from serving.telemetry.json_logs import FIELDS

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from serving.telemetry.metrics import Metrics
    from serving.telemetry.spans import Spans

DECISION: Final = "shepherd.decision_id"
"""Where a route leaves the id of its decision, in the request's scope, for the log."""
_SERVER_FAULT: Final = 500
_TOO_MANY: Final = 429
_CLOSED: Final = 499
"""The status of a request whose caller went away, as proxies write it."""

_logger = logging.getLogger("serving.requests")


class Observer:
    """Times a request, and says what came of it.

    Args:
        app: What is behind it; the gate, which says the route.
        metrics: Where it counts.
        spans: Where it sends spans; None nowhere.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, spans: Spans | None = None) -> None:
        self._app, self._metrics, self._spans = app, metrics, spans

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
        route, method = scope.get(ROUTE, NO_ROUTE), _method(scope["method"])
        self._metrics.observe_request(route, method, status, seconds)
        if self._spans is not None:
            self._spans.answered(route, status, scope.get(DECISION))
        if status != _TOO_MANY and _logger.isEnabledFor(logging.INFO):  # counted above: lines would cost what is short
            fields = {
                "method": method,
                "route": route,
                "status": status,
                "seconds": round(seconds, 6),
                "decision_id": scope.get(DECISION),
                "key": scope.get(KEY),
            }
            _logger.info("request", extra={FIELDS: fields})


def _method(name: str) -> str:
    """A method that a caller made up is no label."""
    return name if name in {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"} else "other"
