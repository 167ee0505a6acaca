"""How the parts of a table become one view with the contract's types, and where a part cannot."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from data.contracts import TABLES
from data.kinds import EXPECTED, NAIVE, NAIVE_FIX, SQL_TYPES, STORED, reading
from data.parts import literal, quoted, scan

if TYPE_CHECKING:
    from data.contracts import Column, Table
    from data.parts import Part


@dataclass(frozen=True)
class Misfit:
    """A column that a part lacks, or holds as a type that cannot carry its kind; `rule` says which."""

    rule: str
    column: str
    found: str
    expected: str
    fix: str

    def text(self) -> str:
        """In one line."""
        return f"column {self.column}: found {self.found}; expected {self.expected}; {self.fix}"


def misfits(table: str, part: Part, zone: str | None) -> tuple[Misfit, ...]:
    """Why a part cannot be read as its table; a table that no contract knows always can."""
    if table not in TABLES:
        return ()
    judged = (_misfit(column, part, zone) for column in TABLES[table].columns)
    return tuple(misfit for misfit in judged if misfit is not None)


def view_sql(name: str, parts: tuple[Part, ...], zone: str | None) -> str:
    """The statement that makes one view of the parts, all of which fit."""
    groups = [tuple(group) for _, group in groupby(sorted(parts, key=_shape), key=_shape)]
    table = TABLES.get(name)
    selects = [f"SELECT {_columns(table, group[0], zone) if table else '*'} FROM {scan(group)}" for group in groups]
    return f"CREATE VIEW {quoted(name)} AS {' UNION ALL BY NAME '.join(selects)}"


def _shape(part: Part) -> tuple[bool, tuple[tuple[str, str], ...]]:
    return part.is_text, tuple(part.columns.items())


def _misfit(column: Column, part: Part, zone: str | None) -> Misfit | None:
    found = part.columns.get(column.name)
    if found is None:
        return _absent(column, part)
    read = reading(column, found, is_text=part.is_text, zone=zone)
    if read is not None:
        return None
    if column.kind == "instant" and found in NAIVE:
        return Misfit("naive_time", column.name, f"{found} without a time zone", EXPECTED["instant"], NAIVE_FIX)
    return Misfit(
        "wrong_type", column.name, f"the type {found}", EXPECTED[column.kind], f"store it as {STORED[column.kind]}"
    )


def _absent(column: Column, part: Part) -> Misfit | None:
    folded = {name.casefold(): name for name in part.columns}
    alike = folded.get(column.name.casefold())
    if column.optional and alike is None:
        return None
    close = [alike] if alike else difflib.get_close_matches(column.name, part.columns, n=1)
    rename = f"rename {close[0]}, or add" if close else "add"
    return Misfit(
        "missing_column",
        column.name,
        f"columns {', '.join(part.columns)}",
        f"a column {column.name} ({column.meaning})",
        f"{rename} the column {column.name}",
    )


def _columns(table: Table, part: Part, zone: str | None) -> str:
    declared = [_declared(table.name, column, part, zone) for column in table.columns]
    known = {column.name for column in table.columns}
    return ", ".join([*declared, *(quoted(name) for name in part.columns if name not in known)])


def _declared(table: str, column: Column, part: Part, zone: str | None) -> str:
    name = quoted(column.name)
    found = part.columns.get(column.name)
    if found is None:
        return f"NULL::{SQL_TYPES[column.kind]} AS {name}"
    read = reading(column, found, is_text=part.is_text, zone=zone)
    if read is None:
        raise ValueError(f"{table}.{column.name} does not fit; `misfits` was not asked")
    start = literal(f"{table}.{column.name}: found ")
    end = literal(f", expected {EXPECTED[column.kind]}; `shepherd check` lists every such row")
    return f"{read.sql(f'error({start} || {read.raw}::VARCHAR || {end})')} AS {name}"
