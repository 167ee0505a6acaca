"""The seam to the logs: which columns a log has, and bringing those that a plan needs into memory."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from data.errors import DataError
from data.logs import LOGS
from features.history import Moments, moments, plain
from features.log import GAP

if TYPE_CHECKING:
    import duckdb

    from features.plan import Measure, Plan

_ASKED: Final = "shepherd_asked_keys"


def require_columns(plan: Plan, connection: duckdb.DuckDBPyConnection) -> None:
    """Sees that every log can give what the plan reads, before any work is done.

    Raises:
        DataError: Naming each log, column, what exists and what was expected, all at once.
    """
    problems = []
    for log, columns in plan.columns_by_log.items():
        try:
            schema = connection.sql(f"SELECT * FROM ({_query(connection, log, None)}) LIMIT 0").to_arrow_table().schema
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
    if problems:
        listed = [f"  - {problem}" for problem in dict.fromkeys(problems)]
        raise DataError("\n".join(["the logs do not hold what the features read:", *listed]))


def read_log(plan: Plan, connection: duckdb.DuckDBPyConnection, log: str, questions: Moments) -> Moments:
    """The events of a log, with the columns that the plan reads and no others.

    Raises:
        DataError: When an event has no instant.
    """
    columns = plan.columns_by_log[log]
    keys = [group.key for group in plan.groups if group.log == log]
    restricted = [key for key in keys if set(key) == {"member_id", "offer_id"}]
    restrict = _ASKED if len(restricted) == len(keys) else None
    listed = ", ".join(["epoch_us(seen_at) AS seen_at_us", *(f'"{column}"' for column in columns)])
    if restrict:
        connection.register(_ASKED, questions.table.select(["member_id", "offer_id"]))
    try:
        table = connection.sql(f"SELECT {listed} FROM ({_query(connection, log, restrict)})").to_arrow_table()
    finally:
        if restrict:
            connection.unregister(_ASKED)
    at = table["seen_at_us"]
    if at.null_count:
        raise DataError(f"log {log}, column seen_at: {at.null_count:,} events have none, expected an instant for each")
    table = pa.table({name: plain(table[name]) for name in columns}) if columns else table
    return moments(np.ascontiguousarray(at.to_numpy(), dtype=np.int64), table, f"log {log}")


def _query(connection: duckdb.DuckDBPyConnection, log: str, restrict: str | None) -> str:
    """The SQL of a log: one of `data.logs`, or else the relation of that name in the connection."""
    if log in LOGS:
        LOGS[log].require(connection)
        return LOGS[log].sql(restrict)
    names = {str(name) for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    names |= {str(name) for (name,) in connection.execute("SELECT view_name FROM duckdb_views()").fetchall()}
    if log not in names:
        raise DataError(f"log {log}: neither a log of data.logs ({', '.join(LOGS)}) nor a relation of the connection")
    return f'SELECT * FROM "{log}"'


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
