"""The hot path refuses in the shape of all refusals, says every problem, sheds fast, and degrades as declared."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from data.contracts import TABLES
from serving.app import create_app
from serving.live import bodies
from serving.live.bodies import BodyRefused, ScanBody, read_scan
from serving.live.hot import PATH, answer_schema, request_schema
from tests.serving.live.conftest import encoded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from fastapi import FastAPI

    from serving.live.service import LiveService
    from serving.settings import Settings

JSON = {"content-type": "application/json"}


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client,
    ):
        yield app, client


def during(settings: Settings, what: Callable[[FastAPI, httpx.AsyncClient], Coroutine[Any, Any, Any]]) -> Any:
    async def whole() -> Any:
        async with started(settings) as (app, client):
            return await what(app, client)

    return asyncio.run(whole())


def problems(answer: httpx.Response) -> list[str]:
    return [problem["where"] for problem in answer.json()["error"]["problems"]]


def test_every_way_of_asking_wrongly_has_its_status(settings: Settings, scans: list[ScanBody]) -> None:
    good = encoded(scans[0])
    unlike = [
        ("PUT", good, JSON, 405),
        ("HEAD", b"", {}, 405),
        ("POST", good, {"content-type": "text/plain"}, 415),
        ("POST", good, {}, 415),
        ("POST", b" " * 70_000, JSON, 413),
        ("POST", b'{"scan_id":' + b"[" * 40 + b"]" * 40 + b"}", JSON, 400),
        ("POST", b"", JSON, 422),
        ("POST", b"[]", JSON, 422),
        ("POST", b"\xff\xfe", JSON, 422),
        ("POST", good.replace(b"}", b', "prize_fen": 3}'), JSON, 422),
        ("POST", good.replace(b"}", b', "surprise": 3}'), JSON, 422),
        ("POST", encoded(scans[0], lat=1).replace(b'"lat": 1', b'"lat": NaN'), JSON, 422),
        ("POST", encoded(scans[0], lat=1).replace(b'"lat": 1', b'"lat": 1e999'), JSON, 422),
        ("POST", encoded(scans[0], scan_id="x" * 129), JSON, 422),
        ("POST", encoded(scans[0], ts="2025-01-01T00:00:00"), JSON, 422),
        ("POST", encoded(scans[0], prize_fen=-1), JSON, 422),
    ]

    async def ask(_: FastAPI, client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await client.request(method, PATH, content=body, headers=told) for method, body, told, _ in unlike]

    answers = during(settings, ask)

    assert [answer.status_code for answer in answers] == [status for *_, status in unlike]
    assert all(answer.json()["error"]["problems"] for answer in answers[2:])


def test_all_problems_are_said_at_once_and_nothing_is_repeated() -> None:
    wrong = {"scan_id": "", "ts": "hunter2", "status": "good", "prize_fen": 1.5, "lat": 91, "wifi": 3, "serial": True}

    with pytest.raises(BodyRefused) as refused:
        read_scan(json.dumps(wrong).encode())

    told = {problem.where for problem in refused.value.problems}
    assert told == {
        "body",
        *(f"body.{name}" for name in ("code_id", "scan_id", "ts", "status", "prize_fen", "lat", "serial")),
    }
    assert "hunter2" not in str(refused.value.problems)


@hypothesis_settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary() | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_no_body_is_a_fault(body: bytes | str) -> None:
    with pytest.raises(BodyRefused) as refused:
        read_scan(body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass"))

    assert refused.value.problems


def test_a_scan_says_what_its_table_says() -> None:
    table = TABLES["scans"]
    fields = {field.name: field for field in msgspec.structs.fields(ScanBody)}

    assert set(fields) == {column.name for column in table.columns} - {"received_at"}
    assert {name for name, field in fields.items() if not field.required} == {
        column.name for column in table.columns if column.nullable and column.name != "received_at"
    }
    assert set(bodies.KEYS) <= set(TABLES)


def test_the_openapi_page_says_what_is_read_and_answered(settings: Settings) -> None:
    async def ask(_: FastAPI, client: httpx.AsyncClient) -> Any:
        return (await client.get("/openapi.json")).json()

    operation = during(settings, ask)["paths"][PATH]["post"]
    body = operation["requestBody"]["content"]["application/json"]

    assert body["schema"] == json.loads(json.dumps(request_schema()))
    assert operation["responses"]["200"]["content"]["application/json"]["schema"] == json.loads(
        json.dumps(answer_schema())
    )
    assert set(body["schema"]["properties"]) == {field.name for field in msgspec.structs.fields(ScanBody)}
    for example in body["examples"].values():
        read_scan(json.dumps(example["value"]).encode())


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again(settings: Settings, scans: list[ScanBody]) -> None:
    async def ask(app: FastAPI, client: httpx.AsyncClient) -> list[httpx.Response]:
        live: LiveService = app.state.live
        live.desk.admission.most = 4
        asked = [client.post(PATH, content=encoded(scan), headers=JSON) for scan in scans[:40]]
        return list(await asyncio.gather(*asked))

    answers = during(settings, ask)

    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 429}
    assert {answer.headers.get("retry-after") for answer in answers if answer.status_code == 429} == {"1"}


def test_past_its_deadline_a_scan_is_answered_by_the_passive_action_and_judged_later(
    settings: Settings, scans: list[ScanBody]
) -> None:
    async def ask(app: FastAPI, client: httpx.AsyncClient) -> list[dict[str, Any]]:
        live: LiveService = app.state.live
        live.desk._deadline = 1e-9
        early = await client.post(PATH, content=encoded(scans[0]), headers=JSON)
        live.desk._deadline = 5.0
        late = await client.post(PATH, content=encoded(scans[0]), headers=JSON)
        return [early.json(), late.json()]

    early, late = during(settings, ask)

    assert (early["degraded"], early["recorded"], early["action"], early["probability"]) == (
        "deadline",
        False,
        "pay",
        None,
    )
    assert (late["degraded"], late["recorded"]) == ("none", True)
    assert late["decision_id"] == early["decision_id"]


def test_while_the_log_fails_scans_are_answered_degraded_and_the_service_is_not_ready(
    settings: Settings, scans: list[ScanBody]
) -> None:
    async def ask(app: FastAPI, client: httpx.AsyncClient) -> Any:
        live: LiveService = app.state.live
        live._writer._look = lambda: None  # it would find that the disk is well
        live._writer._failing = "disk full"
        answers = [await client.post(PATH, content=encoded(scans[0]), headers=JSON), await client.get("/readyz")]
        events = await client.post("/v1/events", json={"payouts": []})
        live._writer._failing = None
        return *answers, events, live.desk.state.sequence

    scan, ready, events, taken = during(settings, ask)

    assert (scan.json()["degraded"], scan.json()["recorded"]) == ("log", False)
    assert ready.status_code == 503
    assert "disk full" in ready.text
    assert events.status_code == 422
    assert taken == 0


def test_without_a_model_of_scans_they_are_not_found_and_no_log_is_made(settings: Settings) -> None:
    async def ask(_: FastAPI, client: httpx.AsyncClient) -> list[int]:
        return [
            (await client.post(PATH, content=b"{}", headers=JSON)).status_code,
            (await client.post("/v1/events", json={})).status_code,
            (await client.get("/v1/decisions/x")).status_code,
            (await client.post("/v1/models/none/load")).status_code,
        ]

    statuses = during(settings.model_copy(update={"scan_task": "none"}), ask)

    assert statuses == [404, 404, 404, 404]
    assert not settings.ledger.exists()


def test_decisions_made_elsewhere_are_found_again_by_their_ids(settings: Settings, home: Path) -> None:
    copied = settings.home / "bundles"
    shutil.copytree(settings.bundles, copied)
    shutil.copytree(home / "bundles" / "coupon", copied / "coupon")
    both = settings.model_copy(
        update={"bundles": copied, "offers": home / "coupon.parquet", "campaigns": home / "campaigns.parquet"}
        | {"task": "coupon"}
    )

    async def ask(_: FastAPI, client: httpx.AsyncClient) -> Any:
        asked = {"at": "2017-12-10T12:00:00Z"}
        answers = [await client.post("/v1/members/1029/offers", json=asked) for _ in range(2)]
        found = await client.get(f"/v1/decisions/{answers[0].json()['decision_id']}")
        unknown = await client.get("/v1/decisions/nobody")
        return *answers, found, unknown

    first, again, found, unknown = during(both, ask)

    assert first.content == again.content
    assert found.json()["answer"] == first.json()
    assert found.json()["request"]["member_id"] == "1029"
    assert unknown.status_code == 404


def test_a_log_that_cannot_be_opened_leaves_the_policy_and_is_said(settings: Settings, scans: list[ScanBody]) -> None:
    settings.ledger.write_text("no folder")

    async def ask(_: FastAPI, client: httpx.AsyncClient) -> Any:
        scan = await client.post(PATH, content=encoded(scans[0]), headers=JSON)
        return scan, await client.get("/readyz"), await client.post("/v1/events", json={"payouts": []})

    scan, ready, events = during(settings, ask)

    assert (scan.status_code, scan.json()["action"], scan.json()["degraded"]) == (200, "pay", "log")
    assert not scan.json()["recorded"]
    assert (ready.status_code, events.status_code) == (503, 503)
