"""Where runs are tracked: a server, a database, or a file of its own under --home."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import DependencyDown
from training.tracking.probe import NAMED, impatient, no_answer, require_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow import MlflowClient

DATABASES = ("sqlite:", "postgresql", "mysql", "mssql")


@dataclass(frozen=True)
class Store:
    """Where runs are tracked.

    Attributes:
        uri: A tracking URI.
        artifacts: Where files of new experiments go; none leaves it to the server behind the URI.
    """

    uri: str
    artifacts: str | None

    @property
    def command(self) -> str:
        """What opens the page: a command, or the address of a server that runs already."""
        if self.uri.startswith(("http://", "https://")):
            return self.uri
        return shlex.join([str(Path(sys.executable).with_name("mlflow")), "ui", "--backend-store-uri", self.uri])


def store(home: Path) -> Store:
    """The server or database that MLFLOW_TRACKING_URI names, else a SQLite file under `home`, by its absolute path."""
    named = os.environ.get(NAMED, "")
    if named and not named.startswith(DATABASES):
        return Store(named, None)
    root = home.resolve()
    root.mkdir(parents=True, exist_ok=True)
    # A database keeps no files: without a place named here, MLflow would put them below the working folder.
    return Store(named or f"sqlite:///{root / 'mlflow.db'}", (root / "mlartifacts").as_uri())


def client(where: Store) -> MlflowClient:
    """A client of a store that answers; MLflow is told to send no word of its use anywhere before its first import.

    Raises:
        DependencyDown: The store does not answer.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    import mlflow

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    require_database(where.uri)
    try:
        with impatient():
            tracked = mlflow.MlflowClient(tracking_uri=where.uri)
            tracked.search_experiments(max_results=1)
    except (mlflow.MlflowException, ImportError, OSError) as refusal:
        raise no_answer(where.uri, refusal) from refusal
    return tracked


def require_answer() -> None:
    """See that the store which MLFLOW_TRACKING_URI names answers, before anything that takes long; files always do.

    Raises:
        DependencyDown: It does not, which is known within some fifteen seconds.
    """
    named = os.environ.get(NAMED, "")
    if named and not named.startswith("sqlite:"):
        client(Store(named, None))


@contextmanager
def current(where: Store) -> Iterator[None]:
    """Lend a store to the calls of MLflow that look one up for the whole process, and take it back.

    MLflow writes it to MLFLOW_TRACKING_URI, where the next fit of another home would find it.
    """
    import mlflow

    named = os.environ.get(NAMED)
    mlflow.set_tracking_uri(where.uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(named)  # type: ignore[arg-type] # None makes it forget


def fetch(where: Store, uri: str, folder: Path) -> Path:
    """Fetch what `runs:/RUN/PATH` or `models:/NAME/VERSION` names into a folder; gives where it lies.

    Raises:
        DependencyDown: The store does not hand it out.
    """
    import mlflow

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with current(where):
            return Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))
    except (mlflow.MlflowException, OSError) as refusal:
        raise DependencyDown(
            f"MLflow's store at {where.uri}: found no {uri} ({refusal}), expected its files; bring its artefacts back"
        ) from refusal
