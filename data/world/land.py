"""Where people live and work in a city, what they earn, and what they like that no table shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.world.grid import Raster, nearest, smooth_chance

if TYPE_CHECKING:
    from data.world.grid import Floats, Wholes


@dataclass(frozen=True)
class LandSettings:
    """How density, income and jobs fall over a city.

    Density falls exponentially from each centre (C. Clark 1951, Urban population densities); the sizes of centres,
    the roughness and the correlation lengths are assumed. Income a household follows China's urban disposable income
    of 2023 (National Bureau of Statistics: 51 821 yuan a head), taken times 2.6 heads.

    Attributes:
        cell_km2: area of a cell, the square in which people, jobs and income are counted.
        people_a_cell: mean people a cell, so that a city gets as many cells as its people need; assumed.
        subcentres: least and most secondary centres within a city, each with homes and jobs of its own; assumed.
        satellites: least and most towns beyond a city's edge; assumed.
        density_scale: how fast density falls from the main centre: the distance over which it falls to 37 %, as a share
            of the city's radius. Assumed.
        density_sd: roughness: standard deviation of the logarithm of a cell's density around that fall; assumed.
        density_length_km: how far apart cells must be for their roughness to differ; assumed.
        jobs_a_head: jobs for each who lives in the city; assumed.
        jobs_scale: the same fall for jobs, as a share of that of people: jobs lie closer to the centres. Assumed.
        jobs_sd: roughness of jobs, as `density_sd`, but alike within 0.8 km only; assumed.
        income_yuan: what a household of a typical cell has a year; the source is above.
        income_sd: standard deviation of the logarithm of a cell's income: rich and poor quarters. Assumed.
        income_length_km: size of such a quarter, as `density_length_km`; assumed.
        income_towards_centre: how much more the logarithm of income is at a centre than far from all; assumed.
        taste_sd: hidden, in no table: how much more or less a cell likes what the brand sells, standard deviation of
            the logarithm of its demand. Assumed.
        taste_length_km: size of the quarters that share a taste, as `density_length_km`; assumed.
        districts: districts of a city: a central one, and the others around it.
    """

    cell_km2: float = 0.5
    people_a_cell: float = 2000.0
    subcentres: tuple[int, int] = (2, 5)
    satellites: tuple[int, int] = (1, 3)
    density_scale: float = 0.42
    density_sd: float = 0.45
    density_length_km: float = 1.6
    jobs_a_head: float = 0.48
    jobs_scale: float = 0.4
    jobs_sd: float = 0.6
    income_yuan: float = 135_000.0
    income_sd: float = 0.3
    income_length_km: float = 2.5
    income_towards_centre: float = 0.25
    taste_sd: float = 0.16
    taste_length_km: float = 1.5
    districts: int = 6


@dataclass(frozen=True)
class Land:
    """One city's cells, as they truly are; arrays of one length, one value a cell.

    Attributes:
        raster: the square that the city lies in.
        covered: the raster's cells that belong to the city.
        nearest: for each cell of the raster the nearest of the city's cells, by its place in these arrays.
        lat: WGS-84 latitude of the cell's centre.
        lon: WGS-84 longitude.
        population: people who live there.
        jobs: people who work there.
        income: yuan a household and year.
        taste: hidden factor on demand, of mean 1 over all worlds.
        centrality: 0 to 1, nearness to the centres.
        district: 0 to `districts` - 1; 0 is the centre.
    """

    raster: Raster
    covered: Wholes
    nearest: Wholes
    lat: Floats
    lon: Floats
    population: Floats
    jobs: Floats
    income: Floats
    taste: Floats
    centrality: Floats
    district: Wholes

    def moved(
        self, lat: Floats | float, lon: Floats | float, east_km: Floats | float, north_km: Floats | float
    ) -> tuple[Floats, Floats]:
        """The places so many kilometres east and north of those given, in degrees."""
        east, north = self.raster.kilometres(lat, lon)
        return self.raster.degrees(east + east_km, north + north_km)


def draw_land(settings: LandSettings, generator: np.random.Generator, lat: float, lon: float, people: float) -> Land:
    """A city of so many people round a centre given in degrees."""
    count = max(60, round(people / settings.people_a_cell))
    side = float(np.sqrt(settings.cell_km2))
    radius = side * float(np.sqrt(count / np.pi))
    raster = Raster(lat, lon, side, 2 * int(np.ceil(1.9 * radius / side)) + 1)
    weights, east, north, reach = _centres(settings, generator, radius)
    by_east, by_north = raster.offsets_km()
    apart = np.hypot(by_east[:, None] - east, by_north[:, None] - north)
    rough = np.exp(settings.density_sd * smooth_chance(generator, raster, settings.density_length_km))
    density = (weights * np.exp(-apart / reach)).sum(axis=1)
    work = (weights * np.exp(-apart / (settings.jobs_scale * reach))).sum(axis=1)
    work *= np.exp(settings.jobs_sd * smooth_chance(generator, raster, 0.8))
    lived = density * rough
    covered = np.sort(np.argsort(-lived, kind="stable")[:count])
    centrality = density[covered] / density[covered].max()
    cell_lat, cell_lon = raster.degrees(by_east[covered], by_north[covered])
    earned = settings.income_sd * smooth_chance(generator, raster, settings.income_length_km)[covered]
    liked = settings.taste_sd * smooth_chance(generator, raster, settings.taste_length_km)[covered]
    rich = np.exp(earned + settings.income_towards_centre * (centrality - centrality.mean()))
    return Land(
        raster=raster,
        covered=covered,
        nearest=nearest(raster, covered),
        lat=cell_lat,
        lon=cell_lon,
        population=people * lived[covered] / lived[covered].sum(),
        jobs=people * settings.jobs_a_head * work[covered] / work[covered].sum(),
        income=settings.income_yuan * rich,
        taste=np.exp(liked - settings.taste_sd**2 / 2),
        centrality=centrality,
        district=_districts(settings, generator, by_east[covered], by_north[covered], radius),
    )


def _centres(
    settings: LandSettings, generator: np.random.Generator, radius: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Weight, kilometres east and north, and reach of the main centre, the sub-centres and the satellite towns."""
    inner = int(generator.integers(settings.subcentres[0], settings.subcentres[1] + 1))
    outer = int(generator.integers(settings.satellites[0], settings.satellites[1] + 1))
    weight = np.concatenate([[1.0], generator.uniform(0.25, 0.6, inner), generator.uniform(0.2, 0.45, outer)])
    far = np.concatenate([[0.0], generator.uniform(0.35, 0.8, inner), generator.uniform(1.15, 1.55, outer)]) * radius
    angle = generator.uniform(0, 2 * np.pi, weight.size)
    scale = np.concatenate([[1.0], generator.uniform(0.35, 0.6, inner), generator.uniform(0.2, 0.35, outer)])
    return weight, far * np.cos(angle), far * np.sin(angle), scale * settings.density_scale * radius


def _districts(
    settings: LandSettings, generator: np.random.Generator, east: Floats, north: Floats, radius: float
) -> Wholes:
    """A central district and its neighbours: each cell belongs to the nearest seat."""
    around = settings.districts - 1
    angle = generator.uniform(0, 2 * np.pi) + np.arange(around) * 2 * np.pi / around
    far = generator.uniform(0.6, 0.95, around) * radius
    seat_east, seat_north = np.r_[0.0, far * np.cos(angle)], np.r_[0.0, far * np.sin(angle)]
    found: Wholes = np.argmin(np.hypot(east[:, None] - seat_east, north[:, None] - seat_north), axis=1)
    return found
