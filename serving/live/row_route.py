"""`POST /v1/{task}/score`: one row in, its score out, in the event loop, past everything that a framework does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response

from serving.api import NotReady, Ready, UnknownTask, not_ready, rows_refused, unknown_task
from serving.contracts import LONGEST_ID, ErrorAnswer
from serving.live.hot import inlined
from serving.live.row_score import RowScore, RowScorer
from serving.rows import RowsRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from serving.api import Desk
    from serving.scorer import Scorer

row_routes: Final = APIRouter()
_JSON: Final = "application/json"
_START, _END = "/v1/", "/score"
_OTHERS: Final = frozenset({"scans", "sites"})
"""Questions of their own under paths of the same form."""
_ROW: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]},
}


class RowRoute:
    """Answers the scoring of single rows, and passes everything else on.

    It stands behind the limit of bodies (`serving.edge.BodyLimit`).

    Args:
        app: What else is answered.
        desk: The models that answer now; asked at every request, so that a swap is seen at once.
    """

    def __init__(self, app: ASGIApp, desk: Callable[[], Desk]) -> None:
        self._app, self._desk = app, desk
        self._ready: dict[str, tuple[Scorer, RowScorer]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one row, or pass on."""
        task = asked(scope)
        if task is None:
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            return
        try:
            answer = self._scorer(task).answer(body)
        except RowsRefused as refused:
            await (await rows_refused(Request(scope), refused))(scope, receive, send)
        except UnknownTask as unknown:
            await (await unknown_task(Request(scope), unknown))(scope, receive, send)
        except NotReady as waiting:
            await (await not_ready(Request(scope), waiting))(scope, receive, send)
        else:
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer})

    def _scorer(self, task: str) -> RowScorer:
        desk = self._desk()
        if not desk.scorers and desk.sites is None:
            raise NotReady(desk.obstacle)
        scorer = _of(task, desk.scorers)
        held = self._ready.get(task)
        if held is None or held[0] is not scorer:
            held = self._ready[task] = (scorer, RowScorer(scorer))
        return held[1]


def asked(scope: Scope) -> str | None:
    """The task whose row is to be scored; None where something else is asked."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    path: str = scope["path"]
    if not (path.endswith(_END) and path.startswith(_START)):
        return None
    task = path[len(_START) : -len(_END)]
    return None if "/" in task or not task or task in _OTHERS else task


@row_routes.post(
    "/v1/{task}/score",
    summary="One row of any task",
    response_class=Response,
    responses={
        200: {"content": {_JSON: {"schema": inlined(RowScore)}}, "description": "What the model says of the row."},
        **{status: {"model": ErrorAnswer} for status in (400, 404, 413, 422, 503)},
    },
    openapi_extra={"requestBody": {"required": True, "content": {_JSON: {"schema": _ROW}}}},
)
async def score(task: Annotated[str, Path(max_length=LONGEST_ID)], desk: Ready, request: Request) -> Response:
    """Score one row: every feature of the model by name, null where unknown, and what `/v1/models` says is also asked.

    No state is read or changed, nothing is logged and no lot is drawn: the answer is the model's alone. Features that
    a scan itself has are computed by `/v1/scans/score`.
    """
    return Response(RowScorer(_of(task, desk.scorers)).answer(await request.body()), media_type=_JSON)


def _of(task: str, scorers: Mapping[str, Scorer]) -> Scorer:
    if task not in scorers:
        raise UnknownTask
    return scorers[task]


async def _read(receive: Receive) -> bytes | None:
    """The body, measured before; None where its sender left."""
    parts = []
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)
