"""How shoppers divide what they spend among the shops around them: Huff's model, with a share that stays away.

A shopper of cell i spends at shop j the share (Huff 1963; `notes/sites.md` section 5)

    P_ij = w_j A_j d_ij^-b / (o + sum_k w_k A_k d_ik^-b)

where A is attraction, d the distance with a floor, w how far the shop has come (0 shut, 1 mature), and o what is spent
elsewhere: online, at markets, or not at all. People at home and people passing by divide their money by the same rule
with other numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from data.world.grid import Floats


@dataclass(frozen=True)
class Segment:
    """One way of coming to a shop.

    Attributes:
        decay: b, the power of distance.
        elsewhere: o, the pull of everything that is no shop of the model, in units of a store of 300 square metres
            at one kilometre.
        yuan: what one head spends a month at home, or one passer a passage, on what the brand sells.
        formats: attraction of the own formats (`StoreSettings.formats`) to such shoppers.
    """

    decay: float
    elsewhere: float
    yuan: float
    formats: tuple[float, float, float]


@dataclass(frozen=True)
class GravitySettings:
    """The true parameters of the gravity model.

    Decays near 2 are common for groceries in the literature on Huff's model; `area_power` below 1 says that twice the
    floor does not sell twice as much; 115 yuan a head and month for fruit, dairy, drinks and snacks is about a seventh
    of urban spending on food, tobacco and alcohol (National Bureau of Statistics, about 800 yuan in 2023); the rest is
    assumed, and set so that a neighbourhood store takes some 20 000 yuan a square metre and year.

    Attributes:
        residents: those who shop from home.
        passers: those who shop on their way.
        area_power: elasticity of a shop's attraction to its sales floor; assumed.
        area_unit_m2: floor at which a shop has attraction 1, a neighbourhood store's.
        floor_km: distance below which nearer draws no more; assumed.
        income_power: elasticity of what a head spends on what the brand sells to the income of its cell, relative
            to the city's mean; assumed.
        complements: sorts of places that draw shoppers to a shop nearby, each with its strength c: n of them multiply
            attraction by (1 + n) to the power c. Assumed.
        complement_km: how near such a place must be; assumed.
    """

    residents: Segment = Segment(decay=1.9, elsewhere=6.0, yuan=115.0, formats=(1.0, 0.6, 1.1))
    passers: Segment = Segment(decay=2.6, elsewhere=9.0, yuan=0.4, formats=(0.6, 1.6, 1.0))
    area_power: float = 0.75
    area_unit_m2: float = 300.0
    floor_km: float = 0.4
    income_power: float = 0.45
    complements: tuple[tuple[str, float], ...] = (
        ("mall", 0.16),
        ("metro_exit", 0.10),
        ("school", 0.08),
        ("restaurant", 0.05),
        ("gym", 0.05),
        ("hospital", 0.06),
    )
    complement_km: float = 0.4


def pulls(decay: float, floor_km: float, apart_km: Floats) -> Floats:
    """d^-b with the floor: how much of its attraction a shop keeps over a distance."""
    kept: Floats = np.maximum(apart_km, floor_km) ** -decay
    return kept


def shares(pull: Floats, weight: Floats, elsewhere: Floats | float) -> tuple[Floats, Floats]:
    """What share of its money each cell spends at each shop, and what share elsewhere; together 1 for each cell.

    Args:
        pull: A_j d_ij^-b; cells x shops.
        weight: w_j, 0 for a shop that is shut; one for each shop.
        elsewhere: o; a number, or one for each cell.

    Returns:
        Shares, cells x shops; and the share spent elsewhere, one for each cell.
    """
    weighed = pull * weight
    total = weighed.sum(axis=1) + elsewhere
    return weighed / total[:, None], elsewhere / total


def takings(pull: Floats, weights: Floats, elsewhere: Floats | float, demand: Floats) -> Floats:
    """What each shop takes in each month; shops x months, in the unit of `demand`.

    Args:
        pull: A_j d_ij^-b; cells x shops.
        weights: w_j of each month; shops x months.
        elsewhere: o; a number, or for each cell and month what competes with the shops in `pull`.
        demand: what each cell spends; cells x 1 or cells x months.
    """
    total = pull @ weights + elsewhere
    taken: Floats = weights * (pull.T @ (demand / total))
    return taken
