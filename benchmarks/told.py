"""What a brand knows while its world runs: the tables as they stand on a morning, and what became known since.

Both are read by the very queries that training reads, through views over files, so that a judge which takes in events
as they come knows what its training table says. The books are closed once a day: verdicts and payouts count from the
last instant of the day on which they came, in the tables as well.
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.unseen import morning
from data.contracts import TABLES
from data.logs import LOGS
from data.sources import open_folder
from features.online import columns_by_log
from features.plan import compile_plan
from features.repeats import IDENTITIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from data.sources import DataSet
    from training.task import Task

SCANS: Final = "scans"
LABELS: Final = "scan_labels"
MEMBERS: Final = "members"
SEEN_AT: Final = "seen_at"
ROW: Final = "shepherd_row"
"""Which of the scans of a part of a day an event is."""

_CLOSED_DAILY: Final = {LABELS: "landed_at", "payouts": "ts"}
_INSTANT: Final = timedelta(microseconds=1)
_BEFORE_ALL: Final = morning(-100_000)


class Told:
    """Everything that was told of a world so far, of the tables that a task needs."""

    def __init__(self, task: Task, folder: Path) -> None:
        """Nothing yet.

        Args:
            task: What will be learned.
            folder: Where tables are written whenever they are asked for.
        """
        self._plan = compile_plan(task.features)
        self._logs = columns_by_log(self._plan)
        needed = {table for log in self._logs for table in LOGS[log].needs}
        links = task.rows.linked.shared if task.rows.linked else ()
        self._needed = needed | {*task.rows.tables, *task.label.tables, *(table for table, _ in links)}
        self._tables: dict[str, pa.Table] = {}
        self._folder = folder
        self._heard = _BEFORE_ALL

    def add(self, name: str, rows: pa.Table, day: int) -> None:
        """Takes rows down.

        Args:
            name: Their table; one that the task does not need is left out.
            rows: What was told.
            day: The day of the world on which it was.
        """
        if name not in self._needed:
            return
        if name in _CLOSED_DAILY:
            place = rows.column_names.index(_CLOSED_DAILY[name])
            closing = pa.scalar(morning(day + 1) - _INSTANT, rows.schema.field(place).type)
            rows = rows.set_column(place, rows.schema.field(place), pa.repeat(closing, len(rows)))
        held = self._tables.get(name)
        self._tables[name] = rows if held is None else pa.concat_tables([held, rows])

    def past(self, day: int) -> DataSet:
        """The tables as they stood on the morning of a day: what had come before it, and lasting facts."""
        known = {name: _between(name, rows, _BEFORE_ALL, morning(day)) for name, rows in self._tables.items()}
        return _written({name: rows for name, rows in known.items() if len(rows)}, self._folder / "past")

    def since(self, until: datetime, scans: pa.Table) -> dict[str, pa.Table]:
        """What became known since this was last asked: the events of each log in order, with `seen_at`.

        Args:
            until: The last instant that counts.
            scans: The scans of that time; their events say in `ROW` which they are, and bear the facts that are asked.
        """
        due = {
            name: rows if name == MEMBERS else _between(name, rows, self._heard + _INSTANT, until + _INSTANT)
            for name, rows in self._tables.items()
        }
        asking = scans.append_column(ROW, pa.array(np.arange(len(scans))))
        found = self._events({**due, SCANS: asking}, self._logs.keys() - {LABELS}, until)
        verdicts = due.get(LABELS) if LABELS in self._logs else None
        if verdicts is not None and len(verdicts):
            everything = self._tables[SCANS]
            judged = everything.filter(pc.is_in(everything["scan_id"], verdicts["scan_id"].combine_chunks()))
            found |= self._events({**due, SCANS: judged}, {LABELS}, until)
        self._heard = until
        return found

    def _events(self, tables: Mapping[str, pa.Table], logs: Iterable[str], until: datetime) -> dict[str, pa.Table]:
        """The events of some logs after what was heard before; of those whose tables were told of."""
        found: dict[str, pa.Table] = {}
        values = {"heard": self._heard, "until": until}
        with _written(tables, self._folder / "recent").connect() as connection:
            for log in sorted(logs):
                if not tables.keys() >= set(LOGS[log].needs):
                    continue
                events: pa.Table = connection.sql(
                    f"SELECT {', '.join(self._columns(log))} FROM ({LOGS[log].sql()}) "
                    f"WHERE {SEEN_AT} > $heard AND {SEEN_AT} <= $until ORDER BY {SEEN_AT}",
                    params=values,
                ).to_arrow_table()
                found[log] = events
        return found

    def _columns(self, log: str) -> tuple[str, ...]:
        """What the state reads of an event, and of a scan also what it is asked about."""
        asked = (*self._plan.row_keys, *(fact.name for fact in self._plan.facts), ROW) if log == SCANS else ()
        return tuple(dict.fromkeys((SEEN_AT, *self._logs[log], *IDENTITIES[log], *asked)))


def _between(name: str, rows: pa.Table, since: datetime, before: datetime) -> pa.Table:
    """Rows that came from one moment on and before another, and those that have none; of lasting facts all."""
    columns = ("registered_at",) if name == MEMBERS else TABLES[name].arrival
    moments: list[Any] = [rows[column] for column in columns if column in rows.column_names]
    if not moments:
        return rows
    at = pc.coalesce(*moments)
    inside = pc.and_(pc.greater_equal(at, pa.scalar(since, at.type)), pc.less(at, pa.scalar(before, at.type)))
    return rows.filter(inside.fill_null(pa.scalar(value=True)))


def _written(tables: Mapping[str, pa.Table], folder: Path) -> DataSet:
    """Tables as a folder; another that lay there makes way."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, rows in tables.items():
        pq.write_table(rows, folder / f"{name}.parquet")
    return open_folder(folder)
