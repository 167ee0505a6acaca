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

from features.huff import Huff
from features.neighbourhood import Points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

AREA_UNIT_M2: Final = 300.0
REACH_M: Final = 15_000.0
"""How far anybody goes to a shop: cells beyond are no market of it, in calibration and answers alike."""


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


@dataclass(frozen=True)
class Near:
    """Pairs of a cell and a shop within reach of each other.

    Attributes:
        cell: Place of the cell, shape (pairs,).
        shop: Place of the shop.
        metres: How far apart they lie.
        area_m2: Sales floor of each shop, NaN unknown; shape (shops,).
    """

    cell: NDArray[np.int64]
    shop: NDArray[np.int64]
    metres: Floats
    area_m2: Floats

    def pull(self, gravity: Gravity) -> Floats:
        """What each pair's shop pulls in its cell, shape (pairs,)."""
        area = np.where(np.isnan(self.area_m2), gravity.usual_area_m2, self.area_m2) / AREA_UNIT_M2
        pulled: Floats = np.exp(gravity.huff().log_pull(area[self.shop], self.metres))
        return pulled

    def table(self, gravity: Gravity, cells: int) -> Floats:
        """The same as a table with 0 beyond reach, shape (cells, shops)."""
        pulled = np.zeros((cells, len(self.area_m2)))
        pulled[self.cell, self.shop] = self.pull(gravity)
        return pulled


@dataclass(frozen=True)
class _Reach:
    """The cells, filed to be found from shops; `place` is where each filed cell stands among the cells."""

    points: Points
    place: NDArray[np.int64]

    @classmethod
    def of(cls, demand: Demand) -> _Reach:
        place = Points.order(demand.lat, demand.lon, REACH_M)
        return cls(Points.filed(demand.lat[place], demand.lon[place], REACH_M), place)

    def near(self, spots: Spots) -> Near:
        pairs = self.points.within(spots.lat, spots.lon, REACH_M)
        return Near(self.place[pairs.point], pairs.row, pairs.metres, spots.area_m2)


def within_reach(demand: Demand, spots: Spots) -> Near:
    """The pairs of cells and shops within reach of each other."""
    return _Reach.of(demand).near(spots)


class Market:
    """The demand of a city's cells and everyone who competes for it, within reach of each other.

    Args:
        gravity: How shoppers choose.
        demand: The cells.
        rivals: Shops of others that trade, or their pairs with the cells.
        stores: Own stores that trade, likewise.
        reach: The cells, filed; found from the demand if not given.
    """

    def __init__(
        self, gravity: Gravity, demand: Demand, rivals: Spots | Near, stores: Spots | Near, reach: _Reach | None = None
    ) -> None:
        self._reach = _Reach.of(demand) if reach is None else reach
        self._rivals, self._own = (
            self._reach.near(shops) if isinstance(shops, Spots) else shops for shops in (rivals, stores)
        )
        self.gravity, self.demand, cells = gravity, demand, len(demand.lat)
        self.spent = demand.heads(gravity)
        against = np.bincount(self._rivals.cell, self._rivals.pull(gravity), cells)
        self.against = against.astype(np.float64) + gravity.elsewhere
        self.stores = self._own.table(gravity, cells)
        self.own = self.stores.sum(axis=1)

    def widened(self, factor: float) -> Market:
        """The same with trade areas so many times as wide."""
        return Market(self.gravity.scaled(factor), self.demand, self._rivals, self._own, self._reach)

    def pull(self, spots: Spots) -> Floats:
        """What each shop pulls in each cell, 0 beyond reach; shape (cells, shops)."""
        return self._reach.near(spots).table(self.gravity, len(self.demand.lat))

    def markets(self, opened: Floats | None = None, closed: NDArray[np.bool_] | None = None) -> tuple[Floats, Floats]:
        """What own stores and opened sites get together, in the unit of `spent`; a closed store gets 0.

        Args:
            opened: Pulls of sites, shape (cells, sites).
            closed: Which own stores close, shape (stores,).
        """
        sites = np.zeros((len(self.spent), 0)) if opened is None else opened
        shut = np.zeros(self.stores.shape[1], np.bool_) if closed is None else closed
        own = self.own - self.stores[:, shut].sum(axis=1)
        each = self.spent / (self.against + np.maximum(own, 0.0) + sites.sum(axis=1))
        return (each @ self.stores) * ~shut, each @ sites

    def lost_shares(self, sites: Floats) -> Floats:
        """What share of its sales each own store loses to each site, opened alone; shape (sites, stores), 0 or more."""
        total = self.against + self.own
        had = (self.spent / total)[:, None] * self.stores
        market = np.tile(had.sum(axis=0), (sites.shape[1], 1))
        taken = (sites / (total[:, None] + sites)).T @ had
        kept = 1.0 - np.divide(taken, market, out=np.zeros_like(market), where=market > 0)
        lost: Floats = 1.0 - kept**self.gravity.strength
        return lost

    def shares(self, site: Floats) -> Floats:
        """The share of each cell's demand at one site, opened alone; `site` its pulls, shape (cells,)."""
        share: Floats = site / (self.against + self.own + site)
        return share
