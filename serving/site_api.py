"""The route of sites: it reads candidates, asks, and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Request
from starlette.concurrency import run_in_threadpool

from serving.contracts import ErrorAnswer, Problem
from serving.edge import refusal
from serving.kept import keep
from serving.site_answers import answer
from serving.site_contracts import SitesAnswer, SitesQuestion  # noqa: TC001 - FastAPI reads them
from serving.sites import SiteScorer

if TYPE_CHECKING:
    from fastapi.responses import JSONResponse

site_routes: Final = APIRouter()
_EXAMPLES: Final[dict[str, Any]] = {
    "full": {
        "summary": "A shop with its rent and cost",
        "value": {
            "sites": [
                {
                    "site_id": "corner-1",
                    "lat": 30.6471,
                    "lon": 104.0812,
                    "format": "neighbourhood",
                    "area_m2": 280.0,
                    "rent_fen": 5_200_000,
                    "opening_cost_fen": 120_000_000,
                }
            ]
        },
    },
    "bare": {"summary": "A place alone", "value": {"sites": [{"site_id": "a", "lat": 30.6471, "lon": 104.0812}]}},
}


class NoSites(Exception):
    """No model of sites is served."""


def _scorer(request: Request) -> SiteScorer:
    scorer: SiteScorer | None = request.app.state.tasks.desk.sites
    if scorer is None:
        raise NoSites
    return scorer


Sites = Annotated[SiteScorer, Depends(_scorer)]


@site_routes.post(
    "/v1/sites/score",
    summary="What candidates for new stores will sell, and what they take from their neighbours",
    responses={status: {"model": ErrorAnswer} for status in (404, 413, 422, 503)},
)
async def score_sites(
    scorer: Sites, request: Request, question: Annotated[SitesQuestion, Body(openapi_examples=_EXAMPLES)]
) -> SitesAnswer:
    """Forecast a mature year of up to 100 candidates, each as if it alone opened.

    Revenue with 80 and 90 % intervals, five stores like it, reasons, what own stores lose to it, and its pay-back where
    rent and opening cost are told.

    `out_of_range` is set for places unlike any that was learned from. Sites do not know of each other: plans of several
    are another question.
    """
    found = await run_in_threadpool(answer, scorer, question)
    await keep(request, found, question.model_dump(mode="json"))
    return found


async def no_sites(_: Request, _error: Exception) -> JSONResponse:
    """Answer 404 where no model of sites is served."""
    problem = Problem(
        where="path",
        found="no model of sites here",
        expected="a bundle that forecasts sites",
        fix="train and promote one: `shepherd run --task site`",
    )
    return refusal(404, "Sites are not served.", [problem])
