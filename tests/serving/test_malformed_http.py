"""Malformed HTTP, byte by byte, against a real server: each is refused or hung up on, and the server goes on."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.serving.served import Served, served

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = b"/v1/members/1029/offers"
GOOD = b'{"at": "2017-12-10T12:00:00Z"}'


def request(
    body: bytes = GOOD,
    *extra: bytes,
    line: bytes = b"POST " + PATH + b" HTTP/1.1",
    kind: bytes | None = b"application/json",
    length: bytes | None = b"",
) -> bytes:
    """A request that is good but for what is changed in it."""
    headers = [line, b"Host: shepherd", b"Connection: close", *extra]
    headers += [b"Content-Type: " + kind] * (kind is not None)
    headers += [b"Content-Length: " + (length or b"%d" % len(body))] * (length is not None)
    return b"\r\n".join(headers) + b"\r\n\r\n" + body


def chunked(body: bytes) -> bytes:
    return request(body, b"Transfer-Encoding: chunked", length=None)


MALFORMED: dict[str, bytes] = {
    # no HTTP at all
    "nothing but an end": b"\r\n\r\n",
    "bytes of chance": bytes(range(128, 256)) * 8,
    "zeros": bytes(512),
    "a hello of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "a banner of SSH": b"SSH-2.0-OpenSSH_9.9\r\n",
    "a preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a ping of Redis": b"*1\r\n$4\r\nPING\r\n",
    "a query of SQL": b"SELECT * FROM members;\r\n\r\n",
    "a question of JSON": GOOD + b"\r\n\r\n",
    # the request line
    "a version of the future": request(line=b"POST " + PATH + b" HTTP/9.9"),
    "a version without a point": request(line=b"POST " + PATH + b" HTTP/11"),
    "a version in small letters": request(line=b"POST " + PATH + b" http/1.1"),
    "no path": request(line=b"POST HTTP/1.1"),
    "no method": request(line=PATH + b" HTTP/1.1"),
    "a method of its own": request(line=b"SCORE " + PATH + b" HTTP/1.1"),
    "a method in small letters": request(line=b"post " + PATH + b" HTTP/1.1"),
    "a method with a zero": request(line=b"PO\x00ST " + PATH + b" HTTP/1.1"),
    "a path with a space": request(line=b"POST /v1/members/10 29/offers HTTP/1.1"),
    "a path with a zero": request(line=b"POST /v1/members/10\x0029/offers HTTP/1.1"),
    "a path with a line": request(line=b"POST /v1/members/10\n29/offers HTTP/1.1"),
    "a path without a slash": request(line=b"POST v1/members/1029/offers HTTP/1.1"),
    "a path of 100,000 letters": request(line=b"POST /" + b"a" * 100_000 + b" HTTP/1.1"),
    "a path that climbs": request(line=b"POST /v1/members/../../../../etc/passwd HTTP/1.1"),
    "a path that climbs in disguise": request(line=b"POST /v1/members/%2e%2e%2f%2e%2e%2fpasswd/offers HTTP/1.1"),
    "a member that is a zero": request(line=b"POST /v1/members/%00/offers HTTP/1.1"),
    "a member that is half a sign": request(line=b"POST /v1/members/%ff%fe/offers HTTP/1.1"),
    "a member that is overlong": request(line=b"POST /v1/members/%c0%af/offers HTTP/1.1"),
    "a member with a broken per cent": request(line=b"POST /v1/members/%zz%/offers HTTP/1.1"),
    "a member of 5,000 letters": request(line=b"POST /v1/members/" + b"a" * 5_000 + b"/offers HTTP/1.1"),
    "a tunnel": request(line=b"CONNECT shepherd:443 HTTP/1.1"),
    "a trace": request(line=b"TRACE " + PATH + b" HTTP/1.1"),
    "a star": request(line=b"OPTIONS * HTTP/1.1"),
    # headers
    "a header without a colon": request(GOOD, b"nonsense"),
    "a header without a name": request(GOOD, b": value"),
    "a header with a space before its colon": request(GOOD, b"Host : other"),
    "a header with a zero in its name": request(GOOD, b"a\x00b: c"),
    "a header with a zero in its value": request(GOOD, b"a: b\x00c"),
    "a header that is folded": request(GOOD, b"a: b", b" Transfer-Encoding: chunked", b"\x0b: x"),
    "a header of 200,000 letters": request(GOOD, b"a: " + b"b" * 200_000),
    "headers without end": request(GOOD, *[b"a%d: b" % number for number in range(30_000)]),
    "a key that is no key": request(GOOD, b"Authorization: Bearer", line=b"POST /v1/nothing HTTP/1.1"),
    # lengths
    "a length below nothing": request(length=b"-1"),
    "a length with a sign": request(length=b"+30"),
    "a length in letters": request(length=b"thirty"),
    "a length in base sixteen": request(length=b"0x1e"),
    "a length of 40 digits": request(length=b"9" * 40),
    "two lengths that differ": request(GOOD, b"Content-Length: 4"),
    "a length list": request(length=b"30, 31"),
    "a length and chunks": request(b"0\r\n\r\n", b"Transfer-Encoding: chunked"),
    "more said than sent": request(GOOD, length=b"60000"),
    "a length beyond the limit": request(GOOD, length=b"70000"),
    "a body beyond the limit": request(b" " * 70_000 + GOOD),
    # chunks
    "a chunk without a size": chunked(b"\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "a chunk of letters": chunked(b"xyz\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "a chunk below nothing": chunked(b"-1\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "a chunk of 2**80": chunked(b"1" + b"0" * 20 + b"\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "a chunk longer than it said": chunked(b"2\r\n" + GOOD + b"\r\n0\r\n\r\n"),
    "chunks that never end": chunked(b"1e\r\n" + GOOD + b"\r\n"),
    "chunks beyond the limit": chunked(b"1000\r\n" + b" " * 4096 + b"\r\n")
    + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 20,
    "an unknown coding": request(GOOD, b"Transfer-Encoding: rot13", length=None),
    # bodies
    "no body": request(b"x"),
    "half an object": request(GOOD[:-1]),
    "an object and more": request(GOOD + b"}"),
    "a list": request(b"[]"),
    "text": request(b'"x"'),
    "not a number": request(b'{"limit": NaN}'),
    "infinity": request(b'{"limit": Infinity}'),
    "less than all numbers": request(b'{"limit": -Infinity}'),
    "a number past all bounds": request(b'{"limit": 1e999}'),
    "a number of 10,000 digits": request(b'{"limit": ' + b"9" * 10_000 + b"}"),
    "33 lists within each other": request(b'{"at": ' + b"[" * 33 + b"]" * 33 + b"}"),
    "30,000 lists within each other": request(b"[" * 30_000),
    "10,000 objects within each other": request(b'{"a":' * 10_000),
    "half a sign": request(b'{"at": "\\ud800"}'),
    "no UTF-8": request(b'{"at": "\xff\xfe"}'),
    "UTF-16": request(GOOD.decode().encode("utf-16"), kind=b"application/json; charset=utf-16"),
    "a zero within": request(b'{"at":\x00 null}'),
    "a body that is packed": request(b"\x1f\x8b\x08" + bytes(40), b"Content-Encoding: gzip"),
    "a body of another kind": request(kind=b"text/plain"),
    "a body of a kind that is none": request(kind=b"\xff/;;;="),
    "a form": request(b"at=now", kind=b"application/x-www-form-urlencoded"),
    "files": request(b"--x\r\n\r\n", kind=b"multipart/form-data; boundary=x"),
    "XML": request(b'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>', kind=b"application/xml"),
    "a pickle": request(b"cos\nsystem\n(S'true'\ntR.", kind=b"application/octet-stream"),
}


PATIENCE = 0.6
"""Seconds that the server of these tests waits for the rest of a head, and for each part of a body."""
MOST_CONNECTIONS = 24


@pytest.fixture(scope="module")
def server(running: Served) -> int:
    """The port of a real server of the test's models."""
    return running.port


