"""The ground from which a site would draw: people and money in rings around it, and what Huff's model leaves it.

Cells of the demand grid count by where their middle lies. Competitors are all stores and rival places there are on the
eve of a day; the share that each cell already gives them is one sum, so a site is scored by its own cells alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.huff import Huff
    from features.kernel import Doubles
    from features.neighbourhood import Pairs, Points, Wholes
    from features.surroundings import Lasting


@dataclass(frozen=True)
class Ground:
    """The demand grid, filed.

    Attributes:
        points: The middles of its cells.
        population: People of each, shape (cells,).
        columns: Further numbers of each cell by name; NaN where one is not known.
    """

    points: Points
    population: Doubles
    columns: Mapping[str, Doubles]


@dataclass(frozen=True)
class Field:
    """Who competes for the cells, whatever the day.

    Attributes:
        pairs: Competitors within reach of each cell; rows are cells.
        pull: What each pair's competitor draws from the cell, as `Huff` says, shape (pairs,).
        lasting: When each competitor is there.
        store: Position of the chain's own store, -1 for a rival; shape (competitors,).
    """

    pairs: Pairs
    pull: Doubles
    lasting: Lasting
    store: Wholes

    def drawn(self, cells: int, day: int, left_out: int) -> tuple[Doubles, Doubles]:
        """What pulls at each cell on the eve of a day in all, and from the chain's own stores; shape (cells,) each."""
        there = self.lasting.there(day) & ((self.store != left_out) | (self.store < 0))
        pairs, own = self.pairs, self.store >= 0
        present = there[pairs.point]
        everybody = pairs.where(present).total(cells, self.pull[present])
        ours = present & own[pairs.point]
        return everybody, pairs.where(ours).total(cells, self.pull[ours])


def decayed(pairs: Pairs, values: Doubles, rows: int, scale_m: float) -> Doubles:
    """The sum of values around, each less by e for every `scale_m` of distance; unknown ones count nothing."""
    known = np.isfinite(values[pairs.point])
    kept = pairs.where(known)
    return kept.total(rows, values[kept.point] * np.exp(-kept.metres / scale_m))


def mean_decayed(pairs: Pairs, values: Doubles, weight: Doubles, rows: int, scale_m: float) -> Doubles:
    """The mean of values around, by weight and nearness; NaN where there is none."""
    below = decayed(pairs, np.where(np.isfinite(values), weight, np.nan), rows, scale_m)
    above = decayed(pairs, values * weight, rows, scale_m)
    found: Doubles = np.divide(above, below, out=np.full(rows, np.nan), where=below > 0)
    return found


def huff_columns(
    huff: Huff, pairs: Pairs, demand: Doubles, drawn: tuple[Doubles, Doubles], floor_m2: Doubles
) -> Mapping[str, Doubles]:
    """What each site would get, had it opened: people, as a share of its trade area's, and how much from sister stores.

    Args:
        huff: The model.
        pairs: Cells of each site's trade area; rows are sites.
        demand: People of each cell.
        drawn: As `Field.drawn`.
        floor_m2: Sales floor of each site, shape (rows,); NaN gives NaN.
    """
    rows = len(floor_m2)
    pull = np.exp(huff.log_pull(floor_m2[pairs.row], pairs.metres))
    there = drawn[0][pairs.point] + huff.elsewhere
    everybody = there + pull
    got = demand[pairs.point] * np.divide(pull, everybody, out=np.zeros_like(pull), where=everybody > 0)
    market = np.where(np.isfinite(floor_m2), pairs.total(rows, got), np.nan)
    around = pairs.total(rows, demand[pairs.point])
    sisters = np.divide(drawn[1][pairs.point], there, out=np.zeros_like(there), where=there > 0)
    taken = pairs.total(rows, got * sisters)
    nothing, positive = np.full(rows, np.nan), market > 0
    return {
        "huff_market_people": np.where(around > 0, market, np.nan),
        "huff_share": np.divide(market, around, out=nothing.copy(), where=around > 0),
        "huff_from_own_share": np.divide(taken, market, out=nothing, where=positive),
    }
