"""The batch evaluator: the value of every feature for every row, as of that row's own moment.

A request at t about event e sees the events x with the same non-null key and ``t - window <= x.seen_at < t``: never e
itself, never an event of the same instant. DuckDB brings the columns that are needed; the windows are computed by
`features.evaluation`, group by group, so that memory holds one log's columns and one group's temporaries.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import DataError, UsageError
from features.asked import Asked, asked
from features.columns import Columns, rounded
from features.evaluation import evaluate
from features.history import Moments, lay_out
from features.plan import Plan, compile_plan
from features.source import read_log, require_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

    from features.columns import Column
    from features.feature import Derived
    from features.kernel import Doubles
    from features.spec import FeatureSet

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how many of the computed columns are done, and how many there are."""

_ROWS_AT_ONCE: Final = 262_144
FINGERPRINT_KEY: Final = b"shepherd.features.fingerprint"


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Attributes:
        rows: Rows answered.
        features: Features handed out for each.
        seconds: Wall time.
        events: Events read, by log.
        destination: The Parquet file.
        fingerprint: Of the feature set; the file's metadata carries it too.
    """

    rows: int
    features: int
    seconds: float
    events: Mapping[str, int]
    destination: Path
    fingerprint: str


def build(
    feature_set: FeatureSet,
    connection: duckdb.DuckDBPyConnection,
    rows: pa.Table,
    destination: Path,
    progress: Progress | None = None,
) -> BuildReport:
    """Writes the features of rows to a Parquet file, whole or not at all.

    Args:
        feature_set: What to compute.
        connection: Where the logs are, as `data.sources.DataSet.connect` gives it.
        rows: ``row_id`` (unique), ``as_of`` (an instant with a zone), the key columns of the features and the columns
            of their facts; a null key gives null features. What else it holds is carried along.
        destination: The file; its folder is made if need be.
        progress: Told after each column.

    Returns:
        What was done. The file holds row_id, as_of, what is carried along, then one float32 column a feature in the
        order of the set; its rows are in the order given.

    Raises:
        DataError: When rows or logs lack what the features need, or values cannot be added up exactly.
        UsageError: When the function of a derived feature does not give one number a row.
    """
    began = time.perf_counter()
    plan = compile_plan(feature_set)
    question = asked(plan, rows)
    mark = feature_set.fingerprint()
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=destination.parent) as folder:
        columns = Columns(plan.exact, Path(folder))
        events = _compute(plan, connection, question, columns, progress)
        aside = Path(folder) / "features.parquet"
        _write(aside, _schema(plan, question).with_metadata({FINGERPRINT_KEY: mark.encode()}), plan, question, columns)
        del columns
        aside.replace(destination)
    return BuildReport(
        rows=rows.num_rows,
        features=len(plan.names),
        seconds=time.perf_counter() - began,
        events=events,
        destination=destination,
        fingerprint=mark,
    )


def compute(feature_set: FeatureSet, connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> pa.Table:
    """The table that `build` would write, in memory."""
    plan = compile_plan(feature_set)
    question = asked(plan, rows)
    columns = Columns(plan.exact)
    _compute(plan, connection, question, columns, None)
    return pa.Table.from_batches(_batches(plan, question, columns), schema=_schema(plan, question))


def _compute(
    plan: Plan,
    connection: duckdb.DuckDBPyConnection,
    question: Asked,
    columns: Columns,
    progress: Progress | None,
) -> dict[str, int]:
    require_columns(plan, connection)
    total = sum(len(group.operations) for group in plan.groups)
    done = 0
    events: dict[str, int] = {}
    for log in plan.columns_by_log:
        history = read_log(plan, connection, log, question.questions)
        events[log] = len(history.at)
        for group in plan.groups:
            if group.log != log:
                continue
            _hold_keys(log, group.key, history, question.questions)
            laid_out = lay_out(group.key, history, question.questions)
            for name, values in evaluate(group, laid_out, history, question.carried.num_rows):
                columns.put(name, values)
                done += 1
                if progress is not None:
                    progress(f"{log} by {' and '.join(group.key) or 'everyone'}", done, total)
    return events


def _hold_keys(log: str, key: tuple[str, ...], events: Moments, questions: Moments) -> None:
    """Refuses keys of different kinds: nothing would ever match, and all counts would quietly be 0."""
    for column in key:
        here, there = questions.table[column].type, events.table[column].type
        if pa.types.is_integer(here) != pa.types.is_integer(there):
            raise DataError(
                f"key {column}: the rows hold {here}, log {log} holds {there}; give the rows keys of that kind"
            )


def _write(path: Path, schema: pa.Schema, plan: Plan, question: Asked, columns: Columns) -> None:
    repetitive = [field.name for field in question.carried.schema if pa.types.is_string(field.type)]
    options: dict[str, Any] = {"compression": "zstd", "use_dictionary": repetitive}
    with pq.ParquetWriter(path, schema, **options) as writer:
        for batch in _batches(plan, question, columns):
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))


def _schema(plan: Plan, question: Asked) -> pa.Schema:
    return pa.schema([*question.carried.schema, *(pa.field(name, pa.float32()) for name in plan.names)])


def _batches(plan: Plan, question: Asked, columns: Columns) -> Iterator[pa.RecordBatch]:
    schema = _schema(plan, question)
    for start in range(0, question.carried.num_rows, _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, question.carried.num_rows)
        values = _answers(plan, question, columns, start, stop)
        singles = [rounded(values[name]) for name in plan.names]
        carried = question.carried.slice(start, stop - start).combine_chunks().to_batches()[0].columns
        computed = [pa.array(single, mask=np.isnan(single)) for single in singles]
        yield pa.RecordBatch.from_arrays([*carried, *computed], schema=schema)


def _answers(plan: Plan, question: Asked, columns: Columns, start: int, stop: int) -> dict[str, Column]:
    values: dict[str, Column] = {
        operation.output: columns.part(operation.output, start, stop)
        for group in plan.groups
        for operation in group.operations
    }
    for fact in plan.facts:
        held = question.facts[fact.name].slice(start, stop - start).cast(pa.float64())
        values[fact.name] = held.to_numpy()
    for feature in plan.derived:
        values[feature.name] = _derive(feature, values, stop - start)
    return values


def _derive(feature: Derived, values: Mapping[str, Column], rows: int) -> Doubles:
    with np.errstate(all="ignore"):
        result = np.asarray(feature.function(*(values[name] for name in feature.inputs)), dtype=np.float64)
    if result.shape != (rows,):
        raise UsageError(
            f"derived feature {feature.name}: its function gave shape {result.shape} for {rows} rows; "
            "expected one number a row, so it must work element by element"
        )
    return np.where(np.isfinite(result), result, np.nan)
