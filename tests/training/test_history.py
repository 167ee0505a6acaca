"""A service that begins with a history goes on as if it had seen all of it come."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from typer.testing import CliRunner

from data.errors import DataError, UsageError
from data.logs import LOGS
from data.sources import open_folder
from features import batch
from serving.ledger.ledger import Ledger, Place
from serving.ledger.recovery import SNAPSHOTS, recover
from serving.live.bodies import EventsBody, ScanBody, ScanLabelBody
from serving.live.intake import Intake
from serving.live.order import EmbeddedOrder
from serving.live.registers import Registers
from serving.live.service import LiveService
from shepherd import app
from tests.serving.live.conftest import SECRET, bundles, scans, settings, world  # noqa: F401 - fixtures
from tests.serving.live.test_intake import arrivals, differ
from training.history import build, merged
from training.tasks.fraud import TASK

if TYPE_CHECKING:
    from pathlib import Path

    from serving.settings import Settings

NOW = datetime(2100, 1, 1, tzinfo=UTC)
COUNTED = "member_scan_count_7d"
JUDGED = "member_verdict_count_wool_30d"
CHANGING = {
    "members": "coalesce(registered_at < $cut, true)",
    "scans": "coalesce(received_at, ts) < $cut",
    "scan_labels": "landed_at < $cut",
    "payouts": "ts < $cut",
    "orders": "ts < $cut",
}


@dataclass
class Halves:
    """A folder of what came before an instant, and what is sent after it."""

    folder: Path
    found: list[tuple[int, int, str, Any]]
    cut: int


@pytest.fixture(scope="module")
def halves(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Halves:  # noqa: F811 - a fixture
    folder = tmp_path_factory.mktemp("half")
    with open_folder(world).connect() as connection:
        found = arrivals(connection)
        times = sorted(at for at, _, table, _ in found if table == "scans")
        cut = times[len(times) // 2]
        instant = datetime.fromtimestamp(cut / 1_000_000, UTC)
        for table in (*CHANGING, "batches", "campaigns", "products", "stores", "offers"):
            known = CHANGING.get(table, "true").replace("$cut", f"TIMESTAMPTZ '{instant.isoformat()}'")
            connection.sql(f"SELECT * FROM {table} WHERE {known}").write_parquet(str(folder / f"{table}.parquet"))
    return Halves(folder, [one for one in found if one[0] >= cut], cut)


@pytest.fixture
def begun(settings: Settings, halves: Halves) -> Settings:  # noqa: F811 - a fixture
    """Settings of a service that has a history of the first half."""
    chosen = settings.model_copy(update={"tables": halves.folder})
    build(open_folder(halves.folder), chosen, NOW)
    return chosen


def test_half_by_history_and_half_live_have_the_features_that_training_has(
    world: Path,  # noqa: F811 - a fixture
    halves: Halves,
    begun: Settings,
) -> None:
    with open_folder(world).connect() as connection:
        rows = connection.sql(f"SELECT *, scan_id AS row_id, seen_at AS as_of FROM ({LOGS['scans'].sql()})")
        expected = batch.compute(TASK.features, connection, rows.to_arrow_table())
    ledger = Ledger.open(begun.ledger, SECRET)
    state = recover(ledger, TASK.features, begun.ledger / SNAPSHOTS)
    before = state.clock
    intake, found = Intake(Registers.read(halves.folder), ledger.vault), {}
    for at, _, table, sent in halves.found:
        match table:
            case "members":
                events = intake.registration(sent, at)
            case "scans":
                found[sent.scan_id], events = state.observe("scans", intake.scan(sent, at)).copy(), ()
            case "scan_labels":
                events = (("scan_labels", intake.label(*sent, at)),)
            case "payouts":
                events = (("payouts", intake.payout(sent, at)),)
            case "orders":
                events = intake.order(sent, at)
        for log, event in events:
            state.append(log, event)
    ledger.close()

    assert 0 < before < halves.cut
    trained = np.column_stack([expected[name].to_numpy() for name in TASK.features.names])
    place = {scan_id: number for number, scan_id in enumerate(expected["row_id"].to_pylist())}
    trained = trained[[place[scan_id] for scan_id in found]]
    live = np.array(list(found.values()))
    wrong = [
        name for name, one, other in zip(TASK.features.names, live.T, trained.T, strict=True) if differ(one, other)
    ]
    assert len(found) > 700
    assert wrong == []
    assert np.isfinite(trained).mean() > 0.5


def test_the_service_goes_on_from_it_and_knows_what_came_before(begun: Settings, halves: Halves) -> None:
    with open_folder(halves.folder).connect() as connection:
        columns = ", ".join(field.name for field in msgspec.structs.fields(ScanBody))
        unjudged = "scans ANTI JOIN scan_labels USING (scan_id) WHERE member_id IS NOT NULL"
        query = f"SELECT {columns} FROM {unjudged} ORDER BY coalesce(received_at, ts) DESC, scan_id LIMIT 1"
        (row,) = connection.sql(query).to_arrow_table().to_pylist()
    old = ScanBody(**row)
    label = ScanLabelBody(scan_id=old.scan_id, is_wool=1)

    async def seen(live: LiveService, scan_id: str) -> dict[str, Any]:
        answered = await live.desk.score(msgspec.structs.replace(old, scan_id=scan_id))
        view = json.loads(live.decision(json.loads(answered.body)["decision_id"])[1])
        features: dict[str, Any] = view["features"]
        return features

    async def walk() -> tuple[dict[str, Any], dict[str, Any], list[int]]:
        live = LiveService.open(begun)
        until = live.desk.state.clock
        live.desk._order = EmbeddedOrder(Place(0, until), lambda: 0)  # now is just after the history
        first = await seen(live, "one more")
        alone, _ = await live.take(EventsBody(scan_labels=(label,)))
        both, _ = await live.take(EventsBody(scans=(old,), scan_labels=(label,)))
        second = await seen(live, "another")
        assert live._ledger.last.seen_at > until
        await live.close()
        return first, second, [alone.status, both.status]

    first, second, statuses = asyncio.run(walk())

    assert statuses == [422, 200]
    assert first[COUNTED] >= 1  # the old one
    assert second[COUNTED] == first[COUNTED] + 1  # the new one, and not the old one again
    assert second[JUDGED] == first[JUDGED] + 1


def test_instants_go_on_from_it_whatever_the_clock_says(begun: Settings) -> None:
    async def walk() -> tuple[int, list[Place]]:
        live = LiveService.open(begun)
        live.desk._order._clock = lambda: 0
        found = live.desk.state.clock, await live.desk._order.place(2)
        await live.close()
        return found

    until, places = asyncio.run(walk())

    assert places == [Place(1, until + 1), Place(2, until + 2)]


def test_a_ledger_with_entries_is_refused(begun: Settings, halves: Halves) -> None:
    async def once() -> None:
        live = LiveService.open(begun)
        scan = next(sent for _, _, table, sent in halves.found if table == "scans")
        await live.desk.score(scan)
        await live.close()

    asyncio.run(once())
    with pytest.raises(UsageError, match="has 1 entries, expected none"):
        build(open_folder(halves.folder), begun, NOW)


def test_a_history_may_be_built_again_before_anything_is_sent(begun: Settings, halves: Halves) -> None:
    again = build(open_folder(halves.folder), begun, NOW)

    assert [path.name for path in (begun.ledger / SNAPSHOTS).iterdir()] == [again.path.name]
    ledger = Ledger.open(begun.ledger, SECRET)
    assert ledger.history == again.until < halves.cut
    assert recover(ledger, TASK.features, begun.ledger / SNAPSHOTS).clock == again.until
    ledger.close()


def test_a_state_that_lost_its_history_is_not_taken_for_a_new_one(begun: Settings) -> None:
    for path in (begun.ledger / SNAPSHOTS).iterdir():
        path.write_bytes(b"damaged")
    ledger = Ledger.open(begun.ledger, SECRET)
    with pytest.raises(DataError, match=r"had seen events before the log began.*shepherd history"):
        recover(ledger, TASK.features, begun.ledger / SNAPSHOTS)
    ledger.close()


def test_nothing_of_a_person_is_in_what_it_writes(begun: Settings, halves: Halves) -> None:
    with open_folder(halves.folder).connect() as connection:
        ids = connection.sql(
            "SELECT member_id FROM members UNION SELECT device_id FROM scans UNION SELECT scan_id FROM scans"
        ).fetchall()
    written = b"".join(path.read_bytes() for path in begun.ledger.rglob("*") if path.is_file())

    assert len(ids) > 500
    assert [one for (one,) in ids if one is not None and one.encode() in written] == []


def test_what_does_not_fit_is_said(settings: Settings, halves: Halves, tmp_path: Path) -> None:  # noqa: F811
    data = open_folder(halves.folder)
    fits = settings.model_copy(update={"tables": halves.folder})
    with pytest.raises(UsageError, match="found no champion of task none"):
        build(data, fits.model_copy(update={"scan_task": "none"}), NOW)
    with pytest.raises(UsageError, match="SHEPHERD_STATE"):
        build(data, fits.model_copy(update={"state": "redis://127.0.0.1:1/0"}), NOW)
    with pytest.raises(UsageError, match="SHEPHERD_TABLES: found none"):
        build(data, fits.model_copy(update={"tables": None}), NOW)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"lacks .* members .* batches"):
        build(data, fits.model_copy(update={"tables": tmp_path / "empty"}), NOW)
    with pytest.raises(DataError):
        build(data, fits, datetime(2000, 1, 1, tzinfo=UTC))  # every row lies in the future
    assert not settings.ledger.exists()


@tried(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(0, 20), max_size=30), max_size=3), st.integers(1, 7)
)
def test_pieces_follow_each_other_and_leave_nothing_out(logs: dict[str, list[int]], size: int) -> None:
    def table(instants: list[int]) -> pa.Table:
        return pa.table({"seen_at": pa.array(instants, pa.timestamp("us", "UTC"))})

    def parts(instants: list[int]) -> Any:
        ordered = sorted(instants)
        return iter([table(ordered[start : start + size]) for start in range(0, len(ordered), size)])

    latest, found = -1, {log: [] for log in logs}
    for piece in merged({log: parts(instants) for log, instants in logs.items()}):
        seen = {log: one["seen_at"].cast(pa.int64()).to_pylist() for log, one in piece.items()}
        assert min(map(min, seen.values())) >= latest
        latest = max(map(max, seen.values()))
        for log, instants in seen.items():
            found[log] += instants
    assert found == {log: sorted(instants) for log, instants in logs.items()}


def test_the_command_says_what_became_of_it(begun: Settings, halves: Halves, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHEPHERD_SECRET", SECRET)
    monkeypatch.setenv("SHEPHERD_BUNDLES", str(begun.bundles))
    monkeypatch.setenv("SHEPHERD_TABLES", str(halves.folder))
    asked = ["history", str(halves.folder), "--home", str(begun.home), "--json"]

    done = CliRunner().invoke(app, asked)
    monkeypatch.setenv("SHEPHERD_SCAN_TASK", "none")
    refused = CliRunner().invoke(app, asked)

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["events"] > 1_000
    assert isinstance(refused.exception, UsageError)
    assert refused.exception.exit_code == 2
