"""The batch evaluator for what does not fit into memory: the same evaluation, some keys at a time.

Rows and events are dealt out to disk by a hash of each group's key. A key's whole history lies in one bucket, so a few
buckets can be evaluated alone (a `features.unit.Unit`), here or on another machine, and give the bits that the whole
would. Answers go back to their rows by position.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import DataError
from features.asked import ROW_ID, asked
from features.assembly import Answered, assembled
from features.collected import Collected
from features.columns import Columns
from features.hashing import ascending
from features.history import moments
from features.ring_batch import ring_answers
from features.source import INSTANT, hold_keys, require_columns, stream_log
from features.spool import BUCKETS, POSITION, Spool
from features.unit import Unit, UnitAnswers, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import duckdb

    from features.history import Moments
    from features.plan import Group, Plan

    Rows: TypeAlias = pa.Table | duckdb.DuckDBPyRelation
    AnswerAll: TypeAlias = Callable[[Iterable[Unit]], Iterable[UnitAnswers]]

_ROWS_AT_ONCE: Final = 131_072


@dataclass(frozen=True)
class Workers:
    """Who evaluates units, and how large one may be.

    Attributes:
        answer_all: Evaluates units, in any order.
        unit_bytes: About how much memory one of them may take.
        fewest_units: Into how many a group is divided at least, so that as many can be evaluated at once.
    """

    answer_all: AnswerAll
    unit_bytes: int
    fewest_units: int = 1


def answer_here(units: Iterable[Unit]) -> Iterable[UnitAnswers]:
    """Evaluates units in this process, one after the other."""
    return map(answer, units)


@dataclass(frozen=True)
class Carried:
    """The rows themselves on disk.

    Attributes:
        path: A Parquet file.
        schema: Of what the answer carries.
        starts: The position at which each row group begins, and the number of rows.
        rising: Whether their identities rise, so that none can come twice.
    """

    path: Path
    schema: pa.Schema
    starts: tuple[int, ...]
    rising: bool


def stream(
    plan: Plan,
    connection: duckdb.DuckDBPyConnection,
    rows: Rows,
    folder: Path,
    workers: Workers,
    progress: Callable[[str, int, int], None] | None = None,
) -> Answered:
    """Computes what a plan says about rows, keeping rows, events and answers in a folder.

    Args:
        plan: What to compute.
        connection: Where the logs are.
        rows: As for `features.batch.build`.
        folder: An empty one, seen by all who evaluate units.
        workers: Who evaluates.
        progress: Told after each group.
    """
    require_columns(plan, connection)
    carried, questions = _put_rows(plan, rows, folder)
    _hold_identities(connection, carried)
    computed = Collected(carried.starts)
    events = {}
    for log in plan.columns_by_log:
        groups = [group for group in plan.groups if group.log == log]
        spools, events[log] = _put_events(plan, connection, log, questions, carried, folder)
        for group in groups:
            dealt = _DealtOut(group, questions[group.key], spools.pop(group.key), plan.exact, folder)
            outputs = tuple(operation.output for operation in group.operations)
            computed.add(outputs, list(workers.answer_all(dealt.units(workers))))
            dealt.events.path.unlink(missing_ok=True)
            if progress is not None:
                progress(f"{log} by {' and '.join(group.key) or 'everyone'}", computed.done, len(plan.outputs))
    if plan.rings:
        kept = Columns(carried.starts[-1], folder)
        for name, values in ring_answers(plan, connection, _ring_questions(plan, carried)):
            kept.put(name, values)
        computed.rings = kept
    return Answered(carried.schema, events, _batches(plan, carried, computed))


def _batches(plan: Plan, carried: Carried, computed: Collected) -> Iterator[pa.RecordBatch]:
    facts = [fact.name for fact in plan.facts]
    file = pq.ParquetFile(carried.path)
    for number, (start, stop) in enumerate(pairwise(carried.starts)):
        table = file.read_row_group(number)
        yield assembled(plan, table.select(carried.schema.names), table.select(facts), computed, slice(start, stop))


@dataclass(frozen=True)
class _DealtOut:
    """The rows and events of one group, dealt out."""

    group: Group
    questions: Spool
    events: Spool
    exact: frozenset[str]
    folder: Path

    def units(self, workers: Workers) -> Iterator[Unit]:
        """As many buckets at a time as a worker may hold; at least one."""
        most = min(workers.unit_bytes, self._bytes(list(range(BUCKETS))) // workers.fewest_units)
        together: list[int] = []
        for bucket in range(BUCKETS):
            if not self.questions.dealt([bucket]).rows:
                continue
            if together and self._bytes([*together, bucket]) > most:
                yield self._unit(together)
                together = []
            together.append(bucket)
        if together:
            yield self._unit(together)

    def _unit(self, buckets: list[int]) -> Unit:
        return Unit(self.group, self.exact, self.questions.dealt(buckets), self.events.dealt(buckets), self.folder)

    def _bytes(self, buckets: list[int]) -> int:
        """What evaluation holds at its height: tables twice while they are read, then codes, sums and answers."""
        questions, events = self.questions.dealt(buckets), self.events.dealt(buckets)
        asking = 80 + 8 * len(self.group.windows)
        seen = 88 + 16 * len(self.group.columns)
        return 2 * (questions.size + events.size) + asking * questions.rows + seen * events.rows


def _put_rows(plan: Plan, rows: Rows, folder: Path) -> tuple[Carried, dict[tuple[str, ...], Spool]]:
    """Writes what rows carry, and deals out what they ask."""
    keys = dict.fromkeys(group.key for group in plan.groups)
    spools: dict[tuple[str, ...], Spool] = {}
    starts = [0]
    path = folder / "carried.parquet"
    writer: pq.ParquetWriter | None = None
    form = pa.schema([])
    rising = True
    last: list[pa.Array[Any]] = []
    for table in _pieces(rows):
        question = asked(plan, table, whole=False)
        identities = question.carried[ROW_ID].chunks
        rising = rising and ascending(pa.chunked_array([*last, *identities], question.carried[ROW_ID].type))
        last = [chunk.slice(len(chunk) - 1) for chunk in identities[-1:] if len(chunk)]
        if writer is None:
            form = question.carried.schema
            writer = pq.ParquetWriter(
                path, pa.schema([*form, *question.facts.schema]), compression="lz4", use_dictionary=False
            )
            for number, key in enumerate(keys):
                fields = [question.questions.table.schema.field(name) for name in key]
                schema = pa.schema([pa.field(POSITION, pa.int64()), pa.field(INSTANT, pa.int64()), *fields])
                spools[key] = Spool(folder / f"questions-{number}", schema, key)
        moved = {
            POSITION: pa.array(np.arange(starts[-1], starts[-1] + table.num_rows)),
            INSTANT: pa.array(question.questions.at),
        }
        for key, spool in spools.items():
            spool.put(pa.table({**moved, **{name: question.questions.table[name] for name in key}}))
        if table.num_rows:
            merged = {name: question.carried[name] for name in form.names}
            merged |= {name: question.facts[name] for name in question.facts.column_names}
            writer.write_table(pa.table(merged), row_group_size=table.num_rows)
            starts.append(starts[-1] + table.num_rows)
    if writer is not None:
        writer.close()
    return Carried(path, form, tuple(starts), rising), spools


def _pieces(rows: Rows) -> Iterator[pa.Table]:
    """The rows in order, a few at a time; of no rows one empty piece."""
    if isinstance(rows, pa.Table):
        for start in range(0, max(rows.num_rows, 1), _ROWS_AT_ONCE):
            yield rows.slice(start, _ROWS_AT_ONCE)
        return
    reader = rows.to_arrow_reader(_ROWS_AT_ONCE)
    empty = True
    for batch in reader:
        empty = False
        yield pa.Table.from_batches([batch])
    if empty:
        yield reader.schema.empty_table()


def _hold_identities(connection: duckdb.DuckDBPyConnection, carried: Carried) -> None:
    if carried.rising:
        return
    repeated = connection.execute(
        f"SELECT {ROW_ID} FROM read_parquet(?) GROUP BY {ROW_ID} HAVING count(*) > 1 LIMIT 10", [str(carried.path)]
    ).fetchall()
    if repeated:
        first = ", ".join(repr(identity) for (identity,) in repeated)
        raise DataError(
            "the rows cannot be given features:\n"
            f"  - column {ROW_ID!r} names rows more than once: {first}{' and others' if len(repeated) == 10 else ''}"
        )


def _put_events(
    plan: Plan,
    connection: duckdb.DuckDBPyConnection,
    log: str,
    questions: dict[tuple[str, ...], Spool],
    carried: Carried,
    folder: Path,
) -> tuple[dict[tuple[str, ...], Spool], int]:
    """Deals out the events of a log, once for each of its groups; and how many there are."""
    groups = [group for group in plan.groups if group.log == log]
    path = str(carried.path).replace("'", "''")
    pairs = f"(SELECT member_id, offer_id FROM read_parquet('{path}'))"
    spools: dict[tuple[str, ...], Spool] = {}
    number = 0
    for piece in stream_log(plan, connection, log, pairs, _ROWS_AT_ONCE):
        for group in groups:
            columns = dict.fromkeys((INSTANT, *group.key, *group.columns))
            if group.key not in spools:
                hold_keys(log, group.key, questions[group.key].schema, piece.schema)
                schema = pa.schema([piece.schema.field(name) for name in columns])
                name = "-".join((log, *group.key))
                spools[group.key] = Spool(folder / f"events-{name}", schema, group.key)
            spools[group.key].put(piece.select(list(columns)))
        number += piece.num_rows
    return spools, number


def _ring_questions(plan: Plan, carried: Carried) -> Moments:
    """What rings are asked: their keys of all rows, in order."""
    keys = dict.fromkeys(key for ring in plan.rings for key in ring.keys)
    table = pq.read_table(carried.path, columns=["as_of", *keys])
    at = np.ascontiguousarray(table["as_of"].cast(pa.int64()).to_numpy(), dtype=np.int64)
    return moments(at, table.select(list(keys)), "rows")
