"""The gate before a bundle: the live state, fed event by event, has to answer what batch computed, to the bit."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import UsageError
from data.sources import DataSet
from features.asked import AS_OF, INSTANT, ROW_ID, asked
from features.batch import compute
from features.columns import rounded
from features.history import moments
from features.online import EvaluatorName, LiveState, columns_by_log
from features.plan import compile_plan
from features.source import query, read_events, read_log, require_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    from numpy.typing import NDArray

    from features.history import Moments
    from features.kernel import Int64
    from features.plan import Plan
    from features.spec import FeatureSet

_NAMED: Final = 10
_AT_ONCE: Final = 65_536


@dataclass(frozen=True)
class Mismatch:
    """One value on which the two disagree.

    Attributes:
        row_id: The row, as the rows name it.
        feature: The feature.
        batch: What training would see; None is null.
        online: What serving would see.
    """

    row_id: object
    feature: str
    batch: float | None
    online: float | None


@dataclass(frozen=True)
class ReplayReport:
    """What a replay found.

    Attributes:
        events: Events fed, over all logs.
        rows: Rows asked.
        values: Values compared.
        mismatches: Values that differ by as much as a bit, or in being null.
        first: The first of each feature, for ten features.
        seconds: Wall time of the replay alone.
    """

    events: int
    rows: int
    values: int
    mismatches: int
    first: tuple[Mismatch, ...]
    seconds: float

    def __str__(self) -> str:
        """One line, and one more for each of the first mismatches."""
        head = f"{self.mismatches:,} of {self.values:,} values differ ({self.rows:,} rows, {self.events:,} events)"
        named = [f"  - row {one.row_id}, {one.feature}: batch {one.batch}, online {one.online}" for one in self.first]
        return "\n".join([head, *named])


def replay_check(
    feature_set: FeatureSet,
    data: DataSet | duckdb.DuckDBPyConnection,
    rows: pa.Table | None = None,
    evaluator: EvaluatorName = "compiled",
) -> ReplayReport:
    """Feeds every log to a live state in the order of arrival and compares its answers with those of batch.

    At one instant events go in before rows ask, which is the harder order: nothing of that instant may be seen. Events
    of keys that no row asks about are left out, so a sample of rows costs a sample of events; rings hear all of theirs.

    Args:
        feature_set: What is to be released.
        data: The data set, or a connection in which the logs are.
        rows: As for `features.batch.build`. By default every event asks for its own keys at its own instant; facts and
            keys that the event does not have are null.
        evaluator: Which live evaluator to hold against batch.

    Raises:
        DataError: When rows or logs lack what the features need.
        UsageError: When there are no rows and no log to take them from.
    """
    connection = data.connect() if isinstance(data, DataSet) else data
    try:
        plan = compile_plan(feature_set)
        needed = columns_by_log(plan)
        require_columns(plan, connection)
        rows = _own_rows(plan, connection) if rows is None else rows
        expected = compute(feature_set, connection, rows)
        question = asked(plan, rows)
        logs = {log: _heard(plan, connection, log, columns, question.questions) for log, columns in needed.items()}
    finally:
        if isinstance(data, DataSet):
            connection.close()
    began = time.perf_counter()
    found = _replay(LiveState(feature_set, evaluator, identities={}), logs, question.questions, question.facts)
    return _report(plan, expected, found, sum(len(log.at) for log in logs.values()), time.perf_counter() - began)


def _by_pairs_only(plan: Plan, log: str, columns: tuple[str, ...]) -> bool:
    """Whether a log is exploded by what is asked, and is only asked by member and offer."""
    keys = [group.key for group in plan.groups if group.log == log]
    return all(set(key) == {"member_id", "offer_id"} for key in keys) and columns == plan.columns_by_log.get(log)


def _read(
    plan: Plan, connection: duckdb.DuckDBPyConnection, log: str, columns: tuple[str, ...], questions: Moments
) -> Moments:
    if _by_pairs_only(plan, log, columns):
        return read_log(plan, connection, log, questions)
    return read_events(connection, log, columns)


def _heard(
    plan: Plan, connection: duckdb.DuckDBPyConnection, log: str, columns: tuple[str, ...], questions: Moments
) -> Moments:
    """The events that can have a part in an answer: all of a ring's, and those whose key some row may ask about."""
    events = _read(plan, connection, log, columns, questions)
    if any(log in ring.columns_by_log for ring in plan.rings):
        return events
    heard = np.zeros(len(events.at), np.bool_)
    for group in plan.groups:
        if group.log == log:
            named = np.ones(len(events.at), np.bool_)
            for key in group.key:
                known = pc.unique(questions.table[key]).drop_null()
                named &= pc.is_in(events.table[key], value_set=known).to_numpy()
            heard |= named
    return moments(events.at[heard], events.table.filter(pa.array(heard)), f"log {log}")


