"""A village of a few hundred cells and six stores, in place of the cities, and people who live and shop in it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from data.world.almanac import AlmanacSettings, draw_almanac
from data.world.life import LifeSettings, Shopping, life
from data.world.people import PeopleSettings, draw_people
from data.world.products import ProductSettings, draw_products


class Village:
    """What people and orders need of the city, and no more."""

    def __init__(self):
        cells = np.arange(300)
        self.city = cells % 2
        self.lat = np.where(self.city, 24.5, 39.9) + cells / 5_000
        self.lon = 104.0 + cells / 5_000
        self.income = 80_000.0 + 100 * cells
        self.store_lat = self.lat[:6]
        self.store_lon = self.lon[:6]

    def draw_homes(self, generator, count):
        return generator.integers(0, len(self.city), count)

    def jitter(self, generator, cells):
        return (place[cells] + generator.uniform(-0.003, 0.003, len(cells)) for place in (self.lat, self.lon))

    def store_weights(self, cells):
        near = self.city[cells][:, None] + 2 * np.arange(3)
        return near, np.broadcast_to([0.6, 0.3, 0.1], near.shape)


@pytest.fixture(scope="session")
def village():
    return Village()


@pytest.fixture(scope="session")
def inhabitants(village):
    """Draws members of the village: `inhabitants(count, days=..., part=..., block=..., first=...)`."""

    def draw(count, *, days=60, settings=None, seed=1, part="honest", block=0, first=0):
        numbers = range(first, first + count)
        return draw_people(settings or PeopleSettings(), village, days, seed, part, block, numbers)

    return draw


@pytest.fixture(scope="session")
def shop_in(village):
    """What the village shops in for so many days: `shop_in(days)`."""

    def of(days, *, seed=1):
        return Shopping(
            city=village,
            almanac=draw_almanac(AlmanacSettings(), days, np.array([39.9, 24.5]), seed),
            products=draw_products(ProductSettings(), seed),
            campaigns_offset=40,
            seed=seed,
        )

    return of


@pytest.fixture(scope="session")
def lived(inhabitants, shop_in):
    """Sixty days of 6 000 members: what they shopped in, who they are, what they did."""
    settings, shopping, people = LifeSettings(), shop_in(60), inhabitants(6_000)
    return SimpleNamespace(
        settings=settings, shopping=shopping, people=people, life=life(settings, shopping, 0, people)
    )
