"""Which rows are independent: entities that hang together by what they share are one unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from data.errors import DataError

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray

    from data.questions import Linked


def units(linked: Linked, connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> pa.Array[Any]:
    """The unit of each row: the connected part its entity is in, an entity that shares nothing being one by itself.

    What is shared by more than `linked.most` entities links none of them. A row without an entity is a unit of its own.

    Args:
        linked: What is linked, and by what.
        connection: Holds the tables.
        rows: Has the entity's column.

    Returns:
        Whole numbers, one a row, never null.

    Raises:
        DataError: A table is missing; all of them are named.
    """
    _require(linked, connection)
    pairs = [
        connection.sql(f"""
            SELECT entity, {number}::VARCHAR || ' ' || shared AS shared
            FROM (
                SELECT DISTINCT "{linked.entity}" AS entity, "{column}" AS shared FROM "{table}"
                WHERE "{linked.entity}" IS NOT NULL AND "{column}" IS NOT NULL
            )
            QUALIFY count(*) OVER (PARTITION BY shared) BETWEEN 2 AND {linked.most}
        """).to_arrow_table()
        for number, (table, column) in enumerate(linked.shared)
    ]
    edges = pa.concat_tables(pairs)
    entities = pc.unique(pa.chunked_array([*edges["entity"].chunks, *rows[linked.entity].chunks]).drop_null())
    shared = edges["shared"].combine_chunks().dictionary_encode()
    ends = _numbers(edges["entity"], entities), len(entities) + shared.indices.to_numpy(zero_copy_only=False)
    nodes = len(entities) + len(shared.dictionary)
    graph = coo_array((np.ones(edges.num_rows, np.bool_), ends), shape=(nodes, nodes))
    _, part = connected_components(graph, directed=False)
    entity = _numbers(rows[linked.entity], entities)
    return pa.array(np.where(entity >= 0, part[entity], nodes + np.arange(rows.num_rows)))


def _numbers(column: pa.ChunkedArray[Any], known: pa.ChunkedArray[Any]) -> NDArray[np.int64]:
    """Place of each value among those known; -1 for null."""
    places = pc.index_in(column, known).cast(pa.float64())
    return np.asarray(np.nan_to_num(places.to_numpy(), nan=-1), np.int64)


def _require(linked: Linked, connection: duckdb.DuckDBPyConnection) -> None:
    present = {str(name) for (name,) in connection.execute("SELECT view_name FROM duckdb_views()").fetchall()}
    missing = sorted({table for table, _ in linked.shared} - present)
    if missing:
        raise DataError(
            f"what makes a {linked.name} is read from tables that are not there: missing {', '.join(missing)}; "
            "add them to the folder, or name a column of the rows as the task's unit"
        )
