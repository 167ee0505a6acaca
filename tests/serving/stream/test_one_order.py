"""Several scorers over a real Redis: every feature of every scan is what batch says of the order that came about."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
import urllib.request
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis

from data.logs import LOGS
from data.sources import open_folder
from features import batch
from serving.ledger.ledger import Ledger
from serving.ledger.record import decode_record
from serving.ledger.replay import replay
from serving.ledger.vault import Vault
from serving.settings import Settings
from serving.stream.keeping import FOLDER
from serving.stream.refresh import refresh
from serving.stream.script import STREAM
from tests.serving.live.conftest import SECRET, ask, encoded
from tests.serving.stream.conftest import NoStore, StreamServer
from training.tasks.fraud import TASK

if TYPE_CHECKING:
    from pathlib import Path

    from serving.live.bodies import ScanBody
    from tests.serving.stream.conftest import RedisServer

SCANS = int(os.environ.get("SHEPHERD_TEST_STREAM_SCANS", "300"))
Sent = list[tuple[int, bytes]]


@pytest.fixture
def tables(world: Path, tmp_path: Path) -> Path:
    """The tables of the world, of whose members nobody knows when they joined: batch would count joinings as well."""
    folder = tmp_path / "tables"
    folder.mkdir()
    for name in ("batches", "campaigns", "products"):
        shutil.copy(world / f"{name}.parquet", folder)
    members = pq.read_table(world / "members")
    place = members.column_names.index("registered_at")
    nobody = pa.nulls(len(members), members.schema.field(place).type)
    pq.write_table(members.set_column(place, "registered_at", nobody), folder / "members.parquet")
    return folder


def story(scans: list[ScanBody], generator: np.random.Generator) -> tuple[list[Sent], list[Sent], dict[str, list[Any]]]:
    """Scans spread over three scorers in rounds, and after each round payments, baskets and verdicts on its scans."""
    rounds, rows, told = [], [], {"payouts": [], "orders": [], "scan_labels": []}
    for number, part in enumerate(np.array_split(np.arange(len(scans)), 3)):
        mine = [scans[place] for place in part]
        rounds.append([(int(generator.integers(3)), encoded(scan)) for scan in mine])
        events: Sent = []
        for place, scan in enumerate(mine[::7]):
            key = f"{number}-{place}"
            payout = {"payout_id": f"p{key}", "ts": scan.ts, "member_id": scan.member_id or "m", "amount_fen": place}
            payout["account_id"] = f"a{place % 3}"
            line = {"line_id": f"l{key}", "order_id": f"o{key}", "ts": scan.ts, "product_id": scan.product_id or "p"}
            line |= {"quantity": 2, "amount_fen": 100 + place, "member_id": scan.member_id or "m"}
            label = {"scan_id": scan.scan_id, "is_wool": place % 2}
            for table, row in (("payouts", payout), ("orders", line), ("scan_labels", label)):
                told[table].append(row)
                events.append((int(generator.integers(3)), msgspec.json.encode({table: [row]})))
        rows.append(events)
    return rounds, rows, told


def spread(servers: list[StreamServer], sent: Sent, path: str = "/v1/scans/score") -> list[tuple[int, bytes]]:
    """Sends to each scorer its part, to all at once; the answers in the order of what was sent."""
    parts = [[place for place, (who, _) in enumerate(sent) if who == number] for number in range(len(servers))]

    async def all_of_them() -> list[Any]:
        asked = [
            ask(server.port, [sent[place][1] for place in part], 4, path)
            for server, part in zip(servers, parts, strict=True)
        ]
        return await asyncio.gather(*asked)

    answers: dict[int, Any] = {}
    for part, heard in zip(parts, asyncio.run(all_of_them()), strict=True):
        answers |= dict(zip(part, heard.answers, strict=True))
    return [answers[place] for place in range(len(sent))]


def decision(server: StreamServer, decision_id: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v1/decisions/{decision_id}") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def decided(homes: list[Path], ids: list[str]) -> list[dict[str, Any]]:
    """Decisions as the scorers' own logs hold them."""
    ledgers = [Ledger.read(home / "ledger", SECRET) for home in homes]
    found = []
    for one in ids:
        record = next(kept.record for ledger in ledgers if (kept := ledger.find(bytes.fromhex(one))) and kept.record)
        decoded = decode_record(record)
        features = np.frombuffer(decoded.features, np.float32).astype(float).tolist()
        found.append({"request": decoded.request, "features": dict(zip(TASK.features.names, features, strict=True))})
    for ledger in ledgers:
        ledger.close()
    return found


def expected(
    world: Path, tables: Path, scans: list[ScanBody], told: dict[str, Any], seen: dict[bytes, int]
) -> pa.Table:
    """What batch says of the scans, each at the instant that the stream gave it."""
    vault = Vault.open(bytes.fromhex(SECRET), NoStore())

    def at(table: str, key: str) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=seen[vault.identity(table, key)])

    rows: dict[str, list[dict[str, Any]]] = {
        "scans": [msgspec.structs.asdict(one) | {"received_at": at("scans", one.scan_id)} for one in scans],
        "payouts": [one | {"ts": at("payouts", one["payout_id"])} for one in told["payouts"]],
        "orders": [one | {"ts": at("orders", one["order_id"])} for one in told["orders"]],
        "scan_labels": [one | {"landed_at": at("scan_labels", one["scan_id"])} for one in told["scan_labels"]],
    }
    with open_folder(world).connect() as connection:
        for table, mine in rows.items():
            plain = [
                {name: getattr(value, "as_py", lambda v=value: v)() for name, value in one.items()} for one in mine
            ]
            connection.register("given", pa.Table.from_pylist(plain))
            connection.execute(f"CREATE TEMP TABLE my_{table} AS SELECT * FROM {table} LIMIT 0")
            connection.execute(f"INSERT INTO my_{table} BY NAME SELECT * FROM given")
            connection.execute(f"CREATE OR REPLACE TEMP VIEW {table} AS SELECT * FROM my_{table}")
        path = str(tables / "members.parquet")
        connection.execute(f"CREATE TEMP TABLE my_members AS SELECT * FROM read_parquet('{path}')")
        connection.execute("CREATE OR REPLACE TEMP VIEW members AS SELECT * FROM my_members")
        query = f"SELECT *, scan_id AS row_id, seen_at AS as_of FROM ({LOGS['scans'].sql()})"
        return batch.compute(TASK.features, connection, connection.sql(query).to_arrow_table())


