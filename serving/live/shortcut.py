"""The short way of a request: from the parser of HTTP to the desk, past everything that a framework does between.

It takes only what is as it should be: a POST of HTTP/1.1 to a path that has such a way, JSON of a known length, let in
by the gate's own keys, on a connection that owes no answer. All else, whatever is wrong with it, goes the long way
through the application and is refused there, in the one place for that. A request for which there is no room is refused
here, by bytes made beforehand: under overload that is most of them, and what a refusal costs is taken from the answers.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from serving.access.gate import KEY, LET_IN, is_loopback
from serving.access.keys import Grant
from serving.edge import LARGEST_BODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.responses import Response
    from uvicorn._types import HTTPScope

    from serving.access.key_file import KeyFile
    from serving.access.keys import Scope
    from serving.telemetry.observer import Requests

_JSON: Final = (b"application/json", b"application/json; charset=utf-8")
_LONG_WAY: Final = frozenset(
    {b"transfer-encoding", b"content-encoding", b"expect", b"upgrade", b"x-forwarded-for", b"x-forwarded-proto"}
)
"""Headers that the server or the application makes something of."""
_CLOSED: Final = 499
_KIND: Final = b"content-type: application/json\r\ncontent-length: %d\r\n"
_CLOSE: Final = b"connection: close\r\n"


class Way(Protocol):
    """Answers what is asked of one path.

    Attributes:
        path: The path.
        route: Its pattern, for logs and metrics.
        scope: What a key has to be allowed.
    """

    path: str
    route: str
    scope: Scope

    def refusal(self) -> Response | None:
        """The answer to one that finds no room; None while there is some."""

    def take(self, exchange: Exchange) -> None:
        """Answer a request, now or later, or send it the long way."""


class Entrance:
    """What all connections of a server share.

    Args:
        ways: Finds the way of a target of a request; None for what has none.
        keys: The file of keys that the gate has.
        requests: Where it is told what came of each.
    """

    def __init__(self, ways: Callable[[bytes], Way | None], keys: KeyFile, requests: Requests) -> None:
        self.way, self.requests, self._keys = ways, requests, keys
        self._given: list[tuple[bytes, bytes]] = []
        self._always = b""

    def let_in(self, client: tuple[str, int] | None, header: bytes | None, scope: Scope) -> str | None:
        """The name of the key that lets a request in, empty where none is asked for; None where the gate is to say."""
        keys = self._keys.current()
        if keys is None:
            return "" if client is not None and is_loopback(client[0]) else None
        found = keys.allowed(header, scope)
        return found.name if isinstance(found, Grant) else None

    def always(self, given: list[tuple[bytes, bytes]]) -> bytes:
        """The headers that the server puts into every answer; it makes a new list of them once a second."""
        if given is not self._given:
            self._given, self._always = given, _lines(given)
        return self._always


class Exchange:
    """One request on the short way; it stands where the server keeps its own kind of it.

    Attributes:
        body: What was sent.
        key: The name of the key that let it in, or empty.
    """

    __slots__ = (
        "_began",
        "_protocol",
        "_scope",
        "_way",
        "body",
        "disconnected",
        "keep_alive",
        "key",
        "message_event",
        "response_complete",
        "response_started",
    )

    def __init__(self, protocol: Shortcut, scope: HTTPScope, way: Way, key: str, *, keep_alive: bool) -> None:
        self._protocol, self._scope, self._way, self.key, self.keep_alive = protocol, scope, way, key, keep_alive
        self.body = b""
        self.disconnected = self.response_complete = self.response_started = False
        self.message_event = _NOBODY_WAITS
        self._began = time.perf_counter()

    @property
    def way(self) -> Way:
        """What answers it."""
        return self._way

    def answer(self, body: bytes, decision_id: str | None = None) -> None:
        """Answer 200 with JSON."""
        self._write(200, _KIND % len(body), body, decision_id)

    def refuse(self, response: Response, decision_id: str | None = None) -> None:
        """Answer with a refusal."""
        self._write(response.status_code, _lines(response.raw_headers), bytes(response.body), decision_id)

    def long_way(self) -> None:
        """Let the application answer it."""
        protocol, path = self._protocol, self._way.path
        said: dict[str, Any] = {"method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
        scope: Any = {**self._scope, **said, LET_IN: True}
        if self.key:
            scope[KEY] = self.key
        cycle = RequestResponseCycle(
            scope,
            protocol.transport,
            protocol.flow,
            protocol.logger,
            protocol.access_logger,
            protocol.access_log,
            protocol.server_state.default_headers,
            asyncio.Event(),
            expect_100_continue=False,
            keep_alive=self.keep_alive,
            on_response=protocol.on_response_complete,
        )
        cycle.body, cycle.more_body, cycle.disconnected = bytearray(self.body), False, self.disconnected
        cycle.message_event.set()
        if protocol.cycle is self:
            protocol.cycle = cycle
        protocol._start_asgi_task(cycle, protocol.app)  # noqa: SLF001 - as the server starts it

    def _write(self, status: int, headers: bytes, body: bytes, decision_id: str | None) -> None:
        protocol, entrance = self._protocol, self._protocol.entrance
        gone = self.disconnected or protocol.transport.is_closing()
        told = _CLOSED if gone else status
        seconds = time.perf_counter() - self._began
        entrance.requests.tell(self._way.route, "POST", told, seconds, decision_id, self.key or None)
        self.response_started = self.response_complete = True
        if gone:
            return
        always = entrance.always(protocol.server_state.default_headers)
        close = b"" if self.keep_alive else _CLOSE
        protocol.transport.write(b"".join((STATUS_LINE[status], always, headers, close, b"\r\n", body)))
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()


class Shortcut(HttpToolsProtocol):
    """One connection of a server that knows the short way; made by `with_shortcut`."""

    entrance: Entrance
    cycle: Any
    """The request that came last: the server's own kind of it, an exchange, or None."""

    def on_headers_complete(self) -> None:
        """Choose the way of a request, once its head is read."""
        way = self.entrance.way(self.url)
        exchange = None if way is None else self._short(way)
        if way is None or exchange is None:
            super().on_headers_complete()
            return
        self.cycle = exchange
        # Before its body is read, which is dropped as it comes; who closes after this one would not hear it.
        refusal = way.refusal() if exchange.keep_alive else None
        if refusal is not None:
            exchange.refuse(refusal)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        cycle = self.cycle
        if not isinstance(cycle, Exchange):
            super().on_body(body)
        elif not cycle.response_complete:
            cycle.body = cycle.body + body if cycle.body else body

    def on_message_complete(self) -> None:
        """Answer a request that has come whole."""
        cycle = self.cycle
        if not isinstance(cycle, Exchange):
            super().on_message_complete()
        elif not cycle.response_complete:
            try:
                cycle.way.take(cycle)
            except Exception:  # whatever it is: the long way meets it again, logs it and answers 500
                if cycle.response_complete:
                    raise
                cycle.long_way()

    def _short(self, way: Way) -> Exchange | None:
        """An exchange of the request whose head is read; None where it has to go the long way."""
        parser, before = self.parser, self.cycle
        if (
            (before is not None and not before.response_complete)
            or parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
            or parser.should_upgrade()
            or self.flow.write_paused
            or self.root_path
            or self.limit_concurrency is not None
        ):
            return None
        found = _plain(self.headers)
        if found is None:
            return None
        key = self.entrance.let_in(self.client, found[0], way.scope)
        if key is None:
            return None
        return Exchange(self, self.scope, way, key, keep_alive=parser.should_keep_alive())


