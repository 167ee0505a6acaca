"""The training table: the rows of a task, what was known of each at its moment, and what came true."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.contracts import TABLES
from data.errors import DataError, UsageError
from data.kinds import SQL_TYPES
from features.batch import build as build_features
from training.means import Means, address_of
from training.payoff import NO_STAKES, Stakes
from training.split import NEVER
from training.task import RankingTask, require_tables
from training.units import units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from data.questions import Label, Rows
    from data.sources import DataSet
    from features.batch import BuildReport, Progress
    from training.payoff import Payoff
    from training.task import LabelledTask

POSITION = "shepherd_position"
RELEVANT = "relevant"
"""The column of a label that says how many things of a row's list came true in all."""


@dataclass(frozen=True)
class Examples:
    """A task's rows as arrays, in the order of their moment.

    Attributes:
        row_id: Key of each row, shape (rows,).
        as_of: The moment of each row, microseconds since 1970 in UTC.
        closes_at: The moment from which its label no longer changes; `NEVER` where it has none.
        label: What came true, shape (rows,); NaN for a row without a label, kept where the task learns from such.
        unit: Code of the independent unit (member, ring) of each row.
        group: Code of what folds may not divide (campaign) of each row.
        slices: Values of the columns that the report is repeated by, as text; `null` where there is none.
        features: Names of the columns of `matrix`.
        matrix: Feature values as they are served: float32, NaN for null, shape (rows, features).
        stakes: What the pay-off asks of each row besides its chance.
        by_lot: Whether the row was labelled because a lot fell on it, so that such rows stand for all; shape (rows,).
            All are where every row gets a label.
        lists: Code of the list of each row, where a task puts lists in order; empty elsewhere.
        relevant: How many things of the row's list came true in all, candidates or not; likewise.
    """

    row_id: NDArray[np.object_]
    as_of: NDArray[np.int64]
    closes_at: NDArray[np.int64]
    label: NDArray[np.float64]
    unit: NDArray[np.int64]
    group: NDArray[np.int64]
    slices: Mapping[str, NDArray[np.object_]]
    features: tuple[str, ...]
    matrix: NDArray[np.float32]
    stakes: Stakes = NO_STAKES
    by_lot: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    lists: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    relevant: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        """All rows stand for themselves where no lot was drawn."""
        if not len(self.by_lot):
            object.__setattr__(self, "by_lot", np.ones(len(self.label), np.bool_))

    def rows_of(self, row_id: NDArray[np.object_]) -> NDArray[np.intp]:
        """The numbers of the rows with these keys, in the order of the rows."""
        # Not numpy's isin: it holds every object against every other.
        return np.flatnonzero(pc.is_in(pa.array(self.row_id), pa.array(row_id)).to_numpy(zero_copy_only=False))


@dataclass(frozen=True)
class Built:
    """What `build` left: the features of every row of a task.

    Attributes:
        path: A Parquet file of row_id, as_of, the keys, and one float32 column a feature.
        rows: How many rows it holds.
        seconds: How long it took; 0.0 where an earlier one was still right.
        reused: Whether it was.
    """

    path: Path
    rows: int
    seconds: float
    reused: bool

    def as_dict(self) -> dict[str, str | int | float | bool]:
        """For JSON."""
        return {"path": str(self.path), "rows": self.rows, "seconds": round(self.seconds, 3), "reused": self.reused}


