"""What a check of a data set says: every fault with its place, what was found, what was expected and how to mend it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Finding:
    """One broken rule of one column in one file.

    Attributes:
        rule: the rule in one word for machines, such as `duplicate_key`.
        table: the table.
        file: the file, relative to the data set's root.
        column: the column or columns; None where the whole file is meant.
        rows: data rows of the file that break it, counted from 1 (a header is no row): the first ten. Empty where
            every row does, or where the file as a whole does.
        count: how many rows break it.
        found: what stands there, some examples.
        expected: what the contract asks.
        fix: what to do.
    """

    rule: str
    table: str
    file: str
    column: str | None
    rows: tuple[int, ...]
    count: int
    found: str
    expected: str
    fix: str

    def text(self) -> str:
        """For people, over four lines."""
        place = f"{self.table}.{self.column}" if self.column else self.table
        return (
            f"{place} in {self.file}{_where(self.rows, self.count)}\n"
            f"  found     {self.found}\n"
            f"  expected  {self.expected}\n"
            f"  to mend   {self.fix}"
        )


@dataclass(frozen=True)
class CheckReport:
    """The outcome of a check: it passed if there are no findings.

    Attributes:
        root: the data set.
        tables: rows read of each table.
        findings: every broken rule, in the order of the contracts.
        notes: what could not be judged, and why.
    """

    root: str
    tables: Mapping[str, int]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def text(self) -> str:
        """For people: the findings first, then what was read, then what was not judged, then the verdict."""
        width = max((len(name) for name in self.tables), default=0)
        blocks = [
            *(finding.text() for finding in self.findings),
            "\n".join(f"{name:<{width}}  {rows:>13,} rows" for name, rows in self.tables.items()),
            "\n".join(f"not judged: {note}" for note in self.notes),
            self._verdict(),
        ]
        return "\n\n".join(block for block in blocks if block)

    def as_dict(self) -> dict[str, Any]:
        """For machines: plain lists, numbers and texts."""
        return {
            "root": self.root,
            "passed": self.passed,
            "tables": dict(self.tables),
            "findings": [asdict(finding) | {"rows": list(finding.rows)} for finding in self.findings],
            "notes": list(self.notes),
        }

    def _verdict(self) -> str:
        if self.passed:
            return f"{self.root}: no findings in {_counted(len(self.tables), 'table')}"
        return f"{self.root}: {_counted(len(self.findings), 'finding')}"


def _where(rows: tuple[int, ...], count: int) -> str:
    if not count:
        return ""
    if not rows:
        return f", every row ({count:,})"
    named = ", ".join(str(row) for row in rows)
    if count == 1:
        return f", row {named}"
    return f", rows {named} … ({count:,} rows)" if count > len(rows) else f", rows {named} ({count:,} rows)"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
