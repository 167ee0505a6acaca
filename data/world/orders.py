"""What people buy in the retailer's own channels when nobody sends them anything.

Visits are a Poisson process whose rate follows the calendar and the weather. How much goes into a basket is gamma
mixed Poisson, category by category, so that the chance of a purchase in any window has a closed form and
`data.world.effects` can say what is true. Visits on which nothing is bought leave no trace.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.people import NEVER_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from data.world.almanac import Almanac
    from data.world.people import People
    from data.world.products import Products

    Flags = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Wholes = NDArray[np.int64]

POS, MINI_PROGRAM = 0, 1
_HOUR_US = DAY_US // 24


class Shops(Protocol):
    """What orders need of the city: the stores of a home, and where they are."""

    store_lat: Floats
    store_lon: Floats

    def store_weights(self, cells: Wholes) -> tuple[Wholes, Floats]:
        """The usual stores of people of those cells, and with what chance they go to each."""


@dataclass(frozen=True)
class OrderSettings:
    """How baskets look. Shapes after Complete Journey (lines, pieces, gaps); levels assumed for a smaller store.

    Attributes:
        lines: mean lines of an attempted visit of an average member.
        lines_shape: gamma shape of how much one visit buys; small means many tiny and a few huge baskets.
        pieces: pieces of a line, with chances piece_chances; as counted in Complete Journey.
        piece_chances: see pieces.
        deals: depths of the promotions in the shops, equally frequent.
        no_card: share of visits on which the member shows no card; they stand in the tables without a member.
        second_trip: share of visits that come in two: something forgotten, or ordered a little later.
        second_share: share of a visit's lines that the second trip buys.
        second_minutes: median minutes between the two; second_spread: of the logarithm.
        second_spread: see second_minutes.
        lapsed: visits of a member who has lost the habit, relative to before.
        opens: local hour at which stores open, and closes: at which they close.
        closes: see opens.
    """

    lines: float = 3.6
    lines_shape: float = 0.75
    pieces: tuple[int, ...] = (1, 2, 3, 4, 6)
    piece_chances: tuple[float, ...] = (0.79, 0.15, 0.03, 0.02, 0.01)
    deals: tuple[float, ...] = (0.1, 0.2, 0.3)
    no_card: float = 0.06
    second_trip: float = 0.1
    second_share: float = 0.4
    second_minutes: float = 40.0
    second_spread: float = 1.6
    lapsed: float = 0.08
    opens: float = 7.0
    closes: float = 22.5


@dataclass(frozen=True)
class Visits:
    """Trips to a shop or to the mini program, each with one basket or two.

    Attributes:
        person: place of the shopper among the people.
        day: day of the world.
        at: instant, microseconds UTC; second_at: of the second basket.
        second_at: see at.
        channel: POS or MINI_PROGRAM.
        store: that serves it.
        card: whether the shopper is known.
    """

    person: Wholes
    day: Wholes
    at: Wholes
    second_at: Wholes
    channel: Wholes
    store: Wholes
    card: Flags

    def __len__(self) -> int:
        """How many visits these are."""
        return len(self.person)

    def take(self, places: Wholes) -> Visits:
        """The visits at these places, in their order."""
        return Visits(**{field.name: getattr(self, field.name)[places] for field in fields(self)})


@dataclass(frozen=True)
class Lines:
    """Lines of baskets, in order of their visits.

    Attributes:
        visit: place of the visit.
        second: whether it is in the visit's second basket.
        product: place in the range.
        quantity: pieces.
        deal: depth of the promotion it was bought on; 0 for none.
        offer: coupon used on it; -1 for none.
        face_fen: what the coupon took off.
    """

    visit: Wholes
    second: Flags
    product: Wholes
    quantity: Wholes
    deal: Floats
    offer: Wholes
    face_fen: Wholes

    def __len__(self) -> int:
        """How many lines these are."""
        return len(self.visit)

    def take(self, places: Wholes) -> Lines:
        """The lines at these places, in their order."""
        return Lines(**{field.name: getattr(self, field.name)[places] for field in fields(self)})


def joined_visits(parts: Sequence[Visits]) -> Visits:
    """Several lots of visits as one."""
    names = [field.name for field in fields(Visits)]
    return Visits(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def joined_lines(parts: Sequence[Lines]) -> Lines:
    """Several lots of lines as one."""
    names = [field.name for field in fields(Lines)]
    return Lines(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def category_shares(people: People, products: Products) -> Floats:
    """How a person's lines divide over the categories at 18 C: liking times demand, rows adding up to 1."""
    shares = people.taste * products.demand
    made: Floats = shares / shares.sum(axis=1, keepdims=True)
    return made


