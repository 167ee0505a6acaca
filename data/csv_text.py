"""CSV as text: its header, and whether every row can be read at all (UTF-8, whole quotes, as many cells as columns)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = 10
LONGEST_CELL = 1 << 21  # characters; DuckDB reads no longer line


@dataclass(frozen=True)
class Defect:
    """Why a file cannot be read: in which data rows (the first ten, and how many), what was found, how to mend it."""

    found: str
    expected: str
    fix: str
    rows: tuple[int, ...] = ()
    count: int = 0

    def text(self) -> str:
        """In one line."""
        return f"found {self.found}; expected {self.expected}; {self.fix}"


class UnreadableFile(Exception):
    """A file that cannot be read; the defect says why."""

    def __init__(self, defect: Defect) -> None:
        super().__init__(defect.text())
        self.defect = defect


def header(file: BinaryIO) -> tuple[str, ...]:
    """The names in the first line.

    Raises:
        UnreadableFile: an empty file, a broken quote, a name twice.
    """
    try:
        names = next(csv.reader(_decoded(file, _Rows()), strict=True), [])
    except csv.Error as error:
        raise UnreadableFile(_broken(error, 0)) from error
    if not names:
        expected = "a CSV file whose first line names its columns"
        raise UnreadableFile(Defect("an empty file", expected, "write the header line"))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        found = f"two columns named {', '.join(twice)}"
        raise UnreadableFile(Defect(found, "each column once", "rename or drop one of them"))
    return tuple(names)


def defects(file: BinaryIO, width: int) -> tuple[Defect, ...]:
    """What keeps the rows of a file with `width` columns from being read; reads it through, a line at a time."""
    not_utf8, uneven = _Rows(), _Rows()
    broken: tuple[Defect, ...] = ()
    widths: set[int] = set()
    reader = csv.reader(_decoded(file, not_utf8), strict=True)
    usual = csv.field_size_limit(LONGEST_CELL)
    try:
        next(reader, None)
        for cells in reader:
            if not cells:
                continue
            not_utf8.current += 1
            uneven.current += 1
            if len(cells) != width:
                uneven.add()
                widths.add(len(cells))
    except csv.Error as error:
        broken = (_broken(error, uneven.current),)
    finally:
        csv.field_size_limit(usual)
    found = (
        _encoding(not_utf8) if not_utf8.count else None,
        _width(uneven, widths, width) if uneven.count else None,
    )
    return tuple(defect for defect in found if defect is not None) + broken


class _Rows:
    """Counts rows that fail and keeps the numbers of the first ten."""

    def __init__(self) -> None:
        self.current = 0
        self.count = 0
        self.first: list[int] = []

    def add(self, ahead: int = 0) -> None:
        row = self.current + ahead
        if self.first[-1:] == [row]:
            return
        self.count += 1
        if len(self.first) < FIRST:
            self.first.append(row)


def _decoded(file: BinaryIO, not_utf8: _Rows) -> Iterator[str]:
    mark = "\ufeff"
    ahead = 0
    for line in file:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            not_utf8.add(ahead)
            text = line.decode(errors="replace")
        yield text.removeprefix(mark)
        mark, ahead = "", 1


def _encoding(rows: _Rows) -> Defect:
    return Defect(
        "bytes that are not UTF-8",
        "a CSV file in UTF-8",
        "save it as UTF-8; one from a Chinese Excel: iconv -f GB18030 -t UTF-8",
        tuple(rows.first),
        rows.count,
    )


def _width(rows: _Rows, widths: set[int], width: int) -> Defect:
    return Defect(
        f"rows of {', '.join(str(found) for found in sorted(widths))} cells",
        f"{width} cells, as many as the header names",
        "write the file with a CSV library, which quotes a cell that holds a comma",
        tuple(rows.first),
        rows.count,
    )


def _broken(error: csv.Error, rows: int) -> Defect:
    return Defect(
        f"a cell that does not end ({error})",
        'cells separated by commas, quoted by ", and "" for a quote inside',
        "write the file with a CSV library",
        (rows + 1,),
        1,
    )
