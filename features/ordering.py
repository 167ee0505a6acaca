"""Compiled loops that bring values from the order of rows into that of keys, add them up there, and bring answers back.

Whatever has to jump about reads here and there and writes one after the other, which costs less than the reverse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.kernel import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.kernel import Answers, Flags, Int32, Int64, Kind


@compiled
def in_time_order(start: Int64, at: Int64) -> bool:
    """Whether the instants of no key ever fall."""
    for key in range(len(start) - 1):
        for row in range(start[key] + 1, start[key + 1]):
            if at[row] < at[row - 1]:
                return False
    return True


@compiled
def gather(values: NDArray[Kind], row: Int32, found: NDArray[Kind]) -> None:
    """The values of some rows."""
    for number in range(len(row)):
        found[number] = values[row[number]]


@compiled
def to_rows(values: Answers, place: Int32, answer: Answers) -> None:
    """The answer of each row, which stands at its place; null where the row has none."""
    for row in range(len(place)):
        answer[row] = values[place[row]] if place[row] >= 0 else np.nan


@compiled
def running(values: Int64 | Flags, power: int, before: Int64) -> None:
    """The sum of the values (power 1) or of their squares (2) before each place; one longer than the values."""
    total = np.int64(0)
    before[0] = 0
    for place in range(len(values)):
        value = np.int64(values[place])
        total += value * value if power > 1 else value
        before[place + 1] = total
