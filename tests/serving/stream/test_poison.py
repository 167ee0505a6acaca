"""What no entry can be made of is refused before the shared order; what stands there already stops nobody."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from serving.live.bodies import read_events
from serving.settings import Settings
from serving.stream.draft import Drafts
from tests.serving.live.conftest import SECRET
from tests.serving.stream.conftest import alike, features, recorded, scorer

if TYPE_CHECKING:
    from pathlib import Path

    from serving.live.bodies import ScanBody
    from tests.serving.stream.conftest import RedisServer

PAYOUT = {"payout_id": "p", "ts": "2026-01-01T00:00:00Z", "member_id": "m", "account_id": "a", "amount_fen": 5}


@pytest.fixture
def homes(bundles: Path, world: Path, tmp_path: Path, redis_server: RedisServer) -> list[Settings]:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    return [
        Settings(
            home=tmp_path / name,
            bundles=bundles,
            tables=world,
            secret=SECRET,
            deadline_ms=5_000,
            state=redis_server.url,
        )
        for name in ("one", "two")
    ]


def test_a_draft_that_cannot_be_made_is_refused_before_the_order(
    homes: list[Settings], scans: list[ScanBody], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = alike(scans, 4)

    def too_large(*_: object) -> Any:
        raise OverflowError("can't encode")

    async def story() -> tuple[list[int], str, int, float]:
        async with scorer(homes[0]) as live:
            await recorded(live, mine[0])
            with monkeypatch.context() as patched:
                patched.setattr(live.desk._drafts, "row", too_large)
                patched.setattr(live.desk._drafts, "scan", too_large)
                answers = [await live.desk.score(mine[1])]
                answers.append((await live.take(read_events(json.dumps({"payouts": [PAYOUT]}).encode())))[0])
            last = await recorded(live, mine[2])
            place = live.desk.place.sequence
            return [one.status for one in answers], live.obstacle, place, features(live, last)["member_scan_count_1h"]

    statuses, obstacle, place, counted = asyncio.run(story())

    assert (statuses, obstacle) == ([422, 422], "")
    assert (place, counted) == (2, 1.0)  # nothing of what was refused stands in the order


def test_an_entry_that_is_no_event_counts_for_nothing_with_every_scorer(
    homes: list[Settings], scans: list[ScanBody], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = alike(scans, 4)
    made = Drafts._made

    def poisoned(drafts: Drafts, payload: Any, seen_at: int) -> Any:
        if payload.scan is not None and payload.scan.names[0] == drafts.alias("scan", mine[1].scan_id):
            raise OverflowError("date value out of range")
        return made(drafts, payload, seen_at)

    async def story() -> tuple[int, list[str], list[int], float]:
        monkeypatch.setattr(Drafts, "_made", poisoned)
        async with scorer(homes[0]) as one, scorer(homes[1]) as two:
            await recorded(one, mine[0])
            status = (await one.desk.score(mine[1])).status
            last = await recorded(two, mine[2])
            await recorded(one, mine[3])
            counts = [one.desk.state.sequence, two.desk.state.sequence + 1]
            return status, [one.obstacle, two.obstacle], counts, features(two, last)["member_scan_count_1h"]

    status, obstacles, counts, counted = asyncio.run(story())

    assert (status, obstacles) == (422, ["", ""])
    assert counts[0] in (counts[1], counts[1] - 1)  # the other reads the last one a moment later
    assert counted == 1.0
