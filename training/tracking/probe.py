"""Whether a tracking server answers, asked with little patience before anything that takes long.

MLflow asks a server that is down for minutes, since one that is restarted in the middle of a run is worth waiting for.
One that is down before the run begins is not.
"""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from data.errors import DependencyDown

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMED: Final = "MLFLOW_TRACKING_URI"
_SECONDS: Final = 5
_PATIENCE: Final = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(_SECONDS),
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
}
"""MLflow's own settings; those that somebody has set already rule."""
_PORTS: Final = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_LONGEST: Final = 200


def require_database(uri: str) -> None:
    """See that somebody listens where a database is said to be; one in a file, or without a host, is not asked.

    Raises:
        DependencyDown: Nobody does.
    """
    named = urlsplit(uri)
    usual = _PORTS.get(named.scheme.partition("+")[0])
    if usual is None or not named.hostname:
        return
    try:
        socket.create_connection((named.hostname, named.port or usual), timeout=_SECONDS).close()
    except OSError as refusal:
        raise no_answer(uri, refusal) from refusal


@contextmanager
def impatient() -> Iterator[None]:
    """Let MLflow's next questions to a server fail within some fifteen seconds, unless its user has said otherwise."""
    lent = {name: value for name, value in _PATIENCE.items() if name not in os.environ}
    os.environ.update(lent)
    try:
        yield
    finally:
        for name in lent:
            os.environ.pop(name, None)


def no_answer(uri: str, refusal: BaseException) -> DependencyDown:
    """What to say of a store that does not answer, without the password that its address may hold."""
    return DependencyDown(
        f"MLflow's store at {_address(uri)}: found {_found(refusal)}, expected a store of runs that answers; start its "
        f"server, mend {NAMED}, or unset it to track in a file under --home"
    )


def _address(uri: str) -> str:
    named = urlsplit(uri)
    if named.password is None:
        return uri
    return named._replace(netloc=named.netloc.rpartition("@")[2]).geturl()


def _found(refusal: BaseException) -> str:
    """What happened, in plain words; in the store's own, cut short, where it answered with a refusal."""
    causes = list(_causes(refusal))
    kinds: dict[type[BaseException], str] = {
        ConnectionRefusedError: "that the connection was refused",
        socket.gaierror: "no host of that name",
        ssl.SSLError: "no certificate that is trusted",
        TimeoutError: f"no answer in time ({_waited()} s a try)",
        ImportError: "that the package which reaches it is not installed",
    }
    for kind, words in kinds.items():
        if any(isinstance(one, kind) for one in causes):
            return words
    if any(isinstance(one, OSError) for one in causes):
        return "that the connection failed"
    said = str(refusal).strip().partition("\n")[0]
    return f"a refusal ({said[:_LONGEST]})"


def _waited() -> str:
    return os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT", str(_SECONDS))


def _causes(refusal: BaseException) -> Iterator[BaseException]:
    """An error with all that it came of, whichever way it holds on to that."""
    left: list[object] = [refusal]
    seen: list[object] = []
    while left:
        one = left.pop()
        if not isinstance(one, BaseException) or any(one is other for other in seen):
            continue
        seen.append(one)
        yield one
        left += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
