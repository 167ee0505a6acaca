from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from serving.app import create_app, serve
from serving.settings import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from fastapi import FastAPI

AT = "2017-12-10T12:00:00Z"


class Client:
    """Asks an application in this process, over its ASGI surface; starts and stops it as a context manager."""

    def __init__(self, app: FastAPI, *, raise_faults: bool = True) -> None:
        self._runner = asyncio.Runner()
        self._life = app.router.lifespan_context(app)
        transport = httpx.ASGITransport(app, raise_app_exceptions=raise_faults)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://testserver")

    def __enter__(self) -> Self:
        self._runner.run(self._life.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._life.__aexit__(None, None, None))
        self.close()

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def request(self, method: str, url: str | httpx.URL, **sent: object) -> httpx.Response:
        return self._runner.run(self._client.request(method, url, **sent))

    def get(self, url: str) -> httpx.Response:
        return self.request("GET", url)

    def post(self, url: str | httpx.URL, **sent: object) -> httpx.Response:
        return self.request("POST", url, **sent)


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with Client(create_app(settings)) as opened:
        yield opened


@pytest.fixture(scope="module")
def module_client(home: Path) -> Iterator[Client]:
    chosen = Settings(bundles=home / "bundles", offers=home / "coupon.parquet", campaigns=home / "campaigns.parquet")
    with Client(create_app(chosen)) as opened:
        yield opened


def ask(client: Client, member_id: str = "1029", **body: object) -> httpx.Response:
    return client.post(f"/v1/members/{member_id}/offers", json={"at": AT, **body})


def problems(response: httpx.Response) -> list[dict[str, str]]:
    error = response.json()["error"]
    assert set(error) == {"what", "problems"}
    assert all(set(problem) == {"where", "found", "expected", "fix"} for problem in error["problems"])
    found: list[dict[str, str]] = error["problems"]
    return found


def test_a_known_member_gets_running_offers_by_chance(client: Client) -> None:
    response = ask(client)

    assert response.status_code == 200
    answer = response.json()
    assert answer["member_id"] == "1029"
    assert answer["at"] == AT
    assert answer["model"]["task"] == "coupon"
    assert answer["model"]["version"] == "v1"
    assert len(answer["model"]["feature_fingerprint"]) == 64
    assert {offer["campaign_id"] for offer in answer["offers"]} == {"18", "20", "22"}
    chances = [offer["probability"] for offer in answer["offers"]]
    assert chances == sorted(chances, reverse=True)
    assert answer["no_offer"] is None
    first = answer["offers"][0]
    assert first["offer_id"] == "booklet-18"
    assert first["action"] == "send"
    assert first["expected_value_fen"] == pytest.approx(300 * chances[0] - 30 * (1 - chances[0]))
    assert set(first["reasons"][0]) == {
        "feature",
        "value",
        "contribution",
        "code",
        "usual",
        "sentence",
        "sentence_zh",
    }
    assert first["reasons"][0]["sentence"] == "Redemptions of the member so far: 6; this raises the chance."


def test_the_same_question_has_the_same_bytes(client: Client) -> None:
    assert ask(client).content == ask(client).content
    assert ask(client).json()["decision_id"] != ask(client, limit=1).json()["decision_id"]
    assert ask(client).json()["decision_id"] != ask(client, "8").json()["decision_id"]


def test_a_moment_is_the_same_in_any_zone(client: Client) -> None:
    assert ask(client).content == ask(client, at="2017-12-10T20:00:00+08:00").content


def test_the_limit_cuts_after_ranking(client: Client) -> None:
    assert ask(client, limit=1).json()["offers"] == ask(client).json()["offers"][:1]


def test_nothing_running_is_an_answer(client: Client) -> None:
    answer = ask(client, "7").json()

    assert answer["offers"] == []
    assert answer["no_offer"]["code"] == "no_running_campaign"
    assert "2017-12-10T12:00:00" in answer["no_offer"]["reason"]


def test_nothing_worth_sending_is_an_answer(client: Client) -> None:
    answer = ask(client, "8").json()

    assert [offer["action"] for offer in answer["offers"]] == ["none"]
    assert answer["no_offer"] == {
        "code": "nothing_pays",
        "reason": "None of 1 running offers is expected to earn more than 'none'.",
    }


