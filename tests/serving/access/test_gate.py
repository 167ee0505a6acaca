"""Every key with every route, drawn from the application, so that a new route cannot be forgotten."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from data.errors import UsageError
from serving.access import key_file
from serving.access.gate import Gate, is_loopback, require_keys
from serving.access.key_file import KeyFile
from serving.access.keys import SCOPES
from serving.access.routes import GUARDED, OPEN, Routes
from serving.app import create_app
from serving.front import stand_before
from serving.settings import Settings
from serving.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from pathlib import Path

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")
ELSEWHERE = ("203.0.113.9", 40_000)


def walked(routes: Any) -> set[tuple[str, str]]:
    """Every path and method of an application, those of included routers too."""
    found: set[tuple[str, str]] = set()
    for route in routes:
        inner = getattr(route, "effective_candidates", None)
        if inner is not None:
            found |= walked(inner())
            continue
        original = getattr(route, "starlette_route", None) or route
        found |= {(original.path, method) for method in original.methods or ()}
    return found


def described(app: FastAPI) -> set[tuple[str, str]]:
    """Every path and method of the OpenAPI page, which hot routes stand on too."""
    paths = app.openapi()["paths"]
    return {(path, method.upper()) for path, methods in paths.items() for method in methods}


APP = create_app(Settings())
ROUTES = sorted(
    walked(APP.routes) | described(APP) | {(one.pattern, method) for one in GUARDED for method in one.scopes}
)


async def reached(*_: object) -> None:
    raise NotImplementedError


class Answer(NamedTuple):
    """What came back."""

    status_code: int
    headers: dict[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> Any:
        return json.loads(self.content)


def answer(app: Any, method: str, path: str, key: str | None = None, client: Any = ("127.0.0.1", 1)) -> Answer:
    """Ask an application as a server does, without a client's cost: there are hundreds of pairs."""
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    headers = [] if key is None else [(b"authorization", f"Bearer {key}".encode())]
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "client": client, "query_string": b""}
    asyncio.run(
        app(scope | {"scheme": "http", "server": ("s", 80), "root_path": "", "http_version": "1.1"}, receive, send)
    )
    start, *parts = said
    got = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], got, b"".join(part.get("body", b"") for part in parts))


def filled(pattern: str) -> str:
    return re.sub(r"\{\w+\}", "x", pattern)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    return path, {scope: key_file.add(path, f"only-{scope}", [scope], 1e6) for scope in SCOPES}


@pytest.fixture(scope="module")
def gate(keys: tuple[Path, dict[str, str]]) -> Gate:
    """A gate before something that says it was reached."""
    return Gate(PlainTextResponse("reached"), KeyFile(keys[0]))


def test_there_are_routes_to_walk() -> None:
    assert len(walked(APP.routes)) >= 18
    assert ("/v1/members/{member_id}/offers", "POST") in walked(APP.routes)


@pytest.mark.parametrize(("pattern", "method"), ROUTES)
def test_every_route_asks_for_a_scope_of_its_own(pattern: str, method: str) -> None:
    """A route that the table forgot could not be reached; this says so before anybody asks."""
    found = Routes().find(filled(pattern))

    assert found is not None
    assert found.pattern == pattern
    assert found.scope(method) in {*SCOPES, OPEN}


@pytest.mark.parametrize("holder", [None, "unknown", *SCOPES])
@pytest.mark.parametrize(("pattern", "method"), ROUTES)
def test_every_key_with_every_route(
    gate: Gate, keys: tuple[Path, dict[str, str]], pattern: str, method: str, holder: str | None
) -> None:
    asked = Routes().find(filled(pattern)).scope(method)
    key = None if holder is None else keys[1].get(holder, "shepherd_" + "x" * 43)

    found = answer(gate, method, filled(pattern), key)

    if asked in (OPEN, holder):
        assert (found.status_code, found.text) == (200, "reached")
    elif holder in (None, "unknown"):
        assert found.status_code == 401
        assert found.headers["www-authenticate"].startswith("Bearer")
    else:
        assert found.status_code == 403
        assert f'scope="{asked}"' in found.headers["www-authenticate"]
    assert found.status_code == 200 or "reached" not in found.text


@pytest.mark.parametrize("client", [ELSEWHERE, ("2001:db8::1", 1), ("testclient", 1), None], ids=repr)
@pytest.mark.parametrize(
    ("pattern", "method"), [one for one in ROUTES if Routes().find(filled(one[0])).scope(one[1]) == "admin"]
)
def test_what_administers_is_answered_only_on_the_machine_itself(
    gate: Gate, keys: tuple[Path, dict[str, str]], pattern: str, method: str, client: Any
) -> None:
    found = answer(gate, method, filled(pattern), keys[1]["admin"], client)

    assert found.status_code == 403
    assert found.json()["error"]["problems"][0]["where"] == "client"


@pytest.mark.parametrize("client", [ELSEWHERE, None], ids=repr)
@pytest.mark.parametrize(("pattern", "method"), ROUTES)
def test_without_keys_only_the_machine_itself_is_answered(
    tmp_path: Path, pattern: str, method: str, client: Any
) -> None:
    gate = Gate(PlainTextResponse("reached"), KeyFile(tmp_path / "none"))
    is_open = Routes().find(filled(pattern)).scope(method) == OPEN

    assert answer(gate, method, filled(pattern)).status_code == 200
    assert answer(gate, method, filled(pattern), client=client).status_code == (200 if is_open else 403)


