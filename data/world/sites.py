"""Candidates for new stores: some good, some beside a store of one's own, some in the middle of nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from data.world.stores import OPEN_ENDED, Spread, Stores, StoreSettings, draw_areas, draw_forms, spread, worth

if TYPE_CHECKING:
    from data.world.grid import Floats, Wholes
    from data.world.land import Land


@dataclass(frozen=True)
class SiteSettings:
    """The landlords' offers; all assumed, with rents of some five yuan a square metre and day.

    Rent follows what everybody can see, the people and passers around and their income, not what sales turn out to be.

    Attributes:
        sites: candidates for new stores, of all cities together.
        judgement_sd: how far what landlords have to let strays from the best cells: standard deviation of the logarithm
            of a cell's rating.
        evenness: power of a cell's worth in the choice: below 1 reaches further out than stores do.
        spread: how candidates lie to each other and to own stores.
        rent_yuan_m2: median rent a square metre and month, of 300 square metres in a cell of mean worth and income.
        rent_worth_power: elasticity of the rent a square metre to the people and passers of the cell.
        rent_income_power: the same to the income of its households.
        rent_area_power: the same to the floor: large floors cost less a square metre.
        rent_sd: standard deviation of the logarithm of what landlords ask beyond that.
        fitting_yuan_m2: what fitting out and opening costs, once, for each square metre.
        fitting_yuan: what it costs besides, whatever the floor.
        fitting_sd: standard deviation of the logarithm of the whole cost.
    """

    sites: int = 80
    judgement_sd: float = 1.0
    evenness: float = 0.6
    spread: Spread = field(default_factory=lambda: Spread(infill_share=0.4, infill_km=(0.3, 1.2), spacing_km=0.25))
    rent_yuan_m2: float = 170.0
    rent_worth_power: float = 0.35
    rent_income_power: float = 0.4
    rent_area_power: float = -0.15
    rent_sd: float = 0.25
    fitting_yuan_m2: float = 3000.0
    fitting_yuan: float = 300_000.0
    fitting_sd: float = 0.12


@dataclass(frozen=True)
class Sites:
    """Candidates of one city.

    Attributes:
        shops: each as the store it would be; not opened.
        rent_fen: asked for a month.
        opening_cost_fen: what opening it costs, once.
    """

    shops: Stores
    rent_fen: Wholes
    opening_cost_fen: Wholes


def draw_sites(
    settings: SiteSettings,
    chain: StoreSettings,
    generator: np.random.Generator,
    land: Land,
    footfall: Floats,
    stores: Stores,
    count: int,
) -> Sites:
    """So many candidates in a city; a part of them beside stores that trade."""
    rated = worth(chain, land, footfall)
    judged = rated**settings.evenness * np.exp(settings.judgement_sd * generator.standard_normal(rated.size))
    trading = stores.closed == OPEN_ENDED
    hosts = (stores.lat[trading], stores.lon[trading])
    lat, lon = spread(settings.spread, generator, land, judged, hosts, count)
    near = land.nearest[land.raster.cell_of(lat, lon)]
    form = draw_forms(chain, generator, footfall / (land.population + footfall.mean()), near)
    shops = Stores(
        lat=lat,
        lon=lon,
        form=form,
        area_m2=draw_areas(chain, generator, form),
        opened=np.full(count, OPEN_ENDED),
        closed=np.full(count, OPEN_ENDED),
        quality=chain.quality_sd * generator.standard_normal(count),
        ripening_months=np.full(count, chain.ripening_months),
    )
    costs = _costs(settings, generator, shops, rated[near] / rated.mean(), land.income[near] / land.income.mean())
    return Sites(shops, *costs)


def _costs(
    settings: SiteSettings, generator: np.random.Generator, shops: Stores, worthy: Floats, rich: Floats
) -> tuple[Wholes, Wholes]:
    a_metre = settings.rent_yuan_m2 * worthy**settings.rent_worth_power * rich**settings.rent_income_power
    a_metre *= (shops.area_m2 / 300.0) ** settings.rent_area_power
    a_metre *= np.exp(settings.rent_sd * generator.standard_normal(a_metre.size))
    fitting = settings.fitting_yuan + settings.fitting_yuan_m2 * shops.area_m2
    fitting *= np.exp(settings.fitting_sd * generator.standard_normal(fitting.size))
    rent, opening = np.rint(a_metre * shops.area_m2), np.rint(fitting / 100) * 100
    return (rent * 100).astype(np.int64), (opening * 100).astype(np.int64)
