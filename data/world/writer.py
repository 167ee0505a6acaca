"""Tables as folders of parts, in the order in which their rows come; rows wait in memory for one row group at most."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from data.world.scan_table import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor, Future
    from pathlib import Path

ROW_GROUP: Final = 1 << 16
PART: Final = 1 << 20


@dataclass
class TableWriter:
    """One table on its way to disk: NAME.parquet, or NAME/part-00000.parquet and so on where it is written in parts.

    A table that gets no row leaves no file, as an empty table would claim that nothing of the kind ever was.

    Attributes:
        folder: Where the table goes.
        name: Its name.
        layout: One file, Parquet parts, or CSV parts.
        rows: How many rows were given.
        pool: Threads that encode row groups while the next are made; without them they are encoded at once.
        listener: Told the name and the rows, texts as texts, before they are written; nobody if not given.
    """

    folder: Path
    name: str
    layout: Literal["file", "parts", "csv"] = "parts"
    rows: int = 0
    pool: Executor | None = None
    listener: Callable[[str, pa.Table], None] | None = None
    _pending: Future[None] | None = field(default=None, repr=False)
    _waiting: list[pa.Table] = field(default_factory=list, repr=False)
    _waiting_rows: int = field(default=0, repr=False)
    _part: pq.ParquetWriter | pacsv.CSVWriter | None = field(default=None, repr=False)
    _part_rows: int = field(default=0, repr=False)
    _parts: int = field(default=0, repr=False)

    def write(self, columns: Mapping[str, pa.Array[Any]]) -> None:
        """Append rows; all calls give the same columns of the same types."""
        table = pa.table(dict(columns))
        if not table.num_rows:
            return
        if self.listener is not None:
            self.listener(self.name, plain(columns))
        self.rows += table.num_rows
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        while self._waiting_rows >= ROW_GROUP:
            waiting = pa.concat_tables(self._waiting)
            self._send(waiting.slice(0, ROW_GROUP))
            self._waiting = [waiting.slice(ROW_GROUP)]
            self._waiting_rows -= ROW_GROUP

    def close(self) -> None:
        """Write what waits, and end the last part."""
        if self._waiting_rows:
            self._send(pa.concat_tables(self._waiting))
        self._waiting, self._waiting_rows = [], 0
        self._settle()
        self._end_part()

    def _send(self, table: pa.Table) -> None:
        """Have a row group written; at most one of a table is on its way, so that memory stays bounded."""
        self._settle()
        if self.pool is None:
            self._put(table)
        else:
            self._pending = self.pool.submit(self._put, table)

    def _settle(self) -> None:
        if self._pending is not None:
            self._pending.result()
        self._pending = None

    def _put(self, table: pa.Table) -> None:
        table = table.unify_dictionaries()
        if self.layout == "csv":
            table = _as_text(table)
        if self._part is None:
            self._part = self._begin_part(table.schema)
        if isinstance(self._part, pq.ParquetWriter):
            self._part.write_table(table, row_group_size=ROW_GROUP)
        else:
            self._part.write_table(table)
        self._part_rows += table.num_rows
        if self._part_rows >= PART and self.layout != "file":
            self._end_part()

    def _begin_part(self, schema: pa.Schema) -> pq.ParquetWriter | pacsv.CSVWriter:
        path = self.folder / f"{self.name}.parquet"
        if self.layout != "file":
            suffix = "csv" if self.layout == "csv" else "parquet"
            path = self.folder / self.name / f"part-{self._parts:05d}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.layout == "csv":
            return pacsv.CSVWriter(path, schema)
        repetitive = [one.name for one in schema if not _is_random(one)]
        options: dict[str, Any] = {"compression": "zstd", "use_dictionary": repetitive}
        # Without the Arrow schema, columns that repeat a few texts are read as plain text and not as categories.
        return pq.ParquetWriter(path, schema, store_schema=False, **options)

    def _end_part(self) -> None:
        if self._part is not None:
            self._part.close()
            self._parts += 1
        self._part, self._part_rows = None, 0


def _is_random(one: pa.Field[Any]) -> bool:
    """Whether no value comes back often enough for a dictionary to pay."""
    return not pa.types.is_dictionary(one.type) and (
        pa.types.is_string(one.type) or pa.types.is_floating(one.type) or pa.types.is_timestamp(one.type)
    )


def _as_text(table: pa.Table) -> pa.Table:
    """The columns as a CSV can hold them: flags as 0 and 1, lists as a|b|c."""
    columns: dict[str, Any] = {name: table[name] for name in table.column_names}
    for name, column in columns.items():
        if pa.types.is_dictionary(column.type):
            columns[name] = column.cast(column.type.value_type)
        elif pa.types.is_boolean(column.type):
            columns[name] = column.cast(pa.int8())
        elif pa.types.is_list(column.type):
            columns[name] = pc.binary_join(column, "|")
    return pa.table(columns)