@pytest.mark.parametrize("sent", [{"json": {}}, {"json": None}, {}], ids=["empty", "null", "nothing"])
def test_without_a_moment_it_is_now(client: Client, sent: dict[str, Any]) -> None:
    response = client.post("/v1/members/1029/offers", **sent)

    assert response.status_code == 200
    assert response.json()["no_offer"]["code"] == "no_running_campaign"


def test_an_unknown_member_is_not_found(client: Client) -> None:
    response = ask(client, "secret-4711")

    assert response.status_code == 404
    assert response.json()["error"]["what"] == "This member is not known."
    assert "check the id" in problems(response)[0]["fix"]
    assert "4711" not in response.text


def test_all_problems_are_said_at_once_and_nothing_is_repeated(client: Client) -> None:
    response = client.post(
        f"/v1/members/{'9' * 129}/offers",
        json={"at": "hunter2", "limit": "hunter2", "token": "hunter2", "hunter2 !": 1},
    )

    assert response.status_code == 422
    assert [problem["where"] for problem in problems(response)] == [
        "path.member_id",
        "body.at",
        "body.limit",
        "body.token",
        "body.(a key that is no plain name)",
    ]
    assert response.json()["error"]["what"] == "The request breaks its contract in 5 places."
    assert "hunter2" not in response.text
    assert "999" not in response.text


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2017-12-10T12:00:00", "needs a time zone"),
        ("2017-12-10", "needs a time zone"),
        (1512907200, "ISO 8601 text"),
        (True, "ISO 8601 text"),
        ("yesterday", "is written as 2017-12-10T12:00:00Z"),
        ("9999-12-31T23:59:59-12:00", "between the years 1 and 9999"),
        ("0001-01-01T00:00:00+12:00", "between the years 1 and 9999"),
        ("", "is written as 2017-12-10T12:00:00Z"),
    ],
)
def test_what_is_no_moment_is_refused(client: Client, at: object, expected: str) -> None:
    response = ask(client, at=at)

    assert response.status_code == 422
    assert [problem["where"] for problem in problems(response)] == ["body.at"]
    assert expected in problems(response)[0]["expected"]


@pytest.mark.parametrize("limit", [0, -1, 101, 1.5, "3", True, None, 10**400, [], {}])
def test_what_is_no_limit_is_refused(client: Client, limit: object) -> None:
    response = ask(client, limit=limit)

    assert response.status_code == 422
    assert [problem["where"] for problem in problems(response)] == ["body.limit"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"at": ',
        b"\xff\xfe\x00",
        b"[]",
        b'"text"',
        b"1",
        b'{"limit": NaN}',
        b'{"limit": Infinity}',
        b'{"\\ud800": 1}',
        b'{"at": "\\ud800"}',
        b"[" * 30_000,
        b'{"a":' * 10_000,
        b'{"limit": 1' + b"0" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:16]),
)
def test_a_body_that_is_no_question_is_refused(client: Client, body: bytes) -> None:
    response = client.post("/v1/members/1029/offers", content=body, headers={"content-type": "application/json"})

    assert response.status_code in {400, 422}
    assert problems(response)


def test_a_body_of_another_kind_is_refused(client: Client) -> None:
    response = client.post("/v1/members/1029/offers", content=b"at=now", headers={"content-type": "text/plain"})

    assert response.status_code in {415, 422}
    assert problems(response)


def test_a_large_body_is_refused_before_it_is_parsed(client: Client) -> None:
    largest = b'{"at": "' + AT.encode() + b'"}'

    json_type = {"content-type": "application/json"}
    fits = client.post("/v1/members/1029/offers", content=largest + b" " * 60_000, headers=json_type)
    response = client.post("/v1/members/1029/offers", content=largest + b" " * 70_000, headers=json_type)

    assert fits.status_code == 200
    assert response.status_code == 413
    assert problems(response)[0]["expected"] == "at most 65,536 bytes"


def test_a_large_body_in_parts_is_refused_without_a_length(client: Client) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" " * 1000

    assert client.post("/v1/members/1029/offers", content=parts()).status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/v1/members//offers", 404), ("GET", "/v1/members/1029/offers", 405)],
)
def test_other_routes_and_methods_are_refused_in_the_same_shape(
    client: Client, method: str, path: str, status: int
) -> None:
    response = client.request(method, path)

    assert response.status_code == status
    assert problems(response)
    assert ("allow" in response.headers) == (status == 405)


