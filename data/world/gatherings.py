"""Honest people who look guilty when they gather or work: crowds that add scans of their own to those of every day.

A live stream or a launch brings hundreds within minutes, as hunters' groups do; a market stall scans for its customers
on the keeper's phone, as farms do; depot staff scan opened cases, serial after serial and at odd hours, as buyers of
caps do; heavy fans scan dozens of codes a week, as everybody in the trade does; and those who want a bargain hammer
flash sales with bots beside them. Sizes are assumed, and set so that each crowd makes .3 to 5 % of the scans.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.campaigns import FLASH_SALE
from data.world.campaigns import LAUNCH as LAUNCH_CAMPAIGN
from data.world.campaigns import LIVE_STREAM as LIVE_CAMPAIGN
from data.world.crowds import HEAVY_FAN, LAUNCH, LIVE_STREAM, MARKET_STALL, WAREHOUSE_STAFF, places_of
from data.world.hashes import below, uniform
from data.world.intents import HOUR_US, INTENT, at_home, gathered, put
from data.world.networks import DEPOT, MARKET

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.intents import Scene
    from data.world.people import People

    Integers = NDArray[np.int64]

_SECOND_US = 1_000_000
_STALL_DEVICES = 1 << 40
"""Phones of stalls are numbered from here on, beyond those of all members."""


@dataclass(frozen=True)
class GatheringSettings:
    """How large gatherings are, and what is scanned there; assumed.

    Attributes:
        viewers: Share of the members who scan along in one live stream.
        viewer_minutes: Mean time from the host's call to a viewer's scan.
        first_buyers: Share who scan a new product within hours of its launch.
        first_minutes: Mean time from the launch to their scan.
        codes: Mean codes that either of them scans beyond the first.
        customers: Customers of one market stall.
        stall_days: Days on which a stall scans for its customers.
        stall_visits: Mean times that it does so for one of them.
        cases_a_day: Cases that one of the depot staff asks for a day; of about half of them the depot has none.
        night_shift: Share of the staff who work at night.
        fan_sittings: Sittings of a heavy fan a day; fan_codes: mean codes of one beyond the second.
        fan_codes: See fan_sittings.
        sale_seconds: Mean time from the start of a flash sale to a shopper's first request.
        eager: Share of first requests before the sale is open.
        requests: Mean requests of one shopper beyond the first; request_seconds: mean time between them.
        request_seconds: See requests.
    """

    viewers: float = 0.02
    viewer_minutes: float = 4.0
    first_buyers: float = 0.04
    first_minutes: float = 25.0
    codes: float = 0.6
    customers: int = 16
    stall_days: int = 24
    stall_visits: float = 4.0
    cases_a_day: float = 0.22
    night_shift: float = 0.5
    fan_sittings: float = 1.6
    fan_codes: float = 1.5
    sale_seconds: float = 25.0
    eager: float = 0.06
    requests: float = 0.8
    request_seconds: float = 4.0


def gather(
    settings: GatheringSettings,
    scene: Scene,
    generator: np.random.Generator,
    people: People,
    crowds: NDArray[np.int8],
    block: int,
) -> NDArray[Any]:
    """What the people of a block scan beyond their ordinary scans, given the crowd that each of them belongs to."""
    return gathered(
        [
            *_live_streams(settings, scene, generator, people),
            *_launches(settings, scene, generator, people),
            _stalls(settings, scene, generator, people, crowds),
            _depots(settings, scene, generator, people, crowds, block),
            _fans(settings, scene, generator, people, crowds),
            *_flash_sales(settings, scene, generator, people, block),
        ]
    )


def sitting(generator: np.random.Generator, intents: NDArray[Any], codes: Integers, seconds: float) -> NDArray[Any]:
    """Each intent so many times over, the scans of one sitting following each other within seconds."""
    made = np.repeat(intents, codes)
    turn = np.arange(len(made)) - np.repeat(np.cumsum(codes) - codes, codes)
    gaps = np.where(turn > 0, 3.0 + seconds * generator.lognormal(0.0, 0.6, len(made)), 0.0)
    total = np.cumsum(gaps)
    before = np.repeat(total[np.cumsum(codes) - codes], codes) if len(made) else total
    made["at"] += ((total - before) * _SECOND_US).astype(np.int64)
    return made


def _present(generator: np.random.Generator, people: People, share: float, at: int) -> Integers:
    """Places of the members who take part in something, of those registered by then."""
    known = people.members["registered_at"] <= at
    return np.flatnonzero(known & (generator.random(len(people)) < share))


def _live_streams(
    settings: GatheringSettings, scene: Scene, generator: np.random.Generator, people: People
) -> list[NDArray[Any]]:
    made = []
    for number in scene.campaigns.of_kind(LIVE_CAMPAIGN):
        row = scene.campaigns.rows[number]
        viewers = _present(generator, people, settings.viewers, int(row["starts_at"]))
        minutes = 1.5 + generator.exponential(settings.viewer_minutes, len(viewers))
        length = (row["ends_at"] - row["starts_at"]) / 60_000_000
        at = row["starts_at"] + ((minutes % length) * 60_000_000).astype(np.int64)
        codes = 1 + generator.poisson(settings.codes, len(viewers))
        one = sitting(generator, at_home(people, viewers, at), codes, 12.0)
        one["product"] = scene.codes.pieces(generator, len(one))
        one["bought_at"] -= (generator.uniform(0.05, 9.0, len(one)) * DAY_US).astype(np.int64)
        one["linked"], one["crowd"] = True, LIVE_STREAM
        made.append(one)
    return made


def _launches(
    settings: GatheringSettings, scene: Scene, generator: np.random.Generator, people: People
) -> list[NDArray[Any]]:
    made = []
    for number in scene.campaigns.of_kind(LAUNCH_CAMPAIGN):
        row = scene.campaigns.rows[number]
        buyers = _present(generator, people, settings.first_buyers, int(row["starts_at"]))
        minutes = generator.exponential(settings.first_minutes, len(buyers))
        at = row["starts_at"] + (minutes * 60_000_000).astype(np.int64)
        home = at_home(people, buyers, at)
        # Half of them scan where they bought, in the shop nearest to home.
        store = scene.city.store_weights(people.cell[buyers])[0][:, 0]
        shop = generator.random(len(buyers)) < 0.5
        inside = home[shop]
        put(inside, (scene.city.store_lat[store[shop]], scene.city.store_lon[store[shop]], inside["city"]), -1, -1)
        home[shop] = inside
        one = sitting(generator, home, 1 + generator.poisson(settings.codes, len(buyers)), 15.0)
        one["product"] = generator.choice(np.flatnonzero(scene.campaigns.products[number]), len(one))
        one["crowd"] = LAUNCH
        made.append(one)
    return made


def _stalls(
    settings: GatheringSettings,
    scene: Scene,
    generator: np.random.Generator,
    people: People,
    crowds: NDArray[np.int8],
) -> NDArray[Any]:
    """Customers of market stalls: grouped by city in order of number, each group on its keeper's phone."""
    customers = np.flatnonzero(crowds == MARKET_STALL)
    customers = customers[np.argsort(people.city[customers], kind="stable")]
    if customers.size == 0:
        return np.empty(0, INTENT)
    home = people.city[customers]
    among = np.arange(len(customers)) - np.searchsorted(home, home)
    number = people.first_member + np.searchsorted(home, home) + among // settings.customers
    open_days = min(scene.days, settings.stall_days)
    visits = generator.poisson(settings.stall_visits * scene.days / 90, len(customers))
    who = np.repeat(np.arange(len(customers)), visits)
    first = below(scene.seed, "stall opens", scene.days - open_days + 1, number[who])
    day = first + generator.integers(0, open_days, len(who))
    hour = 6.5 + 5.5 * generator.beta(1.6, 2.2, len(who))
    at = START_US + day * DAY_US + (hour * HOUR_US).astype(np.int64)
    made = at_home(people, customers[who], at)
    markets = places_of(scene.city, "supermarket")
    stall_lat, stall_lon = _spots(scene, markets, home[who], number[who])
    put(made, (stall_lat, stall_lon, home[who]), MARKET, number[who])
    made["device"] = _STALL_DEVICES + number[who]
    made["shop_lat"], made["shop_lon"] = stall_lat, stall_lon
    made = sitting(generator, made, 1 + generator.poisson(0.5, len(made)), 10.0)
    made["product"] = scene.codes.pieces(generator, len(made))
    made["crowd"] = MARKET_STALL
    return made


