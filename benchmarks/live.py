"""The live state on the skewed log: microseconds a scan, bytes a member, recovery, mismatches against batch."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.dataset import dataset

from data.logs import LOGS
from features.feature import Aggregate
from features.online import LiveState, columns_by_log
from features.plan import compile_plan
from features.repeats import IDENTITIES
from features.replay import replay_check
from features.rfm import RFM
from features.ring import RING
from features.scan import SCAN
from features.snapshot import restore, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    import duckdb
    from numpy.typing import NDArray

    from data.sources import DataSet
    from features.spec import FeatureSet

ALL: Final = SCAN + RING + RFM
SCANS: Final = "scans"
_AT_ONCE: Final = 65_536
_TAIL: Final = 0.01
_ROUNDS: Final = 3


def scan_rows(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Every scan as a row that asks, with its facts; in the order of arrival."""
    sql = f"SELECT scan_id AS row_id, seen_at AS as_of, * EXCLUDE (scan_id, seen_at, ts) FROM ({LOGS[SCANS].sql()})"
    names = {"row_id", "as_of", *compile_plan(ALL).row_keys, *(fact.name for fact in compile_plan(ALL).facts)}
    listed = ", ".join(name for name in connection.sql(sql).columns if name in names)
    rows: pa.Table = connection.sql(f"SELECT {listed} FROM ({sql}) ORDER BY as_of").to_arrow_table()
    return rows


def mismatches(data_set: DataSet) -> dict[str, object]:
    """Values of all features on which the live state and batch differ, over every scan of a log."""
    with data_set.connect() as connection:
        report = replay_check(ALL, connection, scan_rows(connection))
    return {
        "mismatches": report.mismatches,
        "values": report.values,
        "events": report.events,
        "seconds": round(report.seconds, 1),
        "named": [f"{one.feature} of {one.row_id}: {one.batch} {one.online}" for one in report.first],
    }


def online(data_set: DataSet) -> dict[str, object]:
    """Microseconds a scan over the second half of a log, and bytes a member at its end.

    A scan is read and taken in with all features, ids looked up, from an event as Python values; other events are taken
    in between. The CPU figures leave out what other processes of the machine took, but not its interruptions, which
    meet another scan each time: those of the least of all rounds are without them. Bytes a member are those of a state
    that keeps only what is asked by member.
    """
    with data_set.connect() as connection:
        rounds = [_round(connection) for _ in range(_ROUNDS)]
        members = _member_bytes(connection)
    half = rounds[0].scans // 2
    wall, busy = np.array([one.wall for one in rounds])[:, half:], np.array([one.busy for one in rounds])[:, half:]
    return {
        "p50_us": _percentile(wall, 50),
        "p99_us": _percentile(wall, 99),
        "p50_cpu_us": _percentile(busy, 50),
        "p99_cpu_us": _percentile(busy, 99),
        "p99_cpu_least_us": _percentile(busy.min(axis=0), 99),
        "longest_cpu_least_us": _percentile(busy.min(axis=0), 100),
        "bytes_per_member": members,
        "state_bytes": rounds[0].state_bytes,
        "features": len(ALL.names),
        "scans": rounds[0].scans,
    }


class _Round(NamedTuple):
    """One replay of a log: nanoseconds of each scan by the clock and of the processor, and what is held at its end."""

    wall: list[int]
    busy: list[int]
    state_bytes: int

    @property
    def scans(self) -> int:
        return len(self.wall)


def _round(connection: duckdb.DuckDBPyConnection) -> _Round:
    state = LiveState(ALL)
    wall: list[int] = []
    busy: list[int] = []
    for log, event in _events(connection, ALL, facts=True):
        if log == SCANS:
            began, cpu = time.perf_counter_ns(), time.thread_time_ns()
            state.observe(log, event)
            busy.append(time.thread_time_ns() - cpu)
            wall.append(time.perf_counter_ns() - began)
        else:
            state.append(log, event)
    return _Round(wall, busy, sum(array.nbytes for array in state.arrays().values()))


def _percentile(nanoseconds: NDArray[np.int64], share: float) -> float:
    return round(float(np.percentile(nanoseconds, share)) / 1_000, 1)


def recovery(data_set: DataSet, folder: Path) -> dict[str, object]:
    """Seconds until a state of all features stands again: from the whole log, and from a snapshot with its tail.

    The log is what a service writes down as it goes: events as they were taken in, a Parquet file a log. The tail is
    the last hundredth of the scans with what else happened meanwhile.
    """
    with data_set.connect() as connection:
        kept = _kept(connection, folder)
    cut = _late(kept[SCANS])
    seen, path = pc.field("seen_at"), folder / "live.state"
    _replayed(LiveState(ALL), kept, seen < pa.scalar(cut), most=1)
    state = LiveState(ALL)
    began = time.perf_counter()
    _replayed(state, kept, seen <= pa.scalar(cut))
    paused = time.perf_counter()
    snapshot(state, path)
    began += time.perf_counter() - paused
    _replayed(state, kept, seen > pa.scalar(cut))
    from_log, events = time.perf_counter() - began, state.sequence
    del state
    gc.collect()
    began = time.perf_counter()
    again = restore(path, ALL)
    restored = time.perf_counter() - began
    _replayed(again, kept, seen > pa.scalar(cut))
    return {
        "log": round(from_log, 1),
        "snapshot": round(time.perf_counter() - began, 1),
        "snapshot_alone": round(restored, 1),
        "events": events,
        "snapshot_bytes": path.stat().st_size,
    }