def build(
    task: LabelledTask,
    data_set: DataSet,
    folder: Path,
    progress: Progress | None = None,
    means: Means | None = None,
) -> Built:
    """Compute what was known of every row of the task at its moment, and write it to `folder/TASK.parquet`.

    A file that was built from the same data by the same declarations is used again. `progress` is told what was done
    last, how many columns are done, and of how many.

    Raises:
        DataError: A table that the task needs is missing, or its rows break the promise of one row a row_id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, stamp = folder / f"{task.name}.parquet", folder / f"{task.name}.json"
    question = {
        "data": data_set.content_hash(),
        "features": task.features.fingerprint(),
        "rows": task.rows.sql,
        **({"linked": json.loads(json.dumps(asdict(task.rows.linked)))} if task.rows.linked else {}),
    }
    if path.exists() and stamp.exists() and json.loads(stamp.read_text())["question"] == question:
        return Built(path, pq.read_metadata(path).num_rows, 0.0, reused=True)
    require_tables(task, data_set)
    # Killed between the two, the file must not be taken for what an older stamp says of it.
    stamp.unlink(missing_ok=True)
    report = _computed(task, data_set, path, progress, means or Means())
    stamp.with_suffix(".tmp").write_text(json.dumps({"question": question}))
    stamp.with_suffix(".tmp").replace(stamp)
    return Built(path, report.rows, report.seconds, reused=False)


def _computed(
    task: LabelledTask, data_set: DataSet, path: Path, progress: Progress | None, means: Means
) -> BuildReport:
    with data_set.connect() as connection:
        rows = task_rows(task, connection)
        if means.cluster is None:
            return build_features(task.features, connection, rows, path, progress, means.memory_limit)
    from features.cluster import build_on_cluster  # Dask takes a second, and few builds need it

    return build_on_cluster(task.features, data_set, rows, path, address_of(means.cluster), progress)


def examples(task: LabelledTask, data_set: DataSet, built: Built) -> Examples:
    """The rows whose label exists, with their features; all rows where the task learns from unlabelled ones.

    Raises:
        DataError: Labels are not one a row, not numbers, or not 0 and 1 alone.
        UsageError: The task names a unit, group or slice that its rows have not.
    """
    wanted = _wanted_columns(task, pq.read_schema(built.path).names)
    table = pq.read_table(built.path, columns=wanted)
    with data_set.connect() as connection:
        labels = _labels(task, connection)
    truth = _joined(task, labels, table)
    rows = table if truth.num_rows == table.num_rows else table.take(truth[POSITION])
    _require_values(task, rows)
    lists, relevant = _lists(task, rows, truth)
    return Examples(
        row_id=rows["row_id"].to_numpy(),
        as_of=_instants(rows["as_of"]),
        closes_at=_closing(truth["closes_at"]),
        label=truth["label"].cast(pa.float64()).fill_null(pa.scalar(np.nan)).to_numpy(),
        unit=_codes(rows[task.unit]),
        group=_codes(rows[task.split.group]),
        slices={name: rows[name].cast(pa.string()).fill_null(pa.scalar("null")).to_numpy() for name in task.slices},
        features=tuple(task.features.names),
        matrix=matrix(rows, task.features.names),
        stakes=_stakes(task.payoff, rows),
        by_lot=truth["by_lot"].fill_null(pa.scalar(value=False)).to_numpy(),
        lists=lists,
        relevant=relevant,
    )


def _lists(task: LabelledTask, rows: pa.Table, truth: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The list of each row, and how many things of it came true: as the label says, else as many as its rows did."""
    if not isinstance(task, RankingTask):
        return np.empty(0, np.int64), np.empty(0)
    lists = _codes(rows[task.lists])
    if RELEVANT in truth.column_names:
        return lists, truth[RELEVANT].cast(pa.float64()).to_numpy()
    counted = np.bincount(lists, truth["label"].cast(pa.float64()).to_numpy()).astype(np.float64)
    return lists, counted[lists]


def matrix(table: pa.Table, names: Sequence[str]) -> NDArray[np.float32]:
    """Feature columns side by side, NaN for null, shape (rows, features)."""
    values = np.empty((table.num_rows, len(names)), np.float32)
    for place, name in enumerate(names):
        values[:, place] = table[name].to_numpy()
    return values