def first_days(people: People, days: int) -> Wholes:
    """First whole day on which each person is a member, the day after joining; `days` for whoever joins too late."""
    joined: Wholes = -((START_US - people.members["registered_at"]) // DAY_US)
    return np.clip(joined, 0, days)


def last_days(people: People, days: int) -> Wholes:
    """First day on which each person has lost the habit; `days` for those who keep it."""
    lapse = np.where(people.lapse_us == NEVER_US, START_US, people.lapse_us) - START_US
    return np.where(people.lapse_us == NEVER_US, days, np.minimum(-(-lapse // DAY_US), days))


def draw_orders(
    settings: OrderSettings,
    shops: Shops,
    almanac: Almanac,
    products: Products,
    people: People,
    generator: np.random.Generator,
) -> tuple[Visits, Lines]:
    """All visits of these people to own channels, in order of time, and the lines they buy."""
    person, day = _attempts(settings, almanac, people, generator)
    weights = category_shares(people, products)[person] * almanac.category[people.city[person], day]
    upto = np.cumsum(weights, axis=1)
    much = generator.gamma(settings.lines_shape, 1.0 / settings.lines_shape, len(person))
    counts = generator.poisson(settings.lines * people.basket[person] * much * upto[:, -1])
    bought = counts > 0
    person, day, upto, counts = person[bought], day[bought], upto[bought], counts[bought]
    visits = draw_visits(settings, shops, people, person, day, generator)
    order = np.argsort(visits.at, kind="stable")
    visits, upto, counts = visits.take(order), upto[order], counts[order]
    visit = np.repeat(np.arange(len(visits)), counts)
    luck = generator.random(len(visit)) * upto[visit, -1]
    category = (luck[:, None] >= upto[visit]).sum(axis=1)
    twice = generator.random(len(visits)) < settings.second_trip
    second = twice[visit] & (generator.random(len(visit)) < settings.second_share)
    own = generator.random(len(visit)) < people.own_share[visits.person[visit]]
    lines = draw_lines(settings, products, people, visits, (visit, category, own), generator)
    return visits, replace(lines, second=second)


def draw_visits(
    settings: OrderSettings,
    shops: Shops,
    people: People,
    person: Wholes,
    day: Wholes,
    generator: np.random.Generator,
) -> Visits:
    """When and where people shop, given who and on which day."""
    count = len(person)
    card = generator.random(count) >= settings.no_card
    channel = np.where(card & (generator.random(count) < people.mini_share[person]), MINI_PROGRAM, POS)
    hour = people.hours(generator, person)
    shut = (channel == POS) & ((hour < settings.opens) | (hour >= settings.closes))
    hour = np.where(shut, generator.uniform(settings.opens + 1.0, settings.closes, count), hour)
    midnight = START_US + DAY_US * day
    at = midnight + (hour * _HOUR_US).astype(np.int64)
    wait = settings.second_minutes * np.exp(settings.second_spread * generator.standard_normal(count))
    second_at = np.minimum(at + 60_000_000 + (wait * 60_000_000).astype(np.int64), midnight + DAY_US - 1)
    stores, chances = shops.store_weights(people.cell[person])
    place = (generator.random(count)[:, None] >= np.cumsum(chances, axis=1)[:, :-1]).sum(axis=1)
    store = stores[np.arange(count), place]
    return Visits(person, day, at, np.maximum(second_at, at), channel, store, card)


def draw_lines(
    settings: OrderSettings,
    products: Products,
    people: People,
    visits: Visits,
    wanted: tuple[Wholes, Wholes, Flags],
    generator: np.random.Generator,
) -> Lines:
    """Lines in first baskets without coupons, given the visit, the category and whether it is own label, of each."""
    visit, category, own = wanted
    count, person = len(visit), visits.person[visit]
    cheap = generator.random(count) < people.price_eye[person]
    quantity = np.array(settings.pieces)[
        np.searchsorted(np.cumsum(settings.piece_chances[:-1]), generator.random(count), side="right")
    ]
    on_deal = generator.random(count) < people.deal_share[person]
    return Lines(
        visit=visit,
        second=np.zeros(count, bool),
        product=products.pick(generator, category, own, cheap),
        quantity=quantity,
        deal=np.where(on_deal, generator.choice(settings.deals, count), 0.0),
        offer=np.full(count, -1),
        face_fen=np.zeros(count, np.int64),
    )


def _attempts(
    settings: OrderSettings, almanac: Almanac, people: People, generator: np.random.Generator
) -> tuple[Wholes, Wholes]:
    """Person and day of each attempted visit: Poisson, thinned by the days of the person's city and by habit lost."""
    upto = np.pad(np.cumsum(almanac.visits, axis=1), ((0, 0), (1, 0)))
    start, stop = first_days(people, almanac.days), last_days(people, almanac.days)
    stop = np.maximum(start, stop)
    keen = upto[people.city, stop] - upto[people.city, start]
    tired = upto[people.city, -1] - upto[people.city, stop]
    counts = generator.poisson(people.cadence * (keen + settings.lapsed * tired))
    person = np.repeat(np.arange(len(people)), counts)
    aim = generator.random(len(person)) * (keen + settings.lapsed * tired)[person]
    late = aim >= keen[person]
    begin = np.where(late, stop[person], start[person])
    aim = np.where(late, (aim - keen[person]) / settings.lapsed, aim) + upto[people.city[person], begin]
    return person, found_days(upto, people.city[person], aim)


def found_days(upto: Floats, row: Wholes, aim: Floats) -> Wholes:
    """The day on which a running total reaches each aim.

    Args:
        upto: running totals, a row of days + 1 each, from 0 and never falling.
        row: the row to look in.
        aim: from 0 to the row's total.

    >>> upto = np.array([[0.0, 1.0, 3.0], [0.0, 2.0, 3.0]])
    >>> found_days(upto, np.array([0, 1, 0]), np.array([1.5, 1.5, 0.5])).tolist()
    [1, 0, 0]
    """
    days = upto.shape[1] - 1
    # All rows end to end on one line, each a little longer than the longest, so that one search serves all.
    step = float(upto[:, -1].max()) + 1.0
    line = (upto + step * np.arange(len(upto))[:, None]).ravel()
    place = np.searchsorted(line, aim + step * row, side="right") - 1
    made: Wholes = np.clip(place - row * (days + 1), 0, days - 1)
    return made