@pytest.fixture(scope="module")
def running(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The port and the process of that server."""
    variables = {
        "SHEPHERD_BUNDLES": str(home / "bundles"),
        "SHEPHERD_OFFERS": str(home / "coupon.parquet"),
        "SHEPHERD_CAMPAIGNS": str(home / "campaigns.parquet"),
        "SHEPHERD_HEAD_SECONDS": str(PATIENCE),
        "SHEPHERD_BODY_SECONDS": str(PATIENCE),
        "SHEPHERD_MOST_CONNECTIONS": str(MOST_CONNECTIONS),
    }
    with served(tmp_path_factory.mktemp("server"), **variables) as server:
        yield server


def answered(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """All that comes back until the server hangs up, which it has to do within ten seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            for number, part in enumerate(parts):
                time.sleep(pause if number else 0.0)
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return heard(connection)


def heard(connection: socket.socket) -> bytes:
    """What comes back until the server hangs up."""
    got = b""
    try:
        while part := connection.recv(65_536):
            got += part
    except ConnectionResetError:
        pass
    return got


def refused(got: bytes) -> tuple[int, str]:
    """The status of the one answer, and where its problem is."""
    head, _, body = got.partition(b"\r\n\r\n")
    (problem,) = json.loads(body)["error"]["problems"]
    assert b"connection: close" in head.lower()
    return int(head[9:12]), problem["where"]


def resident_bytes(process: int) -> int:
    """Memory that a process holds."""
    said = Path(f"/proc/{process}/status").read_text()
    return int(said.partition("VmRSS:")[2].split()[0]) * 1024


def test_there_are_enough() -> None:
    assert len(MALFORMED) >= 60


def test_what_is_not_malformed_is_answered(server: int) -> None:
    assert answered(server, request()).startswith(b"HTTP/1.1 200 ")
    assert answered(server, chunked(b"1e\r\n" + GOOD + b"\r\n0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_refused_and_the_server_goes_on(server: int, name: str) -> None:
    found = answered(server, MALFORMED[name])

    first = found.partition(b"\r\n")[0]
    assert not found or (first.startswith(b"HTTP/1.1 4") and len(first.split()[1]) == 3), first
    assert b"etc/passwd" not in found
    assert b"Traceback" not in found
    body = found.partition(b"\r\n\r\n")[2].partition(b"HTTP/1.1")[0]
    if body.startswith(b"{"):
        assert set(json.loads(body)["error"]) == {"what", "problems"}
    assert answered(server, request()).startswith(b"HTTP/1.1 200 ")


HALF = request()[:60]
SLOW = {
    "nothing at all": ((), 408, "header"),
    "half a head": ((HALF,), 408, "header"),
    "a head letter by letter": ([HALF[at : at + 1] for at in range(len(HALF))], 408, "header"),
    "empty lines for ever": ([b"\r\n"] * 60, 408, "header"),
    "half a body": ((request(length=b"60000"),), 408, "body"),
    "a body letter by letter": ((request(b"", length=b"60000"), *[b" "] * 60), 408, "body"),
    "half a chunk": ((chunked(b"1e\r\n" + GOOD[:7]),), 408, "body"),
}


@pytest.mark.parametrize("name", SLOW)
def test_what_does_not_come_in_time_is_refused(server: int, name: str) -> None:
    parts, status, where = SLOW[name]
    began = time.monotonic()

    found = answered(server, *parts, pause=0.03)

    assert refused(found) == (status, where)
    assert PATIENCE * 0.9 < time.monotonic() - began < PATIENCE + 4


def test_a_slow_body_that_goes_on_is_waited_for(server: int) -> None:
    parts = [b" " * 20_000] * 3
    length = b"%d" % (60_000 + len(GOOD))

    found = answered(server, request(b"", length=length), *parts, GOOD, pause=PATIENCE / 2)

    assert found.startswith(b"HTTP/1.1 200 ")


def test_others_are_answered_while_slow_ones_wait(server: int) -> None:
    with socket.create_connection(("127.0.0.1", server)) as slow:
        slow.sendall(HALF)
        assert answered(server, request()).startswith(b"HTTP/1.1 200 ")
        slow.sendall(request()[60:])
        assert heard(slow).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("pieces", [1, 5])
@pytest.mark.parametrize(("beyond", "status"), [(0, b"200"), (1, b"431"), (4_000, b"431")])
def test_a_head_may_have_16_kib(server: int, beyond: int, status: bytes, pieces: int) -> None:
    bare = request(GOOD, b"a: ")
    padding = 16 * 1024 - bare.index(b"\r\n\r\n") - 4 + beyond
    sent = request(GOOD, b"a: " + b"b" * padding)
    step = -(-len(sent) // pieces)

    found = answered(server, *[sent[at : at + step] for at in range(0, len(sent), step)], pause=0.02)

    assert found[9:12] == status
    assert status == b"200" or refused(found) == (431, "header")


@pytest.mark.parametrize("line", [b"a: " + b"b" * 4_093 + b"\r\n", b"\r\n" * 2_048, b"b" * 4_096])
def test_a_head_without_end_takes_no_memory(running: Served, line: bytes) -> None:
    server, process = running
    before = resident_bytes(process)
    start = b"" if line.startswith(b"\r\n") else HALF
    with socket.create_connection(("127.0.0.1", server), timeout=10) as connection:
        try:
            connection.sendall(start)
            for _ in range(16_384):  # 64 MiB
                connection.sendall(line)
        except (BrokenPipeError, ConnectionResetError):
            pass

    assert resident_bytes(process) - before < 8 * 1024 * 1024
    assert answered(server, start + line * 16)[9:12] == b"431"


@pytest.mark.parametrize(
    "line", [b"GET /livez", b"GET /livez HTTP/0.9", b"GET /livez HTTP/2.0", b"GET /livez HTTP/1.2"]
)
def test_a_version_that_is_not_spoken_is_refused(server: int, line: bytes) -> None:
    assert refused(answered(server, line + b"\r\n\r\n")) == (400, "request")


def test_a_refusal_never_goes_before_an_answer(server: int) -> None:
    good = request().replace(b"Connection: close\r\n", b"")

    tunnel = request(line=b"CONNECT shepherd:443 HTTP/1.1")
    for broken in (b"\x00\x01\r\n\r\n", HALF, tunnel, b"GET /livez\r\n\r\n", HALF + b"x" * 20_000):
        found = answered(server, good + good + broken)

        assert found.count(b"HTTP/1.1 ") >= 2
        assert found.startswith(b"HTTP/1.1 200 ")
        assert found.count(b"HTTP/1.1 200 ") == 2


def test_a_wish_for_a_web_socket_is_refused(server: int) -> None:
    asked = request(
        GOOD, b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: YWFhYWFhYWFhYWFhYWFhYQ=="
    )

    found = answered(server, asked.replace(b"Connection: close", b"Connection: Upgrade"))

    assert found[9:10] in {b"2", b"4"}
    assert b" 101 " not in found[:16]


def test_one_connection_too_many_is_told_so(server: int) -> None:
    held = [socket.create_connection(("127.0.0.1", server), timeout=10) for _ in range(MOST_CONNECTIONS)]
    try:
        found = answered(server, b"")
    finally:
        for each in held:
            each.close()

    assert refused(found) == (503, "client")
    assert b"retry-after: 1" in found
    time.sleep(0.1)
    assert answered(server, request()).startswith(b"HTTP/1.1 200 ")


def test_who_takes_no_answer_is_hung_up_on(server: int) -> None:
    wanted = 400
    with socket.create_connection(("127.0.0.1", server), timeout=10) as connection:
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: shepherd\r\n\r\n" * wanted)
        time.sleep(PATIENCE * 3)
        found = heard(connection)

    assert 0 < found.count(b"HTTP/1.1 200 ") < wanted