def task_rows(task: LabelledTask, connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The rows of a task in the order of their moment, each with a key of its own."""
    for name in task.rows.optional:
        _stand_in(name, connection)
    rows = _answer(task, task.rows, connection, f"SELECT * FROM ({task.rows.sql}) ORDER BY as_of, row_id")
    repeated = rows.num_rows - pc.count_distinct(rows["row_id"]).as_py()
    if not rows.num_rows or repeated or rows["row_id"].null_count or rows["as_of"].null_count:
        raise DataError(
            f"the rows of task {task.name!r} ({task.rows.name}): found {rows.num_rows} rows, {repeated} of them with "
            f"the row_id of another, {rows['row_id'].null_count} without row_id, {rows['as_of'].null_count} without "
            "as_of; expected at least one row, each with a row_id of its own and a moment; mend the query or the "
            f"tables {', '.join(task.rows.tables)}"
        )
    linked = task.rows.linked
    return rows if linked is None else rows.append_column(linked.name, units(linked, connection, rows))


def _stand_in(name: str, connection: duckdb.DuckDBPyConnection) -> None:
    """An empty table where the data set has none of that name."""
    listed = ", ".join(f"NULL::{SQL_TYPES[column.kind]} AS {column.name}" for column in TABLES[name].columns)
    connection.execute(f'CREATE VIEW IF NOT EXISTS "{name}" AS SELECT {listed} WHERE false')


def _answer(task: LabelledTask, asked: Rows | Label, connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    try:
        table: pa.Table = connection.sql(sql).to_arrow_table()
    except (duckdb.ProgrammingError, duckdb.DataError) as refusal:
        raise UsageError(
            f"the query of {asked.name!r} of task {task.name!r} cannot be answered: {refusal}\nMend the query, or the "
            f"tables {', '.join(asked.tables)}"
        ) from refusal
    return table


def _labels(task: LabelledTask, connection: duckdb.DuckDBPyConnection) -> pa.Table:
    labels = _answer(task, task.label, connection, task.label.sql)
    if "by_lot" not in labels.column_names:
        labels = labels.append_column("by_lot", pa.array(np.ones(labels.num_rows, np.bool_)))
    counted = (RELEVANT,) if RELEVANT in labels.column_names else ()
    labels = labels.select(["row_id", "label", "closes_at", "by_lot", *counted])
    repeated = labels.num_rows - pc.count_distinct(labels["row_id"]).as_py()
    found = set(pc.unique(labels["label"]).to_pylist())
    if repeated or not found <= {0, 1} or labels["closes_at"].null_count:
        raise DataError(
            f"label {task.label.name!r} of task {task.name!r}: found {repeated} repeated row_ids, the values "
            f"{', '.join(sorted(map(str, found))[:10])} and {labels['closes_at'].null_count} rows without closes_at; "
            "expected one label a row_id, 0 or 1, each with the moment it closes; mend the query or the tables "
            f"{', '.join(task.label.tables)}"
        )
    return labels


def _joined(task: LabelledTask, labels: pa.Table, table: pa.Table) -> pa.Table:
    """Positions of the built rows, in the order they were built, with label, closes_at and by_lot.

    Rows without a label are left out unless the task learns from them; theirs are null.
    """
    held, asked = table["row_id"].type, labels["row_id"].type
    if pa.types.is_integer(held) != pa.types.is_integer(asked):
        raise DataError(
            f"label {task.label.name!r} of task {task.name!r}: found row_id of {asked}, expected {held} as in "
            f"{task.rows.name}; cast one of them in its query"
        )
    labels = labels.set_column(0, "row_id", labels["row_id"].cast(held))
    # Only keys are joined: rows may carry columns of any type, and of the names that a label has.
    joined = (
        pa.table({"row_id": table["row_id"], POSITION: np.arange(table.num_rows)})
        .join(labels, "row_id", join_type="left outer" if task.unlabelled else "inner")
        .sort_by(POSITION)
    )
    if joined["label"].null_count == joined.num_rows:
        raise DataError(
            f"no row of task {task.name!r} has a label: found {labels.num_rows} labels of other rows; expected the "
            f"row_ids of {task.rows.name} in {task.label.name}"
        )
    return joined


def _wanted_columns(task: LabelledTask, found: Sequence[str]) -> list[str]:
    """Those of the built columns that the training table is made of."""
    stake, group = _stake_columns(task.payoff)
    wanted = {
        "unit": (task.unit,),
        "split.group": (task.split.group,),
        "lists": (task.lists,) if isinstance(task, RankingTask) else (),
        "slices": task.slices,
        "payoff.stake": (stake,) if stake else (),
        "payoff.cap.group": (group,) if group else (),
    }
    missing = [f"{name} ({where})" for where, names in wanted.items() for name in names if name not in found]
    if missing:
        raise UsageError(
            f"task {task.name!r} names columns that its rows have not: {', '.join(missing)}; "
            f"found {', '.join(name for name in found if name not in task.features.names)}"
        )
    asked = (name for names in wanted.values() for name in names)
    return list(dict.fromkeys(("row_id", "as_of", *asked, *task.features.names)))


def _require_values(task: LabelledTask, rows: pa.Table) -> None:
    stake, _ = _stake_columns(task.payoff)
    lists = (task.lists,) if isinstance(task, RankingTask) else ()
    needed = (task.unit, task.split.group, *lists, *((stake,) if stake else ()))
    empty = {name: rows[name].null_count for name in dict.fromkeys(needed)}
    if any(empty.values()):
        found = ", ".join(f"{name} in {count} rows" for name, count in empty.items() if count)
        raise DataError(
            f"the rows of task {task.name!r} ({task.rows.name}): found null in {found}; expected a value in each, "
            "because intervals draw whole units, folds keep groups whole and an action is worth what is at stake; "
            "mend the query"
        )


def _stake_columns(payoff: Payoff | None) -> tuple[str, str]:
    """The columns of the rows that the pay-off reads: what is at stake, and the groups of its cap; empty if neither."""
    if payoff is None:
        return "", ""
    return payoff.stake, payoff.cap.group if payoff.cap else ""


def _stakes(payoff: Payoff | None, rows: pa.Table) -> Stakes:
    stake, group = _stake_columns(payoff)
    return Stakes(
        rows[stake].cast(pa.float64()).to_numpy() if stake else None,
        rows[group].cast(pa.string()).to_numpy() if group else None,
    )


def _instants(column: pa.ChunkedArray[Any]) -> NDArray[np.int64]:
    return column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()


def _closing(column: pa.ChunkedArray[Any]) -> NDArray[np.int64]:
    never = pa.scalar(NEVER, pa.int64())
    return column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).fill_null(never).to_numpy()


def _codes(column: pa.ChunkedArray[Any]) -> NDArray[np.int64]:
    return column.combine_chunks().dictionary_encode().indices.cast(pa.int64()).to_numpy(zero_copy_only=False)
