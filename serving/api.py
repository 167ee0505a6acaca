"""The routes: each reads a request, asks, and answers. Nothing is decided here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from serving.access.gate import from_here
from serving.arrow_rows import ARROW, answer_batch
from serving.contracts import (
    LONGEST_ID,
    DecisionAnswer,
    ErrorAnswer,
    LoadedModel,
    ModelsAnswer,
    OffersAnswer,
    OffersQuestion,
    Problem,
    StateAnswer,
    ThresholdBody,
)
from serving.decisions import thresholds
from serving.edge import refusal
from serving.holdout import Lottery
from serving.kept import keep
from serving.offer_desk import OfferDesk
from serving.recommender import Recommender
from serving.rows import Columns, RowsRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi.responses import JSONResponse

    from serving.manifest import Manifest
    from serving.payoff import Payoff
    from serving.scorer import Scorer
    from serving.sites import SiteScorer

router: Final = APIRouter()
JSON_LINES: Final = "application/x-ndjson"
_STREAM: Final = {"schema": {"type": "string", "format": "binary"}}
_EXAMPLES: Final[dict[str, Any]] = {
    "then": {"summary": "As of a moment", "value": {"at": "2017-12-10T12:00:00Z", "limit": 3}},
    "now": {"summary": "As of now", "value": {}},
}


class NotReady(Exception):
    """The service has no model or no rows yet; the message says why."""


@dataclass(frozen=True)
class Desk:
    """What the routes work with.

    Attributes:
        scorers: The model of each task; none until they are loaded.
        recommender: Decides which offer a member gets, or ranks offers by chance where no effects were learned; None
            where their task has no model or nothing is loaded yet.
        obstacle: Why something is missing, for the operator.
        key: The secret of the lot that lets some decisions through; None where no lot is drawn.
        sites: Forecasts sites; None where no such model is served.
    """

    scorers: Mapping[str, Scorer]
    recommender: Recommender | OfferDesk | None
    obstacle: str = ""
    key: bytes | None = field(default=None, repr=False)
    sites: SiteScorer | None = None

    def lottery(self, task: str) -> Lottery | None:
        """The lot of a task that is served; None where nothing is drawn."""
        return Lottery.of(self.scorers[task].manifest.holdout, self.key)


class UnknownTask(Exception):
    """A task that has no model here."""


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.tasks.desk
    if not desk.scorers and desk.sites is None:
        raise NotReady(desk.obstacle)
    return desk


Ready = Annotated[Desk, Depends(_desk)]


def _recommender(desk: Ready) -> Recommender | OfferDesk:
    if desk.recommender is None:
        raise NotReady(desk.obstacle)
    return desk.recommender


Asked = Annotated[Recommender | OfferDesk, Depends(_recommender)]


@router.post(
    "/v1/members/{member_id}/offers",
    summary="The offers of one member, best first",
    responses={status: {"model": ErrorAnswer} for status in (404, 413, 422, 503)},
)
async def offers(
    member_id: Annotated[
        str,
        Path(
            min_length=1,
            max_length=LONGEST_ID,
            description="A member that the features were built for.",
            openapi_examples={"household": {"summary": "A household of Complete Journey", "value": "1029"}},
        ),
    ],
    recommender: Asked,
    request: Request,
    question: Annotated[OffersQuestion | None, Body(openapi_examples=_EXAMPLES)] = None,
) -> OffersAnswer | DecisionAnswer:
    """Decide which offer of the running campaigns a known member gets, at most one, and say why not the others.

    It is the one that can be counted on to earn most beyond what would be bought anyway, within rules and at the price
    of the budget.
    Where no effects were learned (a model of redemption alone), the offers are ranked by the chance that something is
    redeemed. `no_offer` is set when nothing should be sent. The same question to the same model gives the same bytes.
    """
    asked = question or OffersQuestion()
    answer = recommender.answer(member_id, asked.at or datetime.now(UTC), asked.limit)
    told = {"member_id": member_id, "at": answer.at.isoformat(), "limit": asked.limit}

    def given() -> bytes:
        pairs = [(one.offer_id, one.campaign_id) for one in answer.offers]
        return recommender.book.given(member_id, answer.at, pairs).astype("<f4").tobytes()

    await keep(request, answer, told, member_id, given)
    return answer


@router.post(
    "/v1/{task}/batch",
    summary="Many rows of any task",
    response_class=Response,
    responses={
        200: {
            "content": {JSON_LINES: {}, ARROW: _STREAM},
            "description": "In the order of the rows a RowAnswer each, or a PlaceAnswer of a task that orders lists: a "
            "line each, or a row of an Arrow stream where `Accept` names that.",
        },
        **{status: {"model": ErrorAnswer} for status in (404, 413, 422, 503)},
    },
    openapi_extra={
        "requestBody": {"required": True, "content": {JSON_LINES: {"schema": {"type": "string"}}, ARROW: _STREAM}}
    },
)
async def batch(task: Annotated[str, Path(max_length=LONGEST_ID)], desk: Ready, request: Request) -> Response:
    """Score up to 1,000 rows, each a JSON object a line with every feature of the model by name, null where unknown.

    Or an Arrow stream, not compressed and up to 1 MiB: a column a feature, of integers or floats, best float32.
    Where the pay-off hangs on what is at stake, or its cap on a group, a line says these too: see `/v1/models`. Where
    a lot lets some decisions through, a line also says what its decision is called, and its answer what was drawn.
    Where the task puts lists in order, a line names its list, and its answer is a place and no probability.
    """
    if task not in desk.scorers:
        raise UnknownTask
    columns = kind_of(request.headers.get("content-type", "")) == ARROW
    accepted = {kind_of(one) for one in request.headers.get("accept", "").split(",")}
    answers = await run_in_threadpool(
        answer_batch,
        desk.scorers[task],
        await request.body(),
        desk.lottery(task),
        from_arrow=columns,
        to_arrow=ARROW in accepted,
    )
    return Response(answers, media_type=ARROW if ARROW in accepted else JSON_LINES)


def kind_of(said: str) -> str:
    """A kind of body without its parameters."""
    return said.partition(";")[0].strip().lower()


@router.get("/v1/models", summary="The models that answer now", responses={503: {"model": ErrorAnswer}})
async def models(desk: Ready) -> ModelsAnswer:
    """Say which versions answer, what they were trained on and how they were proved."""
    loaded = [_loaded(one.manifest, desk.lottery(task)) for task, one in desk.scorers.items()]
    return ModelsAnswer(models=(*loaded, *([] if desk.sites is None else [_loaded(desk.sites.manifest)])))


@router.get("/livez", summary="Whether the process answers at all")
async def livez() -> StateAnswer:
    """Answer as long as the process lives; restart it when this fails."""
    return StateAnswer(status="alive")


@router.get("/readyz", summary="Whether questions are answered", responses={503: {"model": ErrorAnswer}})
async def readyz(_: Ready, request: Request) -> StateAnswer:
    """Answer 200 when models, rows, and where scans are judged state and log are there; send traffic only then."""
    obstacle = request.app.state.scans_obstacle()
    if obstacle:
        raise NotReady(obstacle)
    return StateAnswer(status="ready")


async def unknown_member(_: Request, _error: Exception) -> JSONResponse:
    """Answer 404 for a member of whom nothing was built."""
    problem = Problem(
        where="path.member_id",
        found="an id without rows in the last build",
        expected="a member that the features were built for",
        fix="check the id, or build features from data that hold this member",
    )
    return refusal(404, "This member is not known.", [problem])


async def unknown_task(_: Request, _error: Exception) -> JSONResponse:
    """Answer 404 for a task without a model."""
    problem = Problem(
        where="path.task",
        found="a task without a model here",
        expected="a task that /v1/models lists",
        fix="check the name, or train and promote a model of it",
    )
    return refusal(404, "This task is not served.", [problem])


async def rows_refused(_: Request, error: Exception) -> JSONResponse:
    """Answer 422 for lines that cannot be scored."""
    problems = error.problems if isinstance(error, RowsRefused) else ()
    return refusal(422, "The rows break their contract.", problems)


async def not_ready(request: Request, error: Exception) -> JSONResponse:
    """Answer 503 until model and rows are loaded; only the probe says why, and only to the machine itself."""
    told = request.scope["path"] == "/readyz" and from_here(request.scope)  # why names folders
    reason = str(error) if told else "no model or no rows loaded"
    problem = Problem(
        where="service", found=reason, expected="a model and the rows it scores", fix="ask /readyz, then try again"
    )
    return refusal(503, "The service is not ready.", [problem], {"retry-after": "5"})


def _loaded(manifest: Manifest, lottery: Lottery | None = None) -> LoadedModel:
    return LoadedModel(
        task=manifest.task,
        version=manifest.version,
        created=datetime.fromisoformat(manifest.created),
        feature_fingerprint=manifest.feature_fingerprint,
        features=manifest.feature_names,
        also_asked=Columns.of(manifest, lottery).besides,
        thresholds=() if manifest.lists or manifest.site else _thresholds(manifest.payoff, manifest.prices.default),
        metrics=manifest.metrics,
        parity=manifest.parity_as_dict(),
    )


def _thresholds(payoff: Payoff, price: float) -> tuple[ThresholdBody, ...]:
    """Where each action begins and ends, at each stake that the pay-off wants shown and the cap's default price."""
    if len(payoff.outcomes) != 2:
        return ()
    return tuple(
        ThresholdBody(action=each.action, low=each.low, high=each.high, stake_fen=stake if payoff.stake else None)
        for stake in (payoff.stakes_shown if payoff.stake else (0.0,))
        for each in thresholds(payoff, stake, price)
    )
