"""What goes wrong around a real service under load: nothing that it acknowledged is lost or counted twice.

`make faults` causes each fault as often as was promised.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from serving.app import create_app
from serving.bundle import point
from serving.ledger.ledger import Ledger
from serving.ledger.replay import replay
from tests.counts import times
from tests.serving.live.conftest import SECRET, VERSIONS, Server, ask, encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from serving.live.bodies import ScanBody
    from serving.settings import Settings

pytestmark = pytest.mark.faults

KILLS, STOPS = times(3, 200), times(2, 50)
SWAPS, SWAP_SECONDS = times(6, 100), times(2, 60)
IDS = times(150, 10_000)
REPLAYED = times(300, 10_000)
SENT = 150
MEMBER = "member-of-round-"
JSON = {"content-type": "application/json"}
_tell = logging.getLogger("faults")


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], str]:
    """What the decision on a scan is called by every service of the secret."""
    ledger = Ledger.open(tmp_path_factory.mktemp("names"), SECRET)
    vault = ledger.vault
    ledger.close()
    return lambda body: vault.identity("scans", json.loads(body)["scan_id"]).hex()


@contextlib.contextmanager
def pointing(settings: Settings) -> Iterator[None]:
    """Leaves the pointer, which tests share, as it was."""
    try:
        yield
    finally:
        point(settings.bundles, "fraud", "champion", VERSIONS[0])


def numbered(scans: Sequence[ScanBody], first: int, count: int, **changed: object) -> list[bytes]:
    """So many scans with ids of their own."""
    return [
        encoded(scans[number % len(scans)], scan_id=f"n-{number}", **changed) for number in range(first, first + count)
    ]


def decisions(server: Server, ids: Sequence[str]) -> list[dict[str, Any] | None]:
    """Decisions by their ids over one connection; None where none is known."""
    connection, found = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30), []
    for one in ids:
        connection.request("GET", f"/v1/decisions/{one}")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status in {200, 404}, body
        found.append(json.loads(body) if answer.status == 200 else None)
    connection.close()
    return found


def ready(server: Server) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    told = answer.status, answer.read().decode()
    connection.close()
    return told


def until(condition: Any, seconds: float = 20.0) -> None:
    last = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.05)


def test_models_change_under_load_and_no_request_fails(settings: Settings, scans: list[ScanBody]) -> None:
    async def load(server: Server) -> tuple[list[tuple[int, bytes] | None], float]:
        heard: list[tuple[int, bytes] | None] = []
        swapping = True

        async def keep_asking() -> None:
            while swapping:
                heard.extend((await ask(server.port, numbered(scans, len(heard), 400), 8)).answers)

        asking, began = asyncio.create_task(keep_asking()), time.monotonic()
        for number in range(SWAPS):
            version = ("v2", "v1")[number % 2]
            point(settings.bundles, "fraud", "champion", version)
            (answer,) = (await ask(server.port, [b""], 1, "/v1/models/fraud/load")).answers
            assert answer is not None
            assert (answer[0], json.loads(answer[1])["champion"]) == (200, version)
            await asyncio.sleep(max(0.0, began + (number + 1) * SWAP_SECONDS / SWAPS - time.monotonic()))
        took, swapping = time.monotonic() - began, False
        await asking
        return heard, took

    with pointing(settings), Server(settings) as server:
        heard, took = asyncio.run(load(server))

    answers = [json.loads(answer[1]) for answer in heard if answer is not None and answer[0] == 200]
    _tell.info("%d swaps in %.1f s under %d requests, %d failed", SWAPS, took, len(heard), len(heard) - len(answers))
    assert len(answers) == len(heard) >= 20 * SWAPS
    assert all(answer["recorded"] and answer["degraded"] == "none" for answer in answers)
    assert {answer["model"]["version"] for answer in answers} == {"v1", "v2"}
    assert took < 1.2 * SWAP_SECONDS


@pytest.mark.parametrize(("how", "count"), [(signal.SIGKILL, KILLS), (signal.SIGTERM, STOPS)])
def test_killed_or_stopped_at_any_point_it_loses_and_doubles_nothing(
    settings: Settings, scans: list[ScanBody], named: Callable[[bytes], str], how: signal.Signals, count: int
) -> None:
    """Each round's scans are one member's: what the state counts of the member has to be what the log holds."""
    generator = random.Random(7)  # noqa: S311 - moments to end at
    known: list[tuple[bytes, bytes]] = []
    bodies: list[bytes] = []
    total, lost, unlike, worst = 0, 0, 0, 0.0

    async def load(server: Server) -> list[tuple[bytes, bytes]]:
        asking = asyncio.create_task(ask(server.port, bodies, 16))
        await asyncio.sleep(generator.uniform(0.01, 0.2))
        server.process.send_signal(how)
        return [(bodies[place], answer) for place, answer in (await asking).recorded.items()]

    for number in range(count + 1):
        with Server(settings) as server:
            if number:
                ids = [named(body) for body in bodies]
                found = dict(zip(ids, decisions(server, ids), strict=True))
                kept = sum(one is not None for one in found.values())
                for body, answer in known:
                    one = found[named(body)]
                    lost += one is None or one["answer"] != json.loads(answer)
                again = server.ask([body for body, _ in known]).answers
                unlike += sum(one is None or one[1] != answer for one, (_, answer) in zip(again, known, strict=True))
                probe = encoded(scans[0], scan_id=f"probe-{number}", member_id=f"{MEMBER}{number - 1}")
                _, answer = server.one(probe)
                (after,) = decisions(server, [answer["decision_id"]])
                assert after is not None
                unlike += after["features"]["member_scan_count_1h"] != kept
                assert len(known) <= kept <= SENT
            if number < count:
                bodies = numbered(scans, number * SENT, SENT, member_id=f"{MEMBER}{number}")
                known = asyncio.run(load(server))
                total += len(known)
                began = time.monotonic()
                server.process.wait(timeout=30)
                worst = max(worst, time.monotonic() - began)
                said = server.said.read_text()
                assert "Traceback" not in said
                server.said.unlink()
                assert how is not signal.SIGKILL or server.process.returncode == -signal.SIGKILL
    ledger = Ledger.read(settings.ledger, SECRET)
    chain = ledger.verify()
    ledger.close()

    _tell.info("%d %s: %d told, %d lost, %d unlike, ended in %.1f s", count, how.name, total, lost, unlike, worst)
    assert (lost, unlike) == (0, 0)
    assert total > count
    assert chain.holds
    assert worst < 10


def test_ids_sent_many_times_at_once_count_once_and_have_one_answer(settings: Settings, scans: list[ScanBody]) -> None:
    generator = random.Random(3)  # noqa: S311 - how often, and in which order
    bodies = numbered(scans, 0, IDS)
    order = [place for place in range(IDS) for _ in range(generator.randint(1, 20))]
    # The same ones come close together, so that most of them wait beside each other.
    order.sort(key=lambda place: place + generator.uniform(0, 4))
    began = time.monotonic()

    with Server(settings) as server:
        heard = server.ask([bodies[place] for place in order], 32)
        took = time.monotonic() - began
        changed = server.ask([body.replace(b'"prize_fen": ', b'"prize_fen": 1') for body in bodies], 8)
        last, _ = server.one(bodies[-1])

    answers: dict[int, set[tuple[int, bytes] | None]] = {}
    for place, answer in zip(order, heard.answers, strict=True):
        answers.setdefault(place, set()).add(answer)
    ledger = Ledger.read(settings.ledger, SECRET)
    logged = len(list(ledger.identities("scans")))
    taken_in = np.frombuffer(b"".join(batch.events["scans"].numbers["scan_id"] for batch in ledger.entries()), np.int64)
    ledger.close()
    _tell.info("%d ids in %d requests in %.1f s: %d logged, %d counted", IDS, len(order), took, logged, len(taken_in))
    assert len(heard.recorded) == len(order)
    assert {len(each) for each in answers.values()} == {1}
    assert logged == len(taken_in) == len(np.unique(taken_in)) == IDS
    assert Counter(one and one[0] for one in changed.answers) == {409: IDS}
    assert last == 200


def test_decisions_over_three_versions_and_a_restart_come_out_again(settings: Settings, scans: list[ScanBody]) -> None:
    third = REPLAYED // 3 + 1
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHEPHERD_")} | {
        "SHEPHERD_HOME": str(settings.home),
        "SHEPHERD_BUNDLES": str(settings.bundles),
        "SHEPHERD_SECRET": SECRET,
    }

    def command(*words: str) -> dict[str, Any]:
        done = subprocess.run(  # noqa: S603 - ours
            [sys.executable, "-m", "shepherd", *words, "--home", str(settings.home), "--json"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    parts = [numbered(scans, number * third, third) for number in range(3)]
    answers: list[bytes] = []
    with pointing(settings):
        for running in (VERSIONS[:2], VERSIONS[2:]):
            with Server(settings) as server:
                for version in running:
                    point(settings.bundles, "fraud", "champion", version)
                    server.one(b"", "/v1/models/fraud/load")
                    answers += server.ask(parts[VERSIONS.index(version)]).recorded.values()
    member = next(one for scan in scans if (one := scan.member_id))
    sent = [json.loads(body) for part in parts for body in part]
    of_member = sum(one.get("member_id") == member for one in sent)
    began = time.monotonic()
    before = command("replay", "--all")
    took = time.monotonic() - began
    forgotten = command("forget", "--member", member)
    after = command("replay", "--all")

    _tell.info("replayed in %.1f s: %s; then one forgotten: %s", took, before["verdicts"], after["verdicts"])
    assert len(answers) == 3 * third >= REPLAYED
    assert Counter(json.loads(answer)["model"]["version"] for answer in answers) == dict.fromkeys(VERSIONS, third)
    assert before["verdicts"] == {"equal": 3 * third}
    assert (forgotten["records"], forgotten["readable"]) == (of_member, 0)
    assert after["verdicts"] == {"equal": 3 * third - of_member, "forgotten": of_member}
    assert before["chain"] == after["chain"]
    assert after["chain"]["holds"]


def test_while_the_disk_is_full_scans_are_answered_degraded_and_later_all_is_well(
    settings: Settings, scans: list[ScanBody]
) -> None:
    short = settings.model_copy(update={"deadline_ms": 300})
    with Server(short) as server:
        first = server.ask(numbered(scans, 0, 100))
        well = ready(server)[0]
        _, most = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (4_096, most))
        full = [json.loads(answer[1]) for answer in server.ask(numbered(scans, 100, 50)).answers if answer]
        until(lambda: ready(server)[0] == 503)
        told = ready(server)[1]
        known = server.ask(numbered(scans, 0, 100))
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (most, most))
        until(lambda: ready(server)[0] == 200)
        later = server.ask(numbered(scans, 100, 50))
        first_again = server.ask(numbered(scans, 0, 100))
        alive = server.process.poll() is None
    ledger = Ledger.read(settings.ledger, SECRET)
    logged, chain = len(list(ledger.identities("scans"))), ledger.verify()
    ledger.close()

    assert well == 200
    assert {(one["degraded"], one["recorded"], one["action"]) for one in full} <= {
        ("log", False, "pay"),
        ("deadline", False, "pay"),
    }
    assert len(full) == 50
    assert "the log cannot be written" in told
    assert first.answers == known.answers == first_again.answers
    assert len(later.recorded) == 50
    assert (logged, chain.holds, alive) == (150, True, True)


def test_with_a_log_on_a_disk_that_is_read_only_scans_are_answered_degraded(
    settings: Settings, scans: list[ScanBody], tmp_path: Any
) -> None:
    mount = tmp_path / "disk"
    mount.mkdir()
    script = 'mount -t tmpfs -o size=4m tmpfs "$0" && mount -o remount,ro "$0" || exit 77; exec "$@"'
    try:
        done = subprocess.run(  # noqa: S603 - a mount of its own, which ends with it
            ["unshare", "--mount", "sh", "-c", script, str(mount), "true"],  # noqa: S607 - likewise
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if done.returncode:
        pytest.skip("nothing may be mounted here")

    within = ("unshare", "--mount", "sh", "-c", script, str(mount))
    with Server(settings, within, SHEPHERD_LEDGER=str(mount / "ledger")) as server:
        answers = [json.loads(answer[1]) for answer in server.ask(numbered(scans, 0, 20)).answers if answer]
        status, told = ready(server)

    assert len(answers) == 20
    assert {(one["degraded"], one["recorded"], one["action"]) for one in answers} == {("log", False, "pay")}
    assert status == 503
    assert "scans are not judged" in told


async def _hours(settings: Settings, scans: Sequence[ScanBody]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Scans of one member while the clock goes an hour ahead and two back; the answers, and the decisions."""
    hour = 3_600 * 10**9
    app = create_app(settings)
    answers: list[dict[str, Any]] = []
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client,
    ):
        order = app.state.live.desk._order
        for number, shift in enumerate((0, hour, 0, -hour, 0)):
            order._clock = lambda shift=shift: time.time_ns() + shift
            for body in numbered(scans, 10 * number, 10, member_id="of-all-hours"):
                answer = await client.post(
                    "/v1/scans/score", content=body, headers={"content-type": "application/json"}
                )
                answers.append(answer.json())
        found = [(await client.get(f"/v1/decisions/{answer['decision_id']}")).json() for answer in answers]
    return answers, found


