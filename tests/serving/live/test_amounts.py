"""Amounts that would not fit what is added up are refused whole, before anything is recorded."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.contracts import LARGEST_FEN, LARGEST_SERIAL
from serving.ledger.record import Record
from serving.live.bodies import BodyRefused, read_events, read_scan
from serving.live.service import LiveService

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving.contracts import Problem
    from serving.settings import Settings

TS = "2026-01-01T00:00:00Z"
NEAR: int = (1 << 62) - 3 * LARGEST_FEN
"""What the rich one's payments of 30 days add up to: three of the largest more would be too much."""
FEN = st.one_of(st.sampled_from([0, 1, LARGEST_FEN - 1, LARGEST_FEN]), st.integers(0, LARGEST_FEN))


class Desk:
    """A service of its own, asked from outside its loop."""

    def __init__(self, settings: Settings) -> None:
        self.runner = asyncio.Runner()
        self.service = self.runner.run(self._open(settings))
        self.asked = 0

    @staticmethod
    async def _open(settings: Settings) -> LiveService:
        return LiveService.open(settings)

    def take(self, **tables: Any) -> tuple[int, list[Problem]]:
        async def ask() -> tuple[int, list[Problem]]:
            answered, problems = await self.service.take(read_events(json.dumps(tables).encode()))
            return answered.status, problems

        return self.runner.run(ask())

    @property
    def recorded(self) -> tuple[int, int]:
        """The last entry of the log, and how many events the state took in."""
        desk = self.service.desk
        return desk.ledger.last.sequence, desk.state.sequence

    def payout(self, fen: int, member: str = "rich") -> dict[str, Any]:
        self.asked += 1
        return {"payout_id": f"p{self.asked}", "ts": TS, "member_id": member, "account_id": "a", "amount_fen": fen}

    def scan(self, serial: int) -> dict[str, Any]:
        self.asked += 1
        told = {"scan_id": f"s{self.asked}", "ts": TS, "code_id": f"c{self.asked}", "status": "valid", "prize_fen": 0}
        return told | {"member_id": "m", "batch_id": "b", "serial": serial}


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    found = Desk(settings)
    state, vault = found.service.desk.state, found.service.desk.ledger.vault
    alias = vault.member("rich").alias
    yesterday = time.time_ns() // 1_000 - 86_400_000_000
    event = {"payout_id": 1, "seen_at": yesterday, "member_id": alias, "account_id": 1, "amount_fen": NEAR}
    state.append("payouts", event)
    yield found
    found.runner.run(found.service.close())
    found.runner.close()


def test_amounts_that_do_not_fit_are_refused_and_nothing_is_recorded(desk: Desk) -> None:
    before = desk.recorded

    status, problems = desk.take(
        payouts=[desk.payout(7, "poor"), desk.payout(LARGEST_FEN), *[desk.payout(LARGEST_FEN)] * 9]
    )

    assert status == 200  # the same row again counts once
    assert desk.recorded != before
    before = desk.recorded
    status, problems = desk.take(
        payouts=[desk.payout(7, "poor"), *[desk.payout(LARGEST_FEN) for _ in range(9)]],
        scans=[desk.scan(1)],
    )
    assert status == 422
    assert [one.where for one in problems] == [f"body.payouts.{number}.amount_fen" for number in range(1, 10)]
    assert "below 2**62" in problems[0].expected
    assert desk.recorded == before
    assert desk.take(payouts=[desk.payout(7, "poor")], scans=[desk.scan(1)])[0] == 200


def test_serials_of_one_hour_are_taken_or_refused_whole(desk: Desk) -> None:
    statuses = []
    for _ in range(12):
        before = desk.recorded
        status, problems = desk.take(scans=[desk.scan(LARGEST_SERIAL) for _ in range(500)])
        statuses.append(status)
        assert desk.recorded[1] - before[1] == (500 if status == 200 else 0)
        assert status == 200 or desk.recorded == before
        assert status == 200 or {one.where.rsplit(".", 1)[1] for one in problems} == {"serial"}

    assert statuses[0] == 200
    assert statuses[-1] == 422


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(amounts=st.lists(st.tuples(st.booleans(), FEN), min_size=1, max_size=6), lines=st.lists(FEN, max_size=3))
def test_what_is_recorded_counts(desk: Desk, amounts: list[tuple[bool, int]], lines: list[int]) -> None:
    order = f"o{desk.asked}"
    orders = [
        {"line_id": f"{order}-{n}", "order_id": order, "ts": TS, "product_id": "x", "quantity": 1, "amount_fen": fen}
        | {"member_id": "rich"}
        for n, fen in enumerate(lines)
    ]
    before = desk.recorded

    status, problems = desk.take(
        payouts=[desk.payout(fen, "rich" if rich else "poor") for rich, fen in amounts], orders=orders
    )

    if status == 200:
        assert desk.recorded[1] - before[1] == len(amounts) + len(lines) + bool(lines)
    else:
        assert (status, desk.recorded) == (422, before)
        assert problems


def test_a_decision_that_no_record_holds_is_not_kept_and_the_desk_goes_on(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    before = desk.recorded
    record = Record(
        decision_id="d", task="site", version="v1", request={"rent_fen": 1 << 70}, features=b"", answer=b"{}"
    )

    desk.runner.run(desk.service.keep(record, None))

    assert "beyond 64 bits" in caplog.text
    assert (desk.service.obstacle, desk.recorded) == ("", before)
    assert desk.take(payouts=[desk.payout(1)])[0] == 200


@pytest.mark.parametrize(
    ("table", "row", "name", "largest"),
    [
        ("payouts", {"payout_id": "p", "account_id": "a", "member_id": "m"}, "amount_fen", LARGEST_FEN),
        ("scans", {"scan_id": "s", "code_id": "c", "status": "valid", "prize_fen": 1}, "serial", LARGEST_SERIAL),
        ("scans", {"scan_id": "s", "code_id": "c", "status": "valid"}, "prize_fen", LARGEST_FEN),
    ],
)
def test_a_value_beyond_its_bound_is_named_with_the_bound(
    table: str, row: dict[str, object], name: str, largest: int
) -> None:
    def body(value: int) -> bytes:
        return json.dumps({table: [{"ts": TS, **row, name: value}] * 2}).encode()

    read_events(body(largest))
    with pytest.raises(BodyRefused) as refused:
        read_events(body(largest + 1))

    assert [one.where for one in refused.value.problems] == [f"body.{table}.{number}.{name}" for number in (0, 1)]
    assert f"a whole number from 0 to {largest:,}" in refused.value.problems[0].expected
    assert refused.value.problems[0].found == f"a whole number of {len(str(largest))} digits"


def test_a_scan_to_be_judged_has_the_same_bounds() -> None:
    told = {"scan_id": "s", "ts": TS, "code_id": "c", "status": "valid", "prize_fen": LARGEST_FEN + 1}

    with pytest.raises(BodyRefused) as refused:
        read_scan(json.dumps(told | {"serial": LARGEST_SERIAL + 1}).encode())

    assert sorted(one.where for one in refused.value.problems) == ["body.prize_fen", "body.serial"]
