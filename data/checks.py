"""Whether a data set keeps the contracts: every broken rule of every table at once, and nothing partly read."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from data import csv_text
from data.contracts import TABLES
from data.csv_text import UnreadableFile
from data.errors import DataError
from data.findings import CheckReport, Finding
from data.keys import Readable, duplicates, unknown
from data.parts import open_part, scan, unreadable
from data.storage import storage_of
from data.values import judge
from data.views import misfits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from data.contracts import Table
    from data.csv_text import Defect
    from data.parts import Part
    from data.sources import DataSet, Refusal
    from data.storage import Storage
    from data.values import Breach, Judgement
    from data.views import Misfit


def require(data_set: DataSet, now: datetime) -> CheckReport:
    """Check, and go on only with a data set that keeps every rule.

    Raises:
        DataError: with every finding.
    """
    report = check(data_set, now)
    if not report.passed:
        raise DataError(report.text())
    return report


def check(data_set: DataSet, now: datetime) -> CheckReport:
    """Hold every table of a data set against its contract.

    Files are read in batches, keys and references are judged by DuckDB across all parts, so memory does not grow with
    the data. A fault in one table hides none in another. Tables that no contract knows are read through and not judged.

    Args:
        data_set: as `data.sources.open_folder` gives it.
        now: the moment after which nothing can have happened; with a time zone.
    """
    if now.tzinfo is None:
        raise ValueError("now: found a time without a zone; expected an aware one, such as datetime.now(UTC)")
    with data_set.bare_connection() as connection:
        return _Checking(data_set, now, connection, storage_of(data_set.root)).report()


@dataclass
class _Checking:
    data_set: DataSet
    now: datetime
    connection: duckdb.DuckDBPyConnection
    storage: Storage
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def report(self) -> CheckReport:
        names = [name for name in TABLES if name in self.data_set.files]
        names += [name for name in self.data_set.files if name not in TABLES]
        self.findings += [_refused(self.data_set, refusal) for refusal in self.data_set.refusals]
        rows: dict[str, int] = {}
        readable: dict[str, Readable] = {}
        for name in names:
            if name in TABLES:
                rows[name], readable[name] = self._table(TABLES[name])
            else:
                rows[name] = self._stranger(name)
        for one in readable.values():
            self.findings += duplicates(self.connection, one, self.data_set.time_zone)
            self._references(one, readable)
        order = {name: place for place, name in enumerate(TABLES)}
        findings = sorted(self.findings, key=lambda finding: order.get(finding.table, len(order)))
        return CheckReport(self.data_set.root, rows, tuple(findings), tuple(self.notes))

    def _table(self, table: Table) -> tuple[int, Readable]:
        files = self.data_set.files[table.name]
        parts: dict[str, Part] = {}
        total = 0
        for path in files:
            file = self.data_set.relative(path)
            try:
                part = open_part(self.connection, self.storage, path)
            except UnreadableFile as error:
                self.findings.append(_unreadable(table.name, file, error.defect))
                rows = None
            else:
                rows = self._part(table, part, file)
            if rows is None:
                self.notes.append(f"the values of {table.name} in {file}, because it cannot be read")
            else:
                parts[file] = part
                total += rows
        whole = len(parts) == len(files)
        if whole and not total:
            self.findings.append(_empty(table, self.data_set.relative(files[0])))
        return total, Readable(table, parts, whole=whole)

    def _part(self, table: Table, part: Part, file: str) -> int | None:
        """The rows of a part whose values could be judged; None where it cannot be read to its end."""
        judgement, broken = self._judgement(table, part)
        rows = judgement.rows if judgement else 0
        unfit = misfits(table.name, part, self.data_set.time_zone)
        self.findings += [_unreadable(table.name, file, defect) for defect in broken]
        self.findings += [_misfit(table.name, file, misfit, rows) for misfit in unfit]
        if judgement is None:
            return None
        self.findings += [_breach(table.name, file, breach) for breach in judgement.breaches]
        return rows

    def _judgement(self, table: Table, part: Part) -> tuple[Judgement | None, tuple[Defect, ...]]:
        broken = self._text_defects(part)
        if broken:
            return None, broken
        try:
            return judge(self.connection, table, part, self.data_set.time_zone, self.now), ()
        except UnreadableFile as error:
            return None, (error.defect,)

    def _stranger(self, name: str) -> int:
        """Read a table that no contract knows, so that a broken file of it is found too."""
        total = 0
        absent = [table for table in TABLES if table not in self.data_set.files]
        close = difflib.get_close_matches(name, absent, n=1)
        meant = f"; if {close[0]} is meant, rename it" if close else ""
        self.notes.append(f"{name}, because no contract knows such a table{meant}")
        for path in self.data_set.files[name]:
            rows, broken = self._read_through(path)
            total += rows
            self.findings += [_unreadable(name, self.data_set.relative(path), defect) for defect in broken]
        return total

    def _read_through(self, path: str) -> tuple[int, tuple[Defect, ...]]:
        try:
            part = open_part(self.connection, self.storage, path)
        except UnreadableFile as error:
            return 0, (error.defect,)
        broken = self._text_defects(part)
        if broken:
            return 0, broken
        try:
            query = f"SELECT count(*), bit_xor(hash(stranger)) FROM {scan((part,))} AS stranger"
            ((rows, _),) = self.connection.execute(query).fetchall()
        except duckdb.Error as error:
            return 0, (unreadable(error),)
        return int(rows), ()

    def _text_defects(self, part: Part) -> tuple[Defect, ...]:
        if not part.is_text:
            return ()
        with self.storage.open(part.path) as file:
            return csv_text.defects(file, len(part.columns))

    def _references(self, one: Readable, readable: Mapping[str, Readable]) -> None:
        zone = self.data_set.time_zone
        for reference in one.table.references:
            if not one.tells(reference.column, zone):
                continue
            target = readable.get(reference.table)
            if target is not None and target.tells_whole(reference.target, zone):
                self.findings += unknown(self.connection, one, reference, target, zone)
                continue
            why = "could not be read whole" if reference.table in self.data_set.files else "is not there"
            self.notes.append(f"{one.table.name}.{reference.column}, because the table {reference.table} {why}")


def _unreadable(table: str, file: str, defect: Defect) -> Finding:
    return Finding(
        "unreadable_file", table, file, None, defect.rows, defect.count, defect.found, defect.expected, defect.fix
    )


def _refused(data_set: DataSet, refusal: Refusal) -> Finding:
    file = data_set.relative(refusal.path)
    return Finding("unsupported_file", refusal.table, file, None, (), 0, refusal.found, refusal.expected, refusal.fix)


def _empty(table: Table, file: str) -> Finding:
    fix = "fill it, or remove it: an empty table claims that nothing of the kind ever was"
    return Finding("empty_table", table.name, file, None, (), 0, "no row", f"at least one row ({table.meaning})", fix)


def _misfit(table: str, file: str, misfit: Misfit, rows: int) -> Finding:
    return Finding(misfit.rule, table, file, misfit.column, (), rows, misfit.found, misfit.expected, misfit.fix)


def _breach(table: str, file: str, breach: Breach) -> Finding:
    rule = breach.rule
    found = ", ".join(breach.examples)
    return Finding(
        rule.name, table, file, rule.column, tuple(breach.rows), breach.count, found, rule.expected, rule.fix
    )
