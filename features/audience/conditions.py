"""A filter as SQL over the tables that `features.audience.population` lays out; values are parameters, never text.

The relation that a condition is asked of has one row a member: the columns of the table of members, `segment` and the
features that the filter names, and `bought_0`, `bought_1` ... for the purchases that it asks about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.parts import quoted
from features.audience.filter import AllOf, AnyOf, Bought, Compare, Everybody, Known, Listed, Not, Registered, Span
from features.audience.vocabulary import LINE_COLUMNS, TERMS, TOTALS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from features.audience.filter import Filter, Value


@dataclass(frozen=True)
class Sql:
    """A piece of a query and what stands for its question marks."""

    text: str
    values: tuple[object, ...] = ()


_TOTALS: Mapping[str, str] = {
    "baskets": "count(DISTINCT order_id) FILTER ({})",
    "pieces": "coalesce(sum(quantity) FILTER ({}), 0)",
    "spent_fen": "coalesce(sum(amount_fen) FILTER ({}), 0)",
}


def purchases(condition: Filter) -> tuple[Bought, ...]:
    """The purchases that a filter asks about, each once."""
    return tuple(dict.fromkeys(part for part in condition.walk() if isinstance(part, Bought)))


def names(condition: Filter) -> tuple[str, ...]:
    """The features and columns of a member that a filter reads, each once."""
    return tuple(dict.fromkeys(part.name for part in condition.walk() if isinstance(part, Compare | Known)))


def bought_sql(asked: Sequence[Bought], lines: str, at: datetime) -> Sql:
    """A query with member_id and, for each purchase asked about, whether it was made; who bought nothing has no row.

    Args:
        asked: The purchases.
        lines: The query of the log of order lines.
        at: The moment; lines that were known before it count.
    """
    marks = [_line_sql(one, at) for one in asked]
    marked = ", ".join(f"({mark.text}) AS mark_{number}" for number, mark in enumerate(marks))
    answers = [_total_sql(one, f"mark_{number}") for number, one in enumerate(asked)]
    answered = ", ".join(f"({answer.text}) AS bought_{number}" for number, answer in enumerate(answers))
    text = f"""
        SELECT member_id, {answered}
        FROM (
            SELECT member_id, order_id, quantity, amount_fen, {marked}
            FROM ({lines}) WHERE seen_at < ? AND member_id IS NOT NULL
        )
        GROUP BY member_id
    """
    values = [value for answer in answers for value in answer.values]
    return Sql(text, (*values, *(value for mark in marks for value in mark.values), at))


def condition_sql(condition: Filter, asked: Sequence[Bought], at: datetime) -> Sql:
    """A filter as one condition, never null.

    Args:
        condition: The filter, with saved audiences put in for their names.
        asked: Its purchases, in the order of their columns.
        at: The moment.
    """
    match condition:
        case AllOf() | AnyOf():
            return _joined(
                [condition_sql(part, asked, at) for part in condition.of],
                "AND" if isinstance(condition, AllOf) else "OR",
            )
        case Not():
            part = condition_sql(condition.part, asked, at)
            return Sql(f"NOT ({part.text})", part.values)
        case Bought():
            return Sql(f"coalesce(bought_{asked.index(condition)}, false)")
        case _:
            part = _of_member(condition, at)
            return Sql(f"coalesce({part.text}, false)", part.values)


def _of_member(condition: Filter, at: datetime) -> Sql:
    """A test of the member's own row; null where it looks at a null."""
    match condition:
        case Everybody():
            return Sql("true")
        case Listed(path=path) if path:
            return Sql("member_id IN (SELECT member_id FROM read_parquet(?))", (path,))
        case Known():
            return Sql(f"{quoted(condition.name)} IS NOT NULL")
        case Registered():
            return _between("registered_at", condition.within, condition.before, at)
        case Compare():
            return _compared(condition, single=TERMS[condition.name].sort in ("number", "seconds"))
    raise ValueError(f"{condition!r} has no SQL; saved audiences are put in for their names before")


def _line_sql(asked: Bought, at: datetime) -> Sql:
    """Whether a line satisfies what is asked of each."""
    parts = [_compared(one, single=False) for one in asked.conditions if one.name in LINE_COLUMNS]
    return _joined([*parts, _between("seen_at", asked.within, asked.before, at)])


def _total_sql(asked: Bought, mark: str) -> Sql:
    """Whether the marked lines of a member together satisfy what is asked of them; there is at least one."""
    totals = [
        Sql(f"{_TOTALS[one.name].format(mark)} {one.test} ?", (_plain(one.value),))
        for one in asked.conditions
        if one.name in TOTALS
    ]
    return _joined([Sql(f"count(*) FILTER ({mark}) > 0"), *totals])


def _compared(condition: Compare, *, single: bool) -> Sql:
    """A test; a feature is rounded to float32, and so is what it is held against."""
    if isinstance(condition.value, tuple):
        marks = ", ".join("?" for _ in condition.value)
        return Sql(f"{quoted(condition.name)} IN ({marks})", condition.value)
    mark = "?::DOUBLE::FLOAT" if single else "?"
    return Sql(f"{quoted(condition.name)} {condition.test} {mark}", (_plain(condition.value),))


def _between(column: str, within: Span | None, before: Span | None, at: datetime) -> Sql:
    """At most `within` before the moment, itself included, and earlier than `before` before it."""
    since = [Sql(f"{column} >= ?", (at - within.length,))] if within else []
    until = [Sql(f"{column} < ?", (at - before.length,))] if before else []
    return _joined([*since, *until])


def _joined(parts: Sequence[Sql], word: str = "AND") -> Sql:
    text = f" {word} ".join(f"({part.text})" for part in parts) or "true"
    return Sql(text, tuple(value for part in parts for value in part.values))


def _plain(value: Value) -> object:
    return value.seconds if isinstance(value, Span) else value
