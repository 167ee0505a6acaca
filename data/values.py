"""The values of one part held against its table, a batch at a time: pandera judges, with every failure kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from data.csv_text import FIRST, UnreadableFile
from data.kinds import EXPECTED, fix_of, reading
from data.parts import quoted, scan, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from data.contracts import Column, Table
    from data.parts import Part

_BATCH = 131_072
_ROW = "#row"
_EXAMPLES = 3


@dataclass(frozen=True)
class Rule:
    """One rule of one column: where it is judged in the frame, and what to tell who breaks it."""

    name: str
    column: str
    expected: str
    fix: str
    judged: str
    check: pa.Check | None = None


@dataclass
class Breach:
    """A rule, and who broke it so far."""

    rule: Rule
    rows: list[int] = field(default_factory=list)
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, cases: pd.DataFrame) -> None:
        """Take in the failures of one batch, in row order."""
        cases = cases.sort_values("index")
        self.count += len(cases)
        self.rows += [int(row) for row in cases["index"].head(FIRST - len(self.rows))]
        for value in cases["failure_case"].head(FIRST):
            shown = "nothing" if self.rule.name == "missing_value" else _shown(value)
            if shown not in self.examples and len(self.examples) < _EXAMPLES:
                self.examples.append(shown)


@dataclass(frozen=True)
class Judgement:
    """What the values of one part came to."""

    rows: int
    breaches: tuple[Breach, ...]


def judge(
    connection: duckdb.DuckDBPyConnection, table: Table, part: Part, zone: str | None, now: datetime
) -> Judgement:
    """Hold every value of the columns that fit against its rules.

    Raises:
        UnreadableFile: the file breaks off, or holds bytes that no reader understands, past its header.
    """
    rules = tuple(rule for column in table.columns for rule in _rules(column, part, zone, now))
    schema = _schema(rules)
    breaches = {(rule.judged, rule.name): Breach(rule) for rule in rules}
    read = 0
    try:
        relation = connection.sql(_query(table, part, zone, {rule.judged for rule in rules}))
        for batch in relation.to_arrow_reader(_BATCH):
            frame = batch.to_pandas(types_mapper=pd.ArrowDtype).set_index(_ROW)
            read += len(frame)
            for key, cases in _failures(schema, frame).items():
                breaches[key].add(cases)
    except duckdb.Error as error:
        raise UnreadableFile(unreadable(error)) from error
    return Judgement(read, tuple(breach for breach in breaches.values() if breach.count))


def _rules(column: Column, part: Part, zone: str | None, now: datetime) -> Iterator[Rule]:
    found = part.columns.get(column.name)
    read = reading(column, found, is_text=part.is_text, zone=zone) if found else None
    if read is None:
        return
    name = column.name
    for fault in read.faults:
        yield Rule(fault.name, name, fault.expected, fault.fix, _fault_name(name, fault.name), _NOTHING)
    if not column.nullable:
        yield Rule("missing_value", name, f"a value: {column.meaning}", "fill it in, or leave out the row", name)
    if column.choices:
        choices = ", ".join(column.choices)
        yield Rule("unknown_choice", name, f"one of {choices}", "map it to one of them", name, _is_in(column.choices))
    if column.minimum is not None:
        yield _at_least(column, column.minimum)
    if column.maximum is not None:
        expected = f"{EXPECTED[column.kind]}, at most {column.maximum:g}"
        yield Rule("too_large", name, expected, fix_of(column.kind), name, pa.Check.le(column.maximum))
    if column.past:
        latest = pd.Timestamp(now) if column.kind == "instant" else now.date()
        expected = f"nothing later than now, {now:%Y-%m-%dT%H:%M:%S%z}"
        fix = "correct the clock or the time zone it was written in"
        yield Rule("future", name, expected, fix, name, pa.Check(lambda values: values <= latest))


def _at_least(column: Column, minimum: float) -> Rule:
    if column.kind == "money":
        fix = "write refunds and corrections as records of their own, not as negative money"
        return Rule("negative_money", column.name, "whole fen, 0 or more", fix, column.name, pa.Check.ge(minimum))
    expected = f"{EXPECTED[column.kind]}, at least {minimum:g}"
    return Rule("too_small", column.name, expected, fix_of(column.kind), column.name, pa.Check.ge(minimum))


def _is_in(choices: tuple[str, ...]) -> pa.Check:
    return pa.Check.isin(choices)


# The frame carries, beside each value, the text of what could not be read; a good column of those is empty.
_NOTHING = pa.Check(lambda texts: texts.isna())


def _fault_name(column: str, fault: str) -> str:
    return f"{column}#{fault}"


def _query(table: Table, part: Part, zone: str | None, judged: set[str]) -> str:
    selected = [f"row_number() OVER () AS {quoted(_ROW)}"]
    for column in table.columns:
        found = part.columns.get(column.name)
        read = reading(column, found, is_text=part.is_text, zone=zone) if found else None
        if read is None:
            continue
        if column.name in judged:
            selected.append(f"{read.sql()} AS {quoted(column.name)}")
        for fault in read.faults:
            name = quoted(_fault_name(column.name, fault.name))
            selected.append(f"CASE WHEN {fault.condition} THEN {read.raw}::VARCHAR END AS {name}")
    return f"SELECT {', '.join(selected)} FROM {scan((part,))}"


def _schema(rules: tuple[Rule, ...]) -> pa.DataFrameSchema:
    columns: dict[str, pa.Column] = {}
    for name in dict.fromkeys(rule.judged for rule in rules):
        own = [rule for rule in rules if rule.judged == name]
        checks = [pa.Check(rule.check._check_fn, error=rule.name) for rule in own if rule.check is not None]
        columns[name] = pa.Column(checks=checks, nullable=all(rule.name != "missing_value" for rule in own))
    return pa.DataFrameSchema(columns)
