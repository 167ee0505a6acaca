"""Every example of the OpenAPI page, sent as it is shown to a real server of scans and offers."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from serving.app import create_app
from serving.settings import Settings
from serving.site_contracts import SitesQuestion
from tests.serving.live.conftest import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE: dict[str, Any] = create_app(Settings()).openapi()
NOT_SERVED_HERE = {"/v1/sites/score"}
ANSWERED = {"/v1/coupon/batch": {"members": 200, "audience": 404}}
"""Where an example names what its reader has to make first, the answer says so."""


def shown() -> list[tuple[str, str, str, str]]:
    """Path, method, kind and name of every example of a body."""
    return [
        (path, method, kind, name)
        for path, methods in PAGE["paths"].items()
        for method, operation in methods.items()
        for kind, body in operation.get("requestBody", {}).get("content", {}).items()
        for name in body.get("examples", {})
    ]


@pytest.fixture(scope="module")
def server(bundles: Path, world: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(bundles, folder / "bundles")
    shutil.copytree(home / "bundles" / "coupon", folder / "bundles" / "coupon")
    settings = Settings(home=folder, bundles=folder / "bundles", tables=world, deadline_ms=5_000)
    offers = {"SHEPHERD_OFFERS": str(home / "coupon.parquet"), "SHEPHERD_CAMPAIGNS": str(home / "campaigns.parquet")}
    with Server(settings, SHEPHERD_TASK="coupon", **offers) as running:
        yield f"http://127.0.0.1:{running.port}"


def filled(path: str, operation: dict[str, Any]) -> str:
    """A path with the first example of each of its parts."""
    for one in operation.get("parameters", ()):
        if one["in"] == "path":
            first = next(iter(one.get("examples", {"": {"value": "x"}}).values()))["value"]
            path = path.replace(f"{{{one['name']}}}", quote(str(first), safe=""))
    return path


def test_the_page_has_examples_of_what_is_asked_most() -> None:
    paths = {path for path, *_ in shown()}

    assert {"/v1/scans/score", "/v1/events", "/v1/members/{member_id}/offers", "/v1/coupon/batch"} <= paths


@pytest.mark.parametrize(("path", "method", "kind", "name"), shown())
def test_an_example_runs_as_shown(server: str, path: str, method: str, kind: str, name: str) -> None:
    operation = PAGE["paths"][path][method]
    example = operation["requestBody"]["content"][kind]["examples"][name]["value"]
    if path in NOT_SERVED_HERE:
        SitesQuestion.model_validate(example)
        return

    answer = httpx.request(
        method.upper(),
        server + filled(path, operation),
        content=example if isinstance(example, str) else json.dumps(example),
        headers={"content-type": kind},
        timeout=60,
    )

    assert answer.status_code == ANSWERED.get(path, {}).get(name, 200), answer.text
    assert str(answer.status_code) in operation["responses"]
