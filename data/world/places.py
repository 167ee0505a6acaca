"""Points of interest of a city: metro exits and malls, schools and clinics, and the rivals' shops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from data.world.grid import Floats, Wholes
    from data.world.land import Land

DAYS_AT_2000: Final = 10_957
"""Days from 1970-01-01 to 2000-01-01."""


@dataclass(frozen=True)
class Sort:
    """One sort of place: how many there are, where they like to be, and what they do to a shop nearby.

    Attributes:
        name: the category in the table.
        rate: places for 10 000 people.
        homes: how strongly their number follows the people who live in a cell; jobs likewise.
        clustered: share that settles beside a place that draws people, not anywhere in a cell.
        since: year from which they opened; two thirds of all are older than ten years where it allows.
        passers: people a day whom one such place brings by.
        draws: whether others settle beside it.
        brands: how many brands share the sort; 0 for places without a brand.
        strength: pull of one such shop on the brand's shoppers, 0 where it is no rival; a neighbourhood store of
            300 square metres has 1.
    """

    name: str
    rate: float
    homes: float
    jobs: float
    clustered: float = 0.0
    since: int = 2000
    passers: float = 0.0
    draws: bool = False
    brands: int = 0
    strength: float = 0.0


@dataclass(frozen=True)
class PlaceSettings:
    """The sorts of places of every city; counts, mixes and pulls are assumed, metro exits come along lines.

    `passers` of a metro exit is near the rides an exit of a large network (some 10 million rides a day over some
    1 500 exits, halved for smaller cities); the others are assumed.

    Attributes:
        sorts: the sorts of places, with how many there are, where they settle, whom they bring by and how they compete.
        passing_a_neighbour: passages a day in the own cell for each who lives there; assumed.
        passing_a_worker: the same for each job; assumed.
        reach_km: how far around a place those whom it brings pass by, standard deviation; assumed.
        metro_people: people of a city from which on it has a metro; assumed.
        people_a_line: people for each metro line of such a city; assumed.
        station_km: from one station of a line to the next; assumed.
        exits: least and most exits of a station; assumed.
        exit_sd_km: how far an exit lies from its station to the east and to the north, standard deviation; assumed.
        beside_sd_km: how far a place that settles beside another lies from it, likewise; assumed.
        strength_sd: hidden: rivals' shops differ in size and skill; standard deviation of the logarithm of one shop's
            pull. Assumed.
        brand_sd: hidden: rivals' brands are liked more or less, alike in all cities; the same of all shops of a brand.
            Assumed.
        years_recent: share of places opened within the last five years; the others on any day since their sort
            is about. Assumed.
    """

    sorts: tuple[Sort, ...] = (
        Sort("metro_exit", 0.0, 0.0, 0.0, since=2008, passers=3000.0, draws=True),
        Sort("mall", 0.10, 0.4, 0.7, since=2004, passers=9000.0, draws=True),
        Sort("office", 1.2, 0.0, 1.0, since=2002, passers=500.0, draws=True),
        Sort("university", 0.05, 0.3, 0.2, passers=6000.0, draws=True),
        Sort("hospital", 0.12, 0.6, 0.3, passers=2500.0, draws=True),
        Sort("school", 0.9, 1.0, 0.0, passers=500.0),
        Sort("restaurant", 5.0, 0.4, 0.6, clustered=0.6, since=2012, passers=60.0),
        Sort("tea_shop", 1.4, 0.3, 0.7, clustered=0.75, since=2016, passers=60.0),
        Sort("bakery", 0.8, 0.7, 0.4, clustered=0.4, since=2010),
        Sort("gym", 0.5, 0.6, 0.5, clustered=0.3, since=2014),
        Sort("pharmacy", 1.8, 0.9, 0.2, clustered=0.2, since=2006),
        Sort("supermarket", 0.35, 0.9, 0.2, clustered=0.3, since=2005, brands=4, strength=1.5),
        Sort("fruit_shop", 0.9, 0.9, 0.1, clustered=0.3, since=2014, brands=3, strength=0.3),
        Sort("convenience_store", 1.8, 0.5, 0.5, clustered=0.5, since=2013, brands=4, strength=0.14),
    )
    passing_a_neighbour: float = 0.25
    passing_a_worker: float = 0.6
    reach_km: float = 0.6
    metro_people: float = 1_000_000.0
    people_a_line: float = 450_000.0
    station_km: float = 1.4
    exits: tuple[int, int] = (2, 4)
    exit_sd_km: float = 0.1
    beside_sd_km: float = 0.12
    strength_sd: float = 0.3
    brand_sd: float = 0.2
    years_recent: float = 0.35


@dataclass(frozen=True)
class Places:
    """Places of one city; arrays of one length.

    Attributes:
        lat: WGS-84 latitude, degrees.
        lon: WGS-84 longitude, degrees.
        sort: place in `PlaceSettings.sorts`.
        brand: brand within its sort, from 0; -1 without one.
        opened: first day there, in days since 1970-01-01.
        pull: hidden attraction to the brand's shoppers, 0 for what is no rival.
    """

    lat: Floats
    lon: Floats
    sort: Wholes
    brand: Wholes
    opened: Wholes
    pull: Floats


def draw_places(
    settings: PlaceSettings, generator: np.random.Generator, land: Land, brand_pull: Floats, until: int
) -> Places:
    """All places of one city, none opened on day `until` or later (days since 1970-01-01).

    Args:
        settings: The sorts of places.
        generator: Chance.
        land: The city's cells.
        brand_pull: One factor for each sort and brand, alike in all cities; shape sorts x most brands.
        until: The day the world starts.
    """
    lat, lon = _metro(settings, generator, land)
    kinds = np.zeros(lat.size, np.int64)
    draws = np.array([sort.draws for sort in settings.sorts])
    for place, sort in enumerate(settings.sorts):
        hosts = np.flatnonzero(draws[kinds])
        found = _settle(settings, generator, land, sort, (lat[hosts], lon[hosts]))
        lat, lon = np.concatenate([lat, found[0]]), np.concatenate([lon, found[1]])
        kinds = np.concatenate([kinds, np.full(found[0].size, place)])
    brand = _brands(settings, generator, kinds)
    strength = np.array([sort.strength for sort in settings.sorts])[kinds]
    differing = np.exp(settings.strength_sd * generator.standard_normal(kinds.size) - settings.strength_sd**2 / 2)
    return Places(
        lat=lat,
        lon=lon,
        sort=kinds,
        brand=brand,
        opened=_opened(settings, generator, kinds, until),
        pull=strength * differing * brand_pull[kinds, np.maximum(brand, 0)],
    )


def footfall_of(settings: PlaceSettings, land: Land, places: Places) -> Floats:
    """People a day who pass through each cell: neighbours, workers, and those whom places bring."""
    passers = np.array([sort.passers for sort in settings.sorts])[places.sort]
    cells = land.nearest[land.raster.cell_of(places.lat, places.lon)]
    brought = np.bincount(cells, weights=passers, minlength=land.lat.size)
    east, north = land.raster.kilometres(land.lat, land.lon)
    squared = (east[:, None] - east) ** 2 + (north[:, None] - north) ** 2
    near = np.exp(-squared / (2 * settings.reach_km**2))
    spread: Floats = near @ (brought / near.sum(axis=0))
    return settings.passing_a_neighbour * land.population + settings.passing_a_worker * land.jobs + spread


def draw_brand_pull(settings: PlaceSettings, generator: np.random.Generator) -> Floats:
    """One hidden factor of mean 1 for each sort and brand; shape sorts x most brands."""
    most = max(1, *(sort.brands for sort in settings.sorts))
    drawn = settings.brand_sd * generator.standard_normal((len(settings.sorts), most))
    return np.exp(drawn - settings.brand_sd**2 / 2)


def _settle(
    settings: PlaceSettings, generator: np.random.Generator, land: Land, sort: Sort, hosts: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Where the places of one sort are: anywhere in cells that suit them, or beside one of the hosts."""
    people = land.population.sum()
    weight = sort.homes * land.population / people + sort.jobs * land.jobs / land.jobs.sum()
    count = int(generator.poisson(sort.rate * people / 10_000))
    if not count:
        return np.zeros(0), np.zeros(0)
    cell = generator.choice(weight.size, count, p=weight / weight.sum())
    aside = generator.uniform(-0.5, 0.5, (2, count)) * land.raster.side_km
    lat, lon = land.moved(land.lat[cell], land.lon[cell], *aside)
    if hosts[0].size:
        beside = generator.random(count) < sort.clustered
        host = generator.integers(hosts[0].size, size=int(beside.sum()))
        aside = generator.normal(0, settings.beside_sd_km, (2, host.size))
        lat[beside], lon[beside] = land.moved(hosts[0][host], hosts[1][host], *aside)
    return lat, lon


