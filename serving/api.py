"""The routes: each reads a request, asks, and answers. Nothing is decided here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Path, Request

from serving.contracts import (
    LONGEST_ID,
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
from serving.recommender import Recommender

if TYPE_CHECKING:
    from fastapi.responses import JSONResponse

    from serving.bundle import Manifest

router: Final = APIRouter()
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
        recommender: Ranks offers; None until model and rows are loaded.
        obstacle: Why there is none, for the operator.
    """

    recommender: Recommender | None
    obstacle: str = ""


def _recommender(request: Request) -> Recommender:
    desk: Desk = request.app.state.desk
    if desk.recommender is None:
        raise NotReady(desk.obstacle)
    return desk.recommender


Ready = Annotated[Recommender, Depends(_recommender)]


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
    recommender: Ready,
    question: Annotated[OffersQuestion | None, Body(openapi_examples=_EXAMPLES)] = None,
) -> OffersAnswer:
    """Rank the campaigns that run for a known member by the chance that something is redeemed, with reasons.

    `no_offer` is set when nothing should be sent. The same question to the same model gives the same bytes.
    """
    asked = question or OffersQuestion()
    return recommender.answer(member_id, asked.at or datetime.now(UTC), asked.limit)


@router.get("/v1/models", summary="The models that answer now", responses={503: {"model": ErrorAnswer}})
async def models(recommender: Ready) -> ModelsAnswer:
    """Say which versions answer, what they were trained on and how they were proved."""
    return ModelsAnswer(models=(_loaded(recommender.scorer.manifest),))


@router.get("/livez", summary="Whether the process answers at all")
async def livez() -> StateAnswer:
    """Answer as long as the process lives; restart it when this fails."""
    return StateAnswer(status="alive")


@router.get("/readyz", summary="Whether questions are answered", responses={503: {"model": ErrorAnswer}})
async def readyz(_: Ready) -> StateAnswer:
    """Answer 200 when model and rows are loaded; send traffic only then."""
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


async def not_ready(request: Request, error: Exception) -> JSONResponse:
    """Answer 503 until model and rows are loaded; only the probe says why."""
    reason = str(error) if request.scope["path"] == "/readyz" else "no model or no rows loaded"
    problem = Problem(
        where="service", found=reason, expected="a model and the rows it scores", fix="ask /readyz, then try again"
    )
    return refusal(503, "The service is not ready.", [problem], {"retry-after": "5"})


def _loaded(manifest: Manifest) -> LoadedModel:
    derived = thresholds(manifest.payoff) if len(manifest.payoff.outcomes) == 2 else ()
    return LoadedModel(
        task=manifest.task,
        version=manifest.version,
        created=datetime.fromisoformat(manifest.created),
        feature_fingerprint=manifest.feature_fingerprint,
        features=manifest.feature_names,
        thresholds=tuple(ThresholdBody(action=each.action, low=each.low, high=each.high) for each in derived),
        metrics=manifest.metrics,
        parity=manifest.parity_as_dict(),
    )
