"""What the OpenAPI page says is so: schemathesis asks what it allows and what it does not."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.app import create_app
from serving.arrow_rows import ARROW
from serving.settings import Settings
from tests.serving.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.serving.whole.conftest import Whole

CASES = int(os.environ.get("SHEPHERD_FUZZ_CASES", "0"))
"""Over all operations; without it a few of each (`make fuzz` asks for 20,000)."""
FEW = 6
PAGE: dict[str, Any] = create_app(Settings()).openapi()
OPERATIONS = sorted((path, method) for path, methods in PAGE["paths"].items() for method in methods)
ASKED = [(path, method, GenerationMode.POSITIVE) for path, method in OPERATIONS] + [
    (path, method, GenerationMode.NEGATIVE)
    for path, method in OPERATIONS
    if PAGE["paths"][path][method].keys() & {"parameters", "requestBody"}  # of others nothing can be wrong
]
DECLARED = (status_code_conformance, content_type_conformance, response_schema_conformance)


@schemathesis.serializer("application/x-ndjson", ARROW)
def lines(_: object, value: object) -> bytes:
    """Rows as they are sent: a JSON object a line; what is text already is sent as it is."""
    return value.encode(errors="surrogatepass") if isinstance(value, str) else json.dumps(value).encode()


@pytest.fixture(scope="module")
def address(whole: Whole) -> Iterator[str]:
    """A real server of every task, so that nothing is refused for want of a model; it has to be there at the end."""
    with served(whole.home, **whole.variables) as server:
        yield server.address


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_operation_is_described(path: str, method: str) -> None:
    operation = PAGE["paths"][path][method]

    assert operation["summary"]
    assert operation["description"]
    assert {"401", "403", "429"} <= set(operation["responses"]) or path in {"/livez", "/readyz"}
    for response in operation["responses"].values():
        assert response["description"]


@pytest.mark.parametrize(("path", "method", "mode"), ASKED, ids=lambda one: getattr(one, "name", one))
def test_what_the_page_says_is_so(address: str, path: str, method: str, mode: GenerationMode) -> None:
    operation = schemathesis.openapi.from_dict(PAGE)[path][method.upper()]
    cases = max(1, -(-CASES // len(ASKED))) if CASES else FEW
    asked = 0

    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=not CASES,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        nonlocal asked
        asked += 1
        response = case.call(base_url=address, timeout=60)
        assert response.status_code < 500, response.text
        case.validate_response(response, checks=list(DECLARED))

    ask()
    assert asked
