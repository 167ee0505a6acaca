"""The seam to the logs: which columns a log has, and bringing those that a plan needs into memory."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pyarrow as pa

from data.contracts import TABLES
from data.errors import DataError
from data.logs import LOGS
from features.asked import INSTANT as INSTANT_TYPE
from features.history import Moments, moments, plain
from features.log import GAP
from features.plan import Measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import duckdb

    from features.history import Column
    from features.plan import Plan

    Logs: TypeAlias = duckdb.DuckDBPyConnection | Mapping[str, pa.Table]
    """Where logs are: a connection, or the finished logs themselves by name, which then need no reading."""

INSTANT: Final = "shepherd_instant"
_ASKED: Final = "shepherd_asked_keys"


def require_columns(plan: Plan, logs: Logs) -> None:
    """Sees that every log can give what the plan reads, before any work is done.

    Raises:
        DataError: Naming each log, column, what exists and what was expected, all at once.
    """
    problems = []
    for log, columns in _all_columns(plan).items():
        try:
            schema = _schema(logs, log)
        except DataError as error:
            problems.append(str(error))
            continue
        for column in ("seen_at", *columns):
            if column not in schema.names:
                near = difflib.get_close_matches(column, schema.names, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                problems.append(f"log {log}: no column {column!r}; it has {', '.join(schema.names)}{hint}")
        for group in plan.groups:
            if group.log == log:
                problems += [one for measure in group.measures for one in _misfits(log, measure, schema)]
        for ring in plan.rings:
            if ring.marks is not None and ring.marks.log == log:
                problems += _misfits(log, Measure(column=None, where=ring.marks.bad, coded=False), schema)
    if problems:
        listed = [f"  - {problem}" for problem in dict.fromkeys(problems)]
        raise DataError("\n".join(["the logs do not hold what the features read:", *listed]))


def read_log(plan: Plan, logs: Logs, log: str, questions: Moments) -> Moments:
    """The events of a log, with the columns that the plan reads and no others.

    Raises:
        DataError: When an event has no instant.
    """
    columns = plan.columns_by_log[log]
    if isinstance(logs, Mapping) or not _by_pairs_only(plan, log):
        return _read(logs, log, columns, None)
    logs.register(_ASKED, questions.table.select(["member_id", "offer_id"]))
    try:
        return _read(logs, log, columns, _ASKED)
    finally:
        logs.unregister(_ASKED)


def stream_log(
    plan: Plan, connection: duckdb.DuckDBPyConnection, log: str, pairs: str, rows_at_once: int
) -> Iterator[pa.Table]:
    """The same events piece by piece, the first one empty, their instants in microseconds in a column `INSTANT`.

    Args:
        plan: Whose columns are read.
        connection: Where the log is.
        log: Its name.
        pairs: A relation with the member_id and offer_id of every row that asks.
        rows_at_once: How many events a piece has.

    Raises:
        DataError: When an event has no instant.
    """
    columns = plan.columns_by_log[log]
    restrict = pairs if _by_pairs_only(plan, log) else None
    reader = connection.sql(_selected(connection, log, columns, restrict)).to_arrow_reader(rows_at_once)
    tables = (pa.Table.from_batches([batch]) for batch in reader)
    for table in chain([reader.schema.empty_table()], tables):
        _hold_instants(log, table[INSTANT])
        yield pa.table({INSTANT: table[INSTANT], **{name: plain(table[name]) for name in columns}})


def read_events(logs: Logs, log: str, columns: tuple[str, ...]) -> Moments:
    """All events of a log with these columns and no others.

    Raises:
        DataError: When an event has no instant.
    """
    return _read(logs, log, columns, None)


def hold_keys(log: str, keys: Iterable[str], rows: pa.Schema, events: pa.Schema) -> None:
    """Refuses keys of different kinds: nothing would ever match, and all counts would quietly be 0.

    Raises:
        DataError: When the rows hold integers and the log text, or the other way round.
    """
    for column in keys:
        here, there = rows.field(column).type, events.field(column).type
        if pa.types.is_integer(here) != pa.types.is_integer(there):
            raise DataError(
                f"key {column}: the rows hold {here}, log {log} holds {there}; give the rows keys of that kind"
            )


def _all_columns(plan: Plan) -> dict[str, tuple[str, ...]]:
    """For each log what groups and rings read of it together."""
    found = plan.columns_by_log
    for ring in plan.rings:
        for log, columns in ring.columns_by_log.items():
            found[log] = tuple(dict.fromkeys((*found.get(log, ()), *columns)))
    return found


def _schema(logs: Logs, log: str) -> pa.Schema:
    """The columns of a log.

    Raises:
        DataError: When there is no such log, or its instants are of no use.
    """
    if not isinstance(logs, Mapping):
        read: pa.Schema = logs.sql(f"SELECT * FROM ({query(logs, log, None)}) LIMIT 0").to_arrow_table().schema
        return read
    if log not in logs:
        raise DataError(f"log {log}: no such table was given; found {', '.join(logs) or 'none'}")
    empty = logs[log].slice(0, 0)
    schema = pa.schema([pa.field(name, plain(empty[name]).type) for name in empty.column_names])
    held = schema.field("seen_at").type if "seen_at" in schema.names else INSTANT_TYPE
    if not pa.types.is_timestamp(held) or held.tz is None or held.unit == "ns":
        raise DataError(f"log {log}, column seen_at: is {held}, expected instants with a time zone ({INSTANT_TYPE})")
    return schema


def _read(logs: Logs, log: str, columns: tuple[str, ...], restrict: str | None) -> Moments:
    if isinstance(logs, Mapping):
        instants = logs[log]["seen_at"].cast(INSTANT_TYPE).cast(pa.int64())
        table = pa.table({INSTANT: instants, **{name: logs[log][name] for name in columns}})
    else:
        table = logs.sql(_selected(logs, log, columns, restrict)).to_arrow_table()
    at = table[INSTANT]
    _hold_instants(log, at)
    table = pa.table({name: plain(table[name]) for name in columns}) if columns else table
    return moments(np.ascontiguousarray(at.to_numpy(), dtype=np.int64), table, f"log {log}")


def _selected(connection: duckdb.DuckDBPyConnection, log: str, columns: tuple[str, ...], restrict: str | None) -> str:
    listed = ", ".join([f"epoch_us(seen_at) AS {INSTANT}", *(f'"{column}"' for column in columns)])
    return f"SELECT {listed} FROM ({query(connection, log, restrict)})"


def _hold_instants(log: str, at: Column) -> None:
    if at.null_count:
        raise DataError(f"log {log}, column seen_at: {at.null_count:,} events have none, expected an instant for each")


def _by_pairs_only(plan: Plan, log: str) -> bool:
    """Whether everything that is asked of a log is asked of a member and an offer."""
    return all(set(group.key) == {"member_id", "offer_id"} for group in plan.groups if group.log == log)


def query(connection: duckdb.DuckDBPyConnection, log: str, restrict: str | None = None) -> str:
    """The SQL of a log: one of `data.logs`, or else the relation of that name in the connection."""
    if log in LOGS and not _is_log_itself(connection, log):
        LOGS[log].require(connection)
        return LOGS[log].sql(restrict)
    names = {str(name) for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    names |= {str(name) for (name,) in connection.execute("SELECT view_name FROM duckdb_views()").fetchall()}
    if log not in names:
        raise DataError(f"log {log}: neither a log of data.logs ({', '.join(LOGS)}) nor a relation of the connection")
    return f'SELECT * FROM "{log}"'


def _is_log_itself(connection: duckdb.DuckDBPyConnection, log: str) -> bool:
    """Whether a relation that bears a table's name is no such table, but the finished log: it has ``seen_at``."""
    sql = "SELECT column_name FROM duckdb_columns() WHERE table_name = ?"
    columns = {str(name) for (name,) in connection.execute(sql, [log]).fetchall()}
    if log not in TABLES or "seen_at" not in columns:
        return False
    return not columns.issuperset(column.name for column in TABLES[log].columns if not column.optional)


def _misfits(log: str, measure: Measure, schema: pa.Schema) -> list[str]:
    """Columns of a type that the measure cannot use."""
    found = []
    if measure.column in schema.names and not _fits(schema.field(measure.column).type, text=measure.coded):
        expected = "integers or text" if measure.coded else "integers (fen, seconds, 0 and 1)"
        found.append(f"log {log}, column {measure.column}: is {schema.field(measure.column).type}, expected {expected}")
    where = measure.where
    if where is not None and where.column in {*schema.names} - {GAP}:
        operand = where.operand[0] if isinstance(where.operand, tuple) else where.operand
        held = schema.field(where.column).type
        if _is_text(held) != isinstance(operand, str) or not _fits(held, text=True):
            found.append(
                f"log {log}, column {where.column}: is {held}, but condition {where.label!r} compares with {operand!r}"
            )
    return found


def _fits(held: pa.DataType, *, text: bool) -> bool:
    return pa.types.is_integer(held) or pa.types.is_boolean(held) or (text and _is_text(held))


def _is_text(held: pa.DataType) -> bool:
    return pa.types.is_string(held) or pa.types.is_large_string(held)
