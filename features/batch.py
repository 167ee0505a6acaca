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
from typing import TYPE_CHECKING, Final, TypeAlias

import pyarrow as pa

from features.asked import Asked, asked
from features.assembly import FINGERPRINT_KEY, Answered, assembled, schema, write
from features.coded import AskedKeys, Coded
from features.columns import Columns
from features.evaluation import evaluate
from features.memory import lent, limits
from features.plan import Plan, compile_plan
from features.ring_batch import ring_answers
from features.scratch import Scratch
from features.source import hold_keys, read_log, require_columns
from features.streaming import Workers, answer_here, stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

    from features.source import Logs
    from features.spec import FeatureSet
    from features.streaming import Rows

__all__ = ["FINGERPRINT_KEY", "BuildReport", "Progress", "build", "compute", "written"]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how many of the computed columns are done, and how many there are."""

_ROWS_AT_ONCE: Final = 262_144


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
    rows: Rows,
    destination: Path,
    progress: Progress | None = None,
    memory_limit: int | None = None,
) -> BuildReport:
    """Writes the features of rows to a Parquet file, whole or not at all.

    Args:
        feature_set: What to compute.
        connection: Where the logs are, as `data.sources.DataSet.connect` gives it.
        rows: ``row_id`` (unique), ``as_of`` (an instant with a zone), the key columns of the features and the columns
            of their facts; a null key gives null features. What else it holds is carried along. A relation of the
            connection, where they are too many for memory.
        destination: The file; its folder is made if need be.
        progress: Told after each column.
        memory_limit: Most bytes that this process may come to hold. Rows and logs are then dealt out to disk beside the
            destination by a hash of each key, and evaluated some keys at a time, to the same bits. One key's history
            has to fit; so has what a ring reads, since rings cannot be divided. None: all in memory.

    Returns:
        What was done. The file holds row_id, as_of, what is carried along, then one float32 column a feature in the
        order of the set; its rows are in the order given.

    Raises:
        DataError: When rows or logs lack what the features need, or values cannot be added up exactly.
        UsageError: When the function of a derived feature does not give one number a row, or the memory limit is too
            low to begin.
    """
    plan = compile_plan(feature_set)

    def answered(folder: Path) -> Answered:
        if memory_limit is None:
            return _in_memory(plan, connection, rows, folder, progress)
        share = limits(memory_limit)
        with lent(connection, share.duckdb):
            return stream(plan, connection, rows, folder, Workers(answer_here, share.unit), progress)

    return written(feature_set, destination, answered)


def written(feature_set: FeatureSet, destination: Path, answer: Callable[[Path], Answered]) -> BuildReport:
    """Writes what is answered within a folder beside the destination, which is gone afterwards."""
    began = time.perf_counter()
    mark = feature_set.fingerprint()
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=destination.parent) as name:
        answered = answer(Path(name))
        form = schema(compile_plan(feature_set), answered.carried, mark)
        aside = Path(name) / "features.parquet"
        rows = write(aside, form, answered.batches)
        aside.replace(destination)
    return BuildReport(
        rows=rows,
        features=len(feature_set.names),
        seconds=time.perf_counter() - began,
        events=answered.events,
        destination=destination,
        fingerprint=mark,
    )


def compute(feature_set: FeatureSet, logs: Logs, rows: pa.Table) -> pa.Table:
    """The table that `build` would write, in memory.

    Args:
        feature_set: What to compute.
        logs: The connection that `build` takes; or the finished logs themselves by name, each a table with ``seen_at``
            and the columns that the features read, which spares the way through DuckDB.
        rows: As for `build`.
    """
    plan = compile_plan(feature_set)
    question = asked(plan, rows)
    columns = Columns(rows.num_rows)
    _compute(plan, logs, question, columns, None)
    return pa.Table.from_batches(_batches(plan, question, columns), schema(plan, question.carried.schema))


def _in_memory(
    plan: Plan, connection: duckdb.DuckDBPyConnection, rows: Rows, folder: Path, progress: Progress | None
) -> Answered:
    question = asked(plan, rows if isinstance(rows, pa.Table) else rows.to_arrow_table())
    columns = Columns(len(question.questions.at), folder)
    events = _compute(plan, connection, question, columns, progress)
    return Answered(question.carried.schema, events, _batches(plan, question, columns))


def _compute(
    plan: Plan,
    logs: Logs,
    question: Asked,
    columns: Columns,
    progress: Progress | None,
) -> dict[str, int]:
    require_columns(plan, logs)
    total = len(plan.outputs)
    done = 0
    events: dict[str, int] = {}
    asking = AskedKeys(question.questions)
    scratch = Scratch()
    for log in plan.columns_by_log:
        groups = [group for group in plan.groups if group.log == log]
        history = read_log(plan, logs, log, question.questions)
        events[log] = len(history.at)
        keys = dict.fromkeys(column for group in groups for column in group.key)
        hold_keys(log, keys, question.questions.table.schema, history.table.schema)
        coded = Coded(history, asking, keys)
        for group in groups:
            for name, values in evaluate(group, coded, plan.exact, scratch, columns.room):
                columns.put(name, values)
                done += 1
                if progress is not None:
                    progress(f"{log} by {' and '.join(group.key) or 'everyone'}", done, total)
    for name, values in ring_answers(plan, logs, question.questions):
        columns.put(name, values)
        done += 1
        if progress is not None:
            progress("rings", done, total)
    return events


def _batches(plan: Plan, question: Asked, columns: Columns) -> Iterator[pa.RecordBatch]:
    for start in range(0, question.carried.num_rows, _ROWS_AT_ONCE):
        rows = slice(start, min(start + _ROWS_AT_ONCE, question.carried.num_rows))
        length = rows.stop - rows.start
        yield assembled(plan, question.carried.slice(start, length), question.facts.slice(start, length), columns, rows)
