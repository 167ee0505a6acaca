"""Rows on disk, dealt out by a hash of their key, so that one key's whole history can be read back alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from features.hashing import buckets
from features.kernel import order_by_key, starts_by_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BUCKETS: Final = 64
POSITION: Final = "shepherd_position"


@dataclass(frozen=True)
class Piece:
    """Where a record batch lies in a file, and how many rows it has."""

    offset: int
    length: int
    rows: int


@dataclass(frozen=True)
class Dealt:
    """Some of the rows of a spool: enough to read them on any machine that sees the file.

    Attributes:
        path: The file.
        schema: Of the rows.
        pieces: Where they lie.
    """

    path: Path
    schema: pa.Schema
    pieces: tuple[Piece, ...]

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(piece.rows for piece in self.pieces)

    @property
    def size(self) -> int:
        """How many bytes they take."""
        return sum(piece.length for piece in self.pieces)

    def read(self) -> pa.Table:
        """The rows: those that were put together stay together, in the order in which they were put."""
        batches: list[pa.RecordBatch] = []
        if not self.pieces:
            return self.schema.empty_table()
        with self.path.open("rb") as file:
            for piece in sorted(self.pieces, key=lambda piece: piece.offset):
                file.seek(piece.offset)
                batches.append(pa.ipc.read_record_batch(pa.py_buffer(file.read(piece.length)), self.schema))
        return pa.Table.from_batches(batches, self.schema).combine_chunks()


@dataclass
class Spool:
    """A file that takes rows in any number and gives them back by bucket.

    Attributes:
        path: The file.
        schema: Of the rows.
        key: Columns by whose values rows are dealt out; with none, all go to one bucket. Rows with a null key are not
            kept: they have no history and are in nobody's.
    """

    path: Path
    schema: pa.Schema
    key: tuple[str, ...]
    _pieces: dict[int, list[Piece]] = field(default_factory=dict, init=False)
    _end: int = field(default=0, init=False)

    def put(self, rows: pa.Table) -> None:
        """Appends rows."""
        bucket = buckets([rows[name] for name in self.key], BUCKETS) if self.key else np.zeros(rows.num_rows, np.int32)
        edges = np.empty(BUCKETS + 1, np.int64)
        starts_by_key(bucket, edges)
        order = np.empty(edges[-1], np.int32)
        if not len(order):
            return
        order_by_key(bucket, np.arange(rows.num_rows, dtype=np.int32), edges, order, np.empty_like(bucket))
        sorted_rows = rows.select(self.schema.names).take(order).combine_chunks().to_batches()[0]
        with self.path.open("ab") as file:
            for number in range(BUCKETS):
                start, stop = int(edges[number]), int(edges[number + 1])
                if stop > start:
                    written = file.write(sorted_rows.slice(start, stop - start).serialize())
                    self._pieces.setdefault(number, []).append(Piece(self._end, written, stop - start))
                    self._end += written

    def dealt(self, numbers: Iterable[int]) -> Dealt:
        """The rows of some buckets."""
        pieces = [piece for number in numbers for piece in self._pieces.get(number, ())]
        return Dealt(self.path, self.schema, tuple(pieces))
