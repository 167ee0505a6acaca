"""Who the members are: homes and households, what they like, how often they shop, and with which phone.

People of the wool party are drawn by the same functions as everybody else, so that no single value tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.products import CATEGORIES
from data.world.registers import RegisterSettings, draw_register
from data.world.streams import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Wholes = NDArray[np.int64]
    Records = NDArray[np.void]

BLOCK: Final = 16_384
"""Members whose honest life is made at once."""

DEVICES_A_MEMBER: Final = 8
"""A member's phones are numbered from member * 8 on."""

NEVER_US: Final = np.iinfo(np.int64).max


class Homes(Protocol):
    """What people need of the city: cells to live in."""

    city: Wholes
    lat: Floats
    income: Floats

    def draw_homes(self, generator: np.random.Generator, count: int) -> Wholes:
        """Cells where so many people live."""

    def jitter(self, generator: np.random.Generator, cells: Wholes) -> tuple[Floats, Floats]:
        """Latitude and longitude of a place in each cell."""


@dataclass(frozen=True)
class PeopleSettings:
    """How people differ. Assumed unless a source is given.

    Attributes:
        register: how members joined.
        household_sizes: shares of households of 1, 2, ... members (2020 census of China: mean 2.6 people; fewer join).
        shoppers: share of members who ever order in the retailer's own channels.
        cadence: attempted visits a day of a shopper; `data.world.orders` loses about a third as empty-handed.
        cadence_spread: standard deviation of its logarithm; Complete Journey's households have .9.
        lapse_a_day: chance a day that a shopper loses the habit; of an active card base some 40 % a year.
        taste_spread: standard deviation of the logarithm of how much one person likes a category.
        own_share: mean share of own label among the products bought, own_strength: the weight of that mean (beta).
        own_strength: see own_share.
        deal_share: mean chance that a line is bought on promotion; deal_strength: the weight of that mean (beta).
        deal_strength: see deal_share.
        mini_share: mean share of orders through the mini program; mini_strength: likewise.
        mini_strength: see mini_share.
        scan_share: mean share of own-brand units whose code a member scans; scan_strength: likewise. The trade reports
            that fewer than 30 % of buyers scan at all; members are those who do.
        scan_strength: see scan_share.
        elsewhere: own-brand units bought in other shops a day.
        elsewhere_spread: standard deviation of its logarithm.
        shopper_elsewhere: those units of a shopper relative to the others.
        phone_life_days: mean days until a member changes phones.
        main_hour: mean local hour around which a person shops and scans; main_hour_spread: between people.
        main_hour_spread: see main_hour.
        hour_spread: standard deviation of one person's hours around their own, in hours: least and most.
    """

    register: RegisterSettings = field(default_factory=RegisterSettings)
    household_sizes: tuple[float, ...] = (0.62, 0.26, 0.09, 0.03)
    shoppers: float = 0.45
    cadence: float = 0.13
    cadence_spread: float = 0.9
    lapse_a_day: float = 0.0014
    taste_spread: float = 1.0
    own_share: float = 0.42
    own_strength: float = 3.5
    deal_share: float = 0.22
    deal_strength: float = 4.0
    mini_share: float = 0.3
    mini_strength: float = 1.6
    scan_share: float = 0.42
    scan_strength: float = 2.6
    elsewhere: float = 0.45
    elsewhere_spread: float = 1.1
    shopper_elsewhere: float = 0.8
    phone_life_days: float = 700.0
    main_hour: float = 16.5
    main_hour_spread: float = 3.2
    hour_spread: tuple[float, float] = (1.5, 4.5)


@dataclass(frozen=True)
class People:
    """Some members in order of their numbers; every array has one entry (`taste` and `devices` one row) a member.

    Attributes:
        members: MEMBER records.
        cell: home cell.
        lat: home, WGS-84 degrees; members of a household share it.
        lon: likewise.
        city: home city.
        household: number of the household, which is that of its first member.
        household_size: how many members it has.
        income: of the home cell, as a z-score over the cells of all cities.
        cadence: attempted visits to own channels a day; 0 for those who never order there.
        lapse_us: from when a shopper has lost the habit; NEVER_US for most.
        taste: liking of each category, adding up to 1; `data.world.orders` multiplies it by the category's demand.
        basket: mean lines of a basket relative to everybody's.
        own_share: share of own label among the products bought.
        price_eye: chance that a product is chosen by its price.
        deal_share: chance that a line is bought on promotion.
        mini_share: share of orders through the mini program.
        scan_share: share of own-brand units whose code is scanned.
        elsewhere: own-brand units bought in other shops a day.
        main_hour: local hour around which the person shops and scans.
        hour_spread: standard deviation of the hours, in hours.
        devices: the phone at first and the one after it.
        changed_us: from when the second one is used; NEVER_US for most.
    """

    members: Records
    cell: Wholes
    lat: Floats
    lon: Floats
    city: Wholes
    household: Wholes
    household_size: Wholes
    income: Floats
    cadence: Floats
    lapse_us: Wholes
    taste: Floats
    basket: Floats
    own_share: Floats
    price_eye: Floats
    deal_share: Floats
    mini_share: Floats
    scan_share: Floats
    elsewhere: Floats
    main_hour: Floats
    hour_spread: Floats
    devices: Wholes
    changed_us: Wholes

    def __len__(self) -> int:
        """How many people these are."""
        return len(self.members)

    @property
    def first_member(self) -> int:
        """Number of the first of them; the others follow."""
        return int(self.members["member"][0])

    def device_at(self, places: Wholes, at: Wholes) -> Wholes:
        """The phone in the hands of the people at these places (from 0) at these instants."""
        return self.devices[places, (at >= self.changed_us[places]).astype(np.intp)]

    def hours(self, generator: np.random.Generator, places: Wholes) -> Floats:
        """A local hour of the day, 0 <= hour < 24, for each of the people at these places: mostly near their own."""
        near = self.main_hour[places] + self.hour_spread[places] * generator.standard_normal(len(places))
        anywhen = generator.uniform(7.0, 23.0, len(places))
        return np.where(generator.random(len(places)) < 0.8, near, anywhen) % 24.0