def _spots(
    scene: Scene, markets: Integers, city: Integers, stall: Integers
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where each stall stands: beside one of its city's supermarkets."""
    found = np.empty(len(city), np.int64)
    for one in np.unique(city):
        inside = city == one
        known = markets[scene.city.place_city[markets] == one]
        known = known if known.size else np.flatnonzero(scene.city.place_city == one)
        found[inside] = known[below(scene.seed, "stall place", len(known), stall[inside])]
    north = 0.002 * (uniform(scene.seed, "stall north", stall) - 0.5)
    east = 0.002 * (uniform(scene.seed, "stall east", stall) - 0.5)
    return scene.city.place_lat[found] + north, scene.city.place_lon[found] + east


def _depots(
    settings: GatheringSettings,
    scene: Scene,
    generator: np.random.Generator,
    people: People,
    crowds: NDArray[np.int8],
    block: int,
) -> NDArray[Any]:
    """Staff who open a case now and then, to see what is broken, and scan what they take out."""
    staff = np.flatnonzero(crowds == WAREHOUSE_STAFF)
    who = np.repeat(staff, generator.poisson(settings.cases_a_day * scene.days, len(staff)))
    member = people.members["member"][who]
    night = uniform(scene.seed, "night shift", member) < settings.night_shift
    hour = np.where(night, 22.0, 7.0) + 8.0 * generator.random(len(who))
    day = generator.integers(0, scene.days, len(who))
    at = START_US + day * DAY_US + (hour * HOUR_US).astype(np.int64)
    city = people.city[who]
    made = at_home(people, who, at)
    turn = 2 * np.pi * uniform(scene.seed, "depot", city)
    lat = scene.city.city_lat[city] + 0.11 * np.sin(turn) + 0.0008 * generator.standard_normal(len(who))
    lon = scene.city.city_lon[city] + 0.13 * np.cos(turn) + 0.0008 * generator.standard_normal(len(who))
    put(made, (lat, lon, city), DEPOT, city)
    runs = scene.codes.opened_cases(generator, block, len(who), city, at)
    kept = runs.batch >= 0
    made, length = made[kept], runs.length[kept]
    made["batch"], made["serial"] = runs.batch[kept], runs.first[kept]
    made["product"] = scene.codes.batches["product"][made["batch"]]
    first = np.cumsum(length) - length
    made = sitting(generator, made, length, 5.0)
    made["serial"] += np.arange(len(made)) - np.repeat(first, length)
    made["crowd"] = WAREHOUSE_STAFF
    return made


def _fans(
    settings: GatheringSettings,
    scene: Scene,
    generator: np.random.Generator,
    people: People,
    crowds: NDArray[np.int8],
) -> NDArray[Any]:
    """Fans who buy by the carton and scan at home, sitting after sitting, mostly of two or three favourites."""
    fans = np.flatnonzero(crowds == HEAVY_FAN)
    who = np.repeat(fans, generator.poisson(settings.fan_sittings * scene.days, len(fans)))
    day = generator.integers(0, scene.days, len(who))
    hour = people.hours(generator, who)
    made = at_home(people, who, START_US + day * DAY_US + (hour * HOUR_US).astype(np.int64))
    made["bought_at"] -= (generator.uniform(0.1, 2.5, len(who)) * DAY_US).astype(np.int64)
    favourites = scene.codes.pieces(generator, 3 * len(people)).reshape(-1, 3)
    liked = favourites[who, generator.integers(0, 3, len(who))]
    made["product"] = np.where(generator.random(len(who)) < 0.75, liked, scene.codes.pieces(generator, len(who)))
    made = sitting(generator, made, 2 + generator.poisson(settings.fan_codes, len(made)), 9.0)
    made["crowd"] = HEAVY_FAN
    return made


def _flash_sales(
    settings: GatheringSettings, scene: Scene, generator: np.random.Generator, people: People, block: int
) -> list[NDArray[Any]]:
    """Requests to buy of shoppers who wait for a sale to open: a ticket a request, seconds apart."""
    made = []
    share = scene.campaigns.settings.flash_shoppers
    for number in scene.campaigns.of_kind(FLASH_SALE):
        row = scene.campaigns.rows[number]
        shoppers = _present(generator, people, share, int(row["starts_at"]))
        seconds = generator.exponential(settings.sale_seconds, len(shoppers))
        early = generator.random(len(shoppers)) < settings.eager
        seconds = np.where(early, -generator.exponential(4.0, len(shoppers)), seconds)
        at = row["starts_at"] + (seconds * _SECOND_US).astype(np.int64)
        requests = 1 + generator.poisson(settings.requests, len(shoppers))
        one = sitting(generator, at_home(people, shoppers, at), requests, settings.request_seconds)
        # A block's share of the tickets is many times what its people ask for; beyond it the page gives none.
        each = scene.codes.tickets_a_block
        one = one[:each]
        ticket = scene.codes.tickets(np.full(len(one), number), block * each + np.arange(len(one)))
        one["batch"], one["serial"] = ticket.batch, ticket.serial
        one["product"], one["campaign"], one["linked"] = row["product"], number, True
        made.append(one)
    return made