@hypothesis_settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    member=st.text(st.characters(codec="utf-8"), min_size=1, max_size=200),
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(AT),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["at", "limit"]) | st.text(), inner)
        ),
        max_leaves=8,
    ),
)
def test_no_question_is_a_fault_of_the_service(module_client: Client, member: str, body: object) -> None:
    path = f"/v1/members/{quote(member, safe='')}/offers"

    response = module_client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})

    assert response.status_code in {200, 400, 404, 405, 422}
    if response.status_code != 200:
        assert problems(response)


def test_models_say_what_they_rest_on(client: Client) -> None:
    (model,) = client.get("/v1/models").json()["models"]

    assert model["version"] == "v1"
    assert model["features"] == ["member_redemption_count", "member_basket_since", "member_discount_share"]
    assert [each["action"] for each in model["thresholds"]] == ["none", "send"]
    assert model["thresholds"][0]["high"] == pytest.approx(30 / 330)
    assert model["parity"]["wrong_leaves"] == 0
    assert model["metrics"] == {"auc": 0.9}


def test_probes_answer(client: Client) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_before_the_start_nothing_is_ready(settings: Settings) -> None:
    unstarted = Client(create_app(settings))

    assert unstarted.get("/livez").status_code == 200
    response = unstarted.get("/readyz")
    unstarted.close()
    assert response.status_code == 503
    assert "starting" in problems(response)[0]["found"]


