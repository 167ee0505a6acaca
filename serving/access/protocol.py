"""HTTP within bounds: a client that is slow, endless or speaks no HTTP is refused and hung up on, and costs little.

The server's own parser takes heads of any length and waits for the rest of them for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.access.limits import LEAST_PROGRESS, Bounds
from serving.contracts import Problem
from serving.edge import LARGEST_LINES, refusal

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

LARGEST_HEAD: Final = 16 * 1024
"""Bytes of a request line and its headers."""
LINGER_SECONDS: Final = 1.0
"""So long what a refused client still sends is read and dropped; closed at once, it would not see why."""
_SPOKEN: Final = frozenset({"1.0", "1.1"})


class BoundedProtocol(HttpToolsProtocol):
    """One connection; `bounded` makes such a class of other bounds.

    No timer runs for a request that comes whole, which is nearly every one.
    """

    bounds = Bounds()

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 - the server's own arguments
        super().__init__(*given, **named)
        self._begun = self._in_body = self._turned = self._gone = False
        self._head = self._got = self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None
        self._answering: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the server's own
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.bounds.most_connections:
            self._gone = True
            transport.write(_answer(503, _MANY, {"retry-after": "1"}))
            transport.close()
            return
        self._timer = self.loop.call_later(self.bounds.head_seconds, self._overdue)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let a connection go."""
        self._stop_timer()
        if self._taking is not None:
            self._taking.cancel()
        if self._answering is not None:  # where requests wait behind it, the server tells only the last of them
            self._answering.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, never further than a head may be long."""
        turned = False
        while data and not self._gone and not self.transport.is_closing():
            room = LARGEST_HEAD - self._head
            if not room:
                self._refuse(431, _LONG)
                return
            self._feed(data[:room])
            data, turned = data[room:], turned or self._turned
        if self._gone:
            return
        if not (self._in_body or self._begun or self._head):
            self._stop_timer()
        elif self._timer is None or turned:
            self._start_timer()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End a head.

        Raises:
            ValueError: It names no version, or one that is not spoken here; the parser then refuses it.
        """
        if self.parser.get_http_version() not in _SPOKEN:
            raise ValueError("a version of HTTP that is not spoken here")
        super().on_headers_complete()
        self._begun, self._in_body, self._turned = False, True, True
        self._head = self._got = self._dropped = 0

    def on_message_complete(self) -> None:
        """End a body."""
        self._in_body, self._turned = False, True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the shape of all refusals."""
        del msg  # it says less
        self._refuse(400, _NO_HTTP)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - the server's own
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        """Wait for a client that does not take its answer, not for ever."""
        super().pause_writing()
        self._watch_taking()

    def resume_writing(self) -> None:
        """Go on writing."""
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None
        super().resume_writing()

    def _feed(self, part: bytes) -> None:
        """Let the parser read; what it read without ending a head is that head's."""
        in_body, self._turned = self._in_body, False
        super().data_received(part)
        if in_body:
            self._got += len(part)
            if self.cycle.response_complete:  # refused before its body was read
                self._dropped += len(part)
                if self._dropped > LARGEST_LINES:
                    self._gone = True
                    self.transport.close()
        elif not self._turned:
            self._head += len(part)

    def _start_timer(self) -> None:
        self._stop_timer()
        seconds = self.bounds.body_seconds if self._in_body else self.bounds.head_seconds
        self._timer = self.loop.call_later(seconds, self._overdue)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _overdue(self) -> None:
        """A head or a body has not come in time."""
        self._timer = None
        if self._gone or self.transport.is_closing():
            return
        if self._in_body and (self._got >= LEAST_PROGRESS or self.pipeline):
            self._got = 0
            self._start_timer()
            return
        self._refuse(408, _SLOW_BODY if self._in_body else _SLOW_HEAD)

    def _watch_taking(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._taking = self.loop.call_later(self.bounds.body_seconds, self._hold_to_taking, left)

    def _hold_to_taking(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._watch_taking()
        else:
            self.transport.abort()

    def _refuse(self, status: int, problem: Problem) -> None:
        """Answer what cannot be read on, after all that was asked before it, and hang up."""
        if self._gone:
            return
        self._gone = True
        self._stop_timer()
        cycle = self.cycle
        owed = cycle is not None and not cycle.response_complete  # type: ignore[redundant-expr] # none before the first
        if owed and not self._in_body:
            cycle.keep_alive = False  # its answer comes first, and must not be taken for this one; then it closes
            return
        if self._in_body and (cycle.response_started or self.pipeline):
            self.transport.close()
            return
        self.transport.write(_answer(status, problem))
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()


def bounded(bounds: Bounds) -> type[BoundedProtocol]:
    """The protocol of a server with such bounds."""
    return type("BoundedProtocol", (BoundedProtocol,), {"bounds": bounds})


def _answer(status: int, problem: Problem, headers: dict[str, str] | None = None) -> bytes:
    response = refusal(status, _WHAT[status], [problem], {"connection": "close", **(headers or {})})
    lines = [STATUS_LINE[status], *(name + b": " + value + b"\r\n" for name, value in response.raw_headers)]
    return b"".join([*lines, b"\r\n", bytes(response.body)])


_WHAT: Final = {
    400: "This is no HTTP.",
    408: "The request did not come in time.",
    431: "The headers are too large.",
    503: "Too many are connected.",
}
_NO_HTTP: Final = Problem(
    where="request",
    found="bytes that are no request of HTTP 1.1 or 1.0",
    expected="a request line with its version, headers and a body as long as they say",
    fix="ask with a client of HTTP 1.1",
)
_LONG: Final = Problem(
    where="header",
    found=f"a request line and headers of more than {LARGEST_HEAD:,} bytes",
    expected=f"at most {LARGEST_HEAD:,} bytes",
    fix="send fewer or shorter headers",
)
_SLOW_HEAD: Final = Problem(
    where="header",
    found="a request line and headers that do not end",
    expected="all of them at once",
    fix="send the head whole, and close connections that are not used",
)
_SLOW_BODY: Final = Problem(
    where="body",
    found="a body that stands still",
    expected="as many bytes as the headers say, without a pause",
    fix="send it at once, and send less where the line is slow",
)
_MANY: Final = Problem(
    where="client",
    found="too many connections at once",
    expected="fewer, each used again",
    fix="keep connections alive, and try again after the seconds that Retry-After names",
)