def _metro(settings: PlaceSettings, generator: np.random.Generator, land: Land) -> tuple[Floats, Floats]:
    """Exits along slightly bent lines through the city, where it is built up."""
    people = float(land.population.sum())
    lines = int(people / settings.people_a_line) if people >= settings.metro_people else 0
    reach = land.raster.size * land.raster.side_km / 2
    east, north = [np.zeros(0)], [np.zeros(0)]
    for line in range(lines):
        along = np.arange(-reach, reach, settings.station_km)
        angle = np.pi * (line + generator.uniform(0, 0.6)) / lines
        past, bend = generator.normal(0, 0.12 * reach), generator.normal(0, 0.15) / reach
        across = past + bend * along**2
        east.append(along * np.cos(angle) - across * np.sin(angle))
        north.append(along * np.sin(angle) + across * np.cos(angle))
    station_lat, station_lon = land.raster.degrees(np.concatenate(east), np.concatenate(north))
    inside = np.isin(land.raster.cell_of(station_lat, station_lon), land.covered)
    exits = generator.integers(settings.exits[0], settings.exits[1] + 1, int(inside.sum()))
    lat, lon = np.repeat(station_lat[inside], exits), np.repeat(station_lon[inside], exits)
    return land.moved(lat, lon, *generator.normal(0, settings.exit_sd_km, (2, lat.size)))


def _brands(settings: PlaceSettings, generator: np.random.Generator, kinds: Wholes) -> Wholes:
    """Brands of a sort get less common from the first to the last."""
    brands = np.array([sort.brands for sort in settings.sorts])[kinds]
    drawn = np.floor(brands * generator.random(kinds.size) ** 1.5).astype(np.int64)
    return np.where(brands > 0, drawn, -1)


def _opened(settings: PlaceSettings, generator: np.random.Generator, kinds: Wholes, until: int) -> Wholes:
    since = np.array([DAYS_AT_2000 + round((sort.since - 2000) * 365.25) for sort in settings.sorts])[kinds]
    recent = generator.random(kinds.size) < settings.years_recent
    first = np.where(recent, np.maximum(since, until - round(5 * 365.25)), since)
    day: Wholes = first + np.floor(generator.random(kinds.size) * (until - first)).astype(np.int64)
    return day
