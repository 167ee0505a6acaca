from __future__ import annotations

import asyncio
import importlib.util
from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI

from serving.front import stand_before
from serving.telemetry.metrics import Metrics
from serving.telemetry.spans import Spans, open_spans

if TYPE_CHECKING:
    from fastapi.responses import Response

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_nobody_asked_for_spans() -> None:
    assert open_spans(None) is None
    assert open_spans("") is None


def test_without_the_extra_the_log_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    assert open_spans("http://collector:4318") is None
    assert "install shepherd[telemetry]" in caplog.text


def test_a_request_is_a_span_of_its_route_and_of_its_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    exporter = memory.InMemorySpanExporter()
    spans = open_spans("http://collector:4318", exporter)
    assert isinstance(spans, Spans)
    monkeypatch.setattr("serving.front.open_spans", lambda _: spans)
    app = FastAPI()
    stand_before(app, Metrics(), spans_to="http://collector:4318")

    async def ask() -> Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://s") as asking:
            return await asking.get("/v1/decisions/ann", headers={"traceparent": CALLER})

    asyncio.run(ask())
    spans.close()

    (span,) = exporter.get_finished_spans()
    assert span.name == "/v1/decisions/{decision_id}"
    assert span.attributes["http.response.status_code"] == 404
    assert f"{span.context.trace_id:032x}" == CALLER.split("-")[1]
    assert "ann" not in str(span.attributes)
