"""Eight cities with people, places and stores: where members live and shop, and what is true of every site."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.world.gravity import GravitySettings, pulls
from data.world.grid import great_circle_km
from data.world.land import LandSettings, draw_land
from data.world.market import Market, Streets, attraction
from data.world.places import PlaceSettings, draw_brand_pull, draw_places, footfall_of
from data.world.sales import SalesSettings
from data.world.sites import SiteSettings, draw_sites
from data.world.stores import OPEN_ENDED, StoreSettings, close_some, draw_stores
from data.world.streams import stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from data.world.grid import Flags, Floats, Wholes
    from data.world.land import Land
    from data.world.places import Places
    from data.world.sites import Sites
    from data.world.stores import Stores

START_DAY: Final = 20_150
"""2025-03-03, the Monday on which the world starts, in days since 1970-01-01."""

USUAL_STORES: Final = 8
"""A member shops at one of so many stores around home."""


@dataclass(frozen=True)
class Town:
    """A city's name and centre (WGS-84, degrees)."""

    name: str
    lat: float
    lon: float


@dataclass(frozen=True)
class EstimateSettings:
    """How well the tables know the cities; assumed, with phone counts of passers worse than a census.

    Attributes:
        population_sd: error of a cell's population, of its logarithm; the others likewise.
        income_sd: see population_sd.
        footfall_sd: see population_sd.
        jobs_sd: see population_sd.
        unmapped: least and most share of places that the map of a district lacks.
    """

    population_sd: float = 0.08
    income_sd: float = 0.06
    footfall_sd: float = 0.2
    jobs_sd: float = 0.15
    unmapped: tuple[float, float] = (0.02, 0.2)


@dataclass(frozen=True)
class CitySettings:
    """The cities of the world: real names and centres, invented streets.

    Sizes fall by rank to the power `zipf` (Zipf's law has 1; the urban cores of a chain differ less, assumed).

    Attributes:
        towns: the cities by size, largest first: real names and centres (WGS-84, degrees).
        districts: names of a city's districts, alike in every city, the centre first; as many as `land.districts`.
        people: people who live in all the cities together, members or not; assumed.
        zipf: power by which a city's share of the people falls with its rank; 0 would make all cities equal. Assumed.
        land: where people live and work, and what they earn.
        places: points of interest and the rivals' shops.
        stores: the chain's own stores.
        sites: what landlords offer.
        sales: the stores' season and luck.
        estimates: how well the tables know all that.
        gravity: how shoppers choose a shop.
    """

    towns: tuple[Town, ...] = (
        Town("Chengdu", 30.66, 104.07),
        Town("Wuhan", 30.58, 114.30),
        Town("Hangzhou", 30.27, 120.16),
        Town("Zhengzhou", 34.75, 113.63),
        Town("Shenyang", 41.80, 123.43),
        Town("Changsha", 28.23, 112.94),
        Town("Kunming", 25.04, 102.71),
        Town("Xiamen", 24.49, 118.11),
    )
    districts: tuple[str, ...] = ("Zhongxin", "Dongcheng", "Beiguan", "Xicheng", "Nanshan", "Binjiang")
    people: float = 9_600_000.0
    zipf: float = 0.8
    land: LandSettings = field(default_factory=LandSettings)
    places: PlaceSettings = field(default_factory=PlaceSettings)
    stores: StoreSettings = field(default_factory=StoreSettings)
    sites: SiteSettings = field(default_factory=SiteSettings)
    sales: SalesSettings = field(default_factory=SalesSettings)
    estimates: EstimateSettings = field(default_factory=EstimateSettings)
    gravity: GravitySettings = field(default_factory=GravitySettings)


