"""The route by which metrics are scraped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response

from serving.telemetry.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from serving.telemetry.metrics import Metrics

telemetry: Final = APIRouter()


@telemetry.get(
    "/metrics",
    summary="What the service counts, for Prometheus",
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE: {"schema": {"type": "string"}}}, "description": "Metrics as text."}},
)
async def metrics(request: Request) -> Response:
    """Decisions, latencies, refusals, queues, commits, state and drift, in the text format of Prometheus."""
    counted: Metrics = request.app.state.metrics
    return Response(counted.text(), media_type=CONTENT_TYPE)
