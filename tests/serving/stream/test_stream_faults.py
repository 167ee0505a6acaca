"""Redis away, slow, hanging, restarted: degraded in time, ready again by itself, and each scan counted once."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Any, Self

import msgspec
import pytest
import redis

from serving.settings import Settings
from serving.stream.forget import forget
from serving.stream.script import STREAM
from serving.stream.service import StreamService
from tests.serving.live.conftest import SECRET
from tests.serving.stream.conftest import alike, features, recorded, scorer, told, until

if TYPE_CHECKING:
    from pathlib import Path

    from serving.live.bodies import ScanBody
    from tests.serving.stream.conftest import RedisServer

DEADLINE_MS = 50.0
ANSWERED_IN = 0.15


class Proxy:
    """Stands before Redis: passes on, passes on late, or swallows."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self.delay, self.swallows = 0.0, False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            behind, forward = await asyncio.open_connection("127.0.0.1", self._behind)
            self._writers += [writer, forward]
            for one, other in ((reader, forward), (behind, writer)):
                task = asyncio.create_task(self._pass(one, other))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while content := await reader.read(1 << 16):
                await asyncio.sleep(self.delay / 2)
                if not self.swallows:
                    writer.write(content)
                    await writer.drain()
        writer.close()


def behind(proxy: Proxy, chosen: Settings) -> AbstractAsyncContextManager[StreamService]:
    """A scorer that asks by way of a proxy."""
    return scorer(chosen.model_copy(update={"state": proxy.url}))


@pytest.fixture
def chosen(bundles: Path, world: Path, tmp_path: Path, redis_server: RedisServer) -> Settings:
    return Settings(
        home=tmp_path, bundles=bundles, tables=world, secret=SECRET, deadline_ms=DEADLINE_MS, state=redis_server.url
    )


def test_without_redis_the_answer_is_degraded_and_all_is_well_once_it_is_back(
    chosen: Settings, scans: list[ScanBody], redis_server: RedisServer
) -> None:
    mine = alike(scans, 30)

    async def story() -> tuple[list[Any], str, list[Any]]:
        async with scorer(chosen) as live:
            for scan in mine[:10]:
                await recorded(live, scan)
            redis_server.kill()
            without = [await told(live, scan) for scan in mine[10:20]]
            obstacle = live.obstacle
            redis_server.start()
            await until(lambda: not live.obstacle)
            said = [await recorded(live, scan) for scan in mine]
            return without, obstacle, [features(live, one)["member_scan_count_1h"] for one in said]

    without, obstacle, counts = asyncio.run(story())

    assert {(one["degraded"], one["recorded"]) for one, _ in without} == {("state", False)}
    assert max(seconds for _, seconds in without) < ANSWERED_IN
    assert "Redis is away" in obstacle
    assert counts == [float(number) for number in range(30)]  # each once, in order, over the restart


@pytest.mark.parametrize("delay", [0.05, 0.5])
def test_behind_a_slow_redis_answers_are_in_time_and_come_true_later(
    chosen: Settings, scans: list[ScanBody], redis_server: RedisServer, delay: float
) -> None:
    mine = alike(scans, 12)

    async def story() -> tuple[list[Any], list[Any]]:
        async with Proxy(redis_server.port) as proxy, behind(proxy, chosen) as live:
            proxy.delay = delay
            slow = await asyncio.gather(*(told(live, scan) for scan in mine[:6]))
            proxy.delay = 0.0
            await until(lambda: not live.obstacle)
            said = [await recorded(live, scan) for scan in mine]
            return list(slow), [features(live, one)["member_scan_count_1h"] for one in said]

    slow, counts = asyncio.run(story())

    assert max(seconds for _, seconds in slow) < ANSWERED_IN
    assert {one["recorded"] for one, _ in slow} == {False}
    assert sorted(counts) == [float(number) for number in range(12)]


def test_a_hanging_redis_is_as_good_as_none(chosen: Settings, scans: list[ScanBody], redis_server: RedisServer) -> None:
    mine = alike(scans, 20)

    async def story() -> tuple[list[Any], str, list[Any]]:
        async with Proxy(redis_server.port) as proxy, behind(proxy, chosen) as live:
            await recorded(live, mine[0])
            proxy.swallows = True
            hung = [await told(live, scan) for scan in mine[1:16]]
            await until(lambda: bool(live.obstacle), 2.0)
            obstacle = live.obstacle
            proxy.swallows = False
            await until(lambda: not live.obstacle)
            said = [await recorded(live, scan) for scan in mine]
            return hung, obstacle, [features(live, one)["member_scan_count_1h"] for one in said]

    hung, obstacle, counts = asyncio.run(story())

    assert {(one["degraded"], one["recorded"]) for one, _ in hung} == {("state", False)}
    assert max(seconds for _, seconds in hung) < ANSWERED_IN
    assert "Redis is away" in obstacle
    assert sorted(counts) == [float(number) for number in range(20)]


