"""Every key with every operation of the OpenAPI page, on a real server: whatever way a request goes, it is judged."""

from __future__ import annotations

import re
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from serving.access import key_file
from serving.access.keys import SCOPES
from serving.app import create_app
from serving.settings import Settings
from tests.serving.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE: dict[str, Any] = create_app(Settings()).openapi()
OPERATIONS = sorted((path, method) for path, methods in PAGE["paths"].items() for method in methods)
HOLDERS = ("nobody", "a stranger", "removed", "ended", "a hash", *SCOPES, "all")
TASKS = {"{task}": "coupon"}


class Doors(NamedTuple):
    """A service with keys.

    Attributes:
        asking: Asks it.
        port: Where it listens.
        keys: The key of each holder; None of nobody.
    """

    asking: httpx.Client
    port: int
    keys: dict[str, str | None]


@pytest.fixture(scope="module")
def doors(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    folder = tmp_path_factory.mktemp("keys")
    path = folder / "keys.json"
    keys: dict[str, str | None] = {scope: key_file.add(path, scope, [scope], 1e6) for scope in SCOPES}
    keys |= {"all": key_file.add(path, "all", list(SCOPES), 1e6), "removed": key_file.add(path, "gone", SCOPES, 1e6)}
    keys["ended"] = key_file.add(path, "ended", SCOPES, 1e6, until=datetime.now(UTC) - timedelta(seconds=1))
    key_file.remove(path, "gone")
    keys |= {"nobody": None, "a stranger": "shepherd_" + "x" * 43, "a hash": key_file.listed(path)[0].sha256}
    variables = {
        "SHEPHERD_BUNDLES": str(home / "bundles"),
        "SHEPHERD_OFFERS": str(home / "coupon.parquet"),
        "SHEPHERD_CAMPAIGNS": str(home / "campaigns.parquet"),
    }
    with served(folder, **variables) as server, httpx.Client(base_url=server.address, timeout=30) as asking:
        yield Doors(asking, server.port, keys)


def wanted(path: str, method: str) -> str | None:
    """The scope that the page says; None where it says that none is asked for."""
    operation = PAGE["paths"][path][method]
    if "security" not in operation:
        return None
    (scope,) = re.findall(r"Needs a key with the scope `(\w+)`", operation["description"])
    return str(scope)


def test_the_page_names_a_scope_for_all_but_the_probes() -> None:
    assert {path for path, method in OPERATIONS if wanted(path, method) is None} == {"/livez", "/readyz"}
    assert {wanted(path, method) for path, method in OPERATIONS} == {*SCOPES, None}


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_key_with_every_operation(doors: Doors, path: str, method: str, holder: str) -> None:
    scope, key = wanted(path, method), doors.keys[holder]
    headers = {"content-type": "application/json"} | ({} if key is None else {"authorization": f"Bearer {key}"})
    asked = re.sub(r"\{\w+\}", lambda found: TASKS.get(found[0], "x"), path)
    content = b'{"a": 1}' if method in {"post", "put"} else None

    found = doors.asking.request(method.upper(), asked, content=content, headers=headers)

    if scope is None or holder in {scope, "all"}:
        assert found.status_code not in {401, 403}
    elif holder in SCOPES:
        assert found.status_code == 403
        assert found.json()["error"]["problems"][0]["expected"] == f"a key with the scope {scope}"
    else:
        assert found.status_code == 401
        assert found.headers["www-authenticate"].startswith("Bearer")
        assert key is None or key not in found.text


@pytest.mark.parametrize("path", ["/v1/scans/score", "/v1/coupon/score"])
def test_two_keys_are_none(doors: Doors, path: str) -> None:
    named = b"".join(b"Authorization: Bearer %s\r\n" % str(doors.keys[one]).encode() for one in ("score", "a stranger"))
    head = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n" % path.encode()
    with socket.create_connection(("127.0.0.1", doors.port), timeout=10) as connection:
        connection.sendall(head + named + b"Connection: close\r\n\r\n{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")
