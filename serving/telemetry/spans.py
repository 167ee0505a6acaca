"""Spans of requests for OpenTelemetry, where the extra is installed and the operator says where they go."""

from __future__ import annotations

import importlib.util
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer
    from starlette.types import Scope

_logger = logging.getLogger("serving")


class Spans:
    """Makes one span a request, named by the pattern of its route, never by its path.

    Args:
        provider: Where spans go.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("shepherd")

    @contextmanager
    def request(self, scope: Scope) -> Iterator[None]:
        """Span a request; its parent is the caller's, where the caller sent one."""
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - an extra, which is not everywhere
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        carried = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        parent = TraceContextTextMapPropagator().extract(carried)
        with self._tracer.start_as_current_span(
            "request", parent, SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ):
            yield

    def answered(self, route: str, status: int, decision_id: str | None) -> None:
        """Say on the span of this request what came of it."""
        from opentelemetry.trace import get_current_span  # noqa: PLC0415 - an extra, which is not everywhere

        span = get_current_span()
        span.update_name(route)
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        if decision_id is not None:
            span.set_attribute("shepherd.decision_id", decision_id)

    def close(self) -> None:
        """Send what has gathered."""
        self._provider.shutdown()


def open_spans(endpoint: str | None, exporter: SpanExporter | None = None) -> Spans | None:
    """Open what sends spans.

    Args:
        endpoint: The value of OTEL_EXPORTER_OTLP_ENDPOINT; None or empty sends none.
        exporter: What sends them; the one of OTLP over HTTP, which reads its own variables, if not given.

    Returns:
        None where nobody asked for spans; also, with a word in the log, where the extra is not installed.
    """
    if not endpoint:
        return None
    if importlib.util.find_spec("opentelemetry") is None or importlib.util.find_spec("opentelemetry.sdk") is None:
        _logger.warning(
            "no spans: OTEL_EXPORTER_OTLP_ENDPOINT is set, and the extra is not installed; install shepherd[telemetry]"
        )
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": "shepherd"}))
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
    return Spans(provider)
