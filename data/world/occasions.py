"""Own-brand units in people's hands: each carries a code that may be scanned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.orders import category_shares, first_days, found_days

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.almanac import Almanac
    from data.world.people import People
    from data.world.products import Products

    Records = NDArray[np.void]

OCCASION: Final = np.dtype(
    [
        ("at", "i8"),  # when it was bought
        ("member", "i8"),
        ("product", "i4"),
        ("store", "i4"),  # own store; -1 for another shop
        ("lat", "f8"),  # where it was bought
        ("lon", "f8"),
        ("city", "i2"),
    ]
)

_KM_A_DEGREE: Final = 111.2


@dataclass(frozen=True)
class OccasionSettings:
    """Where own-brand units are bought outside the retailer's own channels; assumed.

    Attributes:
        distance_km: mean distance of those shops from home.
        calendar: how far the calendar moves such purchases: the power of its factor of visits to own stores.
    """

    distance_km: float = 1.1
    calendar: float = 0.6


def draw_elsewhere(
    settings: OccasionSettings,
    almanac: Almanac,
    products: Products,
    people: People,
    generator: np.random.Generator,
) -> Records:
    """Own-brand units that these members buy in other shops while they are members: OCCASION, in no order.

    Units of each category are a Poisson process of the person, which follows the calendar and the weather.
    """
    pace = (almanac.visits**settings.calendar)[:, None, :] * almanac.category.transpose(0, 2, 1)
    upto = np.pad(np.cumsum(pace, axis=2), ((0, 0), (0, 0), (1, 0)))
    begin = upto[people.city, :, first_days(people, almanac.days)]
    span = upto[people.city, :, -1] - begin
    counts = generator.poisson(people.elsewhere[:, None] * category_shares(people, products) * span)
    pair = np.repeat(np.arange(counts.size), counts.ravel())
    person, category = np.divmod(pair, products.categories)
    aim = begin.ravel()[pair] + generator.random(len(pair)) * span.ravel()[pair]
    row = people.city[person] * products.categories + category
    day = found_days(upto.reshape(-1, almanac.days + 1), row, aim)
    hour = people.hours(generator, person)
    cheap = generator.random(len(pair)) < people.price_eye[person]
    away, turn = generator.exponential(settings.distance_km, len(pair)), 2 * np.pi * generator.random(len(pair))
    made = np.empty(len(pair), OCCASION)
    made["at"] = START_US + DAY_US * day + (DAY_US * hour / 24.0).astype(np.int64)
    made["member"] = people.members["member"][person]
    made["product"] = products.pick(generator, category, np.ones(len(pair), bool), cheap)
    made["store"] = -1
    made["city"] = people.city[person]
    made["lat"] = people.lat[person] + away * np.sin(turn) / _KM_A_DEGREE
    made["lon"] = people.lon[person] + away * np.cos(turn) / (_KM_A_DEGREE * np.cos(np.radians(people.lat[person])))
    return made
