"""The routes around scans that are not hot: events in, decisions again, models loaded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Request, Response

from data.errors import ShepherdError
from serving.api import UnknownTask
from serving.contracts import LONGEST_ID, ErrorAnswer, Problem
from serving.edge import refusal
from serving.live.bodies import BodyRefused, EventsBody, read_events
from serving.live.event_desk import EventsAnswer
from serving.live.hot import PATH, answer_schema, inlined, refused, request_schema
from serving.live.service import LiveService

if TYPE_CHECKING:
    from serving.task_models import TaskModels

live_routes: Final = APIRouter()
_JSON: Final = "application/json"
_SCAN: Final[dict[str, Any]] = {
    "scan_id": "S0FMQ4TGPW",
    "ts": "2025-03-03T04:03:26Z",
    "member_id": "N9NQAAGYXT",
    "device_id": "RFEKBXKJJD",
    "ip": "110.207.51.12",
    "code_id": "D1RC3RXF7D",
    "status": "valid",
    "prize_fen": 500,
}
_PAYOUT: Final = {
    "payout_id": "P1",
    "ts": "2025-03-15T19:37:49Z",
    "member_id": "N9NQAAGYXT",
    "account_id": "R0KTXP7JEW",
    "amount_fen": 500,
}


class NoScans(Exception):
    """No model of scans is served; the message says why, where one should be."""


def _live(request: Request) -> LiveService:
    live: LiveService | None = request.app.state.live
    if live is None:
        raise NoScans(request.app.state.scans_obstacle())
    return live


Live = Annotated[LiveService, Depends(_live)]


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorAnswer} for status in statuses}


@live_routes.post(
    PATH,
    summary="One scan judged as it comes",
    response_class=Response,
    responses={
        200: {
            "content": {_JSON: {"schema": answer_schema()}},
            "description": "What to do about the scan, and why; `degraded` says where it was not judged.",
        },
        **_refusals(400, 404, 405, 409, 410, 413, 415, 422, 429, 503),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                _JSON: {
                    "schema": request_schema(),
                    "examples": {"scan": {"summary": "A scan of a winning code", "value": _SCAN}},
                }
            },
        }
    },
)
async def score(_: Live) -> Response:
    """Judge a scan by all that was known before it, take it in, and answer once the log holds both.

    The same scan sent again gets the very same bytes and counts once; another content under its id is refused with 409.
    Past the deadline, or without a log, the passive action is answered with `degraded` and `recorded: false`: such a
    scan may be sent again, and is judged then.
    """
    return refused(503)  # scans pass by `serving.live.hot` in front; whoever comes here came before the start


@live_routes.post(
    "/v1/events",
    summary="Rows of other logs: who joined, what was scanned, judged, paid, bought, sent and used",
    response_class=Response,
    responses={
        200: {
            "content": {_JSON: {"schema": inlined(EventsAnswer)}},
            "description": "How many were taken in now, and how many had come before.",
        },
        **_refusals(400, 404, 409, 410, 413, 422, 429, 503),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                _JSON: {
                    "schema": inlined(EventsBody),
                    "examples": {"payout": {"summary": "A prize was paid", "value": {"payouts": [_PAYOUT]}}},
                }
            },
        }
    },
)
async def events(live: Live, request: Request) -> Response:
    """Take in rows, each once by its id, all of a request or none; they count from now on.

    Answered once the log holds them. The lines of one order come in one request.
    """
    answered, problems = await live.take(read_events(await request.body()))
    if answered.status == 200:
        return Response(answered.body, media_type=_JSON)
    if problems:
        return refusal(answered.status, "Some rows cannot be taken in, so none was.", problems)
    return refused(answered.status)


@live_routes.get(
    "/v1/decisions/{decision_id}",
    summary="A decision again, with what it rested on",
    response_class=Response,
    responses={
        200: {"content": {_JSON: {"schema": {"type": "object"}}}, "description": "The decision as it is kept."},
        **_refusals(404, 410, 422, 503),
    },
)
async def decision(
    live: Live, decision_id: Annotated[str, Path(min_length=1, max_length=LONGEST_ID, description="As answered.")]
) -> Response:
    """Give a decision that was recorded: what was asked, what was answered, and the features that it rested on."""
    status, body = await live.look_up(decision_id)
    if status == 200:
        return Response(body, media_type=_JSON)
    known = status == 410
    problem = Problem(
        where="path.decision_id",
        found="a decision of a member who was forgotten" if known else "an id of no decision that was recorded",
        expected="the decision_id of an answer",
        fix="leave it" if known else "check the id; what was answered as degraded was not recorded",
    )
    return refusal(status, "This decision was forgotten." if known else "This decision is not known.", [problem])


@live_routes.post(
    "/v1/models/{task}/load",
    summary="Take the models that the pointers name, now",
    response_class=Response,
    responses={
        200: {"content": {_JSON: {"schema": {"type": "object"}}}, "description": "Which versions answer now."},
        **_refusals(404, 409, 422),
    },
)
async def load(request: Request, task: Annotated[str, Path(max_length=LONGEST_ID)]) -> Response:
    """Look at the pointers at once; a version that is not as it should be is refused, and what served goes on."""
    live: LiveService | None = request.app.state.live
    tasks: TaskModels = request.app.state.tasks
    scans = None if live is None or live.models.task != task else live
    try:
        if scans is not None:
            await asyncio.to_thread(scans.models.load)
        await asyncio.to_thread(tasks.renew)
        is_refused = task in tasks.refused
    except ShepherdError:
        is_refused = True
    if is_refused:
        problem = Problem(
            where="path.task",
            found="a version that is not as it should be; the log of the service says why",
            expected="a bundle as export wrote it, of the features that the state keeps",
            fix="export it again, or let the pointer name another version",
        )
        return refusal(409, "The version was refused; what served goes on.", [problem])
    if scans is not None:
        return Response(scans.versions(), media_type=_JSON)
    version = tasks.version(task)
    if version is None:
        raise UnknownTask
    return Response(msgspec.json.encode({"champion": version, "challenger": None}), media_type=_JSON)


async def events_refused(_: Request, error: Exception) -> Response:
    """Answer 422 for a body that breaks its contract."""
    problems = error.problems if isinstance(error, BodyRefused) else ()
    places = "1 place" if len(problems) == 1 else f"{len(problems)} places"
    return refusal(422, f"The request breaks its contract in {places}.", problems)


async def no_scans(_: Request, error: Exception) -> Response:
    """Answer 404 where no model of scans is served, 503 where one should be."""
    if str(error):
        return refused(503)
    problem = Problem(
        where="path",
        found="no model of scans here",
        expected="a bundle that judges scans",
        fix="train and promote one: `shepherd run --task fraud`",
    )
    return refusal(404, "Scans are not judged here.", [problem])
