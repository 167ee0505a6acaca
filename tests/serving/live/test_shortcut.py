"""The short way answers what the long way answers, refuses before it reads, and keeps the order of a connection."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.responses import JSONResponse
from uvicorn import Config
from uvicorn.server import ServerState

from serving.access import key_file
from serving.access.gate import LET_IN
from serving.access.key_file import KeyFile
from serving.access.protocol import BoundedProtocol
from serving.live.shortcut import Entrance, Exchange, with_shortcut
from serving.telemetry.metrics import Metrics
from serving.telemetry.observer import Requests
from tests.serving.live.conftest import Server, encoded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from starlette.responses import Response

    from serving.live.bodies import ScanBody
    from serving.settings import Settings

JSON = b"content-type: application/json\r\n"
BUSY = JSONResponse({"error": "busy"}, 429, {"retry-after": "1"})


def asked(
    body: bytes, *headers: bytes, path: bytes = b"/hot", kind: bytes = JSON, line: bytes = b"POST %s HTTP/1.1"
) -> bytes:
    told = b"".join(header + b"\r\n" for header in headers)
    return line % path + b"\r\nhost: here\r\n" + kind + told + b"content-length: %d\r\n\r\n" % len(body) + body


class Echo:
    """Answers with the body, later where it is told to, the long way where the body says so."""

    path = route = "/hot"
    scope = "score"

    def __init__(self) -> None:
        self.full, self.held, self.hold = False, [], False

    def refusal(self) -> Response | None:
        return BUSY if self.full else None

    def take(self, exchange: Exchange) -> None:
        if exchange.body == b"fault":
            raise ValueError(exchange.body)
        if exchange.body == b"long":
            exchange.long_way()
        elif self.hold:
            self.held.append(exchange)
        else:
            exchange.answer(exchange.body, "d1")


class App:
    """The long way: says what it got."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await JSONResponse({"long": body.decode(), "path": scope["path"], "method": scope["method"]})(
            scope, receive, send
        )


class Beside:
    """A server of this test, its way, its long way, and what was told of requests."""

    def __init__(self, keys: Path | None = None) -> None:
        self.echo, self.app, self.metrics = Echo(), App(), Metrics()
        requests = Requests(self.metrics)
        entrance = Entrance(lambda target: self.echo if target == b"/hot" else None, KeyFile(keys), requests)
        config = Config(self.app, lifespan="off", ws="none", log_config=None)
        config.load()
        self.state = ServerState()
        made = with_shortcut(BoundedProtocol, entrance)
        self.protocol = lambda: made(config, self.state, {})

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        server = await asyncio.get_running_loop().create_server(self.protocol, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            server.close()
            for connection in list(self.state.connections):
                connection.transport.close()
            await asyncio.sleep(0.01)


async def heard(reader: asyncio.StreamReader) -> tuple[int, dict[bytes, bytes], bytes]:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    status, *lines = head[:-4].split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines)
    return int(status[9:12]), headers, await reader.readexactly(int(headers[b"content-length"]))


def exchanged(beside: Beside, *sent: bytes, answers: int) -> list[tuple[int, dict[bytes, bytes], bytes]]:
    async def whole() -> list[tuple[int, dict[bytes, bytes], bytes]]:
        async with beside.connected() as (reader, writer):
            for part in sent:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.01)
            return [await heard(reader) for _ in range(answers)]

    return asyncio.run(whole())


def told(beside: Beside, status: int) -> bool:
    return (
        f'shepherd_request_seconds_count{{method="POST",route="/hot",status="{status}"}}'
        in beside.metrics.text().decode()
    )


def test_what_is_as_it_should_be_is_answered_on_the_short_way() -> None:
    beside = Beside()

    (found,) = exchanged(beside, asked(b'"a"'), answers=1)

    assert (found[0], found[1][b"content-type"], found[2]) == (200, b"application/json", b'"a"')
    assert not beside.app.scopes
    assert told(beside, 200)


@pytest.mark.parametrize(
    "request_",
    [
        asked(b"a", line=b"PUT %s HTTP/1.1"),
        asked(b"a", line=b"POST %s HTTP/1.0"),
        asked(b"a", path=b"/hot?x=1"),
        asked(b"a", path=b"/%68ot"),
        asked(b"a", path=b"/other"),
        asked(b"a", kind=b""),
        asked(b"a", kind=b"content-type: text/plain\r\n"),
        asked(b"a", kind=JSON + JSON),
        asked(b"a", b"x-forwarded-for: 10.0.0.1"),
        asked(b"a", b"authorization: Bearer x", b"authorization: Bearer y"),
        asked(b"a" * 70_000),
        asked(b"long"),
        asked(b"fault"),
        b"POST /hot HTTP/1.1\r\nhost: here\r\n" + JSON + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    ],
    ids=lambda one: repr(one[:40]),
)
def test_all_else_goes_the_long_way_with_its_body(request_: bytes) -> None:
    beside = Beside()

    (found,) = exchanged(beside, request_, answers=1)

    said = json.loads(found[2])
    assert found[0] == 200
    assert set(said["long"]) <= set("along fault")
    assert said["long"]
    assert said["path"] in {"/hot", "/other"}
    assert len(beside.app.scopes) == 1


