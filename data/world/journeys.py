"""Travellers: honest people who scan in one city in the morning and in another one in the afternoon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.grid import great_circle_km
from data.world.hashes import below
from data.world.intents import HOUR_US, INTENT, at_home, gathered, put
from data.world.networks import PUBLIC

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.city import City
    from data.world.intents import Scene
    from data.world.people import People

    Integers = NDArray[np.int64]
    Doubles = NDArray[np.float64]

_STATIONS: Final = 1 << 30
"""Networks of stations are numbered from here on, beyond those of all cells."""
_SPREAD_DEGREES: Final = 0.0015


@dataclass(frozen=True)
class JourneySettings:
    """How often travellers leave, and what they scan on the way; assumed.

    Attributes:
        days_apart: Days from one trip of a traveller to the next.
        stay_days: Mean length of a trip.
        scans_away: Share of what they scan while away that they bought there; they brought the rest.
        thirsty: Share of trips with a drink at the station before, and another one on arrival.
    """

    days_apart: float = 15.0
    stay_days: float = 2.2
    scans_away: float = 0.7
    thirsty: float = 0.75


@dataclass(frozen=True)
class Trips:
    """Trips of travellers: rows are travellers, columns trips.

    Attributes:
        traveller: Place of each traveller among the people.
        leaves: When each trip begins.
        ends: When it is over.
        hotel: Cell in which each traveller stays, always the same: most go to and fro between two cities.
    """

    traveller: Integers
    leaves: Integers
    ends: Integers
    hotel: Integers


def draw_trips(
    settings: JourneySettings, scene: Scene, generator: np.random.Generator, people: People, travellers: Integers
) -> Trips:
    """The trips of the people at these places; there must be a second city to go to."""
    trips = max(1, round(scene.days / settings.days_apart))
    shape = (len(travellers), trips)
    day = (np.arange(trips) + generator.uniform(0.05, 0.9, shape)) * scene.days / trips
    hour = generator.uniform(6.0, 18.0, shape)
    leaves = START_US + np.floor(day).astype(np.int64) * DAY_US + (hour * HOUR_US).astype(np.int64)
    stays = (generator.gamma(2.0, settings.stay_days / 2, shape) * DAY_US).astype(np.int64)
    step = 1 + below(scene.seed, "away", len(scene.city.cities) - 1, people.members["member"][travellers])
    away = (people.city[travellers] + step) % len(scene.city.cities)
    centre = (scene.city.city_lat[away], scene.city.city_lon[away])
    hotel = scene.city.nearest_cell(*(axis + 0.03 * generator.standard_normal(len(away)) for axis in centre))
    return Trips(travellers, leaves, leaves + stays, hotel)


def travelled(
    settings: JourneySettings,
    scene: Scene,
    generator: np.random.Generator,
    people: People,
    travellers: Integers,
    intents: NDArray[Any],
) -> tuple[Integers, NDArray[Any]]:
    """Moves what travellers scan while away, in place, and draws what they buy where they leave and arrive.

    Returns:
        Which of the intents were moved, and those to be added.
    """
    if len(scene.city.cities) == 1 or travellers.size == 0:
        return np.empty(0, np.int64), np.empty(0, INTENT)
    trips = draw_trips(settings, scene, generator, people, travellers)
    row = np.full(len(people), -1, np.int64)
    row[travellers] = np.arange(len(travellers))
    moved = np.flatnonzero(row[intents["place"]] >= 0)
    at = intents["at"][moved, None]
    mine = row[intents["place"][moved]]
    gone = np.any((at >= trips.leaves[mine]) & (at < trips.ends[mine]), axis=1)
    moved, hotel = moved[gone], trips.hotel[mine[gone]]
    away = intents[moved]
    put(away, (*scene.city.jitter(generator, hotel), scene.city.city[hotel]), PUBLIC, hotel)
    bought_there = generator.random(len(away)) < settings.scans_away
    for name in ("lat", "lon", "city"):
        away[f"shop_{name}"] = np.where(bought_there, away[name], away[f"shop_{name}"])
    intents[moved] = away
    return moved, _on_the_way(settings, scene, generator, people, trips)


def _on_the_way(
    settings: JourneySettings, scene: Scene, generator: np.random.Generator, people: People, trips: Trips
) -> NDArray[Any]:
    """A drink at the station before leaving, another on arrival hours later and cities apart."""
    row, trip = np.nonzero(generator.random(trips.leaves.shape) < settings.thirsty)
    leave, who = trips.leaves[row, trip], trips.traveller[row]
    home, away = people.city[who], scene.city.city[trips.hotel[row]]
    before = (generator.uniform(0.2, 1.5, len(row)) * HOUR_US).astype(np.int64)
    after = ((travel_hours(scene.city, home, away) + generator.uniform(0.3, 1.5, len(row))) * HOUR_US).astype(np.int64)
    departure, arrival = at_home(people, who, leave - before), at_home(people, who, leave + after)
    _to_station(scene.city, generator, departure, home)
    _to_station(scene.city, generator, arrival, away)
    made = gathered([departure, arrival])
    for name in ("lat", "lon", "city"):
        made[f"shop_{name}"] = made[name]
    made["product"] = scene.codes.pieces(generator, len(made))
    return made


def _to_station(city: City, generator: np.random.Generator, intents: NDArray[Any], at: Integers) -> None:
    lat = city.city_lat[at] + 0.03 + _SPREAD_DEGREES * generator.standard_normal(len(at))
    lon = city.city_lon[at] - 0.02 + _SPREAD_DEGREES * generator.standard_normal(len(at))
    put(intents, (lat, lon, at), PUBLIC, _STATIONS + at)


def travel_hours(city: City, one: Integers, other: Integers) -> Doubles:
    """Hours from city to city, by train up to 800 km and by plane beyond, waits included."""
    apart = great_circle_km(city.city_lat[one], city.city_lon[one], city.city_lat[other], city.city_lon[other])
    hours: Doubles = np.where(apart < 800, 0.4 + apart / 230.0, 1.2 + apart / 720.0)
    return hours
