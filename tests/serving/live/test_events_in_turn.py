"""A request that cannot be taken in concerns nobody else, and what comes twice at once counts once."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from serving.live import bodies
from serving.live.bodies import FIRST_YEAR, KEYS, LAST_YEAR, MOMENTS, EventsBody, content, read_events, read_scan
from serving.live.hot import PATH
from serving.live.service import LiveService
from tests.serving.live.test_hot import JSON, during

if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI

    from serving.live.bodies import ScanBody
    from serving.settings import Settings

BEYOND = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "1969-12-31T23:59:59Z",
    "2200-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-14:00",
)
TS = "2026-01-01T00:00:00Z"
ROWS: dict[str, dict[str, Any]] = {
    "members": {"member_id": "m", "registered_at": TS},
    "scans": {"scan_id": "s", "ts": TS, "code_id": "c", "status": "valid", "prize_fen": 1},
    "scan_labels": {"scan_id": "s", "is_wool": 1, "landed_at": TS},
    "payouts": {"payout_id": "p", "ts": TS, "member_id": "m", "account_id": "a", "amount_fen": 5},
    "orders": {"line_id": "l", "order_id": "o", "ts": TS, "product_id": "x", "quantity": 1, "amount_fen": 5},
    "sends": {"send_id": "s", "ts": TS, "member_id": "m", "offer_id": "o", "arm": "treated"},
    "redemptions": {"send_id": "s", "ts": TS},
    "feedback": {"decision_id": "d", "landed_at": TS, "outcome": "x", "allowed_at_random": 0, "propensity": 0.5},
}
MOMENT = st.datetimes(
    datetime(FIRST_YEAR, 1, 1),  # noqa: DTZ001 - the zone is drawn beside it
    datetime(LAST_YEAR, 12, 31, 23, 59, 59),  # noqa: DTZ001 - as above
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


def columns(table: str) -> list[str]:
    """The columns of a table that hold an instant, by its type."""
    (kind,) = (one.type.__args__[0] for one in msgspec.structs.fields(EventsBody) if one.name == table)
    return [one.name for one in msgspec.structs.fields(kind) if "datetime" in str(one.type)]


def test_every_instant_of_every_table_is_known() -> None:
    assert {table: tuple(columns(table)) for table in KEYS} == MOMENTS
    assert ROWS.keys() == KEYS.keys()


def test_instants_that_no_zone_shows_are_refused_and_all_goes_on(settings: Settings, scans: list[ScanBody]) -> None:
    asked = [(PATH, ROWS["scans"] | {"ts": ts, "campaign_id": scans[0].campaign_id}, "body.ts") for ts in BEYOND]
    asked += [
        ("/v1/events", {table: [ROWS[table] | {column: ts}]}, f"body.{table}.0.{column}")
        for table, named in MOMENTS.items()
        for column in named
        for ts in BEYOND
    ]

    async def ask(_: FastAPI, client: httpx.AsyncClient) -> tuple[list[httpx.Response], int]:
        answers = [await client.post(path, content=json.dumps(body), headers=JSON) for path, body, _ in asked]
        return answers, (await client.get("/readyz")).status_code

    answers, ready = during(settings, ask)

    assert {answer.status_code for answer in answers} == {422}
    assert [answer.json()["error"]["problems"][0]["where"] for answer in answers] == [where for *_, where in asked]
    assert f"years {FIRST_YEAR} to {LAST_YEAR}" in answers[0].text
    assert ready == 200


@hypothesis_settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_whatever_is_read_has_a_content(data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(sorted(ROWS)))
    values: dict[str, st.SearchStrategy[Any]] = {column: MOMENT.map(datetime.isoformat) for column in MOMENTS[table]}
    (kind,) = (one.type.__args__[0] for one in msgspec.structs.fields(EventsBody) if one.name == table)
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for name, of in fields.items():
        if name not in values:
            schema = msgspec.json.schema(of)
            for one in schema.get("anyOf", [schema]):
                if "enum" in one:
                    values[name] = st.sampled_from(one["enum"])
                elif one.get("type") == "string":
                    values[name] = st.text(min_size=1, max_size=12)
                elif one.get("type") == "integer":
                    values[name] = st.integers(one["minimum"], one["maximum"])
                elif one.get("type") == "number":
                    values[name] = st.floats(one["minimum"], one["maximum"])
    row = data.draw(st.fixed_dictionaries(values))
    assert row.keys() == fields.keys()

    read = read_events(json.dumps({table: [row]}).encode())

    assert content(getattr(read, table)) == content(getattr(read, table))
    if table == "scans":
        assert content(read_scan(json.dumps(row).encode())) == content(read.scans[0])


def test_half_a_character_is_refused() -> None:
    with pytest.raises(bodies.BodyRefused):
        read_scan(json.dumps(ROWS["scans"] | {"code_id": "\ud800"}).encode())


def test_the_same_row_in_two_requests_at_once_counts_once(settings: Settings) -> None:
    body = read_events(json.dumps({"payouts": [ROWS["payouts"]]}).encode())

    async def ask() -> tuple[list[bytes], str, int]:
        live = LiveService.open(settings)
        try:
            answers = await asyncio.gather(*(live.take(body) for _ in range(6)))
            return [answered.body for answered, _ in answers], live.obstacle, live.desk.state.sequence
        finally:
            await live.close()

    told, obstacle, counted = asyncio.run(ask())

    assert (obstacle, counted) == ("", 1)
    assert sorted(told, reverse=True) == [b'{"recorded":1,"repeated":0}', *[b'{"recorded":0,"repeated":1}'] * 5]


def test_a_scan_that_comes_as_a_row_and_to_be_judged_at_once_counts_once(
    settings: Settings, scans: list[ScanBody]
) -> None:
    async def ask(scan: ScanBody, *, first: bool) -> tuple[int, int, str, int]:
        live = LiveService.open(settings)
        try:
            row, scored = live.take(EventsBody(scans=(scan,))), live.desk.score(scan)
            done = await asyncio.gather(*((row, scored) if first else (scored, row)))
            statuses = [one.status if hasattr(one, "status") else one[0].status for one in done]
            return statuses[0], statuses[1], live.obstacle, live.desk.state.sequence
        finally:
            await live.close()

    assert asyncio.run(ask(scans[0], first=True)) == (200, 409, "", 1)
    assert asyncio.run(ask(scans[1], first=False)) == (200, 200, "", 2)


@pytest.mark.parametrize("part", ["intake", "find", "order"])
def test_a_fault_before_anything_was_taken_in_concerns_its_request_alone(
    settings: Settings, scans: list[ScanBody], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def broken(*_: object) -> Any:
        raise LookupError("nobody thought of this")

    async def ask() -> tuple[Any, ...]:
        live = LiveService.open(settings)
        body = read_events(json.dumps({"payouts": [ROWS["payouts"]]}).encode())
        try:
            with monkeypatch.context() as patched:
                if part == "intake":
                    patched.setattr(live.desk.intake, "scan", broken)
                    hit = json.loads((await live.desk.score(scans[0])).body)["degraded"]
                elif part == "find":
                    patched.setattr(live.desk.ledger, "find", broken)
                    hit = (await live.take(body))[0].status
                else:
                    patched.setattr(live.desk._order, "place", broken)
                    hit = (await live.take(body))[0].status
            return hit, live.obstacle, live._running.done()
        finally:
            await live.close()

    hit, obstacle, ended = asyncio.run(ask())

    assert hit == {"intake": "state", "find": 503, "order": 503}[part]
    assert bool(obstacle) == (part == "order")  # an order that fails gives no places any more
    assert not ended
