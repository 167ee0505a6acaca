"""Putting answers together: what a row carries, what was computed for it, and what is derived from that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import UsageError
from features.asked import ROW_ID
from features.columns import rounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from features.feature import Derived
    from features.kernel import Answers, Doubles
    from features.plan import Plan

FINGERPRINT_KEY: Final = b"shepherd.features.fingerprint"


@dataclass(frozen=True)
class Answered:
    """Rows with their answers.

    Attributes:
        carried: The columns that rows carry.
        events: Events read, by log.
        batches: The answers in the order of the rows, each when asked for.
    """

    carried: pa.Schema
    events: Mapping[str, int]
    batches: Iterator[pa.RecordBatch]


class Computed(Protocol):
    """Computed columns by name."""

    def part(self, name: str, start: int, stop: int) -> Answers:
        """Some rows of a column."""


def schema(plan: Plan, carried: pa.Schema, fingerprint: str | None = None) -> pa.Schema:
    """The columns of an answer: what rows carry, then one float32 a feature."""
    form = pa.schema([*carried, *(pa.field(name, pa.float32()) for name in plan.names)])
    return form if fingerprint is None else form.with_metadata({FINGERPRINT_KEY: fingerprint.encode()})


def assembled(plan: Plan, carried: pa.Table, facts: pa.Table, computed: Computed, rows: slice) -> pa.RecordBatch:
    """The whole answer of some rows, at least one.

    Raises:
        UsageError: When the function of a derived feature does not give one number a row.
    """
    values = {name: computed.part(name, rows.start, rows.stop) for name in plan.outputs}
    for fact in plan.facts:
        values[fact.name] = facts[fact.name].cast(pa.float64()).to_numpy()
    for feature in plan.derived:
        values[feature.name] = _derive(feature, values, rows.stop - rows.start)
    features = [_nullable(rounded(values[name])) for name in plan.names]
    told = carried.combine_chunks().to_batches()[0].columns
    return pa.RecordBatch.from_arrays([*told, *features], schema=schema(plan, carried.schema))


def _nullable(values: NDArray[np.float32]) -> pa.Array[Any]:
    """NaN as null; the values themselves are not copied."""
    unknown = np.isnan(values)
    number = int(np.count_nonzero(unknown))
    known = _buffer(np.packbits(~unknown, bitorder="little")) if number else None
    return pa.Array.from_buffers(pa.float32(), len(values), [known, _buffer(np.ascontiguousarray(values))], number)


def _buffer(array: NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(cast("Any", array))


def write(path: Path, form: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Writes answers to a file, and how many rows; of text only keys repeat themselves enough for a dictionary."""
    repetitive = [field.name for field in form if pa.types.is_string(field.type) and field.name != ROW_ID]
    options: dict[str, Any] = {"compression": "zstd", "use_dictionary": repetitive}
    rows = 0
    with pq.ParquetWriter(path, form, **options) as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(form.metadata))
            rows += batch.num_rows
    return rows


def _derive(feature: Derived, values: Mapping[str, Answers], rows: int) -> Doubles:
    with np.errstate(all="ignore"):
        result = np.asarray(feature.function(*(values[name] for name in feature.inputs)), dtype=np.float64)
    if result.shape != (rows,):
        raise UsageError(
            f"derived feature {feature.name}: its function gave shape {result.shape} for {rows} rows; "
            "expected one number a row, so it must work element by element"
        )
    return np.where(np.isfinite(result), result, np.nan)
