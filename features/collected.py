"""Answers of many units on disk, given back by feature and position."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from features.columns import Columns

if TYPE_CHECKING:
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
    rings: Columns = field(default_factory=Columns)
    _units: dict[str, list[tuple[UnitAnswers, Int64]]] = field(default_factory=dict, init=False)

    def add(self, outputs: tuple[str, ...], units: list[UnitAnswers]) -> None:
        """Takes in the units of a group, which has these outputs."""
        placed = [(unit, np.searchsorted(unit.positions(0, unit.rows), self.starts)) for unit in units]
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
        values = np.full(stop - start, np.nan)
        for unit, edges in self._units[name]:
            first, last = int(edges[piece]), int(edges[piece + 1])
            if last > first:
                values[unit.positions(first, last) - start] = unit.values(name, first, last)
        return values
