"""What a new store takes from which of one's own, and what a closing gives back to whom: a calibrated Huff model.

The model is used for changes alone. A store's sales are what its books say; a plan multiplies them by the ratio of the
store's markets with and without the plan, so that an error common to both leaves no trace. Rivals of every kind and
everything else that sells (`elsewhere`) stand in the denominator: what a new store takes from them is the chain's gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from features.distance import degrees_apart_km
from features.huff import Huff

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

AREA_UNIT_M2: Final = 300.0
_METRES: Final = 1000.0


class Gravity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How shoppers choose among stores, as the chain's own sales say; the constants of a bundle.

    Attributes:
        alpha: Power of the sales floor.
        beta: Power of distance.
        floor_m: Distance below which nearer draws no more.
        elsewhere: What everything that is no store pulls, in stores of 300 square metres at one kilometre.
        passers: What a passer counts beside a resident.
        income_power: Elasticity of what a head spends to the income of its cell over the mean.
        rivals: Categories of places that compete, each like a store of 300 square metres.
        usual_area_m2: Floor of a store or site that names none.
        misfit: Standard deviation of the logarithm of sales over market among the stores it was calibrated on.
        strength: Power of a ratio of markets that gives the ratio of sales: how strongly the books of neighbours
            answered to openings and closings of own stores, 1 where there were too few to tell.
        strength_error: Standard error of that; None where it could not be told.
    """

    alpha: float
    beta: float
    floor_m: float
    elsewhere: float
    passers: float
    income_power: float
    rivals: tuple[str, ...]
    usual_area_m2: float
    misfit: float
    strength: float = 1.0
    strength_error: float | None = None

    def huff(self) -> Huff:
        """The model of shares; what is spent elsewhere is added by the caller together with the rivals."""
        return Huff(self.alpha, self.beta, floor_m=self.floor_m)

    def scaled(self, factor: float) -> Gravity:
        """The same with trade areas so many times as wide: the decay is softened to the inverse power."""
        return msgspec.structs.replace(self, beta=self.beta / factor)


@dataclass(frozen=True)
class Spots:
    """Where shops lie: degrees WGS-84, and sales floors in square metres, NaN unknown; arrays of one length."""

    lat: Floats
    lon: Floats
    area_m2: Floats


@dataclass(frozen=True)
class Demand:
    """The cells of the city grid; arrays of one length.

    Attributes:
        lat: Degrees, WGS-84.
        lon: Degrees, WGS-84.
        population: People who live there.
        income: What a household earns; NaN unknown.
        footfall: People who pass a day; 0 where it is not known.
    """

    lat: Floats
    lon: Floats
    population: Floats
    income: Floats
    footfall: Floats

    def heads(self, gravity: Gravity) -> Floats:
        """What each cell can spend, in residents of mean income."""
        known = ~np.isnan(self.income)
        relative = np.ones(len(self.income))
        if known.any() and self.population[known].sum() > 0:
            relative[known] = self.income[known] / np.average(self.income[known], weights=self.population[known])
        paid: Floats = self.population * relative**gravity.income_power + gravity.passers * self.footfall
        return paid


class Market:
    """The demand of a city's cells and everyone who competes for it.

    Args:
        gravity: How shoppers choose.
        demand: The cells.
        rivals: Shops of others that trade.
        stores: Own stores that trade.
    """

    def __init__(self, gravity: Gravity, demand: Demand, rivals: Spots, stores: Spots) -> None:
        self.gravity, self.demand = gravity, demand
        self.spent = demand.heads(gravity)
        self.against = self.pull(rivals).sum(axis=1) + gravity.elsewhere
        self.stores = self.pull(stores)

    def pull(self, spots: Spots) -> Floats:
        """What each shop pulls in each cell, shape (cells, shops)."""
        huff, area = self.gravity.huff(), np.where(np.isnan(spots.area_m2), self.gravity.usual_area_m2, spots.area_m2)
        apart = degrees_apart_km(self.demand.lat[:, None], self.demand.lon[:, None], spots.lat, spots.lon) * _METRES
        pulled: Floats = np.exp(huff.log_pull(area / AREA_UNIT_M2, apart))
        return pulled

    def markets(self, opened: Floats | None = None, closed: NDArray[np.bool_] | None = None) -> tuple[Floats, Floats]:
        """What own stores and opened sites get together, in the unit of `spent`; a closed store gets 0.

        Args:
            opened: Pulls of sites, shape (cells, sites).
            closed: Which own stores close, shape (stores,).
        """
        sites = np.zeros((len(self.spent), 0)) if opened is None else opened
        stores = self.stores if closed is None else self.stores * ~closed
        each = self.spent / (self.against + stores.sum(axis=1) + sites.sum(axis=1))
        return each @ stores, each @ sites

    def lost_shares(self, sites: Floats) -> Floats:
        """What share of its sales each own store loses to each site, opened alone; shape (sites, stores), 0 or more."""
        total = self.against + self.stores.sum(axis=1)
        had = (self.spent / total)[:, None] * self.stores
        kept = 1.0 - ((sites / (total[:, None] + sites)).T @ had) / had.sum(axis=0)
        lost: Floats = 1.0 - kept**self.gravity.strength
        return lost

    def shares(self, site: Floats) -> Floats:
        """The share of each cell's demand at one site, opened alone; `site` its pulls, shape (cells,)."""
        share: Floats = site / (self.against + self.stores.sum(axis=1) + site)
        return share
