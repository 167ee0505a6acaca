"""The routes of saved audiences: what the command line saved and counted, over HTTP, without any table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from features.audience.counted import Counted, write_counted
from features.audience.library import Library
from features.audience.listing import write_list
from features.audience.parser import parse
from serving.app import create_app
from serving.audiences import MOST_MEMBERS
from tests.serving.test_api import Client, problems

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from serving.settings import Settings

FILTER = 'bought(category="kiwifruit", within=90d) and not bought(brand="Green Ridge", ever)'
AS_OF = datetime(2025, 6, 1, tzinfo=UTC)
MEMBERS = tuple(f"m{number:03}" for number in range(40))


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "audiences")


@pytest.fixture
def client(settings: Settings, library: Library) -> Iterator[Client]:
    with Client(create_app(settings.model_copy(update={"audiences": library.folder}))) as opened:
        yield opened


def count(library: Library, name: str) -> None:
    """What `shepherd audience refresh` leaves."""
    counted = Counted(
        path=library.members_path(name),
        fingerprint=library.fingerprint(library.get(name).condition),
        as_of=AS_OF,
        size=len(MEMBERS),
        everybody=100,
        profile={"region": [{"name": "Chengdu"}]},
    )
    write_counted(counted, pa.table({"member_id": list(MEMBERS)}))


def test_one_damaged_audience_is_named_beside_the_others(client: Client, library: Library) -> None:
    library.save("good", parse("everybody"))
    library.save("bad", parse("everybody"))
    (library.folder / "bad.json").write_text("{}")

    answer = client.get("/v1/audiences")

    assert answer.status_code == 200
    assert [one["name"] for one in answer.json()["audiences"]] == ["good"]
    assert answer.json()["damaged"] == ["bad"]


def test_a_list_of_members_is_answered_like_a_filter(client: Client, library: Library) -> None:
    library.save("guests", write_list(library.folder, ["m001", "m002"]))
    count(library, "guests")

    assert client.get("/v1/audiences/guests").json()["filter"].startswith('listed("')
    assert client.get("/v1/audiences/guests/members/m001").json()["belongs"] is True
    assert client.request("PUT", "/v1/audiences/others", json={"filter": 'audience("guests")'}).status_code == 200
    unknown = {"filter": f'listed("{"0" * 64}")'}
    assert client.request("PUT", "/v1/audiences/more", json=unknown).status_code == 422


def test_what_is_put_is_saved_as_the_command_line_saves_it(client: Client, library: Library) -> None:
    written = FILTER.replace(" and ", "  and  ").replace(", ever", "")
    response = client.request("PUT", "/v1/audiences/kiwi-rivals", json={"filter": written, "note": "June"})

    assert response.status_code == 200
    answer = response.json()
    assert answer == client.get("/v1/audiences/kiwi-rivals").json()
    assert answer["filter"] == FILTER
    assert answer["sentence_zh"].startswith("最近 90 天买过")
    assert answer["counted"] is None
    assert answer["note"] == "June"
    assert library.get("kiwi-rivals").condition == parse(FILTER)
    assert answer["fingerprint"] == library.fingerprint(parse(FILTER))
    assert client.get("/v1/audiences").json() == {"audiences": [answer], "damaged": []}
    assert client.request("PUT", "/v1/audiences/kiwi-rivals", json={"filter": written, "note": "June"}).json() == answer


def test_a_chinese_name_is_a_name(client: Client) -> None:
    assert client.request("PUT", "/v1/audiences/猕猴桃", json={"filter": "everybody"}).status_code == 200
    assert client.get("/v1/audiences/猕猴桃").json()["name"] == "猕猴桃"


def test_a_filter_can_be_checked_without_being_saved(client: Client, library: Library) -> None:
    response = client.post("/v1/audiences/check", json={"filter": "bought()"})

    assert response.status_code == 200
    assert response.json()["filter"] == "bought(ever)"
    assert library.names() == ()


def test_members_come_in_pages_and_one_by_one(client: Client, library: Library) -> None:
    library.save("a", parse(FILTER))
    count(library, "a")

    answer = client.get("/v1/audiences/a").json()
    pages = [client.get(f"/v1/audiences/a/members?offset={start}&limit=15").json() for start in (0, 15, 30)]

    assert answer["counted"] == {"as_of": "2025-06-01T00:00:00Z", "size": 40, "everybody": 100, "share": 0.4}
    assert tuple(one for page in pages for one in page["members"]) == MEMBERS
    assert [page["next_offset"] for page in pages] == [15, 30, None]
    assert client.get("/v1/audiences/a/members").json()["members"] == list(MEMBERS)
    assert client.get("/v1/audiences/a/members?offset=4000000000000").json()["members"] == []
    assert client.get("/v1/audiences/a/members/m007").json()["belongs"] is True
    assert client.get("/v1/audiences/a/members/m999").json()["belongs"] is False
    assert client.get("/v1/audiences/a/profile").json()["profile"] == {"region": [{"name": "Chengdu"}]}


@pytest.mark.parametrize("path", ["members", "members/m001", "profile"])
def test_what_was_counted_of_another_definition_is_not_answered(client: Client, library: Library, path: str) -> None:
    library.save("a", parse(FILTER))
    count(library, "a")
    assert client.get(f"/v1/audiences/a/{path}").status_code == 200
    library.save("a", parse("everybody"))

    response = client.get(f"/v1/audiences/a/{path}")

    assert response.status_code == 409
    assert "shepherd audience refresh" in problems(response)[0]["fix"]
    assert client.get("/v1/audiences/a").json()["counted"] is None


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_every_fault_of_a_filter_is_told_with_its_place_and_nothing_is_repeated(
    client: Client, library: Library, method: str
) -> None:
    path = "/v1/audiences/check" if method == "POST" else "/v1/audiences/a"
    hidden = (
        'hunter2(x) and bought(hunter2="a", baskets=0) or city < "hunter2" and audience("hunter2") and city = hunter2'
    )
    response = client.request(method, path, json={"filter": hidden})

    assert response.status_code == 422
    assert [problem["where"] for problem in problems(response)] == [
        f"body.filter.{place}" for place in (1, 23, 36, 50, 71, 102)
    ]
    assert all(problem["fix"] and problem["expected"] for problem in problems(response))
    assert "hunter2" not in response.text
    assert library.names() == ()


@pytest.mark.parametrize(
    "body",
    [{}, {"filter": 3}, {"filter": ""}, {"filter": "x" * 4_001}, {"filter": "everybody", "note": "n" * 501}, [], None,
     {"filter": "everybody", "more": 1}, {"filter": "\ud800"}],
)  # fmt: skip
def test_a_body_that_is_no_audience_is_refused(client: Client, library: Library, body: object) -> None:
    import json  # noqa: PLC0415 - a lone surrogate is only sent by hand

    response = client.request(
        "PUT", "/v1/audiences/a", content=json.dumps(body), headers={"content-type": "application/json"}
    )

    assert response.status_code in {400, 422}
    assert problems(response)
    assert library.names() == ()


@pytest.mark.parametrize("name", ["A", ".hidden", "..%2F..%2Fetc", "a.json", "x" * 65, "a%00", "-"])
def test_what_is_no_name_is_refused(client: Client, library: Library, name: str) -> None:
    for method, path in (("PUT", ""), ("GET", ""), ("DELETE", ""), ("GET", "/members"), ("GET", "/profile")):
        response = client.request(method, f"/v1/audiences/{name}{path}", json={"filter": "everybody"})
        assert response.status_code in {404, 422}
        assert problems(response)
    assert not library.folder.exists()


def test_an_audience_that_is_not_saved_is_not_found(client: Client) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/members"), ("GET", "/members/m1"), ("GET", "/profile")):
        response = client.request(method, f"/v1/audiences/nobody{path}")
        assert response.status_code == 404
        assert "PUT" in problems(response)[0]["fix"]


def test_a_circle_and_one_in_use_are_refused(client: Client, library: Library) -> None:
    library.save("a", parse("everybody"))
    library.save("b", parse('audience("a")'))

    circle = client.request("PUT", "/v1/audiences/a", json={"filter": 'audience("b")'})
    used = client.request("DELETE", "/v1/audiences/a")

    assert (circle.status_code, used.status_code) == (422, 409)
    assert "no audience within itself" in problems(circle)[0]["expected"]
    assert client.request("DELETE", "/v1/audiences/b").status_code == 204
    assert client.request("DELETE", "/v1/audiences/a").status_code == 204
    assert library.names() == ()


@pytest.mark.parametrize("query", ["limit=0", f"limit={MOST_MEMBERS + 1}", "offset=-1", "offset=x", "limit=1e3"])
def test_a_page_that_is_none_is_refused(client: Client, library: Library, query: str) -> None:
    library.save("a", parse("everybody"))
    count(library, "a")

    response = client.get(f"/v1/audiences/a/members?{query}")

    assert response.status_code == 422
    assert problems(response)


def test_audiences_are_answered_before_any_model_is_there(settings: Settings, tmp_path: Path) -> None:
    empty = settings.model_copy(update={"bundles": tmp_path / "none", "audiences": tmp_path / "audiences"})

    with Client(create_app(empty)) as client:
        assert client.get("/readyz").status_code == 503
        assert client.get("/v1/audiences").json() == {"audiences": [], "damaged": []}