def _late(scans: Path) -> datetime:
    """The instant by which all scans but the last hundredth had come."""
    seen = dataset(scans).to_table(["seen_at"])["seen_at"]
    instant: datetime = seen[int(len(seen) * (1 - _TAIL)) - 1].as_py()
    return instant


def _kept(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, Path]:
    """Every log with what the features read of it, in the order of arrival."""
    kept = {}
    for log, columns in columns_by_log(compile_plan(ALL)).items():
        kept[log] = folder / f"kept-{log}.parquet"
        wanted = ", ".join(dict.fromkeys(("seen_at", *columns, *IDENTITIES[log])))
        events = f"SELECT {wanted} FROM ({LOGS[log].sql()}) ORDER BY seen_at"
        connection.execute(f"COPY ({events}) TO '{kept[log]}' (FORMAT parquet, ROW_GROUP_SIZE {_AT_ONCE})")
    return kept


def _replayed(state: LiveState, kept: dict[str, Path], wanted: pc.Expression, most: int = 1 << 62) -> None:
    """Feeds a state the wanted events of all logs in the order of arrival, a piece of each at a time."""
    pieces = {log: _pieces(path, wanted) for log, path in kept.items()}
    held = {log: next(batches, None) for log, batches in pieces.items()}
    while most > 0 and any(table is not None for table in held.values()):
        most -= 1
        until = min(table["seen_at"][-1].as_py() for table in held.values() if table is not None)
        due: dict[str, pa.Table] = {}
        for log, table in held.items():
            if table is not None:
                number = int(
                    np.searchsorted(
                        table["seen_at"].to_numpy(), np.datetime64(until.replace(tzinfo=None)), side="right"
                    )
                )
                due[log], rest = table.slice(0, number), table.slice(number)
                held[log] = rest if len(rest) else next(pieces[log], None)
        state.replay(due)


def _pieces(path: Path, wanted: pc.Expression) -> Iterator[pa.Table]:
    for batch in dataset(path).to_batches(filter=wanted, batch_size=_AT_ONCE):
        if batch.num_rows:
            yield pa.Table.from_batches([batch])


def _member_bytes(connection: duckdb.DuckDBPyConnection) -> int:
    names = [one.name for one in ALL.all if isinstance(one, Aggregate) and one.key == "member_id"]
    own = ALL.only(*(name for name in names if name in ALL.names))
    state = LiveState(own)
    members = set()
    for log, event in _events(connection, own):
        state.append(log, event)
        members.add(event["member_id"])
    return int(sum(array.nbytes for array in state.arrays().values()) / max(len(members), 1))


def _events(
    connection: duckdb.DuckDBPyConnection, feature_set: FeatureSet, *, facts: bool = False
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events that a set reads, in the order of arrival and of their ids, as Python values."""
    plan = compile_plan(feature_set)
    needed = columns_by_log(plan)
    parts = []
    for place, (log, columns) in enumerate(needed.items()):
        held: list[str] = connection.sql(f"SELECT * FROM ({LOGS[log].sql()}) LIMIT 0").columns
        more = (*plan.row_keys, *(fact.name for fact in plan.facts)) if facts and log == SCANS else ()
        identity = IDENTITIES[log]
        wanted = dict.fromkeys(name for name in (*columns, *identity, *more) if name in held)
        parts.append(
            f"SELECT {place} AS place, epoch_us(seen_at) AS seen_at, concat_ws('|', {', '.join(identity)}) AS mark, "
            f"struct_pack({', '.join(f'{name} := {name}' for name in wanted)}) AS held_{place} "
            f"FROM ({LOGS[log].sql()})"
        )
    logs = list(needed)
    order = "ORDER BY seen_at, place, mark"
    query = f"SELECT * FROM ({' UNION ALL BY NAME '.join(parts)}) {order}"
    reader: Any = connection.cursor().sql(query).to_arrow_reader(_AT_ONCE)
    for batch in reader:
        table: Any = pa.Table.from_batches([batch])
        rows = {place: table[f"held_{place}"].to_pylist() for place in range(len(logs))}
        steps = zip(table["place"].to_pylist(), table["seen_at"].to_pylist(), strict=True)
        for row, (place, instant) in enumerate(steps):
            event = rows[place][row]
            event["seen_at"] = instant
            yield logs[place], event
