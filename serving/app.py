"""The one place where the service is put together: settings in, application out.

Start it with `shepherd serve`, with the variables of `serving.settings`: it also bounds what a connection may do.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import uvicorn
from fastapi import FastAPI

from data.errors import DataError, ShepherdError
from features.audience.library import Library
from serving.access.gate import require_keys
from serving.access.protocol import bounded
from serving.api import (
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
from serving.live.shortcut import Entrance, with_shortcut
from serving.live.stranded import Stranded
from serving.live.ways import Ways
from serving.offers import UnknownMember
from serving.rows import RowsRefused
from serving.settings import Settings, read_settings
from serving.site_api import NoSites, no_sites, site_routes
from serving.stream.service import StreamService
from serving.task_models import TaskModels, load
from serving.telemetry.json_logs import write_json_logs
from serving.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from serving.live.answer import Degraded
    from serving.live.stranded import Scans
    from serving.scorer import Scorer
    from serving.telemetry.json_logs import JsonHandler

GRACE_SECONDS: Final = 10
"""So long a service that is told to stop goes on answering what was asked before."""
_TURN_SECONDS: Final = 0.001
_GARBAGE: Final = (5_000, 20, 50)
"""When the collector of garbage looks: an answer makes hardly any that needs it."""

_logger = logging.getLogger("serving")


def create_app(settings: Settings | None = None, lines: JsonHandler | None = None, *, alone: bool = False) -> FastAPI:
    """Put the service together; models and rows are loaded when the server starts it, not before.

    Args:
        settings: Where things lie; read from the environment if not given.
        lines: Writes the lines of requests; they go by way of the logger if not given.
        alone: Whether the process does nothing else, so that its memory can be arranged for serving.

    Raises:
        UsageError: The environment says what cannot be served.
    """
    chosen = settings or read_settings()
    metrics = Metrics()
    tasks = TaskModels(chosen, metrics.swapped)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks.open()
        watching = asyncio.create_task(tasks.watch())
        app.state.live, app.state.stranded = open_live(chosen, metrics)
        if alone:
            keep_what_is_loaded()
        yield
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        live, app.state.live = app.state.live, None
        if live is not None:
            await live.close()
        front.requests.flush()

    app = FastAPI(
        title="Shepherd",
        summary="Which coupon, if any, goes to this member: an action, what it is worth, and why.",
        version="1",
        lifespan=lifespan,
    )
    app.state.tasks = tasks
    app.state.live = app.state.stranded = None
    app.state.scans_obstacle = lambda: _scans_obstacle(app, chosen)
    app.state.audiences = Library(chosen.audiences)
    app.include_router(live_routes)
    app.include_router(site_routes)
    app.include_router(coupon_batches)  # before the batch of any task, which would take its path
    app.include_router(router)
    app.include_router(row_routes)
    app.include_router(audiences)
    app.add_middleware(RowRoute, desk=lambda: tasks.desk)  # behind the limit of bodies
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
    # Last: what is added later stands before it.
    front = stand_before(app, metrics, chosen.keys, chosen.spans_to, lines)
    ways = Ways(lambda: _scan_desk(app), lambda task: _row_scorer(app, task), metrics.refused)
    app.state.entrance = Entrance(ways, front.keys, front.requests)
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
    app = create_app(settings, write_json_logs(), alone=True)
    protocol = bounded(settings.bounds())
    # Paths hold member ids, which have no place in an access log.
    uvicorn.run(
        app,
        host=host,
        port=port,
        http=protocol if settings.spans_to else with_shortcut(protocol, app.state.entrance),  # spans see the long way
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def keep_what_is_loaded() -> None:
    """Spare the collector of garbage the models and tables: it would stop everybody for 50 ms to find nothing there.

    And let the thread that commits have its turn sooner than is usual: everybody waits for it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    sys.setswitchinterval(_TURN_SECONDS)


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


def _row_scorer(app: FastAPI, task: str) -> Scorer | None:
    tasks: TaskModels = app.state.tasks
    return tasks.desk.scorers.get(task)
