"""A pointer that names another version is followed by every route of its task, on every way through the server."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from serving.bundle import point
from tests.serving.served import served
from tests.serving.test_coupon_decisions import AT
from tests.serving.test_site_service import ASKED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.serving.whole.conftest import Whole

TASKS = ("coupon", "fraud", "offers", "site")
ROWS = ("coupon", "fraud")


@pytest.fixture(scope="module")
def asking(whole: Whole) -> Iterator[httpx.Client]:
    with served(whole.home, **whole.variables) as server, httpx.Client(base_url=server.address, timeout=30) as client:
        yield client


def champion(whole: Whole, task: str) -> str:
    return (whole.home / "bundles" / task / "champion").read_text().strip()


def another(whole: Whole, task: str, version: str, **changed: Any) -> None:
    """A version like the champion, but for what it says of itself; every action is worth 7 fen more."""
    root = whole.home / "bundles" / task
    shutil.copytree(root / champion(whole, task), root / version)
    path = root / version / "manifest.json"
    manifest = json.loads(path.read_text())
    if task in ROWS:
        manifest["payoff"]["value_fen"] = [[fen + 7 for fen in row] for row in manifest["payoff"]["value_fen"]]
    path.write_text(json.dumps(manifest | {"version": version} | changed))


def versions(asking: httpx.Client) -> dict[str, str]:
    return {one["task"]: one["version"] for one in asking.get("/v1/models").json()["models"]}


def row(asking: httpx.Client, task: str) -> dict[str, Any]:
    """A row of a task in which little is known."""
    (model,) = [one for one in asking.get("/v1/models").json()["models"] if one["task"] == task]
    also = {name: "one" if name in {"decision_id", "campaign_id"} else 100 for name in model["also_asked"]}
    return dict.fromkeys(model["features"], None) | also


def answers(asking: httpx.Client, task: str) -> dict[str, float]:
    """What each way to a row's score says it is worth."""
    told = row(asking, task)
    scored = {name: value for name, value in told.items() if name != "decision_id"}
    packed = json.dumps(scored).encode()

    def worth(response: httpx.Response) -> float:
        assert response.status_code == 200, response.text
        found: float = json.loads(response.content.splitlines()[0])["expected_value_fen"]
        return found

    def chunks() -> Iterator[bytes]:
        yield packed

    json_kind = {"content-type": "application/json"}
    lines = {"content-type": "application/x-ndjson"}
    return {
        "short way": worth(asking.post(f"/v1/{task}/score", content=packed, headers=json_kind)),
        "long way": worth(asking.post(f"/v1/{task}/score", content=chunks(), headers=json_kind)),
        "batch": worth(asking.post(f"/v1/{task}/batch", content=json.dumps(told).encode(), headers=lines)),
    }


@pytest.mark.parametrize("task", ROWS)
def test_rows_are_answered_by_the_version_that_is_named_now(whole: Whole, asking: httpx.Client, task: str) -> None:
    before = answers(asking, task)
    another(whole, task, "richer")
    point(whole.home / "bundles", task, "champion", "richer")

    asked = asking.post(f"/v1/models/{task}/load")

    assert asked.status_code == 200
    assert asked.json()["champion"] == versions(asking)[task] == "richer"
    assert len(set(before.values())) == 1
    assert answers(asking, task) == pytest.approx({way: worth + 7 for way, worth in before.items()})


@pytest.mark.parametrize("task", TASKS)
def test_a_pointer_is_followed_within_seconds(whole: Whole, asking: httpx.Client, task: str) -> None:
    others = {name: version for name, version in versions(asking).items() if name != task}
    another(whole, task, "next")
    point(whole.home / "bundles", task, "champion", "next")

    until = time.monotonic() + 20
    while versions(asking)[task] != "next":
        assert time.monotonic() < until
        time.sleep(0.1)

    assert {name: version for name, version in versions(asking).items() if name != task} == others
    assert asking.get("/metrics").text.count('outcome="loaded"') >= 1


def test_offers_and_sites_answer_by_the_new_version(whole: Whole, asking: httpx.Client) -> None:
    members = {"members": ["m5"], "at": AT.isoformat()}
    for task in ("offers", "site"):
        another(whole, task, "newest")
        point(whole.home / "bundles", task, "champion", "newest")
        assert asking.post(f"/v1/models/{task}/load").json() == {"champion": "newest", "challenger": None}

    one = asking.post("/v1/members/m5/offers", json={"at": AT.isoformat()}).json()
    (many,) = asking.post("/v1/coupon/batch", json=members).text.splitlines()
    sites = asking.post("/v1/sites/score", json={"sites": [ASKED]}).json()

    assert one["model"] == json.loads(many)["model"]
    assert (one["model"]["task"], one["model"]["version"]) == ("offers", "newest")
    assert sites["model"]["version"] == "newest"


@pytest.mark.parametrize("task", TASKS)
def test_a_version_that_is_not_as_it_should_be_is_refused_and_the_one_before_goes_on(
    whole: Whole, asking: httpx.Client, task: str
) -> None:
    before = versions(asking)
    named = champion(whole, task)
    another(whole, task, "broken", surprise=1)
    aside = whole.home / "bundles" / task / "aside"
    aside.write_text("broken\n")
    aside.replace(aside.with_name("champion"))
    try:
        asked = asking.post(f"/v1/models/{task}/load")
        assert asked.status_code == 409
        assert versions(asking) == before
        assert asking.get("/readyz").status_code == 200
    finally:
        point(whole.home / "bundles", task, "champion", named)
        assert asking.post(f"/v1/models/{task}/load").status_code == 200


def test_a_task_without_a_model_is_not_loaded(asking: httpx.Client) -> None:
    assert asking.post("/v1/models/nothing/load").status_code == 404
