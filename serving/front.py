"""What stands before an application: who watches every request, and the gate that lets it in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.access.gate import Gate
from serving.access.key_file import KeyFile
from serving.access.page import describing_the_gate
from serving.telemetry.observer import Observer
from serving.telemetry.routes import telemetry
from serving.telemetry.spans import open_spans

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI

    from serving.telemetry.metrics import Metrics


def stand_before(app: FastAPI, metrics: Metrics, keys: Path | None = None, spans_to: str | None = None) -> None:
    """Put the front before an application: call it last, since middleware that is added later stands before it.

    Args:
        app: The application, with the limit of bodies and its hot paths; `app.state.metrics` becomes `metrics`.
        metrics: What the application counts.
        keys: The file of keys; without one only the machine itself is answered.
        spans_to: Where OpenTelemetry spans go; None nowhere.

    Raises:
        DataError: The file of keys is there and cannot be used.
    """
    app.state.metrics = metrics
    app.include_router(telemetry)
    app.openapi = describing_the_gate(app.openapi)  # type: ignore[method-assign]
    app.add_middleware(Gate, keys=KeyFile(keys), refused=metrics.refused)
    app.add_middleware(Observer, metrics=metrics, spans=open_spans(spans_to))
