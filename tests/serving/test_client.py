from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from serving import client as typed
from serving.access.routes import Routes
from serving.app import create_app
from serving.client import LONGEST_WAIT, Client, Refused
from serving.live.answer import ModelBody, RingBody
from serving.live.answer import ScanAnswer as Answered
from serving.live.event_desk import EventsAnswer as Taken
from serving.reasons import Reason
from serving.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fastapi import FastAPI

AT = datetime(2017, 12, 10, 12, tzinfo=UTC)
ROW = {"member_redemption_count": 6, "member_basket_since": None, "member_discount_share": 0.5}


class InProcess(httpx.BaseTransport):
    """Carries the client's requests to the real application in this process."""

    def __init__(self, app: FastAPI) -> None:
        self._runner = asyncio.Runner()
        self._life = app.router.lifespan_context(app)
        self._inner = httpx.ASGITransport(app)
        self._runner.run(self._life.__aenter__())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def answered() -> httpx.Response:
            found = await self._inner.handle_async_request(
                httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
            )
            return httpx.Response(found.status_code, headers=found.headers, content=await found.aread())

        return self._runner.run(answered())

    def close(self) -> None:
        self._runner.run(self._life.__aexit__(None, None, None))
        self._runner.close()


@pytest.fixture
def asking(settings: Settings) -> Iterator[Client]:
    with Client("http://shepherd", transport=InProcess(create_app(settings))) as client:
        yield client


def test_offers_are_typed(asking: Client) -> None:
    found = asking.offers("1029", AT, limit=2)

    assert found.at == AT
    assert found.offers[0].offer_id == "booklet-18"
    assert len(found.offers) == 2
    assert found.offers[0].reasons[0].sentence.startswith("Redemptions")
    assert found.no_offer is None
    assert asking.offers("7", AT).no_offer.code == "no_running_campaign"


def test_offers_of_many_keep_their_order(asking: Client) -> None:
    found = asking.offers_of_many(["7", "1029", "nobody"], AT)

    assert [one.member_id for one in found] == ["7", "1029", "nobody"]
    assert found[2].no_offer.code == "unknown_member"


def test_rows_are_typed(asking: Client) -> None:
    many = asking.batch("coupon", [ROW, ROW | {"member_redemption_count": None}])
    one = asking.score_row("coupon", ROW)

    assert len(many) == 2
    assert (many[0].probability, many[0].action) == (one.probability, one.action)
    assert many[0].place is None


def test_models_are_typed(asking: Client) -> None:
    (model,) = asking.models()

    assert (model.task, model.version, model.parity["wrong_leaves"]) == ("coupon", "v1", 0)


@pytest.mark.parametrize(
    ("ask", "status", "where"),
    [
        (lambda asking: asking.offers("nobody"), 404, "path.member_id"),
        (lambda asking: asking.offers("a/b?c#d"), 404, "path.member_id"),
        (lambda asking: asking.offers("1029", limit=0), 422, "body.limit"),
        (lambda asking: asking.batch("coupon", [{}]), 422, "line 1"),
        (lambda asking: asking.batch("../models", [ROW]), 404, "path.task"),
        (lambda asking: asking.sites([{"site_id": "a", "lat": 1.0, "lon": 1.0}]), 404, "path"),
        (lambda asking: asking.score({"scan_id": "S1"}), 404, "path"),
        (lambda asking: asking.events({"payouts": []}), 404, "path"),
        (lambda asking: asking.decision("0" * 32), 404, "path"),
    ],
)
def test_an_error_carries_the_problems(
    asking: Client, ask: Callable[[Client], object], status: int, where: str
) -> None:
    with pytest.raises(Refused) as refused:
        ask(asking)

    assert refused.value.status == status
    assert refused.value.problems[0].where in {where, "request"}
    assert refused.value.problems[0].fix in str(refused.value)


def answering(*answers: httpx.Response) -> tuple[Client, list[httpx.Request], list[float]]:
    left, asked, waited = list(answers), [], []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return left.pop(0)

    return Client("http://s", "k", sleep=waited.append, transport=httpx.MockTransport(handle)), asked, waited


def busy(status: int, after: str | None) -> httpx.Response:
    return httpx.Response(
        status, headers={} if after is None else {"retry-after": after}, json={"error": {"what": "Busy."}}
    )


def said() -> bytes:
    reason = Reason("x", 1.0, 0.5, "volume", None, "X is 1.", None)
    return msgspec.json.encode(
        Answered(
            decision_id="d",
            scan_id="S1",
            action="hold",
            probability=0.5,
            expected_value_fen=-3.0,
            reasons=(reason,),
            ring=RingBody("r", 7),
            lot=None,
            model=ModelBody("fraud", "v1", "f"),
            degraded="none",
            recorded=True,
        )
    )


def test_what_the_service_writes_of_a_scan_is_what_is_read() -> None:
    client, asked, _ = answering(httpx.Response(200, content=said()))

    found = client.score({"scan_id": "S1", "ts": AT})

    assert (found.action, found.ring.members, found.reasons[0].feature, found.model.task) == ("hold", 7, "x", "fraud")
    assert msgspec.json.decode(asked[0].content) == {"scan_id": "S1", "ts": "2017-12-10T12:00:00Z"}
    assert asked[0].headers["authorization"] == "Bearer k"
    assert {field.name for field in msgspec.structs.fields(Answered)} == {
        field.name for field in msgspec.structs.fields(typed.ScanAnswer)
    }