def test_a_redis_that_sleeps_holds_nobody_up_and_loses_nothing(
    chosen: Settings, scans: list[ScanBody], redis_server: RedisServer
) -> None:
    mine = alike(scans, 8)

    async def story() -> tuple[list[Any], list[Any]]:
        async with scorer(chosen) as live:
            await recorded(live, mine[0])
            asleep = asyncio.create_task(asyncio.to_thread(redis_server.say, "DEBUG", "SLEEP", "1.5"))
            await asyncio.sleep(0.1)
            heard = await asyncio.gather(*(told(live, scan) for scan in mine[1:]))
            await asleep
            await until(lambda: not live.obstacle)
            said = [await recorded(live, scan) for scan in mine]
            return list(heard), [features(live, one)["member_scan_count_1h"] for one in said]

    heard, counts = asyncio.run(story())

    assert max(seconds for _, seconds in heard) < ANSWERED_IN
    assert sorted(counts) == [float(number) for number in range(8)]  # what was appended unheard is counted, once


def test_two_at_once_agree_and_another_content_is_refused(
    chosen: Settings, scans: list[ScanBody], tmp_path: Path
) -> None:
    mine = scans[:60]

    async def story() -> tuple[list[Any], list[Any], list[Any]]:
        patient = chosen.model_copy(update={"deadline_ms": 10_000.0})
        other = patient.model_copy(update={"home": tmp_path / "b", "ledger": tmp_path / "b" / "ledger"})
        async with scorer(patient) as one, scorer(other) as two:
            both = await asyncio.gather(*(live.desk.score(scan) for scan in mine for live in (one, two)))
            changed = [
                await live.desk.score(msgspec.structs.replace(mine[0], prize_fen=mine[0].prize_fen + 1))
                for live in (one, two)
            ]
            numbers = [
                {live.desk.ledger.vault.member(scan.member_id).alias for live in (one, two)}
                for scan in mine
                if scan.member_id
            ]
            return both, changed, numbers

    both, changed, numbers = asyncio.run(story())
    length = redis.Redis.from_url(chosen.state).xlen(STREAM)

    assert {one.status for one in both} == {200}
    assert [one.body for one in both[::2]] == [one.body for one in both[1::2]]
    assert [one.status for one in changed] == [409, 409]
    assert {len(one) for one in numbers} == {1}  # every scorer calls a member by the same number
    assert length == len(mine)


def test_a_member_is_forgotten_by_all_and_is_somebody_new_afterwards(
    chosen: Settings, scans: list[ScanBody], tmp_path: Path
) -> None:
    mine = alike(scans, 4)
    member = mine[0].member_id or ""

    async def story() -> tuple[list[bool], list[Any], list[int], list[int], list[int]]:
        patient = chosen.model_copy(update={"deadline_ms": 10_000.0})
        other = patient.model_copy(update={"home": tmp_path / "b", "ledger": tmp_path / "b" / "ledger"})
        async with scorer(patient) as one, scorer(other) as two:
            for live, scan in zip((one, two, one), mine, strict=False):
                await recorded(live, scan)
            before = [live.desk.ledger.vault.member(member).alias for live in (one, two)]
            done = [
                await asyncio.to_thread(forget, patient.state, live.desk.ledger.folder, SECRET, member)
                for live in (one, two)
            ]
            await until(lambda: not any(live.desk.ledger.vault.known(member) for live in (one, two)))
            again = [await live.desk.score(mine[place]) for place in (0, 1) for live in (one, two)]
            said = await recorded(two, mine[3])
            seen = 404, b""
            while seen[0] == 404:
                await asyncio.sleep(0.01)
                seen = await one.look_up(said["decision_id"])
            count = json.loads(seen[1])["features"]["member_scan_count_1h"]
            after = [live.desk.ledger.vault.member(member).alias for live in (two,)]
            return done, again, before, after, [count]

    done, again, before, after, counts = asyncio.run(story())

    assert done == [True, False]
    assert {one.status for one in again} == {410}
    assert len(set(before)) == 1
    assert set(before).isdisjoint(after)
    assert counts == [0.0]  # nothing of before is theirs any more


def test_a_scorer_that_took_in_more_than_the_stream_has_says_so(
    chosen: Settings, scans: list[ScanBody], redis_server: RedisServer
) -> None:
    async def story() -> tuple[str, dict[str, Any]]:
        async with scorer(chosen) as live:
            await recorded(live, scans[0])
            redis_server.say("FLUSHALL")
            await until(lambda: "lost entries" in live.obstacle)
            return live.obstacle, (await told(live, scans[1]))[0]

    obstacle, said = asyncio.run(story())

    assert "ends with entry 0" in obstacle
    assert (said["degraded"], said["recorded"]) == ("state", False)


def test_a_scorer_of_another_secret_is_not_let_in(chosen: Settings, scans: list[ScanBody], tmp_path: Path) -> None:
    async def story() -> str:
        async with scorer(chosen) as live:
            await recorded(live, scans[0])
        other = Settings(
            home=tmp_path / "b", bundles=chosen.bundles, tables=chosen.tables, secret="6b" * 32, state=chosen.state
        )
        live = StreamService.open(other)
        await until(lambda: "another SHEPHERD_SECRET" in live.obstacle)
        await live.close()
        return live.obstacle

    assert "give each the same secret" in asyncio.run(story())