def test_a_clock_an_hour_ahead_and_back_leaves_order_and_counts(settings: Settings, scans: list[ScanBody]) -> None:
    answers, found = asyncio.run(_hours(settings, scans))
    counts = [one["features"]["member_scan_count_1h"] or 0.0 for one in found]
    ledger = Ledger.read(settings.ledger, SECRET)
    instants = [batch.last.seen_at for batch in ledger.entries()]
    replayed = Counter(one.verdict for one in replay(ledger, settings.bundles))
    ledger.close()

    assert {(one["degraded"], one["recorded"]) for one in answers} == {("none", True)}
    sequences = [one["sequence"] for one in found]
    assert sequences == sorted(set(sequences))
    assert instants == sorted(set(instants))
    # An hour ahead, what was before is out of the window; back again, instants stand until the clock has caught up.
    assert counts[:10] == list(range(10))
    assert counts[10:] == list(range(40))
    assert replayed == {"equal": 50}


async def _unwritten(settings: Settings, scans: Sequence[ScanBody]) -> tuple[list[dict[str, Any]], list[int]]:
    """A scan before, while and after the log's database takes nothing; the answers, and what `/readyz` says."""
    app = create_app(settings)
    answers, ready_says = [], []
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client,
    ):
        live = app.state.live
        for body, query_only in zip(numbered(scans, 0, 4), ("OFF", "ON", "ON", "OFF"), strict=True):
            while True:
                with contextlib.suppress(sqlite3.Error):
                    live._ledger._writing.execute(f"PRAGMA query_only = {query_only}")
                    break
            if query_only == "OFF":
                until(lambda: live._writer.depth == 0 and live._writer.failing is None)
            answer = await client.post("/v1/scans/score", content=body, headers=JSON)
            answers.append(answer.json())
            ready_says.append((await client.get("/readyz")).status_code)
    return answers, ready_says


def test_a_log_that_becomes_read_only_is_written_again_when_it_can_be(
    settings: Settings, scans: list[ScanBody]
) -> None:
    answers, ready_says = asyncio.run(_unwritten(settings.model_copy(update={"deadline_ms": 400}), scans))

    assert [one["degraded"] for one in answers] == ["none", "log", "log", "none"]
    assert [one["recorded"] for one in answers] == [True, False, False, True]
    assert ready_says == [200, 503, 503, 200]
