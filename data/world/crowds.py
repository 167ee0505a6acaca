"""Honest people who look guilty in what they do every day: who they are, and how their ordinary scans differ.

Each crowd is the innocent twin of a trade of the wool party. Small carriers put hundreds of members behind an address,
as proxies do; a campus scans in the breaks between lessons from few addresses; families share one phone among several
members, as farms do; those who change phones, or buy a used one, tie strangers together; travellers are far apart
within hours, as clones are. Sizes are assumed; each crowd makes .3 to 5 % of the scans. `data.world.gatherings` holds
the crowds that add scans of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.hashes import below, uniform
from data.world.intents import HOUR_US, gathered, put
from data.world.journeys import JourneySettings, travelled
from data.world.networks import CAMPUS, HOME
from data.world.people import NEVER_US

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.city import City
    from data.world.intents import Scene
    from data.world.people import People

    Integers = NDArray[np.int64]

CARRIER_NAT, CAMPUS_WIFI, FAMILY_PHONE, LIVE_STREAM, LAUNCH = range(1, 6)
MARKET_STALL, WAREHOUSE_STAFF, HEAVY_FAN, CHANGED_PHONE, TRAVELLER = range(6, 11)

# Local hours at which lessons end, or begin.
_BREAKS: Final = np.array([7.6, 9.7, 11.9, 15.6, 17.5, 21.6])


@dataclass(frozen=True)
class CrowdSettings:
    """How many members belong to which crowd, and how it behaves; assumed.

    Attributes:
        carrier_nat: Share of the households that are online only through a carrier of few addresses.
        campus: Share who study and live on a campus.
        students_a_campus: Members of one campus.
        on_campus: Share of a student's scans made there.
        in_breaks: Share of those made in the breaks between lessons, within minutes.
        family_phone: Share of the households of several members that share one phone.
        evening_days: Days after which such a household scans together what it kept.
        in_evenings: Share of its codes that it keeps for that.
        stall: Share who shop at a market stall whose keeper scans for them; see `data.world.gatherings`.
        staff: Share who work in a depot; likewise.
        fans: Share who scan dozens a week; likewise.
        travellers: Share who travel.
        changed_days: Days after a change of phones, or the purchase of a used one, that count as this crowd's.
        resold: Share of old phones that go on to another member.
        journeys: How they travel.
    """

    carrier_nat: float = 0.04
    campus: float = 0.035
    students_a_campus: int = 150
    on_campus: float = 0.85
    in_breaks: float = 0.6
    family_phone: float = 0.085
    evening_days: int = 3
    in_evenings: float = 0.6
    stall: float = 0.045
    staff: float = 0.0014
    fans: float = 0.001
    travellers: float = 0.02
    changed_days: int = 10
    resold: float = 0.4
    journeys: JourneySettings = field(default_factory=JourneySettings)


def member_crowds(settings: CrowdSettings, people: People, seed: int) -> NDArray[np.int8]:
    """The crowd that each member belongs to for good, a place in CROWDS; 0 for most.

    Live streams, launches and changed phones are moments, not crowds that one belongs to.
    """
    member = people.members["member"]
    shares = (
        (CAMPUS_WIFI, settings.campus),
        (MARKET_STALL, settings.stall),
        (WAREHOUSE_STAFF, settings.staff),
        (HEAVY_FAN, settings.fans),
        (TRAVELLER, settings.travellers),
    )
    steps = np.cumsum([share for _, share in shares])
    place = np.searchsorted(steps, uniform(seed, "crowd", member), side="right")
    crowds = np.array([*(crowd for crowd, _ in shares), 0], np.int8)[place]
    sharing = (people.household_size > 1) & (uniform(seed, "family phone", people.household) < settings.family_phone)
    crowds[sharing] = FAMILY_PHONE
    without_line = uniform(seed, "without line", people.household) < settings.carrier_nat
    crowds[without_line] = CARRIER_NAT
    return crowds


def crowd_together(
    settings: CrowdSettings,
    scene: Scene,
    generator: np.random.Generator,
    people: People,
    crowds: NDArray[np.int8],
    intents: NDArray[Any],
) -> NDArray[Any]:
    """Ordinary intents as the crowds' members would have them, and what they scan beyond that on their journeys."""
    of = crowds[intents["place"]]
    _on_campus(settings, scene, generator, people, intents, of)
    _with_new_phones(settings, scene, people, intents)
    _on_one_phone(settings, scene, generator, people, intents, of)
    travellers = np.flatnonzero(crowds == TRAVELLER)
    moved, bought = travelled(settings.journeys, scene, generator, people, travellers, intents)
    intents["crowd"][moved] = bought["crowd"] = TRAVELLER
    return gathered([intents, bought])


def on_few_addresses(intents: NDArray[Any], crowds: NDArray[np.int8]) -> None:
    """Takes those without a line of their own off the home's network, and onto a carrier of few addresses."""
    theirs = crowds[intents["place"]] == CARRIER_NAT
    intents["venue"][theirs & (intents["venue"] == HOME)] = -1
    intents["crowded"][theirs] = True
    intents["crowd"][theirs & (intents["crowd"] == 0)] = CARRIER_NAT


