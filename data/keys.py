"""Keys and references across the parts of tables: DuckDB judges, so that neither has to fit in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.csv_text import FIRST
from data.findings import Finding
from data.kinds import reading
from data.parts import literal, quoted, scan
from data.values import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

    from data.contracts import Reference, Table
    from data.parts import Part


@dataclass(frozen=True)
class Readable:
    """The parts of one table that could be read to their end, under the names to call them by.

    Attributes:
        table: the contract.
        parts: each part by its name in findings.
        whole: whether these are all the table has.
    """

    table: Table
    parts: Mapping[str, Part]
    whole: bool

    def select(self, names: tuple[str, ...], zone: str | None) -> str | None:
        """The SQL of `file`, `row` and the named columns, of parts that hold them all; None where no part does."""
        selects = [
            f"SELECT {literal(file)} AS file, row_number() OVER () AS row, {columns} FROM {scan((part,))}"
            for file, part in self.parts.items()
            if (columns := _columns(self.table, part, names, zone)) is not None
        ]
        return " UNION ALL ".join(selects) or None

    def tells(self, name: str, zone: str | None) -> bool:
        """Whether some part holds the column in a type that can be read."""
        return any(_columns(self.table, part, (name,), zone) for part in self.parts.values())

    def tells_whole(self, name: str, zone: str | None) -> bool:
        """Whether every part of the table does, so that a value it lacks is unknown."""
        return self.whole and all(_columns(self.table, part, (name,), zone) for part in self.parts.values())


def duplicates(connection: duckdb.DuckDBPyConnection, readable: Readable, zone: str | None) -> Iterator[Finding]:
    """Every key that more than one row bears, in one part or across several."""
    key = readable.table.key
    rows = readable.select(key, zone)
    if rows is None:
        return
    names = ", ".join(quoted(name) for name in key)
    known = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in key)
    repeated = f"SELECT {names}, count(*) AS times FROM ({rows}) WHERE {known} GROUP BY {names} HAVING times > 1"
    shown = " || ', ' || ".join(f"{quoted(name)}::VARCHAR" for name in key)
    counted = f"concat('''', {shown}, ''' in ', times, ' rows') AS shown"
    located = f"SELECT file, row, {counted} FROM ({rows}) JOIN repeated USING ({names})"
    for file, first, count, examples in _located(connection, "repeated", repeated, located):
        yield Finding(
            "duplicate_key",
            readable.table.name,
            file,
            ", ".join(key),
            first,
            count,
            examples,
            f"each {', '.join(key)} in one row of the table",
            "remove the repeats; give rows that differ keys of their own",
        )


def unknown(
    connection: duckdb.DuckDBPyConnection,
    readable: Readable,
    reference: Reference,
    target: Readable,
    zone: str | None,
) -> Iterator[Finding]:
    """Every value of the column that the other table does not have."""
    rows = readable.select((reference.column,), zone)
    there = target.select((reference.target,), zone)
    if rows is None or there is None:
        return
    column, targets = quoted(reference.column), quoted(reference.target)
    missing = (
        f"SELECT DISTINCT {column} FROM ({rows}) ANTI JOIN (SELECT {targets} AS {column} FROM ({there}))"
        f" USING ({column}) WHERE {column} IS NOT NULL"
    )
    located = f"SELECT file, row, concat('''', {column}, '''') AS shown FROM ({rows}) JOIN missing USING ({column})"
    for file, first, count, examples in _located(connection, "missing", missing, located):
        yield Finding(
            "unknown_reference",
            readable.table.name,
            file,
            reference.column,
            first,
            count,
            examples,
            f"a {reference.target} of the table {reference.table}",
            f"add them to {reference.table}, or correct them"
            + (", or leave them empty" if readable.table.column(reference.column).nullable else ""),
        )


def _located(
    connection: duckdb.DuckDBPyConnection, name: str, bad: str, located: str
) -> Iterator[tuple[str, tuple[int, ...], int, str]]:
    """File, first rows, number of rows and examples of bad values; rows are looked for only where there are some."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {bad}")
    if connection.execute(f"SELECT count(*) FROM {name}").fetchall() != [(0,)]:
        found = connection.execute(
            f"SELECT file, min(row, {FIRST}), count(*), arg_min(shown, row, {FIRST})"
            f" FROM ({located}) GROUP BY file ORDER BY file"
        ).fetchall()
        for file, rows, count, shown in found:
            examples = list(dict.fromkeys(shown))[:EXAMPLES]
            yield file, tuple(rows), count, ", ".join(examples)
    connection.execute(f"DROP TABLE {name}")


def _columns(table: Table, part: Part, names: tuple[str, ...], zone: str | None) -> str | None:
    selected: list[str] = []
    for name in names:
        found = part.columns.get(name)
        how = reading(table.column(name), found, is_text=part.is_text, zone=zone) if found else None
        if how is None:
            return None
        selected.append(f"{how.sql()} AS {quoted(name)}")
    return ", ".join(selected)
