"""One row over the hot route: what a batch says of it, and the refusals of a batch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from serving.app import create_app
from serving.bundle import read, resolve
from serving.live.row_score import RowScorer, row_type
from serving.rows import Columns, RowsRefused, answer_rows
from serving.scorer import Scorer
from tests.serving.conftest import NAMES, rows
from tests.serving.test_api import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from serving.settings import Settings

PATH = "/v1/fraud/score"


@pytest.fixture(scope="module")
def scorer(bundles: Path) -> Scorer:
    return Scorer(read(resolve(bundles, "fraud", "champion")))


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with Client(create_app(settings)) as found:
        yield found


def named(scorer: Scorer, values: np.ndarray, **besides: object) -> dict[str, Any]:
    names = scorer.manifest.feature_names
    row = {name: None if np.isnan(value) else float(value) for name, value in zip(names, values, strict=True)}
    return row | {"prize_fen": 250, "campaign_id": "c1"} | besides


def drawn(scorer: Scorer, count: int = 40) -> np.ndarray:
    generator = np.random.default_rng(8)
    values = generator.integers(0, 50, (count, len(scorer.manifest.features))).astype(np.float32)
    values[generator.random(values.shape) < 0.3] = np.nan
    return values


def test_a_row_gets_what_a_batch_says_of_it(scorer: Scorer) -> None:
    quick = RowScorer(scorer)
    bodies = [
        json.dumps(named(scorer, row, prize_fen=number * 37)).encode() for number, row in enumerate(drawn(scorer))
    ]

    batch = [json.loads(line) for line in answer_rows(scorer, b"\n".join(bodies)).splitlines()]

    for body, expected in zip(bodies, batch, strict=True):
        found = json.loads(quick.answer(body))
        assert found.items() <= expected.items()
        assert found.keys() == {"probability", "action", "expected_value_fen"}
    assert len({one["action"] for one in batch}) > 1


def test_a_row_does_not_hang_on_the_rows_that_came_with_it(scorer: Scorer) -> None:
    quick = RowScorer(scorer)
    bodies = [json.dumps(named(scorer, row)).encode() for row in drawn(scorer, 70)]
    bodies[3], bodies[30] = b"{", b'{"member_scan_count_1h": 1}'

    found = quick.answers(bodies)

    assert found[3] is found[30] is None
    assert [one for one in found if one] == [
        quick.answer(body) for place, body in enumerate(bodies) if place not in {3, 30}
    ]
    assert quick.answers([]) == []
    assert quick.answers([b"{"]) == [None]


@pytest.mark.parametrize(
    "changed",
    [
        {"member_scan_count_1h": "three"},
        {"member_scan_count_1h": 1e39},
        {"member_scan_count_1h": True},
        {"member_scan_count_1h": [1]},
        {"prize_fen": None},
        {"prize_fen": -1},
        {"campaign_id": 3},
        {"worth": 3},
        {"member_scan_count_1h": None, "worth": "a"},
    ],
)
def test_a_row_is_refused_as_the_line_of_a_batch(scorer: Scorer, changed: dict[str, object]) -> None:
    body = json.dumps(named(scorer, drawn(scorer)[0], **changed)).encode()

    with pytest.raises(RowsRefused) as batch:
        answer_rows(scorer, body)
    with pytest.raises(RowsRefused) as quick:
        RowScorer(scorer).answer(body)

    assert [(one.found, one.expected, one.fix) for one in quick.value.problems] == [
        (one.found, one.expected, one.fix) for one in batch.value.problems
    ]
    assert {one.where for one in quick.value.problems} == {"body"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"{}", b'{"a":NaN}', b"\xff\xfe"])
def test_what_is_no_row_is_refused(scorer: Scorer, body: bytes) -> None:
    with pytest.raises(RowsRefused):
        RowScorer(scorer).answer(body)


def test_a_stake_that_is_a_feature_is_both() -> None:
    columns = Columns(("prize_fen", "age"), "prize_fen", ("group",), "")

    fields = list(row_type(columns).__struct_encode_fields__)

    assert fields == list(columns.names) == ["prize_fen", "age", "group"]


def test_the_route_answers_over_http(client: Client, scorer: Scorer) -> None:
    row = named(scorer, drawn(scorer)[0])

    answer = client.post(PATH, json=row)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == RowScorer(scorer).answer(json.dumps(row).encode())


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (PATH, b"{}", 422),
        (PATH, b"nothing", 422),
        (PATH, b"[" * 40, 400),
        (PATH, b" " * 70_000, 413),
        ("/v1/unknown/score", b"{}", 404),
    ],
)
def test_the_route_refuses_in_the_one_shape(client: Client, path: str, body: bytes, status: int) -> None:
    answer = client.post(path, content=body, headers={"content-type": "application/json"})

    assert answer.status_code == status
    assert answer.json()["error"]["problems"]


def test_another_method_is_refused(client: Client) -> None:
    assert client.get(PATH).status_code == 405


def test_the_route_is_on_the_openapi_page(client: Client) -> None:
    described = client.get("/openapi.json").json()["paths"]["/v1/{task}/score"]["post"]

    schema = described["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["properties"].keys() == {"probability", "action", "expected_value_fen"}
    assert described["requestBody"]["required"]


def test_a_model_without_a_stake_asks_for_none(home: Path) -> None:
    coupon = Scorer(read(resolve(home / "bundles", "coupon", "champion")))
    row = dict(zip(NAMES, (float(value) for value in np.nan_to_num(rows()[0])), strict=True))

    found = json.loads(RowScorer(coupon).answer(json.dumps(row).encode()))

    assert found["action"] in {"none", "send"}
