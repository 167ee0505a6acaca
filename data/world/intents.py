"""Scans of honest people on their way to becoming records: who, when, where, on which phone and network, of what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.world.networks import HOME
from data.world.records import SCAN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from data.world.campaigns import Campaigns
    from data.world.city import City
    from data.world.codes import CodeBook
    from data.world.networks import Networks
    from data.world.people import People

INTENT: Final = np.dtype(
    [
        ("place", "i8"),  # of the member among the people of the block
        ("at", "i8"),
        ("bought_at", "i8"),  # when the code left the shelf
        ("product", "i8"),
        ("shop_lat", "f8"),
        ("shop_lon", "f8"),
        ("shop_city", "i8"),
        ("lat", "f8"),  # of the scan
        ("lon", "f8"),
        ("city", "i8"),
        ("venue", "i1"),  # kind of the wireless network they join; -1 for none
        ("network", "i8"),  # which of its kind
        ("device", "i8"),
        ("crowded", "?"),  # on a carrier of few addresses
        ("linked", "?"),
        ("crowd", "i1"),
        ("batch", "i8"),  # -1: whatever the shelf gives
        ("serial", "i8"),
        ("campaign", "i4"),  # -1: the one that runs for the product there and then
    ]
)

HOUR_US: Final = 3_600_000_000


@dataclass(frozen=True)
class Scene:
    """What scans happen in.

    Attributes:
        city: The cities.
        codes: The printed codes.
        campaigns: What runs when.
        networks: Where phones are online.
        members: Honest members of the world.
        days: Length of the world.
        seed: Seed of the world.
    """

    city: City
    codes: CodeBook
    campaigns: Campaigns
    networks: Networks
    members: int
    days: int
    seed: int


def at_home(people: People, places: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[Any]:
    """Intents of people at home on their own phones, with nothing to scan yet: the shop is where they are."""
    made = np.zeros(len(places), INTENT)
    made["place"], made["at"], made["bought_at"] = places, at, at
    for name in ("", "shop_"):
        made[f"{name}lat"], made[f"{name}lon"] = people.lat[places], people.lon[places]
        made[f"{name}city"] = people.city[places]
    made["venue"], made["network"] = HOME, people.household[places]
    made["device"] = people.device_at(places, at)
    made["product"] = made["batch"] = made["serial"] = made["campaign"] = -1
    return made


def put(intents: NDArray[Any], where: tuple[Any, Any, Any], venue: int, network: NDArray[Any] | int) -> None:
    """Moves intents to places (latitude, longitude, city), and onto a wireless network there; venue -1 is none."""
    intents["lat"], intents["lon"], intents["city"] = where
    intents["venue"], intents["network"] = venue, network


def shelved(scene: Scene, generator: np.random.Generator, block: int, intents: NDArray[Any]) -> NDArray[Any]:
    """The intents with the codes that their buyers found; without those whose shelf was empty."""
    open_ones = np.flatnonzero(intents["batch"] < 0)
    asked = intents[open_ones]
    bought = (asked["product"], asked["shop_city"], asked["bought_at"])
    found = scene.codes.on_shelf(generator, block, *bought, (asked["shop_lat"], asked["shop_lon"]))
    intents["batch"][open_ones], intents["serial"][open_ones] = found.batch, found.serial
    return intents[intents["batch"] >= 0]


def scans_of(scene: Scene, people: People, block: int, intents: NDArray[Any]) -> NDArray[Any]:
    """SCAN records of intents that have their codes, numbered within the block."""
    made = np.zeros(len(intents), SCAN)
    made["number"] = block * (1 << 28) + np.arange(len(made))
    made["member"] = people.members["member"][intents["place"]]
    for name in ("at", "device", "batch", "serial", "lat", "lon", "linked", "crowd"):
        made[name] = intents[name]
    device, at, city = intents["device"], intents["at"], intents["city"]
    networks = scene.networks
    made["agent"] = networks.agent(device, at)
    made["mobile_address"] = networks.mobile(device, city, at, intents["crowded"])
    # Whoever joins no network sees an open one all the same, and goes out over the carrier.
    made["wifi"] = networks.around(intents["lat"], intents["lon"])
    made["wifi_address"] = made["mobile_address"]
    for kind in np.unique(intents["venue"][intents["venue"] >= 0]):
        inside = np.flatnonzero(intents["venue"] == kind)
        number, when = intents["network"][inside], at[inside]
        if kind == HOME:
            joined = networks.home(number, people.city[intents["place"][inside]], when)
        else:
            joined = networks.venue(int(kind), number, device[inside], when)
        made["wifi"][inside], made["wifi_address"][inside] = joined
    made["campaign"] = intents["campaign"]
    free = np.flatnonzero(intents["campaign"] < 0)
    one = intents[free]
    made["campaign"][free] = scene.campaigns.campaign_of(one["product"], one["city"], one["at"], one["linked"])
    made["ring"] = -1
    return made


def gathered(intents: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Several lots of intents as one."""
    return np.concatenate(intents) if intents else np.empty(0, INTENT)
