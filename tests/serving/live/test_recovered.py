"""After a restart the next answer is the very one that it would have been: from a snapshot, and from the log alone."""

from __future__ import annotations

import asyncio
import json
import shutil
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from serving.live.bodies import EventsBody, MemberBody, PayoutBody, ScanBody, ScanLabelBody
from serving.live.order import EmbeddedOrder
from serving.live.service import LiveService

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from serving.settings import Settings


def open_at(settings: Settings, start: int) -> LiveService:
    """A service whose clock goes a minute a request, from a number of requests on."""
    live = LiveService.open(settings)
    minutes = count(1_760_000_000 + 60 * start, 60)
    live.desk._order = EmbeddedOrder(live._ledger.last, lambda: next(minutes) * 1_000_000_000)
    return live


async def tell(live: LiveService, asked: Sequence[ScanBody | EventsBody]) -> list[dict[str, Any]]:
    heard = []
    for one in asked:
        answered = (await live.take(one))[0] if isinstance(one, EventsBody) else await live.desk.score(one)
        assert answered.status == 200, answered
        said = json.loads(answered.body)
        heard.append(json.loads(live.decision(said["decision_id"])[1]) if "decision_id" in said else said)
    return heard


def story(scans: list[ScanBody]) -> list[ScanBody | EventsBody]:
    """Scans, and among them payments, verdicts, and people who join by each other."""
    told: list[ScanBody | EventsBody] = []
    joined = [f"new-{number}" for number in range(8)]
    for number, scan in enumerate(scans[:120]):
        told.append(msgspec.structs.replace(scan, member_id=joined[number % 8]) if number % 3 == 0 else scan)
        if number % 10 == 4:
            label = ScanLabelBody(scan_id=scan.scan_id, is_wool=number % 20 // 10)
            payout = PayoutBody(
                payout_id=f"p{number}", ts=scan.ts, member_id=scan.member_id or "m", account_id="a", amount_fen=number
            )
            told.append(EventsBody(scan_labels=(label,), payouts=(payout,)))
        if number % 15 == 10:
            place = number // 15
            who = MemberBody(
                member_id=joined[place],
                registered_at=scan.ts,
                referrer_id=joined[place - 1] if place % 2 else "patron",
                phone_prefix="1380013",
                city="Wuhan",
            )
            told.append(EventsBody(members=(who,)))
    return told


@pytest.mark.parametrize("way", ["snapshot", "log alone"])
def test_a_restart_changes_no_later_answer(settings: Settings, scans: list[ScanBody], tmp_path: Path, way: str) -> None:
    told = story(scans)
    middle = len(told) // 2
    other = settings.model_copy(update={"ledger": tmp_path / "other"})

    async def without() -> list[dict[str, Any]]:
        live = open_at(settings, 0)
        heard = await tell(live, told)
        await live.close()
        return heard

    async def with_a_restart() -> list[dict[str, Any]]:
        live = open_at(other, 0)
        heard = await tell(live, told[:middle])
        await live.close()
        if way == "log alone":
            shutil.rmtree(other.ledger / "snapshots")
            (other.ledger / "joined").unlink()
        live = open_at(other, middle)
        heard += await tell(live, told[middle:])
        await live.close()
        return heard

    assert asyncio.run(without()) == asyncio.run(with_a_restart())


def test_a_log_of_scans_that_leave_out_what_they_may_comes_back(settings: Settings, scans: list[ScanBody]) -> None:
    """A column without any value in the whole log may be text to the state, which must not take it for numbers."""
    bare = [
        ScanBody(scan_id=one.scan_id, ts=one.ts, code_id=one.code_id, status=one.status, prize_fen=one.prize_fen)
        for one in scans[:5]
    ]

    async def counted() -> list[int]:
        heard = []
        for asked in (bare, scans[5:10]):
            live = LiveService.open(settings)
            heard += [(await live.desk.score(one)).status for one in asked]
            live.desk.broken = "killed"  # so that no snapshot is left
            await live.close()
        return heard

    assert asyncio.run(counted()) == [200] * 10
