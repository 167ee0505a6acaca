"""What honest members scan: the codes of what they buy, now or days later, where they are, and some of them twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.crowds import CrowdSettings, crowd_together, member_crowds, on_few_addresses
from data.world.gatherings import GatheringSettings, gather
from data.world.hashes import below, uniform
from data.world.intents import at_home, gathered, put, scans_of, shelved
from data.world.networks import PUBLIC, SHOP
from data.world.streams import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.intents import Scene
    from data.world.people import People

    Doubles = NDArray[np.float64]
    Integers = NDArray[np.int64]

_SECOND_US = 1_000_000
_MINUTE_US = 60 * _SECOND_US
_BOTTLED_UP_DAYS = 20.0


@dataclass(frozen=True)
class HonestSettings:
    """When and where ordinary members scan; assumed.

    Attributes:
        in_shop: Share of purchases scanned on the spot, minutes after they were made.
        soon_days: Median time until the others are scanned; spread: standard deviation of its logarithm.
        spread: See soon_days.
        together: Share of baskets whose codes are scanned in one sitting.
        gap_seconds: Median time between the scans of a sitting.
        patience: Mean codes of one basket, beyond the first, after which people lose interest.
        at_work: Share of scans away from home and shop, at the member's second place.
        shop_wifi: Share of scans in a shop on its network.
        work_wifi: Share of scans at the second place on its network.
        linked: Share opened from a link, as shared or kept in a chat.
        again: Share of scans repeated on the own code, to see whether it still holds.
        tried_by_kin: Share of codes tried by another member of the household too.
        joined_by_scan: Share of those who join by scanning whose first scan is the one they joined for.
        crowds: The crowds among everyday scans.
        gatherings: The crowds that add scans.
    """

    in_shop: float = 0.22
    soon_days: float = 0.9
    spread: float = 1.4
    together: float = 0.65
    gap_seconds: float = 14.0
    patience: float = 9.0
    at_work: float = 0.2
    shop_wifi: float = 0.25
    work_wifi: float = 0.5
    linked: float = 0.05
    again: float = 0.025
    tried_by_kin: float = 0.006
    joined_by_scan: float = 0.7
    crowds: CrowdSettings = field(default_factory=CrowdSettings)
    gatherings: GatheringSettings = field(default_factory=GatheringSettings)


def honest_scans(
    settings: HonestSettings, scene: Scene, block: int, people: People, occasions: NDArray[Any]
) -> NDArray[Any]:
    """All scans of a block of honest members over all days.

    Each member scans a share of the own-brand units in their hands; crowds change some of those scans and add others.
    Nobody scans before they are registered, nor after the world's end.

    Args:
        settings: When and where people scan.
        scene: What scans happen in.
        block: Which block, below `scene.codes.blocks`.
        people: Its members.
        occasions: OCCASION records: the units in their hands.

    Returns:
        SCAN records in no order; numbers are block * 2**28 and on.
    """
    generator = stream(scene.seed, "honest scans", block)
    crowds = member_crowds(settings.crowds, people, scene.seed)
    ordinary = _ordinary(settings, scene, generator, people, occasions)
    ordinary = crowd_together(settings.crowds, scene, generator, people, crowds, ordinary)
    meant = gathered([ordinary, gather(settings.gatherings, scene, generator, people, crowds, block)])
    on_few_addresses(meant, crowds)
    _join_by_scanning(settings, scene, generator, people, meant)
    meant = meant[_possible(scene, people, meant)]
    found = shelved(scene, generator, block, meant)
    found = gathered([found, *_again(settings, generator, people, found)])
    return scans_of(scene, people, block, found[_possible(scene, people, found)])


def _ordinary(
    settings: HonestSettings,
    scene: Scene,
    generator: np.random.Generator,
    people: People,
    occasions: NDArray[Any],
) -> NDArray[Any]:
    """The units that are scanned at all, each with its moment and its place."""
    place = occasions["member"] - people.first_member
    scanned = generator.random(len(occasions)) < people.scan_share[place]
    bought, place = occasions[scanned], place[scanned]
    basket, turn = _baskets(place, bought["at"])
    patience = 1.0 - settings.patience * np.log1p(-uniform(scene.seed, "patience", place, basket))
    patient = turn < patience
    bought, place, basket, turn = bought[patient], place[patient], basket[patient], turn[patient]
    together = uniform(scene.seed, "together", place, basket) < settings.together
    lot = np.where(together, basket, basket + np.arange(1, len(basket) + 1) * (1 << 20))
    in_shop = uniform(scene.seed, "in shop", place, lot) < settings.in_shop
    at = _moments(settings, generator, people, (place, lot), bought["at"], in_shop)
    gaps = settings.gap_seconds * np.exp(0.7 * generator.standard_normal(len(at)))
    at = at + np.where(together, turn * gaps * _SECOND_US, 0.0).astype(np.int64)
    made = at_home(people, place, at)
    made["product"], made["bought_at"] = bought["product"], bought["at"]
    made["shop_lat"], made["shop_lon"], made["shop_city"] = bought["lat"], bought["lon"], bought["city"]
    made["linked"] = generator.random(len(made)) < settings.linked
    _inside_shops(settings, generator, made, np.flatnonzero(in_shop), bought)
    at_work = ~in_shop & (uniform(scene.seed, "at work", place, lot) < settings.at_work)
    _at_second_places(settings, scene, generator, people, made, np.flatnonzero(at_work))
    return made


def _baskets(place: Integers, at: Integers) -> tuple[Integers, Integers]:
    """For each unit the moment its basket was bought, in seconds, and its turn among the units of that basket."""
    basket = (at - START_US) // _SECOND_US
    order = np.lexsort((basket, place))
    new = np.ones(len(order), np.bool_)
    new[1:] = (np.diff(place[order]) != 0) | (np.diff(basket[order]) != 0)
    starts = np.flatnonzero(new)
    turn = np.empty(len(order), np.int64)
    turn[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return basket, turn


def _moments(
    settings: HonestSettings,
    generator: np.random.Generator,
    people: People,
    lots: tuple[Integers, Integers],
    bought_at: Integers,
    in_shop: NDArray[np.bool_],
) -> Integers:
    """When each lot of units is scanned: on the spot, or days later at an hour at which the member is about."""
    place, lot = lots
    _, first, which = np.unique((place << 48) + lot, return_index=True, return_inverse=True)
    count = len(first)
    minutes = 0.5 + generator.exponential(6.0, count)
    days = np.minimum(settings.soon_days * np.exp(settings.spread * generator.standard_normal(count)), _BOTTLED_UP_DAYS)
    on_the_spot = bought_at[first] + (minutes * _MINUTE_US).astype(np.int64)
    later = bought_at[first] + (days * DAY_US).astype(np.int64)
    midnight = (later - START_US) // DAY_US * DAY_US + START_US
    about = midnight + (people.hours(generator, place[first]) / 24 * DAY_US).astype(np.int64)
    later = np.where(about > bought_at[first], about, np.maximum(later, on_the_spot))
    return np.where(in_shop[first], on_the_spot, later)[which]


def _inside_shops(
    settings: HonestSettings,
    generator: np.random.Generator,
    made: NDArray[Any],
    inside: Integers,
    bought: NDArray[Any],
) -> None:
    own = bought["store"][inside] >= 0
    online = own & (generator.random(len(inside)) < settings.shop_wifi)
    moved = made[inside]
    where = (bought["lat"][inside], bought["lon"][inside], bought["city"][inside])
    put(moved, where, -1, -1)
    moved["venue"] = np.where(online, SHOP, -1)
    moved["network"] = np.where(online, bought["store"][inside], -1)
    made[inside] = moved


def _at_second_places(
    settings: HonestSettings,
    scene: Scene,
    generator: np.random.Generator,
    people: People,
    made: NDArray[Any],
    inside: Integers,
) -> None:
    """Moves scans to where their members spend their days: an office of the city, the same one every time."""
    place = made["place"][inside]
    member, city = people.members["member"][place], people.city[place]
    first, last = scene.city.first_cell[city], scene.city.first_cell[city + 1]
    # Two draws, the busier of which is taken: people work where there is work.
    cells = [first + below(scene.seed, f"work {draw}", last - first, member) for draw in "ab"]
    cell = np.where(scene.city.jobs[cells[0]] >= scene.city.jobs[cells[1]], *cells)
    spread = [0.004 * (uniform(scene.seed, f"work {axis}", member) - 0.5) for axis in ("lat", "lon")]
    moved = made[inside]
    online = generator.random(len(inside)) < settings.work_wifi
    put(moved, (scene.city.lat[cell] + spread[0], scene.city.lon[cell] + spread[1], city), -1, -1)
    moved["venue"] = np.where(online, PUBLIC, -1)
    moved["network"] = np.where(online, cell, -1)
    made[inside] = moved


def _join_by_scanning(
    settings: HonestSettings,
    scene: Scene,
    generator: np.random.Generator,
    people: People,
    meant: NDArray[Any],
) -> None:
    """Lets those who joined by scanning make their first scan right after, since it is why they joined."""
    registered = people.members["registered_at"]
    chosen = (people.members["channel"] == 0) & (registered >= START_US)
    chosen &= uniform(scene.seed, "joined by scan", people.members["member"]) < settings.joined_by_scan
    after = np.flatnonzero(chosen[meant["place"]] & (meant["crowd"] == 0))
    after = after[meant["at"][after] >= registered[meant["place"][after]]]
    after = after[np.lexsort((meant["at"][after], meant["place"][after]))]
    _, first = np.unique(meant["place"][after], return_index=True)
    firsts = after[first]
    wait = generator.lognormal(np.log(60.0), 0.8, len(firsts))
    meant["at"][firsts] = registered[meant["place"][firsts]] + (wait * _SECOND_US).astype(np.int64)
    meant["bought_at"][firsts] = np.minimum(meant["bought_at"][firsts], meant["at"][firsts] - _MINUTE_US)


def _again(
    settings: HonestSettings, generator: np.random.Generator, people: People, found: NDArray[Any]
) -> list[NDArray[Any]]:
    """Scans of codes that were scanned already: by the same person to make sure, or by kin who hope."""
    tickets = found["campaign"] >= 0
    twice = found[(generator.random(len(found)) < settings.again) & ~tickets]
    wait = np.where(
        generator.random(len(twice)) < 0.7,
        generator.lognormal(np.log(25.0), 1.0, len(twice)),
        generator.uniform(3_600.0, 6 * 86_400.0, len(twice)),
    )
    twice["at"] += (wait * _SECOND_US).astype(np.int64)
    kin = found[(generator.random(len(found)) < settings.tried_by_kin) & ~tickets]
    kin = kin[people.household_size[kin["place"]] > 1]
    head = people.household[kin["place"]] - people.first_member
    size = people.household_size[kin["place"]]
    kin["place"] = head + (kin["place"] - head + 1) % size
    kin["at"] += (generator.lognormal(np.log(300.0), 1.2, len(kin)) * _SECOND_US).astype(np.int64)
    own_phone = kin["crowd"] == 0
    kin["device"][own_phone] = people.device_at(kin["place"], kin["at"])[own_phone]
    return [twice, kin]


def _possible(scene: Scene, people: People, intents: NDArray[Any]) -> NDArray[np.bool_]:
    """Scans inside the world and by registered members."""
    registered = people.members["registered_at"][intents["place"]]
    inside = (intents["at"] >= START_US) & (intents["at"] < START_US + scene.days * DAY_US)
    possible: NDArray[np.bool_] = inside & (intents["at"] >= registered)
    return possible