def _on_campus(
    settings: CrowdSettings,
    scene: Scene,
    generator: np.random.Generator,
    people: People,
    intents: NDArray[Any],
    of: NDArray[np.int8],
) -> None:
    there = np.flatnonzero((of == CAMPUS_WIFI) & (generator.random(len(of)) < settings.on_campus))
    place = intents["place"][there]
    campus = _campus_of(settings, scene, people, place)
    count = len(there)
    lat = scene.city.place_lat[campus] + 0.0018 * generator.standard_normal(count)
    lon = scene.city.place_lon[campus] + 0.0018 * generator.standard_normal(count)
    moved = intents[there]
    put(moved, (lat, lon, people.city[place]), CAMPUS, campus)
    moved["shop_lat"], moved["shop_lon"] = scene.city.place_lat[campus], scene.city.place_lon[campus]
    moved["crowd"] = CAMPUS_WIFI
    midnight = (moved["at"] - START_US) // DAY_US * DAY_US + START_US
    after = generator.exponential(9.0 / 60, count)
    rung = midnight + ((generator.choice(_BREAKS, count) + after) * HOUR_US).astype(np.int64)
    moved["at"] = np.where(generator.random(count) < settings.in_breaks, rung, moved["at"])
    moved["bought_at"] = np.minimum(moved["bought_at"], moved["at"])
    intents[there] = moved


def _campus_of(settings: CrowdSettings, scene: Scene, people: People, places: Integers) -> Integers:
    """The campus of each student: one of the first universities of the city, as many as its students fill."""
    campuses = places_of(scene.city, "university")
    students = settings.campus * scene.members * scene.city.city_share / scene.city.city_share.sum()
    found = np.empty(len(places), np.int64)
    home = people.city[places]
    for city in np.unique(home):
        inside = home == city
        known = campuses[scene.city.place_city[campuses] == city]
        if known.size == 0:
            known = np.flatnonzero(scene.city.place_city == city)
        used = min(len(known), max(1, round(float(students[city]) / settings.students_a_campus)))
        member = people.members["member"][places[inside]]
        found[inside] = known[below(scene.seed, "campus", used, member)]
    return found


def _with_new_phones(settings: CrowdSettings, scene: Scene, people: People, intents: NDArray[Any]) -> None:
    """Marks scans soon after a change of phones, and lets other members go on with the phones that were sold."""
    changed = people.changed_us[intents["place"]]
    lately = settings.changed_days * DAY_US
    fresh = (intents["at"] >= changed) & (intents["at"] < changed + lately)
    intents["crowd"][fresh & (intents["crowd"] == 0)] = CHANGED_PHONE
    sellers = np.flatnonzero(people.changed_us < NEVER_US)
    member = people.members["member"]
    sellers = sellers[uniform(scene.seed, "resold", member[sellers]) < settings.resold]
    sold = people.changed_us[sellers] + (
        DAY_US * (2 + 20 * uniform(scene.seed, "resold after", member[sellers]))
    ).astype(np.int64)
    buyer = below(scene.seed, "buyer", len(people), member[sellers])
    buyer, first = np.unique(buyer, return_index=True)
    since = np.full(len(people), NEVER_US)
    used = np.full(len(people), -1, np.int64)
    since[buyer], used[buyer] = sold[first], people.devices[sellers[first], 0]
    theirs = intents["at"] >= since[intents["place"]]
    intents["device"][theirs] = used[intents["place"][theirs]]
    new = theirs & (intents["at"] < since[intents["place"]] + lately) & (intents["crowd"] == 0)
    intents["crowd"][new] = CHANGED_PHONE


def _on_one_phone(
    settings: CrowdSettings,
    scene: Scene,
    generator: np.random.Generator,
    people: People,
    intents: NDArray[Any],
    of: NDArray[np.int8],
) -> None:
    """A household's only phone: each code goes to the account of one or another of the family, many in one evening."""
    theirs = np.flatnonzero(of == FAMILY_PHONE)
    place = intents["place"][theirs]
    household = people.household[place]
    head = household - people.first_member
    turn = (generator.random(len(theirs)) * people.household_size[place]).astype(np.int64)
    intents["place"][theirs] = head + turn
    at = intents["at"][theirs]
    # Codes kept for a few days are scanned together, one account after the other.
    lot = (at - START_US) // (settings.evening_days * DAY_US)
    hour = 18.5 + 3.0 * uniform(scene.seed, "family evening", household, lot)
    evening = START_US + (lot + 1) * settings.evening_days * DAY_US - DAY_US + (hour * HOUR_US).astype(np.int64)
    evening += (generator.uniform(0.0, 240.0, len(at)) * 1e6).astype(np.int64)
    kept = (generator.random(len(at)) < settings.in_evenings) & (evening > intents["bought_at"][theirs])
    intents["at"][theirs] = np.where(kept, evening, at)
    intents["device"][theirs] = people.device_at(head, intents["at"][theirs])
    intents["crowd"][theirs] = FAMILY_PHONE
    moved = intents[theirs[kept]]
    put(moved, (people.lat[place[kept]], people.lon[place[kept]], people.city[place[kept]]), HOME, household[kept])
    intents[theirs[kept]] = moved


def places_of(city: City, sort: str) -> Integers:
    """Numbers of the city's places of a sort, by its name in the city's settings."""
    names = [one.name for one in city.settings.places.sorts]
    found: Integers = np.flatnonzero(city.place_sort == names.index(sort))
    return found