def test_what_the_service_says_of_events_is_what_is_read() -> None:
    client, _, _ = answering(httpx.Response(200, content=msgspec.json.encode(Taken(3, 1))))

    assert client.events({"payouts": []}) == typed.EventsAnswer(3, 1)


def test_who_is_told_to_wait_sends_the_same_again() -> None:
    client, asked, waited = answering(busy(429, "1"), busy(503, "2"), httpx.Response(200, content=said()))

    assert client.score({"scan_id": "S1"}).action == "hold"
    assert waited == [1.0, 2.0]
    assert len({request.content for request in asked}) == 1


@pytest.mark.parametrize(
    "answer",
    [
        busy(429, None),
        busy(503, None),
        busy(500, "1"),
        busy(409, "1"),
        busy(429, str(int(LONGEST_WAIT) + 1)),
        busy(503, "soon"),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.headers.get('retry-after')}",
)
def test_what_would_be_wrong_or_long_is_not_sent_again(answer: httpx.Response) -> None:
    client, asked, waited = answering(answer)

    with pytest.raises(Refused, match="Busy"):
        client.score({"scan_id": "S1"})

    assert (len(asked), waited) == (1, [])


def test_it_gives_up_after_so_many_tries() -> None:
    client, asked, _ = answering(*[busy(429, "1") for _ in range(4)])

    with pytest.raises(Refused) as refused:
        client.score({"scan_id": "S1"})

    assert (refused.value.status, len(asked)) == (429, 4)


def test_a_timeout_is_the_caller_s_to_decide_about() -> None:
    def late(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late")

    with pytest.raises(httpx.ReadTimeout):
        Client("http://s", transport=httpx.MockTransport(late)).score({"scan_id": "S1"})


def test_an_answer_of_somebody_else_is_told() -> None:
    client, _, _ = answering(httpx.Response(502, content=b"<html>"))

    with pytest.raises(Refused, match="502 Bad Gateway, from something that is not Shepherd"):
        client.models()


def test_the_client_needs_nothing_of_the_service() -> None:
    listing = "import sys, serving.client; print({'numpy', 'onnxruntime', 'fastapi', 'pyarrow'} & set(sys.modules))"
    done: Any = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)  # noqa: S603

    assert done.stdout == "set()\n"


CALLS: dict[str, Callable[[Client], object]] = {
    "score": lambda asking: asking.score({"scan_id": "s"}),
    "score_row": lambda asking: asking.score_row("coupon", ROW),
    "offers": lambda asking: asking.offers("1029"),
    "offers_of_many": lambda asking: asking.offers_of_many(["1029"]),
    "sites": lambda asking: asking.sites([]),
    "events": lambda asking: asking.events({}),
    "batch": lambda asking: asking.batch("fraud", [ROW]),
    "decision": lambda asking: asking.decision("d"),
    "models": lambda asking: asking.models(),
    "load": lambda asking: asking.load("coupon"),
    "ready": lambda asking: asking.ready(),
    "metrics": lambda asking: asking.metrics(),
    "audiences.all": lambda asking: asking.audiences.all(),
    "audiences.get": lambda asking: asking.audiences.get("tea"),
    "audiences.check": lambda asking: asking.audiences.check("everybody"),
    "audiences.save": lambda asking: asking.audiences.save("tea", "everybody"),
    "audiences.remove": lambda asking: asking.audiences.remove("tea"),
    "audiences.page": lambda asking: asking.audiences.page("tea"),
    "audiences.belongs": lambda asking: asking.audiences.belongs("tea", "1029"),
    "audiences.profile": lambda asking: asking.audiences.profile("tea"),
}


def operations_of(ask: Callable[[Client], object]) -> set[tuple[str, str]]:
    """The operations of the page that a call asks, found as the gate finds them."""
    asked: list[tuple[str, str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        found = Routes().find(request.url.path)
        assert found is not None
        asked.append((found.pattern, request.method))
        return httpx.Response(200, content=b"null")

    client = Client("http://s", transport=httpx.MockTransport(handle))
    with contextlib.suppress(msgspec.ValidationError):
        ask(client)
    return set(asked)


def test_every_operation_of_the_page_has_a_call() -> None:
    page = create_app(Settings()).openapi()["paths"]
    described = {(path, method.upper()) for path, methods in page.items() for method in methods}

    assert set().union(*map(operations_of, CALLS.values())) == described - {("/livez", "GET")}  # for who starts it


def test_audiences_are_typed(settings: Settings, tmp_path: Path) -> None:
    chosen = settings.model_copy(update={"audiences": tmp_path})
    with Client("http://shepherd", transport=InProcess(create_app(chosen))) as asking:
        assert asking.ready()
        assert asking.audiences.all() == ()
        saved = asking.audiences.save("all", "everybody", "for tests")
        assert asking.audiences.get("all") == saved
        assert (saved.note, saved.counted) == ("for tests", None)
        assert asking.audiences.check(saved.filter).fingerprint == saved.fingerprint
        with pytest.raises(Refused, match="409"):
            asking.audiences.page("all")
        asking.audiences.remove("all")
        with pytest.raises(Refused, match="404"):
            asking.audiences.get("all")
        assert asking.load("coupon") == typed.Versions("v1", None)
        assert "shepherd_" in asking.metrics()
