"""The tables in words: `docs/tables.md`, made from the contracts so that the two cannot differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.contracts import TABLES

if TYPE_CHECKING:
    from data.contracts import Column, Table

_INTRODUCTION = (
    "Made from `data/contracts.py` by `make docs`. A table is one Parquet or CSV file of its name, or a folder of "
    "parts; all tables that a task does not use may be missing. Times carry a zone, or `--time-zone` is given. "
    "Money is whole fen (cents of whatever the currency). Further columns and tables pass through untouched."
)


def tables_page() -> str:
    """The page, in Markdown; `make docs` writes it and a test holds it true."""
    parts = [
        "# The tables",
        "",
        _INTRODUCTION,
        "",
    ]
    for table in TABLES.values():
        parts += _section(table)
    return "\n".join(parts).rstrip() + "\n"


def _section(table: Table) -> list[str]:
    references = [f"`{each.column}` refers to `{each.table}.{each.target}`" for each in table.references]
    return [
        f"## {table.name}",
        "",
        f"{_sentence(table.meaning)} Key: {', '.join(f'`{name}`' for name in table.key)}."
        + (f" {'; '.join(references)}." if references else ""),
        "",
        "| column | kind | may lack | meaning |",
        "| --- | --- | --- | --- |",
        *(_row(column) for column in table.columns),
        "",
    ]


def _row(column: Column) -> str:
    lack = "column" if column.optional else "values" if column.nullable else ""
    limits = [f"one of {', '.join(column.choices)}"] if column.choices else []
    limits += [f"at least {column.minimum:g}"] if column.minimum is not None else []
    limits += [f"at most {column.maximum:g}"] if column.maximum is not None else []
    limits += ["not in the future"] if column.past else []
    meaning = column.meaning.replace("|", "\\|") + (f" ({'; '.join(limits)})" if limits else "")
    return f"| `{column.name}` | {column.kind} | {lack} | {meaning} |"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."