def test_a_body_in_pieces_is_put_together() -> None:
    request = asked(b"abcdef")

    (found,) = exchanged(Beside(), request[:20], request[20:-4], request[-4:-2], request[-2:], answers=1)

    assert found[2] == b"abcdef"


def test_one_that_finds_no_room_is_refused_before_its_body_and_the_connection_goes_on() -> None:
    beside = Beside()
    beside.echo.full = True
    request = asked(b"x" * 1_000)

    async def whole() -> Any:
        async with beside.connected() as (reader, writer):
            writer.write(request[:-900])
            early = await heard(reader)
            writer.write(request[-900:])
            await writer.drain()
            beside.echo.full = False
            writer.write(asked(b"next"))
            return early, await heard(reader)

    early, after = asyncio.run(whole())

    assert (early[0], early[1][b"retry-after"], early[2]) == (429, b"1", BUSY.body)
    assert (after[0], after[2]) == (200, b"next")
    assert told(beside, 429)


def test_who_closes_is_not_refused_before_everything_was_read() -> None:
    beside = Beside()
    beside.echo.full = True

    async def whole() -> Any:
        async with beside.connected() as (reader, writer):
            request = asked(b"x" * 1_000, b"connection: close")
            writer.write(request[:-900])
            await asyncio.sleep(0.02)
            writer.write(request[-900:])
            return await heard(reader)

    assert asyncio.run(whole())[2] == b"x" * 1_000  # what takes it looks once more whether there is room


def test_answers_keep_the_order_of_the_questions() -> None:
    beside = Beside()
    beside.echo.hold = True
    sent = asked(b"first") + asked(b"second") + asked(b"long") + asked(b"a", path=b"/other")

    async def whole() -> Any:
        async with beside.connected() as (reader, writer):
            writer.write(sent)
            await asyncio.sleep(0.05)
            assert len(beside.echo.held) == 1
            beside.echo.held[0].answer(b"first")
            return [await heard(reader) for _ in range(4)]

    found = asyncio.run(whole())

    assert found[0][2] == b"first"
    assert [json.loads(one[2])["long"] for one in found[1:]] == ["second", "long", "a"]


def test_a_connection_ends_where_it_is_asked_to() -> None:
    async def whole() -> Any:
        async with Beside().connected() as (reader, writer):
            writer.write(asked(b"a", b"connection: close"))
            return await heard(reader), await reader.read()

    found, rest = asyncio.run(whole())

    assert found[1][b"connection"] == b"close"
    assert rest == b""


def test_who_leaves_is_counted_as_gone() -> None:
    beside = Beside()
    beside.echo.hold = True

    async def whole() -> None:
        async with beside.connected() as (_, writer):
            writer.write(asked(b"a"))
            await asyncio.sleep(0.02)
            writer.close()
            await asyncio.sleep(0.02)
            beside.echo.held[0].answer(b"a")

    asyncio.run(whole())

    assert told(beside, 499)


def test_a_key_is_asked_for_and_pays_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = key_file.add(path, "till", ["score"], 0.001, 2).encode()
    other = key_file.add(path, "reader", ["read"], 1.0, 2).encode()
    beside = Beside(path)
    mine = b"authorization: Bearer " + key

    found = exchanged(
        beside,
        *(
            asked(b"long", mine),
            asked(b"a", mine),
            asked(b"b", mine),
            asked(b"c"),
            asked(b"d", b"authorization: Bearer " + other),
        ),
        answers=5,
    )

    assert json.loads(found[0][2])["long"] == "long"
    assert found[1][2] == b"a"
    assert [json.loads(one[2])["long"] for one in found[2:]] == ["b", "c", "d"]  # the gate is to refuse these
    assert [LET_IN in scope for scope in beside.app.scopes] == [True, False, False, False]


def test_both_ways_say_the_same(settings: Settings, scans: Sequence[ScanBody]) -> None:
    features = {"body": {}}
    with Server(settings) as server:
        paths = {
            "/v1/scans/score": [encoded(scan) for scan in scans[:8]],
            "/v1/fraud/score": [json.dumps(features).encode()],
        }
        paths["/v1/scans/score"] += [b"{", b"[" * 40, encoded(scans[0], prize_fen=scans[0].prize_fen + 1), b"\xff"]
        short, long = (
            [both_ways(server, path.encode(), body, extra) for path, bodies in paths.items() for body in bodies]
            for extra in ((), (b"x-forwarded-for: 127.0.0.1",))
        )

    assert short == long
    assert [status for status, _, _ in short] == [200] * 8 + [422, 400, 409, 422, 422]


def both_ways(server: Server, path: bytes, body: bytes, extra: Sequence[bytes]) -> tuple[int, list[bytes], bytes]:
    async def whole() -> tuple[int, list[bytes], bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(asked(body, *extra, path=path))
        status, headers, answer = await heard(reader)
        writer.close()
        return status, sorted(name + b": " + value for name, value in headers.items() if name != b"date"), answer

    return asyncio.run(whole())
