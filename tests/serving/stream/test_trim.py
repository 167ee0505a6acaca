"""The stream's beginning is let go of when nobody needs it any more; whoever would need it is told how to go on."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis
from typer.testing import CliRunner

from data.errors import DataError, DependencyDown, UsageError
from serving.ledger.ledger import Ledger
from serving.settings import Settings, read_settings
from serving.stream import presence
from serving.stream.keeping import FOLDER, durable
from serving.stream.link import SILENCE_SECONDS, Link
from serving.stream.refresh import Refreshed, refresh
from serving.stream.script import IDS, KEPT, ORDER, RECORDS, STREAM
from shepherd import app
from tests.serving.live.conftest import SECRET
from tests.serving.stream.conftest import alike, features, recorded, scorer, until
from training.tasks.fraud import TASK

if TYPE_CHECKING:
    from pathlib import Path

    from serving.live.bodies import ScanBody
    from tests.serving.stream.conftest import RedisServer

WORDS = (["snapshot", "--json"], ["snapshot"])
AT_ONCE = 1e-9
"""Days: everything that was appended before this very second is old."""
Counts = list[float]


@pytest.fixture
def chosen(bundles: Path, world: Path, tmp_path: Path, redis_server: RedisServer) -> Settings:
    home = tmp_path / "first"
    mine = Settings(home=home, bundles=bundles, tables=world, secret=SECRET, deadline_ms=10_000.0)
    return beside(mine, "a", redis_server.url)


def beside(chosen: Settings, name: str, url: str = "") -> Settings:
    """The settings of another scorer of the same deployment."""
    home = chosen.home.parent / name
    home.mkdir(exist_ok=True)
    return chosen.model_copy(
        update={"home": home, "ledger": home / "ledger", "state": url or chosen.state, "keys": home / "keys.json"}
    )


def refreshed(chosen: Settings, days: float = 0.0) -> Refreshed:
    """What `shepherd snapshot` does beside a scorer."""
    ledger = Ledger.read(chosen.ledger, SECRET)
    try:
        return refresh(chosen.state, ledger, TASK.features, days)
    finally:
        ledger.close()


async def a_second_later() -> None:
    """Until what was appended before is older than this very second."""
    await asyncio.sleep(1.1)


async def seen(live: Any, scans: list[ScanBody]) -> Counts:
    """How many scans of their member each was told of."""
    return [features(live, await recorded(live, scan))["member_scan_count_1h"] for scan in scans]


def client(chosen: Settings) -> redis.Redis:
    return redis.Redis.from_url(chosen.state)


def test_what_every_scorer_has_on_its_disk_is_let_go_of_and_nothing_else(
    chosen: Settings, scans: list[ScanBody]
) -> None:
    mine, other = alike(scans, 40), beside(chosen, "b")

    async def story() -> dict[str, Any]:
        found: dict[str, Any] = {}
        async with scorer(chosen) as one, scorer(other) as two:
            await seen(one, mine[:10])
            await seen(two, mine[10:20])
            await a_second_later()
            found["one alone"] = await asyncio.to_thread(refreshed, chosen, AT_ONCE)
            await until(lambda: two.desk.place.sequence == 20)
            await seen(one, mine[20:25])
            found["too young"] = await asyncio.to_thread(refreshed, other, 35.0)
            found["both"] = await asyncio.to_thread(refreshed, other, AT_ONCE)
            found["left"] = client(chosen).xlen(STREAM)
            found["counts"] = await seen(two, mine[25:30])
        return found

    found = asyncio.run(story())

    assert found["one alone"] == Refreshed(20, 0)  # the other has nothing on its disk yet
    assert found["too young"] == Refreshed(25, 0)
    assert found["both"].trimmed in range(20, 26)  # those of the last second may stay
    assert found["left"] == 25 - found["both"].trimmed
    assert found["counts"] == [25.0, 26.0, 27.0, 28.0, 29.0]


def test_after_a_restart_a_trimmed_stream_goes_on_where_the_snapshot_ends(
    chosen: Settings, scans: list[ScanBody], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = alike(scans, 30)
    monkeypatch.setattr(presence, "write", lambda *_: None)  # it ends as if it had been killed

    async def story() -> tuple[int, Counts, Counts]:
        async with scorer(chosen) as live:
            await seen(live, mine[:10])
            await a_second_later()
            done = await asyncio.to_thread(refreshed, chosen, AT_ONCE)
            await seen(live, mine[10:20])
        async with scorer(chosen) as live:
            await until(lambda: live.desk.place.sequence == 20)
            return done.trimmed, await seen(live, mine[20:]), await seen(live, mine[:20])

    trimmed, counts, before = asyncio.run(story())

    assert trimmed == 10
    assert counts == [float(number) for number in range(20, 30)]
    assert before == [float(number) for number in range(20)]  # its own log answers as before
    assert int(client(chosen).hget(ORDER, "let_go") or 0) == 10


def test_a_new_scorer_is_refused_and_one_with_a_copied_folder_goes_on(chosen: Settings, scans: list[ScanBody]) -> None:
    mine, new, copied = alike(scans, 20), beside(chosen, "b"), beside(chosen, "c")

    async def story() -> tuple[str, str, Counts, Counts]:
        async with scorer(chosen) as live:
            await seen(live, mine[:10])
            await a_second_later()
            await asyncio.to_thread(refreshed, chosen, AT_ONCE)
            refused = type(live).open(new)
            await until(lambda: "begins after entry 10" in refused.obstacle)
            why, reported = refused.obstacle, client(chosen).hlen(KEPT)
            await refused.close()
            assert reported == 1  # who was refused holds nobody up
            copied.ledger.mkdir()
            shutil.copytree(chosen.ledger / FOLDER, copied.ledger / FOLDER)
            async with scorer(copied) as other:
                counts = await seen(other, mine[10:15])
                both = await seen(live, mine[15:])
                name = client(chosen).hlen(KEPT)
                return why, str(name), counts, both

    why, names, counts, both = asyncio.run(story())

    assert "copy the folder `stream` of the ledger of one that runs" in why
    assert counts + both == [float(number) for number in range(10, 20)]
    assert names == "2"


def test_an_id_is_forgotten_with_its_entry_and_a_younger_one_is_not(chosen: Settings, scans: list[ScanBody]) -> None:
    mine = alike(scans, 12)

    async def story() -> tuple[bool, dict[str, Any]]:
        async with scorer(chosen) as live:
            said = [await recorded(live, scan) for scan in mine[:6]]
            await a_second_later()
            await asyncio.to_thread(refreshed, chosen, AT_ONCE)
            gone = [bytes.fromhex(one["decision_id"]) for one in said]
            young = bytes.fromhex((await recorded(live, mine[6]))["decision_id"])
            store = client(chosen)
            there = [store.hexists(key, one) for key in (IDS, RECORDS) for one in gone]
            await until(lambda: bool(store.hexists(RECORDS, young)))
            again = await recorded(live, mine[0])
            return any(there), {"young": store.hexists(IDS, young), "same": again == said[0]}

    there, found = asyncio.run(story())

    assert not there
    assert found == {"young": True, "same": True}  # whoever decided still has it in its own log


def test_no_snapshot_beside_a_scorer_goes_past_what_it_has_not_judged(
    chosen: Settings, scans: list[ScanBody], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = alike(scans, 10)

    async def story() -> tuple[Refreshed, Refreshed, Counts]:
        async with scorer(chosen) as live:
            await seen(live, mine[:5])
            await asyncio.sleep(0.1)
            with monkeypatch.context() as patch:
                patch.setattr(type(live.desk), "_take", _crashes)  # appended, and not judged
                said = json.loads((await live.desk.score(mine[5])).body)
                assert not said["recorded"]
        shutil.rmtree(chosen.ledger / FOLDER, ignore_errors=True)
        first = await asyncio.to_thread(refreshed, chosen, AT_ONCE)
        async with scorer(chosen) as live:
            await until(lambda: live.desk.place.sequence == 6)
            counts = await seen(live, mine[5:])
            await asyncio.sleep(0.1)
            return first, await asyncio.to_thread(refreshed, chosen), counts

    first, second, counts = asyncio.run(story())

    assert first.events == 5
    assert first.trimmed <= 5
    assert second.events == 5
    assert counts == [5.0, 6.0, 7.0, 8.0, 9.0]


def test_a_scorer_that_is_silent_for_a_week_holds_nobody_up(chosen: Settings, scans: list[ScanBody]) -> None:
    async def story() -> tuple[int, int, int]:
        store = client(chosen)
        async with scorer(chosen) as live:
            await seen(live, alike(scans, 4))
            await a_second_later()
            store.hset(KEPT, "gone", f"0 {int(time.time()) - SILENCE_SECONDS + 60}")
            there = await asyncio.to_thread(refreshed, chosen, AT_ONCE)
            store.hset(KEPT, "gone", f"0 {int(time.time()) - SILENCE_SECONDS - 60}")
            silent = await asyncio.to_thread(refreshed, chosen, AT_ONCE)
            return there.trimmed, silent.trimmed, store.hlen(KEPT)

    assert asyncio.run(story()) == (0, 4, 1)


def test_a_missing_entry_is_not_passed_over(chosen: Settings, scans: list[ScanBody]) -> None:
    async def story() -> None:
        async with scorer(chosen) as live:
            await seen(live, alike(scans, 4))
        client(chosen).xdel(STREAM, "2-0")
        link = Link(chosen.state, b"x")
        try:
            with pytest.raises(DataError, match="found entry 3 after entry 1"):
                await link.read(0, 4, 10)
        finally:
            await link.close()

    asyncio.run(story())


def test_the_oldest_snapshot_counts_since_the_latest_may_be_damaged(chosen: Settings, scans: list[ScanBody]) -> None:
    mine = alike(scans, 6)

    async def story() -> list[int]:
        async with scorer(chosen) as live:
            places = []
            for part in (mine[:2], mine[2:4], mine[4:]):
                await seen(live, part)
                await asyncio.sleep(0.1)
                await asyncio.to_thread(refreshed, chosen)
                places.append(durable(TASK.features, chosen.ledger).sequence)
            return places

    assert asyncio.run(story()) == [2, 2, 4]


def test_the_command_writes_a_snapshot_and_trims(
    chosen: Settings, scans: list[ScanBody], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"bundles": chosen.bundles, "state": chosen.state, "secret": SECRET}
    for name, value in asked.items():
        monkeypatch.setenv(f"SHEPHERD_{name.upper()}", str(value))

    async def story() -> list[str]:
        async with scorer(chosen) as live:
            await seen(live, alike(scans, 3))
            await asyncio.sleep(0.1)
            return [(await asyncio.to_thread(_run, [*words, "--home", str(chosen.home)])) for words in WORDS]

    first, second = asyncio.run(story())

    assert json.loads(first) == {"events": 3, "trimmed": 0}
    assert second == "The latest snapshot holds all.\n"


def test_without_redis_nothing_is_written_and_that_is_said(chosen: Settings, redis_server: RedisServer) -> None:
    Ledger.open(chosen.ledger, SECRET).close()
    redis_server.kill()

    with pytest.raises(DependencyDown, match="Redis does not answer"):
        refreshed(chosen)

    redis_server.start()


@pytest.mark.parametrize(("days", "fits"), [("0", True), ("35", True), ("400", True), ("34", False), ("-1", False)])
def test_ids_are_remembered_as_long_as_they_may_come_again(
    monkeypatch: pytest.MonkeyPatch, days: str, fits: bool
) -> None:
    monkeypatch.setenv("SHEPHERD_STREAM_DAYS", days)
    if fits:
        assert read_settings().stream_days == float(days)
    else:
        with pytest.raises(UsageError, match="SHEPHERD_STREAM_DAYS"):
            read_settings()


def _run(words: list[str]) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def _crashes(*_: object) -> None:
    raise OSError("as if it had been killed")
