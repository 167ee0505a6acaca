"""Columns of Arrow tables as NumPy arrays and back, without pandas: Arrow's own conversions would import it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray


def doubles(table: pa.Table, name: str) -> NDArray[np.float64]:
    """A column of numbers as doubles, NaN for null; all NaN where the table has no such column; shape (rows,)."""
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    column = table[name].cast(pa.float64())
    return np.where(_known(column), _values(column), np.nan)


def day_numbers(table: pa.Table, name: str, missing: int) -> NDArray[np.int64]:
    """A column of dates as days since 1970-01-01; `missing` for null and where there is no such column."""
    if name not in table.column_names:
        return np.full(table.num_rows, missing, np.int64)
    column = table[name].cast(pa.date32()).cast(pa.int32()).cast(pa.int64())
    return np.where(_known(column), _values(column), missing).astype(np.int64)


def rows_where(table: pa.Table, wanted: NDArray[np.bool_]) -> pa.Table:
    """The rows of a table at which a mask, shape (rows,), is true."""
    rows = np.flatnonzero(wanted).astype(np.int64)
    return table.take(pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows.tobytes())]))


def _known(column: pa.ChunkedArray[Any]) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] = _values(column.is_valid().cast(pa.uint8())) == 1
    return known


def _values(column: pa.ChunkedArray[Any]) -> NDArray[Any]:
    """The numbers of a column, whatever stands where it is null."""
    parts = [
        pa.Array.from_buffers(chunk.type, len(chunk), [None, chunk.buffers()[1]], offset=chunk.offset)
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate([np.from_dlpack(part) for part in parts]) if parts else np.empty(0)
