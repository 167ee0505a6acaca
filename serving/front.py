"""What stands before an application: who watches every request, and the gate that lets it in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from serving.access.gate import Gate
from serving.access.key_file import KeyFile
from serving.access.page import describing_the_gate
from serving.telemetry.observer import Observer, Requests
from serving.telemetry.routes import telemetry
from serving.telemetry.spans import open_spans

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI

    from serving.telemetry.json_logs import JsonHandler
    from serving.telemetry.metrics import Metrics


class Front(NamedTuple):
    """The keys that the gate has, and where it is told what came of a request."""

    keys: KeyFile
    requests: Requests


def stand_before(
    app: FastAPI,
    metrics: Metrics,
    keys: Path | None = None,
    spans_to: str | None = None,
    lines: JsonHandler | None = None,
) -> Front:
    """Put the front before an application: call it last, since middleware that is added later stands before it.

    Args:
        app: The application, with the limit of bodies and its hot paths; `app.state.metrics` becomes `metrics`.
        metrics: What the application counts.
        keys: The file of keys; without one only the machine itself is answered.
        spans_to: Where OpenTelemetry spans go; None nowhere.
        lines: Writes the lines of requests; they go by way of the logger if not given.

    Returns:
        What a short way beside the application has in common with it.

    Raises:
        DataError: The file of keys is there and cannot be used.
    """
    app.state.metrics = metrics
    app.include_router(telemetry)
    app.openapi = describing_the_gate(app.openapi)  # type: ignore[method-assign]
    known, requests = KeyFile(keys), Requests(metrics, lines)
    app.add_middleware(Gate, keys=known, refused=metrics.refused)
    app.add_middleware(Observer, requests=requests, spans=open_spans(spans_to))
    return Front(known, requests)