def draw_people(
    settings: PeopleSettings, city: Homes, days: int, seed: int, part: str, block: int, members: range
) -> People:
    """So many ordinary members.

    Args:
        settings: of the preset.
        city: where they live.
        days: length of the world; some join while it runs.
        seed: of the world.
        part: what they are drawn for, such as "honest", in a name used nowhere else.
        block: which lot of them.
        members: their numbers.
    """
    generator = stream(seed, f"people-{part}", block)
    count = len(members)
    head, size = _households(settings, generator, count)
    cell = city.draw_homes(generator, count)[head]
    lat, lon = (place[head] for place in city.jitter(generator, cell))
    shopper = generator.random(count) < settings.shoppers
    joined = draw_register(settings.register, city.city[cell], days, seed, generator, members)
    spread = settings.cadence_spread
    cadence = settings.cadence * np.exp(spread * generator.standard_normal(count) - spread**2 / 2)
    changed = START_US + (DAY_US * settings.phone_life_days * generator.exponential(size=count)).astype(np.int64)
    first_device = np.arange(members.start, members.stop) * DEVICES_A_MEMBER
    return People(
        members=joined,
        cell=cell,
        lat=lat,
        lon=lon,
        city=city.city[cell],
        household=head + members.start,
        household_size=size,
        income=(city.income[cell] - city.income.mean()) / city.income.std(),
        cadence=np.where(shopper, cadence, 0.0),
        lapse_us=_lapses(settings, generator, joined["registered_at"]),
        taste=_tastes(settings, generator, count),
        basket=np.asarray(size**0.35 * np.exp(0.3 * generator.standard_normal(count)), np.float64),
        own_share=_beta(generator, settings.own_share, settings.own_strength, count),
        price_eye=_beta(generator, 0.45, 2.5, count),
        deal_share=_beta(generator, settings.deal_share, settings.deal_strength, count),
        mini_share=_beta(generator, settings.mini_share, settings.mini_strength, count),
        scan_share=_beta(generator, settings.scan_share, settings.scan_strength, count),
        elsewhere=_elsewhere(settings, generator, shopper),
        main_hour=settings.main_hour + settings.main_hour_spread * generator.standard_normal(count),
        hour_spread=generator.uniform(*settings.hour_spread, count),
        devices=first_device[:, None] + np.arange(2),
        changed_us=np.where(changed < START_US + DAY_US * days, changed, NEVER_US),
    )


def _households(settings: PeopleSettings, generator: np.random.Generator, count: int) -> tuple[Wholes, Wholes]:
    """For each person the place of their household's first member, and the household's size."""
    chances = np.array(settings.household_sizes)
    sizes = 1 + generator.choice(len(chances), count, p=chances / chances.sum())
    ends = np.minimum(np.cumsum(sizes), count)
    starts = np.concatenate([[0], ends[:-1]])
    sizes = ends - starts
    return np.repeat(starts, sizes), np.repeat(sizes, sizes)


def _lapses(settings: PeopleSettings, generator: np.random.Generator, registered: Wholes) -> Wholes:
    # Those who lapsed before the world began look like members who never order; so counting starts with the world.
    since = np.maximum(registered, START_US)
    wait = generator.exponential(DAY_US / settings.lapse_a_day, len(since))
    return since + wait.astype(np.int64)


def _tastes(settings: PeopleSettings, generator: np.random.Generator, count: int) -> Floats:
    """Likings by category, before the demand for it: the same mean for all, far apart between people."""
    liking: Floats = np.exp(settings.taste_spread * generator.standard_normal((count, len(CATEGORIES))))
    made: Floats = liking / liking.sum(axis=1, keepdims=True)
    return made


def _elsewhere(settings: PeopleSettings, generator: np.random.Generator, shopper: NDArray[np.bool_]) -> Floats:
    spread = settings.elsewhere_spread
    units = settings.elsewhere * np.exp(spread * generator.standard_normal(len(shopper)) - spread**2 / 2)
    return np.where(shopper, settings.shopper_elsewhere, 1.0) * units


def _beta(generator: np.random.Generator, mean: float, strength: float, count: int) -> Floats:
    made: Floats = generator.beta(mean * strength, (1.0 - mean) * strength, count)
    return made