def with_shortcut(base: type[HttpToolsProtocol], entrance: Entrance) -> type[HttpToolsProtocol]:
    """A protocol of a server that knows the short way besides.

    Args:
        base: What it does else; it hands on to the class after it what it has seen.
        entrance: What its connections share.
    """
    return type("ShortcutProtocol", (base, Shortcut), {"entrance": entrance})


def _plain(headers: list[tuple[bytes, bytes]]) -> tuple[bytes | None] | None:
    """The key that is shown, of a head that says what it should and nothing else that matters; None of another."""
    kind = key = length = None
    for name, value in headers:
        if name == b"content-type":
            if kind is not None or value not in _JSON:
                return None
            kind = value
        elif name == b"content-length":
            if length is not None or not value.isdigit() or int(value[:20]) > LARGEST_BODY:
                return None
            length = value
        elif name == b"authorization":
            if key is not None:
                return None
            key = value
        elif name in _LONG_WAY:
            return None
    return None if kind is None or length is None else (key,)


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([name + b": " + value + b"\r\n" for name, value in headers])


class _NobodyWaits(asyncio.Event):
    """Told by the server that a client has left; an exchange has nobody who waits to hear of it."""

    def set(self) -> None:
        """Nothing."""


_NOBODY_WAITS: Final = _NobodyWaits()
