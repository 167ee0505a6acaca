"""Holds the batch evaluator against the oracle."""

from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa

from features.batch import compute
from features.spec import FeatureSet
from tests.features.oracle import Answers, Event, answers
from tests.features.stream import ROWS, SCHEMA


def connect(log: Sequence[Event]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.register("events", pa.Table.from_pylist(list(log), SCHEMA))
    return connection


def table(rows: Sequence[Event]) -> pa.Table:
    return pa.Table.from_pylist([{"row_id": number, **row} for number, row in enumerate(rows)], ROWS)


def expectations(feature_set: FeatureSet, log: Sequence[Event], rows: Sequence[Event]) -> list[Answers]:
    return [answers(feature_set, log, row) for row in rows]


def mismatches(
    feature_set: FeatureSet, log: Sequence[Event], rows: Sequence[Event], expected: Sequence[Answers]
) -> list[tuple[object, ...]]:
    """Where the batch evaluator differs from what is expected by as much as a bit."""
    with connect(log) as connection:
        built = compute(feature_set, connection, table(rows)).select(feature_set.names).to_pydict()
    found = []
    for number, row in enumerate(rows):
        for name, wanted in expected[number].items():
            value = built[name][number]
            single = None if value is None else np.float32(value)
            if (single is None) != (wanted is None) or (single is not None and single != wanted):
                found.append((name, row, single, wanted))
    return found
