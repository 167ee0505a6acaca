"""The gate before every route: who asks, whether they may, and whether not too often."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from data.errors import UsageError
from serving.access.keys import Grant, Refusal
from serving.access.routes import OPEN, Routes
from serving.contracts import Problem
from serving.edge import no_such_method, no_such_route, refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

    from serving.access.key_file import KeyFile

ROUTE: Final = "shepherd.route"
"""Where a request's scope keeps the pattern of its route, for logs and metrics: a path itself holds member ids."""
KEY: Final = "shepherd.key"
"""Where it keeps the name of its key."""
LET_IN: Final = "shepherd.let_in"
"""Stands in the scope of a request that was let in before, on the short way (`serving.live.shortcut`)."""
NO_ROUTE: Final = "no route"
LARGEST_HEAD: Final = 32 * 1024
"""Bytes of a path and its headers."""

_WHAT: Final = {
    "key": "This needs a key.",
    "scope": "This key may not ask that.",
    "rate": "This key asks too often.",
    "peer": "This is not answered from there.",
}


class Gate:
    """Refuses what nobody let in, before a body is read; made for hot routes and FastAPI alike.

    With a file of keys every route asks for a scope, but for the probes and the OpenAPI page. What administers is
    answered only on the machine itself. Without a file only the machine itself is answered at all.

    Args:
        app: What is behind it.
        keys: The file of keys.
        refused: Told the reason of every refusal, such as `scope`; for metrics.
    """

    def __init__(self, app: ASGIApp, keys: KeyFile, refused: Callable[[str], None] | None = None) -> None:
        self._app, self._keys, self._refused = app, keys, refused
        self._routes = Routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        if _head_length(scope) > LARGEST_HEAD:  # the server itself has no such limit
            scope[ROUTE] = NO_ROUTE
            await _too_long()(scope, receive, send)
            return
        route = self._routes.find(scope["path"])
        scope[ROUTE] = route.pattern if route else NO_ROUTE
        asked = route.scope(scope["method"]) if route else None
        if asked != OPEN and LET_IN not in scope:
            refused = self._judge(scope, asked)
            if refused is not None:
                if self._refused is not None:
                    self._refused(refused.reason)
                await _answer(refused)(scope, receive, send)
                return
        if route is None:
            await no_such_route()(scope, receive, send)
        elif asked is None:
            await no_such_method(route.scopes)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _judge(self, scope: Scope, asked: str | None) -> Refusal | None:
        keys, local = self._keys.current(), from_here(scope)
        if keys is None:
            return None if local else _NO_KEYS
        found = keys.allowed(_authorization(scope), asked)  # type: ignore[arg-type] # one of the scopes: not OPEN
        if not isinstance(found, Grant):
            return found
        scope[KEY] = found.name
        return _NOT_HERE if asked == "admin" and not local else None


def require_keys(host: str, path: Path) -> None:
    """Refuse to listen where others can reach a service that asks for no keys.

    Args:
        host: What it is to listen on.
        path: Where the file of keys is or would be.

    Raises:
        UsageError: There is no file of keys, and the host is not the machine's own loopback.
    """
    if is_loopback(host) or path.exists():
        return
    raise UsageError(
        f"Serving on {host}: found no keys in {path}, expected a file of keys wherever others can reach the service; "
        f"run `shepherd keys add NAME --scope score` first, or serve on 127.0.0.1."
    )


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether only the machine itself reaches an address.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def from_here(scope: Scope) -> bool:
    """Whether the peer is the machine itself; an unknown peer is not."""
    client = scope.get("client")
    return client is not None and is_loopback(client[0])


def _head_length(scope: Scope) -> int:
    return len(scope["path"]) + sum(len(name) + len(value) for name, value in scope["headers"])


def _too_long() -> ASGIApp:
    problem = Problem(
        where="header",
        found=f"a path and headers of more than {LARGEST_HEAD:,} bytes",
        expected=f"at most {LARGEST_HEAD:,} bytes",
        fix="send fewer or shorter headers",
    )
    return refusal(431, "The headers are too large.", [problem], {"connection": "close"})


def _authorization(scope: Scope) -> bytes | None:
    """The one such header; two are none, because proxies differ in which they read."""
    found: list[bytes] = [value for name, value in scope["headers"] if name == b"authorization"]
    return found[0] if len(found) == 1 else None


def _answer(refused: Refusal) -> ASGIApp:
    where = "client" if refused.reason == "peer" else "header.authorization"
    problem = Problem(where=where, found=refused.found, expected=refused.expected, fix=refused.fix)
    return refusal(refused.status, _WHAT[refused.reason], [problem], refused.headers)


_NO_KEYS: Final = Refusal(
    403,
    "peer",
    "a service without keys, asked from another machine",
    "a service with keys, or a question from the machine itself",
    "the operator runs `shepherd keys add`; the service reads the file within seconds",
    {},
)
_NOT_HERE: Final = Refusal(
    403,
    "peer",
    "a question from another machine",
    "a question from the machine itself, which alone administers the service",
    "ask from where the service runs",
    {},
)