@pytest.mark.parametrize("missing", ["bundles", "offers", "campaigns"])
def test_without_model_or_rows_the_service_lives_and_says_why(
    settings: Settings, tmp_path: Path, missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = settings.model_copy(update={missing: tmp_path / "none"})

    with Client(create_app(broken)) as client:
        assert client.get("/livez").status_code == 200
        probe, answer = client.get("/readyz"), ask(client)

    assert probe.status_code == answer.status_code == 503
    assert str(tmp_path / "none") in problems(probe)[0]["found"]
    assert str(tmp_path) not in answer.text
    assert answer.headers["retry-after"] == "5"
    assert "not ready" in caplog.text


def test_rows_of_other_declarations_are_not_served(settings: Settings, home: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = pq.read_table(home / "coupon.parquet").replace_schema_metadata({b"shepherd.features.fingerprint": b"other"})
    pq.write_table(table, tmp_path / "rows.parquet")

    with Client(create_app(settings.model_copy(update={"offers": tmp_path / "rows.parquet"}))) as client:
        response = client.get("/readyz")

    assert response.status_code == 503
    assert "fingerprint other" in problems(response)[0]["found"]


def test_a_fault_is_told_without_its_inside(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr("serving.recommender.Recommender.answer", broken)
    with Client(create_app(settings), raise_faults=False) as client:
        response = ask(client)

    assert response.status_code == 500
    assert problems(response)[0]["fix"].startswith("try again")
    assert "secret" not in response.text
    assert "POST /v1/members/{member_id}/offers failed" in caplog.text
    assert "1029" not in caplog.messages[0]


def test_the_examples_of_the_openapi_page_work_as_shown(client: Client) -> None:
    page = client.get("/openapi.json").json()
    operation = page["paths"]["/v1/members/{member_id}/offers"]["post"]
    members = [each["value"] for each in operation["parameters"][0]["examples"].values()]
    bodies = [each["value"] for each in operation["requestBody"]["content"]["application/json"]["examples"].values()]

    for member in members:
        answers = [client.post(f"/v1/members/{member}/offers", json=body) for body in bodies]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json()["offers"]


def test_the_openapi_page_declares_every_refusal(client: Client) -> None:
    page = client.get("/openapi.json").json()

    responses = page["paths"]["/v1/members/{member_id}/offers"]["post"]["responses"]
    assert set(responses) == {"200", "400", "401", "403", "404", "413", "422", "429", "503"}
    for status in set(responses) - {"200"}:
        assert responses[status]["content"]["application/json"]["schema"] == {
            "$ref": "#/components/schemas/ErrorAnswer"
        }
    assert "HTTPValidationError" not in page["components"]["schemas"]


def test_many_questions_at_once_get_their_own_answers(settings: Settings) -> None:
    async def gather(app: FastAPI) -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://s") as many,
        ):
            asked = [many.post(f"/v1/members/{member}/offers", json={"at": AT}) for member in ["1029", "7", "8"] * 20]
            return await asyncio.gather(*asked)

    answers = asyncio.run(gather(create_app(settings)))

    assert [answer.json()["member_id"] for answer in answers] == ["1029", "7", "8"] * 20
    assert len({answer.content for answer in answers}) == 3


def test_all_places_follow_from_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHEPHERD_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("SHEPHERD_OFFERS", str(tmp_path / "rows.parquet"))
    monkeypatch.setenv("SHEPHERD_REAL_DATA", "not ours")

    settings = read_settings(tmp_path)

    assert settings.bundles == tmp_path / "bundles"
    assert settings.campaigns is None
    assert settings.offers == tmp_path / "rows.parquet"
    assert read_settings().home == tmp_path / "elsewhere"
    with pytest.raises(ValueError, match="frozen"):
        settings.task = "fraud"


def test_the_key_of_the_lot_is_read_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().lottery_key() is None
    monkeypatch.setenv("SHEPHERD_HOLDOUT_KEY", "0aFf" * 8)

    settings = read_settings()

    assert settings.lottery_key() == b"\x0a\xff" * 8
    assert "0aFf" not in repr(settings)


@pytest.mark.parametrize("key", ["", "0a" * 15, "0a" * 65, "0a" * 16 + "f", "hunter2-" * 4, " " + "0a" * 16])
def test_what_is_no_key_of_a_lot_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("SHEPHERD_HOLDOUT_KEY", key)

    with pytest.raises(UsageError, match=r"SHEPHERD_HOLDOUT_KEY: .*expected 16 to 64 bytes in hexadecimal") as refused:
        read_settings()

    assert not key or key not in str(refused.value)


def test_all_that_is_wrong_in_the_environment_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHEPHERD_POINTER", "hunter2")
    monkeypatch.setenv("SHEPHERD_BUNDLES", "\udcff")

    with pytest.raises(UsageError) as refused:
        create_app()

    assert "- SHEPHERD_POINTER: Input should be 'champion' or 'challenger'" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_serving_without_a_model_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found no task with a champion.*`shepherd run` does both"):
        serve(tmp_path, "127.0.0.1", 0)


def test_serving_listens_where_it_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr("uvicorn.run", lambda app, **how: asked.update(how, title=app.title))
    monkeypatch.setenv("SHEPHERD_OFFERS", str(settings.offers))
    monkeypatch.setenv("SHEPHERD_CAMPAIGNS", str(settings.campaigns))

    serve(settings.bundles.parent, "127.0.0.1", 8123)

    told = {name: asked[name] for name in ("title", "host", "port", "access_log", "server_header")}
    assert told == {"title": "Shepherd", "host": "127.0.0.1", "port": 8123, "access_log": False, "server_header": False}


def test_a_real_server_answers_and_stops_when_told(settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "SHEPHERD_BUNDLES": str(settings.bundles),
        "SHEPHERD_OFFERS": str(settings.offers),
        "SHEPHERD_CAMPAIGNS": str(settings.campaigns),
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "serving.app:create_app", "--port", str(port)]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said, cwd=tmp_path)  # noqa: S603 - ours
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as asking:
            _wait_until_ready(asking, process, tmp_path / "said")
            answer = asking.post("/v1/members/1029/offers", json={"at": AT}).json()
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=20)

    assert answer["offers"][0]["offer_id"] == "booklet-18"
    assert code in {0, -signal.SIGTERM}
    assert "Traceback" not in (tmp_path / "said").read_text()


def _wait_until_ready(asking: httpx.Client, process: subprocess.Popen[bytes], said: Path) -> None:
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        try:
            if asking.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"the server was not ready:\n{said.read_text()}")


def test_loading_and_answering_brings_nothing_that_trains(settings: Settings) -> None:
    statements = f"""
import sys
from datetime import UTC, datetime
from serving.app import load
from serving.settings import Settings
bundles, offers, campaigns = {[str(settings.bundles), str(settings.offers), str(settings.campaigns)]!r}
settings = Settings(bundles=bundles, offers=offers, campaigns=campaigns)
print(len(load(settings).recommender.answer("1029", datetime(2017, 12, 10, 12, tzinfo=UTC), 10).offers))
print({{"pandas", "lightgbm", "mlflow", "optuna", "sklearn", "duckdb", "onnx", "training"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", statements], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - ours

    assert (done.stdout, done.stderr) == ("3\nset()\n", "")
