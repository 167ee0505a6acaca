"""The one place where the service is put together: settings in, application out.

Start it with `shepherd serve`, or `uvicorn --factory serving.app:create_app` with the variables of `serving.settings`.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import numpy as np
import uvicorn
from fastapi import FastAPI

from data.errors import DataError, ShepherdError
from features.audience.library import Library
from serving.access.gate import require_keys
from serving.allocation.policy import read_prices
from serving.api import (
    Desk,
    NotReady,
    UnknownTask,
    not_ready,
    router,
    rows_refused,
    unknown_member,
    unknown_task,
)
from serving.audiences import AudienceMissing, AudienceRefused, audience_missing, audience_refused, audiences
from serving.bundle import Pointer, read, resolve
from serving.coupon_batch import coupon_batches
from serving.edge import install
from serving.front import stand_before
from serving.live.bodies import BodyRefused
from serving.live.hot import HotPath
from serving.live.routes import NoScans, events_refused, live_routes, no_scans
from serving.live.row_route import RowRoute, row_routes
from serving.live.service import LiveService
from serving.live.stranded import Stranded
from serving.offer_decisions import Decider, policy_of
from serving.offer_desk import OfferDesk
from serving.offers import UnknownMember, open_book
from serving.recommender import Recommender
from serving.rows import RowsRefused
from serving.scorer import Scorer
from serving.settings import Settings, read_settings
from serving.site_api import NoSites, no_sites, site_routes
from serving.sites import SiteScorer
from serving.stream.service import StreamService
from serving.telemetry.json_logs import write_json_logs
from serving.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from serving.live.answer import Degraded
    from serving.live.stranded import Scans

GRACE_SECONDS: Final = 10
"""So long a service that is told to stop goes on answering what was asked before."""

_logger = logging.getLogger("serving")


def create_app(settings: Settings | None = None) -> FastAPI:
    """Put the service together; models and rows are loaded when the server starts it, not before.

    Args:
        settings: Where things lie; read from the environment if not given.

    Raises:
        UsageError: The environment says what cannot be served.
    """
    chosen = settings or read_settings()
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.desk = open_desk(chosen)
        app.state.live, app.state.stranded = open_live(chosen, metrics)
        yield
        live, app.state.live = app.state.live, None
        if live is not None:
            await live.close()

    app = FastAPI(
        title="Shepherd",
        summary="Which coupon, if any, goes to this member: an action, what it is worth, and why.",
        version="1",
        lifespan=lifespan,
    )
    app.state.desk = Desk({}, None, "the service is starting")
    app.state.live = app.state.stranded = None
    app.state.scans_obstacle = lambda: _scans_obstacle(app, chosen)
    app.state.audiences = Library(chosen.audiences)
    app.include_router(live_routes)
    app.include_router(site_routes)
    app.include_router(coupon_batches)  # before the batch of any task, which would take its path
    app.include_router(router)
    app.include_router(row_routes)
    app.include_router(audiences)
    app.add_middleware(RowRoute, desk=lambda: app.state.desk)  # behind the limit of bodies
    install(app)
    app.add_middleware(HotPath, desk=lambda: _scan_desk(app), refused=metrics.refused)
    app.add_exception_handler(BodyRefused, events_refused)
    app.add_exception_handler(NoScans, no_scans)
    app.add_exception_handler(UnknownMember, unknown_member)
    app.add_exception_handler(UnknownTask, unknown_task)
    app.add_exception_handler(RowsRefused, rows_refused)
    app.add_exception_handler(NotReady, not_ready)
    app.add_exception_handler(NoSites, no_sites)
    app.add_exception_handler(AudienceMissing, audience_missing)
    app.add_exception_handler(AudienceRefused, audience_refused)
    stand_before(app, metrics, chosen.keys, chosen.spans_to)  # last: what is added later stands before it
    return app


def serve(home: Path, host: str, port: int, pointer: Pointer | None = None) -> None:
    """Answer over HTTP until told to stop, from what `shepherd run` left in a folder.

    Args:
        home: The folder; places that the environment names go before it.
        host: Address to listen on.
        port: Port to listen on.
        pointer: Which model of each task answers; what the environment says, else the champion, if not given.

    Raises:
        DataError: There is no model to serve, or it cannot be loaded; said at once, instead of never being ready.
        UsageError: The environment says what cannot be served.
    """
    settings = read_settings(home, pointer)
    require_keys(host, settings.keys)
    load(settings)
    write_json_logs()
    # Paths hold member ids, which have no place in an access log.
    uvicorn.run(
        create_app(settings),
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def open_desk(settings: Settings) -> Desk:
    """Load what the routes need; what cannot be loaded is logged and named by `/readyz`."""
    try:
        return load(settings)
    except ShepherdError as error:
        _logger.error("not ready: %s", error)  # noqa: TRY400 - the message says all; the traceback would say less
        return Desk({}, None, str(error))


def open_live(settings: Settings, metrics: Metrics | None = None) -> tuple[LiveService | None, Stranded | None]:
    """Open the service of scans, or what answers by policy where log or state cannot be opened, which is logged.

    Neither where no model of scans is served. Needs a running event loop.
    """
    if not (settings.bundles / settings.scan_task / settings.pointer).is_file():
        return None, None
    try:
        return (StreamService if settings.state else LiveService).open(settings, metrics), None
    except ShepherdError as error:
        _logger.error("scans are not judged: %s", error)  # noqa: TRY400 - the message says all
        why: Degraded = "state" if isinstance(error, DataError) else "log"
    try:
        return None, Stranded(read(resolve(settings.bundles, settings.scan_task, settings.pointer)).manifest, why)
    except DataError:
        return None, None


def _scans_obstacle(app: FastAPI, settings: Settings) -> str:
    """Why scans are not judged though they should be; empty where they are, or need not be."""
    live: LiveService | None = app.state.live
    if live is not None:
        return live.obstacle
    wanted = (settings.bundles / settings.scan_task / settings.pointer).is_file()
    return "scans are not judged: the log of the service says why" if wanted else ""


def _scan_desk(app: FastAPI) -> Scans | None:
    live: LiveService | None = app.state.live
    stranded: Stranded | None = app.state.stranded
    return stranded if live is None else live.desk


def load(settings: Settings) -> Desk:
    """Load every task's model and the rows of the offers; score one row each, so that no caller waits for first times.

    Raises:
        DataError: No task has a model, or pointer, bundle or tables are not as they should be.
    """
    bundles = {task: read(resolve(settings.bundles, task, settings.pointer)) for task in _served(settings)}
    scorers = {task: Scorer(bundle) for task, bundle in bundles.items() if bundle.manifest.site is None}
    sites = next((SiteScorer(bundle).warmed() for bundle in bundles.values() if bundle.manifest.site is not None), None)
    if not bundles:
        raise DataError(
            f"Bundles {settings.bundles}: found no task with a {settings.pointer}, expected at least one; train and "
            "promote a model first (`shepherd run` does both)."
        )
    for scorer in scorers.values():
        scorer.contributions(np.full((1, len(scorer.manifest.features)), np.nan, dtype=np.float32))
    if settings.task not in scorers:
        obstacle = f"no {settings.pointer} of the task {settings.task!r}, which ranks offers"
        return Desk(scorers, None, obstacle, settings.lottery_key(), sites)
    return Desk(scorers, _recommender(settings, scorers[settings.task]), key=settings.lottery_key(), sites=sites)


def _recommender(settings: Settings, ranking: Scorer) -> Recommender | OfferDesk:
    """Decides where the model says what offers change, ranks by chance where not."""
    if ranking.manifest.effects is None:
        return Recommender(ranking, open_book(settings.offers, ranking.manifest.feature_names, settings.campaigns))
    policy = policy_of(ranking.manifest.effects)
    if settings.prices is not None:
        policy = policy.priced(read_prices(settings.prices))
    bundle = read(resolve(settings.bundles, settings.task, settings.pointer))
    return OfferDesk(Decider.of(bundle, settings.offers, settings.campaigns, policy))


def _served(settings: Settings) -> list[str]:
    """The tasks that have the pointer which answers."""
    return sorted(path.parent.name for path in settings.bundles.glob(f"*/{settings.pointer}"))