def _own_rows(plan: Plan, connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Every event as a row; logs that are exploded by what is asked cannot ask by themselves."""
    tables = []
    for log, columns in columns_by_log(plan).items():
        if not _by_pairs_only(plan, log, columns):
            wanted = (*plan.row_keys, *(fact.name for fact in plan.facts))
            own = connection.sql(f"SELECT * FROM ({query(connection, log)}) LIMIT 0").columns
            events = read_events(connection, log, tuple(dict.fromkeys(name for name in wanted if name in own)))
            held = {name: events.table[name] for name in wanted if name in events.table.column_names}
            tables.append(pa.table({AS_OF: pa.array(events.at, INSTANT), **held}))
    if not tables:
        raise UsageError("a replay of features by member and offer alone needs rows; give those of the training table")
    rows = pa.concat_tables(tables, promote_options="permissive")
    for name in plan.row_keys:
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, pa.string()))
    for fact in plan.facts:
        if fact.name not in rows.column_names:
            rows = rows.append_column(fact.name, pa.nulls(rows.num_rows, pa.float64()))
    return rows.append_column(ROW_ID, pa.array(np.arange(rows.num_rows)))


def _replay(state: LiveState, logs: dict[str, Moments], rows: Moments, facts: pa.Table) -> NDArray[np.float32]:
    """The live answers, in the order of the rows."""
    names = [*logs, ""]
    streams = [_events(log) for log in logs.values()] + [_questions(rows, facts)]
    source, count = _merged([*(log.at[log.by_time] for log in logs.values()), rows.at[rows.by_time]])
    found = np.empty((len(rows.at), len(state.names)), np.float32)
    places = iter(rows.by_time.tolist())
    for number in source.tolist():
        step = next(streams[number])
        if number == count - 1:
            found[next(places)] = state.read(step)
        else:
            state.append(names[number], step)
    return found


def _merged(instants: list[Int64]) -> tuple[Int64, int]:
    """Which stream comes next, over all steps; at one instant the earlier stream goes first."""
    at = np.concatenate(instants)
    source = np.repeat(np.arange(len(instants)), [len(one) for one in instants])
    return source[np.argsort(at, kind="stable")], len(instants)


def _events(log: Moments) -> Iterator[dict[str, Any]]:
    return _steps("seen_at", log, log.table)


def _questions(rows: Moments, facts: pa.Table) -> Iterator[dict[str, Any]]:
    table = rows.table
    for name in facts.column_names:
        table = table.append_column(name, facts[name]) if name not in table.column_names else table
    return _steps(AS_OF, rows, table)


def _steps(instant: str, moments: Moments, table: pa.Table) -> Iterator[dict[str, Any]]:
    """One mapping a row, earliest first, a piece of the table at a time."""
    for start in range(0, len(moments.at), _AT_ONCE):
        positions = moments.by_time[start : start + _AT_ONCE]
        piece = table.take(positions)
        columns = [piece[name].to_pylist() for name in table.column_names]
        names = (instant, *table.column_names)
        for values in zip(moments.at[positions].tolist(), *columns, strict=True):
            yield dict(zip(names, values, strict=True))


def _report(plan: Plan, expected: pa.Table, found: NDArray[np.float32], events: int, seconds: float) -> ReplayReport:
    count, first = 0, []
    for place, name in enumerate(plan.names):
        wanted = rounded(cast("Any", expected[name]).to_numpy())
        given = np.ascontiguousarray(found[:, place])
        differ = (wanted.view(np.int32) != given.view(np.int32)) & ~(np.isnan(wanted) & np.isnan(given))
        count += int(differ.sum())
        if differ.any():
            row = int(np.argmax(differ))
            first.append(Mismatch(expected[ROW_ID][row].as_py(), name, _told(wanted[row]), _told(given[row])))
    rows = len(found)
    return ReplayReport(events, rows, rows * len(plan.names), count, tuple(first[:_NAMED]), seconds)


def _told(value: np.float32) -> float | None:
    return None if np.isnan(value) else float(value)
