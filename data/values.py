"""The values of one part held against its table, a batch at a time: pandera judges, and every failure is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
from pandera.errors import SchemaErrors

from data.csv_text import FIRST, UnreadableFile
from data.kinds import reading
from data.parts import quoted, scan, unreadable
from data.rules import MISSING, fault_column, rules_of, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import pandera.pandas as pa

    from data.contracts import Column, Table
    from data.kinds import Reading
    from data.parts import Part
    from data.rules import Rule

_BATCH = 131_072
_ROW = "#row"
_PANDERAS_NULL_TEST = "not_nullable"
EXAMPLES = 3


@dataclass
class Breach:
    """A rule, and which rows broke it so far."""

    rule: Rule
    rows: list[int] = field(default_factory=list)
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, cases: pd.DataFrame) -> None:
        """Take in the failures of the next batch."""
        cases = cases.sort_values("index")
        self.count += len(cases)
        self.rows += [int(row) for row in cases["index"].head(FIRST - len(self.rows))]
        for value in cases["failure_case"].head(FIRST):
            shown = "nothing" if self.rule.name == MISSING else _shown(value)
            if shown not in self.examples and len(self.examples) < EXAMPLES:
                self.examples.append(shown)


@dataclass(frozen=True)
class Judgement:
    """How many rows a part has, and every rule that is broken in it."""

    rows: int
    breaches: tuple[Breach, ...]


def judge(
    connection: duckdb.DuckDBPyConnection, table: Table, part: Part, zone: str | None, now: datetime
) -> Judgement:
    """Hold every value of the columns that fit against its rules, in memory for one batch.

    Raises:
        UnreadableFile: the file breaks off behind its header, or holds bytes that no reader understands.
    """
    read = tuple(_readings(table, part, zone))
    rules = tuple(rule for column, how in read for rule in rules_of(column, how, now))
    breaches = {(rule.judged, rule.name): Breach(rule) for rule in rules}
    schema = schema_of(rules)
    rows = 0
    try:
        batches = connection.sql(_query(part, read, {rule.judged for rule in rules})).to_arrow_reader(_BATCH)
        for batch in batches:
            frame = batch.to_pandas(types_mapper=pd.ArrowDtype).set_index(_ROW)
            rows += len(frame)
            for key, cases in _failures(schema, frame):
                breaches[key].add(cases)
    except duckdb.Error as error:
        raise UnreadableFile(unreadable(error)) from error
    return Judgement(rows, tuple(breach for breach in breaches.values() if breach.count))


def _readings(table: Table, part: Part, zone: str | None) -> Iterator[tuple[Column, Reading]]:
    for column in table.columns:
        found = part.columns.get(column.name)
        how = reading(column, found, is_text=part.is_text, zone=zone) if found else None
        if how is not None:
            yield column, how


def _query(part: Part, read: tuple[tuple[Column, Reading], ...], judged: set[str]) -> str:
    selected = [f"row_number() OVER () AS {quoted(_ROW)}"]
    for column, how in read:
        if column.name in judged:
            selected.append(f"{how.sql()} AS {quoted(column.name)}")
        for fault in how.faults:
            name = quoted(fault_column(column.name, fault.name))
            selected.append(f"CASE WHEN {fault.condition} THEN {how.raw}::VARCHAR END AS {name}")
    return f"SELECT {', '.join(selected)} FROM {scan((part,))}"


def _failures(schema: pa.DataFrameSchema, frame: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        cases["check"] = cases["check"].replace(_PANDERAS_NULL_TEST, MISSING)
        for (judged, rule), own in cases.groupby(["column", "check"], sort=False):
            kept = own[~own["index"].isin(_unread(cases, judged))] if rule == MISSING else own
            if len(kept):
                yield (judged, rule), kept


def _unread(cases: pd.DataFrame, column: str) -> pd.Series:
    """Rows whose value is null only because it could not be read, which is said already."""
    return cases.loc[cases["column"].str.startswith(f"{column}#"), "index"]


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    return value.isoformat() if isinstance(value, pd.Timestamp) else str(value)
