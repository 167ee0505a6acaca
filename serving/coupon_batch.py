"""The route by which a marketing automation asks about many members at once, or about those of an audience."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from data.errors import UsageError
from features.audience.counted import counted_of
from features.audience.library import UnknownAudience
from serving.api import JSON_LINES, NotReady, Ready, batch
from serving.audiences import AudienceRefused, Shelf
from serving.contracts import ErrorAnswer, MembersQuestion, Problem

if TYPE_CHECKING:
    from features.audience.library import Library
    from serving.offer_desk import OfferDesk
    from serving.recommender import Recommender

TASK: Final = "coupon"
JSON: Final = "application/json"
coupon_batches: Final = APIRouter()
_EXAMPLES: Final[dict[str, Any]] = {
    "members": {"summary": "Some members", "value": {"members": ["1029", "7"], "at": "2017-12-10T12:00:00Z"}},
    "audience": {"summary": "A saved audience", "value": {"audience": "kiwi-rivals", "offset": 0, "count": 500}},
}


@coupon_batches.post(
    "/v1/coupon/batch",
    summary="Which offer each of many members gets",
    response_class=Response,
    responses={
        200: {
            "content": {JSON_LINES: {}},
            "description": "A line a member, in their order: what `/v1/members/{member_id}/offers` answers. Of rows of "
            "the task coupon, sent as JSON lines: what `/v1/{task}/batch` answers.",
        },
        **{status: {"model": ErrorAnswer} for status in (404, 409, 413, 422, 503)},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": MembersQuestion.model_json_schema(), "examples": _EXAMPLES},
                JSON_LINES: {"schema": {"type": "string"}},
            },
        }
    },
)
async def coupon_batch(desk: Ready, request: Request, library: Shelf) -> Response:
    """Decide for up to 1,000 members under the shared prices: those that are named, or a part of a saved audience.

    Send `application/json`. An audience is walked by `offset` until fewer lines come than were asked for. A member of
    whom nothing was built is answered with `no_offer` and the code `unknown_member`. What is sent as anything else is
    taken for rows of features of the task coupon, a JSON object a line.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        return await batch(TASK, desk, request)
    if desk.recommender is None:
        raise NotReady(desk.obstacle)
    question = _question(await request.body())
    return Response(await run_in_threadpool(_answered, desk.recommender, question, library), media_type=JSON_LINES)


def _question(body: bytes) -> MembersQuestion:
    try:
        return MembersQuestion.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from error


def _answered(recommender: Recommender | OfferDesk, question: MembersQuestion, library: Library) -> bytes:
    members = question.members or _of_audience(library, question)
    answers = recommender.answers(members, question.at or datetime.now(UTC), question.limit)
    return b"".join(answer.model_dump_json().encode() + b"\n" for answer in answers)


def _of_audience(library: Library, question: MembersQuestion) -> tuple[str, ...]:
    name = question.audience or ""
    try:
        found = counted_of(library, library.get(name))
    except (UnknownAudience, UsageError) as error:
        raise AudienceRefused(404, (_problem("a name under which nothing is saved"),)) from error
    if found is None:
        raise AudienceRefused(409, (_problem("an audience that was not counted as it stands"),))
    return found.members(question.offset, question.count)


def _problem(found: str) -> Problem:
    return Problem(
        where="body.audience",
        found=found,
        expected="an audience that /v1/audiences lists, counted since it was saved",
        fix="check the name, save it with PUT, or run `shepherd audience refresh`",
    )
