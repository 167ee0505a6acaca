"""The hot path: `POST /v1/scans/score` in front of the application, with as little as possible between socket and desk.

It refuses in the one shape of all refusals (`serving.edge`): another method, kind or length, what is too deep or no
scan, and what comes while too many wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from serving.contracts import Problem
from serving.edge import LARGEST_BODY, is_too_deep, no_such_method, refusal
from serving.live.answer import ScanAnswer
from serving.live.bodies import BodyRefused, ScanBody, read_scan
from serving.telemetry.observer import DECISION

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from serving.live.pending import Answered
    from serving.live.stranded import Scans

PATH: Final = "/v1/scans/score"
_JSON: Final = b"application/json"
_RETRY: Final = {"retry-after": "1"}


class HotPath:
    """Answers scans, and passes everything else on.

    Args:
        app: What is behind it.
        desk: Gives the desk where scans are judged; None while no model of scans is served, and they are passed on.
        refused: Told the reason of every refusal, such as `busy`; for metrics.
    """

    def __init__(
        self, app: ASGIApp, desk: Callable[[], Scans | None], refused: Callable[[str], None] | None = None
    ) -> None:
        self._app, self._desk, self._refused = app, desk, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a scan, or pass on."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        desk = self._desk()
        if desk is None:
            await self._app(scope, receive, send)
            return
        response = await self._answer(desk, scope, receive)
        if isinstance(response, bytes):
            await send({"type": "http.response.start", "status": 200, "headers": _headers(response)})
            await send({"type": "http.response.body", "body": response})
        elif response is not None:
            await response(scope, receive, send)

    async def _answer(self, desk: Scans, scope: Scope, receive: Receive) -> Response | bytes | None:
        """What is answered; None to nobody, who has left."""
        early = self._early(desk, scope)
        if early is not None:
            return early
        body = await _read(receive)
        if body is None:
            return None
        if len(body) > LARGEST_BODY:
            return self._refuse("size", _too_large())
        if is_too_deep(body):
            return self._refuse("depth", _too_deep())
        try:
            scan = read_scan(body)
        except BodyRefused as error:
            places = "1 place" if len(error.problems) == 1 else f"{len(error.problems)} places"
            what = f"The request breaks its contract in {places}."
            return self._refuse("contract", refusal(422, what, error.problems))
        answered: Answered = await desk.score(scan)
        scope[DECISION] = desk.decision_id(scan.scan_id)
        return answered.body if answered.status == 200 else self._refuse(answered.why, refused(answered.status))

    def _early(self, desk: Scans, scope: Scope) -> Response | None:
        """The refusal of what need not be read at all."""
        if scope["method"] != "POST":
            return no_such_method(("POST",))
        if desk.full:
            return self._refuse("busy", refused(429))
        kind, length = b"", 0
        for name, value in scope["headers"]:
            if name == b"content-type":
                kind = value.partition(b";")[0].strip().lower()
            elif name == b"content-length" and value.isdigit():
                length = int(value[:20])
        if kind != _JSON:
            return self._refuse("type", _other_kind())
        return self._refuse("size", _too_large()) if length > LARGEST_BODY else None

    def _refuse(self, reason: str, response: Response) -> Response:
        if self._refused is not None:
            self._refused(reason)
        return response


def refused(status: int) -> Response:
    """The refusal of a scan that could be read."""
    what, where, found, expected, fix = _WHY[status]
    problem = Problem(where=where, found=found, expected=expected, fix=fix)
    return refusal(status, what, [problem], _RETRY if status in {429, 503} else None)


def request_schema() -> dict[str, Any]:
    """The schema of a scan, for the OpenAPI page."""
    return inlined(ScanBody)


def answer_schema() -> dict[str, Any]:
    """The schema of its answer."""
    return inlined(ScanAnswer)


def inlined(kind: type) -> dict[str, Any]:
    """The JSON schema of a type without references."""
    (schema,), known = msgspec.json.schema_components((kind,), ref_template="{name}")
    found: dict[str, Any] = _without_references(schema, known)
    return found


def _without_references(schema: Any, known: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(schema, list):
        return [_without_references(one, known) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _without_references(known[schema["$ref"]], known)
    # FastAPI leaves nulls out of its page, so that a default of null is none there.
    return {name: _without_references(value, known) for name, value in schema.items() if value is not None}


async def _read(receive: Receive) -> bytes | None:
    """The body, no further than it is too large; None where its sender left."""
    parts: list[bytes] = []
    read = 0
    while read <= LARGEST_BODY:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        read += len(parts[-1])
        if not message.get("more_body", False):
            break
    return b"".join(parts)


def _headers(body: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", _JSON), (b"content-length", b"%d" % len(body))]


def _other_kind() -> Response:
    problem = Problem(
        where="header.content-type",
        found="another kind of body",
        expected="application/json",
        fix="send the scan as JSON and say so",
    )
    return refusal(415, "The body is of another kind.", [problem])


def _too_large() -> Response:
    problem = Problem(
        where="body",
        found=f"more than {LARGEST_BODY:,} bytes",
        expected=f"at most {LARGEST_BODY:,} bytes",
        fix="send less in one request",
    )
    return refusal(413, "The body is too large.", [problem], {"connection": "close"})


def _too_deep() -> Response:
    problem = Problem(
        where="body",
        found="objects and lists deep within each other",
        expected="a body that the OpenAPI page describes",
        fix="send it flat",
    )
    return refusal(400, "The body is too deep.", [problem])


_WHY: Final = {
    409: (
        "This scan was sent before with another content.",
        "body.scan_id",
        "an id that came before, with another content or as a bare event",
        "the same content, or a new id",
        "send what was sent first to get its answer again",
    ),
    410: (
        "This scan is of a member who was forgotten.",
        "body.scan_id",
        "an id whose content was destroyed",
        "the id of a scan that is known or new",
        "leave it",
    ),
    422: (
        "The request breaks its contract in 1 place.",
        "body",
        "numbers that cannot be added up",
        "amounts and counts of usual size",
        "mend the numbers",
    ),
    429: (
        "Too many scans wait.",
        "service",
        "a full queue",
        "fewer scans at once",
        "send it again after the seconds that Retry-After names",
    ),
    503: (
        "The service cannot take this now.",
        "service",
        "a log or a state that is not there",
        "a service that is ready",
        "ask /readyz, then send it again",
    ),
}
