"""The rows that are asked about: whose features, as of when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import DataError
from features.encoding import Encoder
from features.hashing import ascending
from features.history import Moments, moments, plain

if TYPE_CHECKING:
    from features.history import Column
    from features.plan import Plan

AS_OF: Final = "as_of"
ROW_ID: Final = "row_id"
INSTANT: Final = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Asked:
    """Rows that were found fit to be answered.

    Attributes:
        carried: What stands in the answer before the features: row_id, as_of, then all else that the rows hold and that
            is no feature.
        questions: Their moments and keys.
        facts: The columns that are features themselves.
    """

    carried: pa.Table
    questions: Moments
    facts: pa.Table


def asked(plan: Plan, rows: pa.Table, *, whole: bool = True) -> Asked:
    """Holds rows against what a plan needs.

    Args:
        plan: What will be computed.
        rows: The rows.
        whole: Whether these are all rows, so that a row_id may not come twice among them.

    Raises:
        DataError: Naming everything that is wrong with the rows at once.
    """
    problems = _problems(plan, rows, whole=whole)
    if problems:
        raise DataError("\n".join(["the rows cannot be given features:", *(f"  - {one}" for one in problems)]))
    instants = rows[AS_OF].cast(INSTANT)
    facts = [fact.name for fact in plan.facts]
    features = {*plan.names, *facts}
    others = [name for name in rows.column_names if name not in features and name not in (ROW_ID, AS_OF)]
    carried = pa.table({ROW_ID: rows[ROW_ID], AS_OF: instants, **{name: _as_told(rows[name]) for name in others}})
    at = np.ascontiguousarray(instants.cast(pa.int64()).to_numpy(), dtype=np.int64)
    keys = pa.table({name: plain(rows[name]) for name in plan.row_keys}) if plan.row_keys else rows.select([ROW_ID])
    return Asked(carried=carried, questions=moments(at, keys, "rows"), facts=rows.select(facts))


def _problems(plan: Plan, rows: pa.Table, *, whole: bool) -> list[str]:
    facts = {fact.name for fact in plan.facts}
    needed = (ROW_ID, AS_OF, *plan.row_keys, *sorted(facts))
    has = ", ".join(rows.column_names)
    missing = [name for name in dict.fromkeys(needed) if name not in rows.column_names]
    found = [f"column {name!r} is missing; found {has}" for name in missing]
    found += [f"column {name!r} occurs twice" for name in set(rows.column_names) if rows.column_names.count(name) > 1]
    found += [
        f"column {name!r} has the name of a feature that is computed; rename it"
        for name in rows.column_names
        if name in plan.names and name not in facts
    ]
    if found:
        return found
    found += _moment_problems(rows[AS_OF])
    found += _identity_problems(rows[ROW_ID], whole=whole)
    for name in sorted(facts):
        held = rows[name].type
        if not (pa.types.is_integer(held) or pa.types.is_floating(held) or pa.types.is_boolean(held)):
            found.append(f"column {name!r} is a feature, so it must hold numbers; found {held}")
    for name in plan.row_keys:
        held = plain(rows[name]).type
        if not (pa.types.is_integer(held) or pa.types.is_string(held)):
            found.append(f"column {name!r} is a key, so it must hold text or integers; found {held}")
    return found


def _moment_problems(column: Column) -> list[str]:
    if not pa.types.is_timestamp(column.type) or column.type.tz is None:
        return [f"column {AS_OF!r} must hold instants with a time zone (timestamp[us, UTC]); found {column.type}"]
    if column.null_count:
        return [f"column {AS_OF!r} is null in {column.null_count:,} rows; every row asks at an instant"]
    try:
        column.cast(INSTANT)
    except pa.ArrowInvalid:
        return [f"column {AS_OF!r} is finer than a microsecond; round it"]
    return []


def _identity_problems(column: Column, *, whole: bool) -> list[str]:
    if column.null_count:
        return [f"column {ROW_ID!r} is null in {column.null_count:,} rows"]
    if not whole or _all_differ(plain(column)):
        return []
    counts = pa.table({ROW_ID: column}).group_by(ROW_ID).aggregate([(ROW_ID, "count")])
    repeated = [identity for identity, count in zip(*counts.to_pydict().values(), strict=True) if count > 1]
    first = ", ".join(repr(identity) for identity in repeated[:10])
    return [f"column {ROW_ID!r} names {len(repeated):,} rows more than once: {first}"]


def _all_differ(column: Column) -> bool:
    if not (pa.types.is_integer(column.type) or pa.types.is_string(column.type)):
        return pc.count_distinct(column).as_py() == len(column)
    if ascending(column):
        return True
    encoder = Encoder(len(column))
    encoder.column(column)
    return len(encoder) == len(column)


def _as_told(column: Column) -> Column:
    """What is carried along keeps its kind, except that text is plain text, which every reader of Parquet knows."""
    return column if pa.types.is_integer(column.type) else plain(column)
