"""One city's market: whose money is to be had, who competes for it, and what each own store takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.world.gravity import pulls, takings
from data.world.grid import great_circle_km
from data.world.stores import DAYS_A_MONTH

if TYPE_CHECKING:
    from data.world.gravity import GravitySettings, Segment
    from data.world.grid import Floats, Wholes
    from data.world.land import Land
    from data.world.places import Places, PlaceSettings
    from data.world.stores import Stores


@dataclass(frozen=True)
class Streets:
    """What one city is made of, as it truly is.

    Attributes:
        land: its cells.
        places: its points of interest.
        footfall: people a day who pass through each cell.
        sorts: what the places' sorts are.
    """

    land: Land
    places: Places
    footfall: Floats
    sorts: PlaceSettings


@dataclass(frozen=True)
class Crowd:
    """One segment of shoppers: their money, and who pulls at it.

    Attributes:
        demand: fen a month that each cell spends on what the brand sells, wherever; cells.
        pull: A_j d_ij^-b of each own shop when mature; cells x shops.
        against: the pull of rivals and of everything else; cells x months.
    """

    demand: Floats
    pull: Floats
    against: Floats


class Market:
    """What own shops take in one city: stores, and sites as if they were stores.

    Args:
        settings: How shoppers choose.
        streets: The city.
        shops: The shops asked about; whether one is open is said later, by weight.
        days: The days asked about, such as the middles of months; days since 1970-01-01.

    Attributes:
        residents: those who live in the cells.
        passers: those who pass through.
        lift: factor on each shop's attraction by places nearby that draw its shoppers; shops x days.
    """

    def __init__(self, settings: GravitySettings, streets: Streets, shops: Stores, days: Wholes) -> None:
        land = streets.land
        spent = income_factor(settings, land) * land.population * land.taste
        passed = streets.footfall * DAYS_A_MONTH * land.taste
        self.residents = _crowd(settings, settings.residents, spent, streets, shops, days)
        self.passers = _crowd(settings, settings.passers, passed, streets, shops, days)
        self.lift = complement_lift(settings, streets, shops, days)

    def takings(self, presence: Floats) -> Floats:
        """Fen a month that each shop takes, before season and noise.

        Args:
            presence: how far each shop has come, 0 shut to 1 mature; shops x months. One month each of the market's
                days, or, if the market has one day, any number of cases to compare.
        """
        weights = presence * self.lift
        home = takings(self.residents.pull, weights, self.residents.against, self.residents.demand[:, None])
        return home + takings(self.passers.pull, weights, self.passers.against, self.passers.demand[:, None])


def income_factor(settings: GravitySettings, land: Land) -> Floats:
    """How much more a head of each cell spends than at the city's mean income."""
    mean = np.average(land.income, weights=land.population)
    factor: Floats = (land.income / mean) ** settings.income_power
    return factor


def attraction(settings: GravitySettings, segment: Segment, shops: Stores) -> Floats:
    """A_j of each shop for the segment: by floor, format and hidden quality."""
    by_form = np.asarray(segment.formats)[shops.form]
    pull: Floats = by_form * (shops.area_m2 / settings.area_unit_m2) ** settings.area_power * np.exp(shops.quality)
    return pull


def complement_lift(settings: GravitySettings, streets: Streets, shops: Stores, days: Wholes) -> Floats:
    """Factor on attraction: exp(sum over sorts of c * log(1 + places of that sort nearby and open)); shops x days."""
    names = [sort.name for sort in streets.sorts.sorts]
    lift = np.zeros((shops.lat.size, days.size))
    for name, strength in settings.complements:
        of_sort = np.flatnonzero(streets.places.sort == names.index(name))
        lat, lon = streets.places.lat[of_sort], streets.places.lon[of_sort]
        near = great_circle_km(shops.lat[:, None], shops.lon[:, None], lat, lon) <= settings.complement_km
        there = streets.places.opened[of_sort, None] <= days
        lift += strength * np.log1p(near.astype(np.float64) @ there.astype(np.float64))
    factor: Floats = np.exp(lift)
    return factor


def _crowd(
    settings: GravitySettings, segment: Segment, heads: Floats, streets: Streets, shops: Stores, days: Wholes
) -> Crowd:
    land, rivals = streets.land, np.flatnonzero(streets.places.pull > 0)
    there = (streets.places.opened[rivals, None] <= days) * streets.places.pull[rivals, None]
    lat, lon = land.lat[:, None], land.lon[:, None]
    to_rivals = great_circle_km(lat, lon, streets.places.lat[rivals], streets.places.lon[rivals])
    to_shops = great_circle_km(lat, lon, shops.lat, shops.lon)
    return Crowd(
        demand=heads * segment.yuan * 100,
        pull=attraction(settings, segment, shops) * pulls(segment.decay, settings.floor_km, to_shops),
        against=pulls(segment.decay, settings.floor_km, to_rivals) @ there + segment.elsewhere,
    )