@pytest.mark.parametrize("path", ["/", "/nothing", "/v1/models/", "//v1/models", "/v1/../metrics", "/V1/models"])
def test_what_is_no_route_is_not_reached(gate: Gate, keys: tuple[Path, dict[str, str]], path: str) -> None:
    async def ask(key: str | None) -> list[dict[str, Any]]:
        said: list[dict[str, Any]] = []
        headers = [] if key is None else [(b"authorization", f"Bearer {key}".encode())]
        scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "client": ELSEWHERE}

        async def send(message: Any) -> None:
            said.append(message)

        await gate(scope, reached, send)
        return said

    assert asyncio.run(ask(None))[0]["status"] == 401
    assert asyncio.run(ask(keys[1]["read"]))[0]["status"] == 404


@pytest.mark.parametrize("one", GUARDED, ids=lambda one: one.pattern)
def test_another_method_of_a_route_is_not_reached(gate: Gate, keys: tuple[Path, dict[str, str]], one: Any) -> None:
    for method in METHODS:
        if one.scope(method) is None:
            found = answer(gate, method, filled(one.pattern), keys[1]["read"])
            assert found.status_code == 405
            assert found.headers["allow"] == ", ".join(sorted(one.scopes))


def test_two_headers_are_no_key(gate: Gate, keys: tuple[Path, dict[str, str]]) -> None:
    async def ask() -> int:
        said: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            said.append(message)

        one = (b"authorization", f"Bearer {keys[1]['read']}".encode())
        await gate(
            {"type": "http", "method": "GET", "path": "/metrics", "headers": [one, one], "client": ELSEWHERE},
            reached,
            send,
        )
        return said[0]["status"]

    assert asyncio.run(ask()) == 401


def test_long_headers_are_refused_before_anything_is_judged(gate: Gate) -> None:
    found = answer(gate, "GET", "/livez", "x" * 33_000)

    assert found.status_code == 431
    assert answer(gate, "GET", "/livez", "x" * 31_000).status_code == 200


def test_a_socket_of_another_kind_is_closed(gate: Gate) -> None:
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    asyncio.run(gate({"type": "websocket", "path": "/v1/models"}, reached, send))

    assert said == [{"type": "websocket.close", "code": 1008}]


def test_who_asks_too_often_is_told_how_long_to_wait(tmp_path: Path) -> None:
    path, reasons = tmp_path / "keys.json", []
    key = key_file.add(path, "till", ["read"], 0.25, 2)
    gate = Gate(PlainTextResponse("reached"), KeyFile(path, lambda: 0.0), reasons.append)

    found = [answer(gate, "GET", "/v1/models", key) for _ in range(3)]

    assert [one.status_code for one in found] == [200, 200, 429]
    assert found[2].headers["retry-after"] == "4"
    assert reasons == ["rate"]


def test_a_whole_application_stands_behind_the_gate(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = key_file.add(path, "reader", ["read"], 100.0)
    app = FastAPI()
    metrics = Metrics()
    stand_before(app, metrics, path)

    @app.get("/v1/models")
    async def models() -> str:
        return "here"

    assert answer(app, "GET", "/v1/models").status_code == 401
    assert answer(app, "GET", "/v1/models", key).json() == "here"
    text = answer(app, "GET", "/metrics", key).text
    assert 'shepherd_refusals_total{reason="key"} 1.0' in text
    assert 'shepherd_request_seconds_count{method="GET",route="/v1/models",status="401"} 1.0' in text
    assert metrics.text().count(b"/v1/models") > 0
    assert "reader" not in text


def test_the_log_names_key_and_route_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "keys.json"
    key = key_file.add(path, "till", ["score"], 100.0)
    app = FastAPI()
    stand_before(app, Metrics(), path)

    with caplog.at_level("INFO", "serving.requests"):
        answer(app, "POST", "/v1/members/13800000000/offers", key)

    (record,) = [one for one in caplog.records if one.name == "serving.requests"]
    said = json.dumps(record.shepherd)
    assert record.shepherd["route"] == "/v1/members/{member_id}/offers"
    assert record.shepherd["key"] == "till"
    assert "13800000000" not in said
    assert key not in said


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - the point
        ("::", False),
        ("10.0.0.1", False),
        ("", False),
        ("127.0.0.1.example.com", False),
        ("localhost.", False),
        ("2130706433", False),
    ],
)
def test_serving_to_others_needs_keys(tmp_path: Path, host: str, own: bool) -> None:
    assert is_loopback(host) is own
    if own:
        require_keys(host, tmp_path / "keys.json")
    else:
        with pytest.raises(UsageError, match=r"run `shepherd keys add NAME --scope score` first, or serve on 127"):
            require_keys(host, tmp_path / "keys.json")
    key_file.add(tmp_path / "keys.json", "till", ["score"], 1.0)
    require_keys(host, tmp_path / "keys.json")
