"""The rules of a column as pandera checks, each with what to tell who breaks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import pandera.pandas as pa

from data.kinds import EXPECTED, fix_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from data.contracts import Column
    from data.kinds import Reading

MISSING = "missing_value"
RULES_OF_FAULTS = {"naive": "naive_time", "skipped": "skipped_time", "repeated": "repeated_time"}


@dataclass(frozen=True)
class Rule:
    """One rule of one column.

    Attributes:
        name: the rule in one word.
        column: the column it is about.
        judged: the column of the judged frame that shows whether it holds.
        expected: what the contract asks.
        fix: what to do where it is broken.
        check: the judge; None where the judge is pandera's own test for nulls.
    """

    name: str
    column: str
    judged: str
    expected: str
    fix: str
    check: pa.Check | None


def rules_of(column: Column, read: Reading, now: datetime) -> Iterator[Rule]:
    """Every rule of a column that is read so; `now` bounds what has happened."""
    name = column.name
    for fault in read.faults:
        rule = RULES_OF_FAULTS.get(fault.name, "wrong_type")
        yield Rule(rule, name, fault_column(name, fault.name), fault.expected, fault.fix, _nothing(rule))
    if not column.nullable:
        yield Rule(MISSING, name, name, f"a value: {column.meaning}", "fill it in, or leave the row out", None)
    if column.choices:
        expected = f"one of {', '.join(column.choices)}"
        check = pa.Check.isin(column.choices, error="unknown_choice")
        yield Rule("unknown_choice", name, name, expected, "map it to one of them", check)
    yield from _limits(column)
    if column.past:
        yield _past(column, now)


def fault_column(column: str, fault: str) -> str:
    """The name of the judged column that carries the texts which a fault keeps from being read."""
    return f"{column}#{fault}"


def schema_of(rules: tuple[Rule, ...]) -> pa.DataFrameSchema:
    """All rules as one schema; a failure carries the rule's name."""
    columns: dict[str, pa.Column] = {}
    for judged in dict.fromkeys(rule.judged for rule in rules):
        own = [rule for rule in rules if rule.judged == judged]
        checks = [rule.check for rule in own if rule.check is not None]
        columns[judged] = pa.Column(checks=checks, nullable=all(rule.name != MISSING for rule in own))
    return pa.DataFrameSchema(columns)


def _nothing(rule: str) -> pa.Check:
    return pa.Check(lambda texts: texts.isna(), error=rule)


def _limits(column: Column) -> Iterator[Rule]:
    name, expected, fix = column.name, EXPECTED[column.kind], fix_of(column.kind)
    if column.minimum is not None:
        never_negative = column.kind == "money" and column.minimum == 0
        rule = "negative_money" if never_negative else "too_small"
        mend = "correct the sign, and leave refunds out: money is never negative here" if never_negative else fix
        check = pa.Check.ge(column.minimum, error=rule)
        yield Rule(rule, name, name, f"{expected}, at least {column.minimum:,.15g}", mend, check)
    if column.maximum is not None:
        check = pa.Check.le(column.maximum, error="too_large")
        yield Rule("too_large", name, name, f"{expected}, at most {column.maximum:,.15g}", fix, check)


def _past(column: Column, now: datetime) -> Rule:
    latest = pd.Timestamp(now) if column.kind == "instant" else now.date()
    check = pa.Check(lambda values: values <= latest, error="future")
    fix = "correct the clock, or the zone in which it was written"
    return Rule("future", column.name, column.name, f"nothing later than now ({now.isoformat()})", fix, check)