class City:
    """All cities together: cells, places and stores in flat arrays, each city's in one run.

    Making one takes about half a second; it depends on the settings and the seed alone, not on members or days.

    Args:
        settings: The preset's cities.
        seed: The seed of the world.

    Attributes:
        settings: as given.
        seed: as given.
        start_day: the day the world starts, in days since 1970-01-01; `start_month` its month, datetime64[M].
        streets: what each city is made of, city by city; `stores` and `sites` likewise. The arrays below join them.
        cities: the cities' names, as `members.city` and `weather.city` have them.
        city_lat: latitude of each centre, degrees; `city_lon` likewise.
        city_share: share of all people; adds up to 1.
        regions: "city/district" of each district, as `batches.region` has them.
        region_city: the city of each region.
        lat: latitude of each cell's centre; `lon`, `population`, `jobs`, `income` (yuan a household and year),
            `footfall` (people a day), `taste` (hidden) likewise.
        city: the city of each cell; the cells of city c are `first_cell[c]` to `first_cell[c + 1]` - 1.
        district: the region of each cell, a place in `regions`.
        store_lat: latitude of each own store; `store_lon` likewise.
        store_city: its city; `store_cell` its cell.
        store_open: whether it trades while the world runs. No store opens or closes in that time.
        site_lat: latitude of each candidate for a new store; `site_lon`, `site_city` likewise.
        place_lat: latitude of each place; `place_lon` likewise.
        place_sort: its sort, a place in `settings.places.sorts`; `place_city`, `place_cell` likewise.
    """

    def __init__(self, settings: CitySettings, seed: int) -> None:
        self.settings = settings
        self.seed = seed
        self.start_day = START_DAY
        self.start_month = np.datetime64(START_DAY, "D").astype("datetime64[M]")
        self.cities = tuple(town.name for town in settings.towns)
        self.city_lat = np.array([town.lat for town in settings.towns])
        self.city_lon = np.array([town.lon for town in settings.towns])
        rank = np.arange(1, len(settings.towns) + 1) ** -settings.zipf
        self.city_share: Floats = rank / rank.sum()
        self.regions = tuple(f"{name}/{district}" for name in self.cities for district in settings.districts)
        self.region_city: Wholes = np.repeat(np.arange(len(self.cities)), len(settings.districts))
        self._draw()

    def _draw(self) -> None:
        settings = self.settings
        brand_pull = draw_brand_pull(settings.places, stream(self.seed, "city.brands"))
        stores = apportioned(settings.stores.stores, self.city_share)
        sites = apportioned(settings.sites.sites, self.city_share)
        self.streets = tuple(self._streets(number, brand_pull) for number in range(len(self.cities)))
        self.stores = tuple(self._stores(number, count) for number, count in enumerate(stores))
        self.sites = tuple(self._sites(number, count) for number, count in enumerate(sites))
        self._flatten()
        self._usual_stores()

    def _streets(self, number: int, brand_pull: Floats) -> Streets:
        settings, town = self.settings, self.settings.towns[number]
        people = settings.people * float(self.city_share[number])
        land = draw_land(settings.land, stream(self.seed, "city.land", number), town.lat, town.lon, people)
        chance = stream(self.seed, "city.places", number)
        places = draw_places(settings.places, chance, land, brand_pull, START_DAY)
        return Streets(land, places, footfall_of(settings.places, land, places), settings.places)

    def _stores(self, number: int, count: int) -> Stores:
        settings, streets = self.settings.stores, self.streets[number]
        chance = stream(self.seed, "city.stores", number)
        stores = draw_stores(settings, chance, streets.land, streets.footfall, count, START_DAY)
        market = Market(self.settings.gravity, streets, stores, np.array([START_DAY]))
        taken = market.takings(np.ones((count, 1)))[:, 0]
        return close_some(settings, stream(self.seed, "city.closings", number), stores, taken, START_DAY)

    def _sites(self, number: int, count: int) -> Sites:
        settings, streets = self.settings, self.streets[number]
        chance = stream(self.seed, "city.sites", number)
        return draw_sites(
            settings.sites, settings.stores, chance, streets.land, streets.footfall, self.stores[number], count
        )

    def _flatten(self) -> None:
        lands = [streets.land for streets in self.streets]
        places = [streets.places for streets in self.streets]
        shops = [sites.shops for sites in self.sites]
        self.city = _cities_of(lands)
        self.first_cell: Wholes = np.searchsorted(self.city, np.arange(len(lands) + 1))
        self.lat, self.lon = joined(lands, "lat"), joined(lands, "lon")
        self.population, self.jobs = joined(lands, "population"), joined(lands, "jobs")
        self.income, self.taste = joined(lands, "income"), joined(lands, "taste")
        self.footfall = joined(self.streets, "footfall")
        self.district: Wholes = self.city * len(self.settings.districts) + joined(lands, "district")
        sides = np.array([land.raster.sides() for land in lands])
        self._side_lat, self._side_lon = sides[self.city].T
        fond = self.population * self.taste
        self._until: Floats = np.cumsum(fond) / fond.sum()
        self.store_lat, self.store_lon = joined(self.stores, "lat"), joined(self.stores, "lon")
        self.store_city, self.store_cell = _cities_of(self.stores), self.nearest_cell(self.store_lat, self.store_lon)
        self.store_open: Flags = joined(self.stores, "closed") == OPEN_ENDED
        self.site_lat, self.site_lon = joined(shops, "lat"), joined(shops, "lon")
        self.site_city = _cities_of(shops)
        self.place_lat, self.place_lon = joined(places, "lat"), joined(places, "lon")
        self.place_sort: Wholes = joined(places, "sort")
        self.place_city, self.place_cell = _cities_of(places), self.nearest_cell(self.place_lat, self.place_lon)

    def _usual_stores(self) -> None:
        """Huff's shares of the stores that trade, the strongest of each cell alone."""
        gravity = self.settings.gravity
        self._usual = np.zeros((self.lat.size, USUAL_STORES), np.int64)
        self._chances = np.zeros((self.lat.size, USUAL_STORES))
        for number, stores in enumerate(self.stores):
            cells = slice(self.first_cell[number], self.first_cell[number + 1])
            trading = stores.closed == OPEN_ENDED
            apart = great_circle_km(self.lat[cells, None], self.lon[cells, None], stores.lat, stores.lon)
            strength = attraction(gravity, gravity.residents, stores) * trading
            pull = strength * pulls(gravity.residents.decay, gravity.floor_km, apart)
            top = np.argsort(-pull, axis=1, kind="stable")[:, :USUAL_STORES]
            best = np.take_along_axis(pull, top, axis=1)
            self._usual[cells, : top.shape[1]] = np.flatnonzero(self.store_city == number)[top]
            self._chances[cells, : top.shape[1]] = best / best.sum(axis=1, keepdims=True)

    def draw_homes(self, generator: np.random.Generator, count: int) -> Wholes:
        """Cells where so many members live; shape (count,).

        In proportion to population and to the hidden taste for what the brand sells, so that members' homes, scans and
        orders tell something of a site that no table of the city does.
        """
        return np.minimum(np.searchsorted(self._until, generator.random(count), side="right"), self.lat.size - 1)

    def jitter(self, generator: np.random.Generator, cells: Wholes) -> tuple[Floats, Floats]:
        """A place in each of those cells, anywhere alike; latitudes and longitudes in degrees."""
        shape = np.shape(cells)
        north = generator.uniform(-0.5, 0.5, shape) * self._side_lat[cells]
        east = generator.uniform(-0.5, 0.5, shape) * self._side_lon[cells]
        return self.lat[cells] + north, self.lon[cells] + east

    def store_weights(self, cells: Wholes) -> tuple[Wholes, Floats]:
        """The stores where people of those cells shop, likeliest first, and with what chance.

        Returns:
            Store numbers and chances, shape (len(cells), 8); chances add up to 1, and are 0 for stores that are shut
            and where a city has fewer than eight.
        """
        return self._usual[cells], self._chances[cells]

    def nearest_city(self, lat: Floats, lon: Floats) -> Wholes:
        """The city whose centre is nearest to each place."""
        lat, lon = np.asarray(lat, np.float64), np.asarray(lon, np.float64)
        apart = great_circle_km(lat[..., None], lon[..., None], self.city_lat, self.city_lon)
        city: Wholes = np.argmin(apart, axis=-1)
        return city

    def nearest_cell(self, lat: Floats, lon: Floats) -> Wholes:
        """The cell of each place; for places outside every city one at the edge of the nearest city."""
        lat, lon = np.asarray(lat, np.float64), np.asarray(lon, np.float64)
        city = self.nearest_city(lat, lon)
        found = np.zeros(lat.shape, np.int64)
        for number, streets in enumerate(self.streets):
            land, here = streets.land, city == number
            found[here] = self.first_cell[number] + land.nearest[land.raster.cell_of(lat[here], lon[here])]
        return found

    def district_of(self, lat: Floats, lon: Floats) -> Wholes:
        """The region of each place, a place in `regions`."""
        return self.district[self.nearest_cell(lat, lon)]


def joined(parts: Sequence[Any], name: str) -> NDArray[Any]:
    """One array of all cities out of each city's."""
    return np.concatenate([getattr(part, name) for part in parts])


def _cities_of(parts: Sequence[Land | Places | Stores]) -> Wholes:
    """The city of each value of such arrays."""
    return np.repeat(np.arange(len(parts)), [part.lat.size for part in parts])


def apportioned(total: int, share: Floats) -> list[int]:
    """Whole numbers that add up to the total, nearest to its shares (largest remainders).

    >>> apportioned(10, np.array([0.5, 0.26, 0.24]))
    [5, 3, 2]
    """
    exact = total * share
    whole = np.floor(exact).astype(np.int64)
    most = np.argsort(-(exact - whole), kind="stable")[: total - int(whole.sum())]
    whole[most] += 1
    return [int(part) for part in whole]
