"""The one place where the service is put together: settings in, application out.

Start it with `shepherd serve`, or `uvicorn --factory serving.app:create_app` with the variables of `serving.settings`.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np
import uvicorn
from fastapi import FastAPI

from data.errors import ShepherdError
from serving.api import Desk, NotReady, not_ready, router, unknown_member
from serving.bundle import read, resolve
from serving.edge import install
from serving.offers import UnknownMember, open_book
from serving.recommender import Recommender
from serving.scorer import Scorer
from serving.settings import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_logger = logging.getLogger("serving")


def create_app(settings: Settings | None = None) -> FastAPI:
    """Put the service together; models and rows are loaded when the server starts it, not before.

    Args:
        settings: Where things lie; read from the environment if not given.

    Raises:
        UsageError: The environment says what cannot be served.
    """
    chosen = settings or read_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.desk = open_desk(chosen)
        yield

    app = FastAPI(
        title="Shepherd",
        summary="Which coupon, if any, goes to this member: an action, what it is worth, and why.",
        version="1",
        lifespan=lifespan,
    )
    app.state.desk = Desk(None, "the service is starting")
    app.include_router(router)
    install(app)
    app.add_exception_handler(UnknownMember, unknown_member)
    app.add_exception_handler(NotReady, not_ready)
    return app


def serve(home: Path, host: str, port: int) -> None:
    """Answer over HTTP until told to stop, from what `shepherd run` left in a folder.

    Args:
        home: The folder; places that the environment names go before it.
        host: Address to listen on.
        port: Port to listen on.

    Raises:
        DataError: There is no model to serve, or it cannot be loaded; said at once, instead of never being ready.
        UsageError: The environment says what cannot be served.
    """
    settings = read_settings(home)
    load(settings)
    # Paths hold member ids, which have no place in an access log.
    uvicorn.run(create_app(settings), host=host, port=port, access_log=False)


def open_desk(settings: Settings) -> Desk:
    """Load what the routes need; what cannot be loaded is logged and named by `/readyz`."""
    try:
        return Desk(load(settings))
    except ShepherdError as error:
        _logger.error("not ready: %s", error)  # noqa: TRY400 - the message says all; the traceback would say less
        return Desk(None, str(error))


def load(settings: Settings) -> Recommender:
    """Load the model and the rows, and score one row so that the first caller does not wait for what is made once.

    Raises:
        DataError: Pointer, bundle or tables are missing or not as they should be.
    """
    scorer = Scorer(read(resolve(settings.bundles, settings.task, settings.pointer)))
    book = open_book(settings.offers, scorer.manifest.feature_names, settings.campaigns)
    recommender = Recommender(scorer, book)
    scorer.contributions(np.full((1, len(scorer.manifest.features)), np.nan, dtype=np.float32))
    return recommender
