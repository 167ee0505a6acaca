"""Whether a feature sees what came later: everything after a moment is taken away, and nothing may change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.contracts import TABLES
from data.errors import GateRefused
from features.batch import compute
from training.dataset import matrix, task_rows

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb

    from data.sources import DataSet
    from training.task import LabelledTask

MOST_ROWS = 500


def refuse_look_ahead(task: LabelledTask, data_set: DataSet, moment: datetime) -> int:
    """Compute the latest rows up to a moment twice, with all tables and with what had arrived by then.

    Facts that the rows' own query gives are compared like any other feature, so a query that counts what came later is
    caught as well.

    Args:
        task: Whose features are computed.
        data_set: The tables.
        moment: What arrived after it is taken away.

    Returns:
        How many rows were compared.

    Raises:
        GateRefused: Features changed; all of them are named.
    """
    with data_set.connect() as connection:
        whole = _features(task, connection, moment)
        _forget_later(connection, moment)
        known = _features(task, connection, moment)
    names = task.features.names
    if whole["row_id"] != known["row_id"]:
        problems = ["the rows themselves"]
    else:
        before, after = matrix(whole, names), matrix(known, names)
        changed = ((before != after) & ~(np.isnan(before) & np.isnan(after))).any(axis=0)
        problems = [name for name, differs in zip(names, changed, strict=True) if differs]
    if problems:
        raise GateRefused(
            f"leakage in task {task.name!r}: found {', '.join(problems)} changed when what arrived after {moment} was "
            "taken away; expected the same values, since nothing later can be known; mend the rows' query or the log"
        )
    return whole.num_rows


def _features(task: LabelledTask, connection: duckdb.DuckDBPyConnection, moment: datetime) -> pa.Table:
    rows = task_rows(task, connection)
    asked = rows.filter(pc.field("as_of") <= pa.scalar(moment, rows.schema.field("as_of").type))
    return compute(task.features, connection, asked.slice(max(0, asked.num_rows - MOST_ROWS)))


def _forget_later(connection: duckdb.DuckDBPyConnection, moment: datetime) -> None:
    """Leave in every event table only what had arrived by the moment."""
    present = {str(name) for (name,) in connection.execute("SELECT view_name FROM duckdb_views()").fetchall()}
    for name, table in TABLES.items():
        if name in present and table.arrival:
            connection.execute(f'ALTER VIEW "{name}" RENAME TO "{name}_whole"')
            known = f"coalesce({', '.join(table.arrival)}) <= TIMESTAMPTZ '{moment.isoformat()}'"
            connection.execute(f'CREATE VIEW "{name}" AS SELECT * FROM "{name}_whole" WHERE {known}')