def let_go(chosen: list[Settings], redis_server: RedisServer) -> list[Any]:
    """What the stream has, of which it lets go: each scorer has it on its disk, and the newcomer a copy of one's."""
    time.sleep(1.1)  # until it is older than this very second
    raw = redis.Redis(port=redis_server.port).xrange(STREAM)
    done = []
    for one in chosen[:3]:
        ledger = Ledger.read(one.ledger, SECRET)
        done.append(refresh(redis_server.url, ledger, TASK.features, 1e-9))
        ledger.close()
    assert done[2].trimmed > 0.9 * len(raw)
    chosen[3].ledger.mkdir(parents=True)
    shutil.copytree(chosen[1].ledger / FOLDER, chosen[3].ledger / FOLDER)
    return raw


@pytest.mark.parametrize("trimmed", [False, True], ids=["whole", "trimmed"])
def test_three_scorers_answer_what_batch_says_of_their_one_order(
    bundles: Path,
    world: Path,
    tables: Path,
    scans: list[ScanBody],
    redis_server: RedisServer,
    tmp_path: Path,
    trimmed: bool,
) -> None:
    sent = scans[: SCANS // 2 if trimmed else SCANS]
    rounds, rows, told = story(sent, np.random.default_rng(11))
    homes = [tmp_path / f"scorer-{number}" for number in range(4)]
    chosen = [Settings(home=home, bundles=bundles, tables=tables, secret=SECRET, deadline_ms=20_000) for home in homes]
    bodies = [(0, encoded(scan)) for scan in sent]
    with ExitStack() as stack:
        servers = [stack.enter_context(StreamServer(one, redis_server)) for one in chosen[:3]]
        first, done, gone = [], [], []
        for number, (scanned, events) in enumerate(zip(rounds, rows, strict=True)):
            first += spread(servers, scanned)
            done += spread(servers, events, "/v1/events")
            if number == 0:  # killed, and back from the stream alone
                servers[1].stop(signal.SIGKILL)
                servers[1] = stack.enter_context(StreamServer(chosen[1], redis_server))
            if number == 1 and trimmed:
                gone = let_go(chosen, redis_server)
            if number == 1:  # told to stop, and back from its snapshot; and one who was never there before
                servers[0].stop()
                servers[0] = stack.enter_context(StreamServer(chosen[0], redis_server))
                servers[2] = stack.enter_context(StreamServer(chosen[3], redis_server))
        mine = 2 * len(sent) // 3 if trimmed else 0  # before that the stream has forgotten them, and each scorer counts
        again = [spread([server], bodies[mine:]) for server in servers]
        changed = spread([servers[1]], [(0, encoded(sent[-1], prize_fen=sent[-1].prize_fen + 1))])
        assert [body for _, body in first if not json.loads(body)["recorded"]] == []
        ids = [json.loads(answer)["decision_id"] for _, answer in first]
        asked = servers if not trimmed else ()
        kept = [decision(servers[place % 3], one) for place, one in enumerate(ids)] if asked else decided(homes, ids)
    raw = redis.Redis(port=redis_server.port).xrange(STREAM)
    raw = [*gone, *(entry for entry in raw if entry not in gone)]
    seen = {fields[b"i"]: int(fields[b"t"]) for _, fields in raw}
    assert {status for status, _ in done} == {200}
    assert again == [first[mine:]] * 3
    assert changed[0][0] == 409
    instants = [int(fields[b"t"]) for _, fields in raw]
    assert instants == sorted(set(instants))

    table = expected(world, tables, sent, told, seen)
    known = dict(zip(ids, kept, strict=True))
    by_scan = {one["request"]["scan_id"]: one["features"] for one in known.values()}
    names = TASK.features.names
    live = np.array(
        [[by_scan[scan_id][name] for name in names] for scan_id in table["row_id"].to_pylist()], np.float64
    ).astype(np.float32)
    trained = np.column_stack([table[name].to_numpy() for name in names]).astype(np.float32)
    wrong = {
        name: int((one.view(np.int32) != other.view(np.int32))[~(np.isnan(one) & np.isnan(other))].sum())
        for name, one, other in zip(names, live.T.copy(), trained.T.copy(), strict=True)
    }
    assert {name: count for name, count in wrong.items() if count} == {}
    assert len(table) == len(sent)
    assert np.isfinite(trained).mean() > 0.3

    verdicts = []
    for home in homes:
        ledger = Ledger.read(home / "ledger", SECRET)
        verdicts += [one.verdict for one in replay(ledger, bundles)]
        assert ledger.verify().holds
        ledger.close()
    assert verdicts == ["equal"] * len(sent)
