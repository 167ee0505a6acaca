"""Answers of many units on disk, given back by feature and position."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from features.columns import Columns

if TYPE_CHECKING:
    from pathlib import Path

    from features.kernel import Answers, Int64
    from features.unit import UnitAnswers


@dataclass
class Collected:
    """Computed columns whose pieces lie in the files of units, and those of rings, which are whole.

    Attributes:
        starts: The positions at which a piece of the rows may begin, ascending; the last is the number of rows.
        rings: The columns of rings.
    """

    starts: tuple[int, ...]
    rings: Columns = field(default_factory=lambda: Columns(0))
    _units: dict[str, list[tuple[UnitAnswers, Int64]]] = field(default_factory=dict, init=False)
    _read: dict[Path, tuple[int, Int64]] = field(default_factory=dict, init=False)

    def add(self, outputs: tuple[str, ...], units: list[UnitAnswers]) -> None:
        """Takes in the units of a group, which has these outputs."""
        placed = [(unit, self._edges(unit)) for unit in units]
        self._units.update(dict.fromkeys(outputs, placed))

    @property
    def done(self) -> int:
        """How many columns there are."""
        return len(self._units)

    def part(self, name: str, start: int, stop: int) -> Answers:
        """Some rows of a column, from one of the starts to the next."""
        if name not in self._units:
            return self.rings.part(name, start, stop)
        piece = self.starts.index(start)
        double = any(unit.starts[name][1] for unit, _ in self._units[name])
        rows = stop - start
        values: Answers = np.full(rows, np.nan, np.float64) if double else np.full(rows, np.nan, np.float32)
        for unit, edges in self._units[name]:
            first, last = int(edges[piece]), int(edges[piece + 1])
            if last > first:
                values[self._places(unit, first, last) - start] = unit.values(name, first, last)
        return values

    def _edges(self, unit: UnitAnswers) -> Int64:
        """Where in a unit each piece begins; inside a piece its rows are in any order."""
        return np.searchsorted(np.maximum.accumulate(unit.positions(0, unit.rows)), self.starts)

    def _places(self, unit: UnitAnswers, first: int, last: int) -> Int64:
        """The positions of a unit's rows in one piece, which all its columns share."""
        begin, held = self._read.get(unit.path, (-1, np.empty(0, np.int64)))
        if begin != first:
            held = unit.positions(first, last)
            self._read[unit.path] = (first, held)
        return held
