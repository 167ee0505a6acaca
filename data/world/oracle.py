"""The true answers about sites: what each would sell, what it would take from whom, and what a whole plan is worth.

All figures are of a year, in fen, with every store mature, in the network as it trades when the world starts, with the
season of the twelve months before it and without luck.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from data.world.market import Market
from data.world.sales import season
from data.world.stores import Stores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.world.city import City
    from data.world.grid import Floats, Wholes
    from data.world.market import Streets

_QUALITY_NODES = 15


@dataclass(frozen=True)
class SiteAnswers:
    """What is true of each candidate, opened alone; arrays of one length, fen a year.

    Attributes:
        city: the city of each site.
        revenue: what it takes when mature.
        revealed: the same with its own quality averaged out and every cell's taste at its mean: all that could be known
            from what can be seen of it (the quality of the stores around it included, which their sales tell).
        quality: hidden; added to the logarithm of its attraction.
        taste: hidden; revenue over what it would be if every cell's taste were at its mean.
        taken: what the own stores lose by it.
    """

    city: Wholes
    revenue: Floats
    revealed: Floats
    quality: Floats
    taste: Floats
    taken: Floats


class Oracle:
    """Everything true about the network of a world's cities.

    Stores and sites are numbered through all cities, as in `City`.

    Args:
        city: The cities.
    """

    def __init__(self, city: City) -> None:
        self.city = city
        self._year = float(season(city.settings.sales, city.start_month - np.arange(12, 0, -1)).sum())
        self._shops = tuple(_joined(own, sites.shops) for own, sites in zip(city.stores, city.sites, strict=True))
        self._markets = tuple(self._market(number, streets) for number, streets in enumerate(city.streets))

    def network(self, sites: Sequence[int] = (), closed: Sequence[int] = ()) -> float:
        """What the whole chain takes with those sites opened and those stores closed; no site or store twice."""
        city, total = self.city, 0.0
        opened, gone = np.asarray(sites, np.int64), np.asarray(closed, np.int64)
        for number, (first_store, first_site) in enumerate(self._firsts()):
            case = self._today(number)
            case[gone[city.store_city[gone] == number] - first_store] = 0.0
            case[city.stores[number].lat.size + opened[city.site_city[opened] == number] - first_site] = 1.0
            total += float(self._yearly(number, case[:, None]).sum())
        return total

    def stores(self) -> tuple[Floats, Floats]:
        """What each store takes, and what the chain would lose if it closed; fen a year, NaN for stores that are shut.

        For a store that is shut the first is what it would take if it were opened again.
        """
        taken, lost = [], []
        for number, own in enumerate(self.city.stores):
            count, today = own.lat.size, self._today(number)
            with_it, without = np.repeat(today[:, None], count, 1), np.repeat(today[:, None], count, 1)
            each = np.arange(count)
            with_it[each, each], without[each, each] = 1.0, 0.0
            whole = self._yearly(number, with_it)
            taken.append(whole[each, each])
            gone = whole.sum(axis=0) - self._yearly(number, without).sum(axis=0)
            lost.append(np.where(today[:count] > 0, gone, np.nan))
        return np.concatenate(taken), np.concatenate(lost)

    def sites(self) -> SiteAnswers:
        """What is true of each candidate, opened alone."""
        parts = [self._site_answers(number) for number in range(len(self.city.cities))]
        return SiteAnswers(
            *(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(SiteAnswers))
        )

    def cannibalisation(self) -> tuple[Wholes, Wholes, Floats]:
        """Site, store and what the site takes from the store, fen a year: every trading store of the site's city."""
        sites, stores, taken = [], [], []
        for number, (first_store, first_site) in enumerate(self._firsts()):
            count = self.city.stores[number].lat.size
            trading = np.flatnonzero(self._today(number)[:count])
            cases = self._yearly(number, self._one_site_each(number))
            lost = cases[trading, :1] - cases[trading, 1:]
            store, site = np.meshgrid(trading, np.arange(lost.shape[1]), indexing="ij")
            sites.append(first_site + site.T.ravel())
            stores.append(first_store + store.T.ravel())
            taken.append(lost.T.ravel())
        return np.concatenate(sites), np.concatenate(stores), np.concatenate(taken)

    def rivalry(self) -> tuple[Wholes, Wholes, Floats]:
        """Two sites of one city, and how much less they bring the chain together than each alone would; fen a year."""
        firsts, seconds, losses = [], [], []
        for number, (_, first_site) in enumerate(self._firsts()):
            own, count = self.city.stores[number].lat.size, self.city.sites[number].shops.lat.size
            one, other = np.triu_indices(count, 1)
            alone = self._yearly(number, self._one_site_each(number)).sum(axis=0)
            both = np.repeat(self._today(number)[:, None], one.size, 1)
            both[own + one, np.arange(one.size)] = both[own + other, np.arange(one.size)] = 1.0
            together = self._yearly(number, both).sum(axis=0)
            firsts.append(first_site + one)
            seconds.append(first_site + other)
            losses.append(alone[1 + one] + alone[1 + other] - alone[0] - together)
        return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(losses)

    def _site_answers(self, number: int) -> SiteAnswers:
        own, shops = self.city.stores[number].lat.size, self.city.sites[number].shops
        cases, place = self._one_site_each(number), np.arange(shops.lat.size)
        taken = self._yearly(number, cases)
        streets = self.city.streets[number]
        plain = replace(streets, land=replace(streets.land, taste=np.ones(streets.land.taste.size)))
        market = self._market(number, plain)
        tasteless = self._year * market.takings(cases)[own + place, 1 + place]
        nodes, weights = np.polynomial.hermite_e.hermegauss(_QUALITY_NODES)
        revealed = np.zeros(place.size)
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            drawn = cases.copy()
            drawn[own + place, 1 + place] = np.exp(self.city.settings.stores.quality_sd * node - shops.quality)
            revealed += weight * self._year * market.takings(drawn)[own + place, 1 + place]
        revenue = taken[own + place, 1 + place]
        lost = taken[:own, :1].sum() - taken[:own, 1:].sum(axis=0)
        cities = np.full(place.size, number)
        return SiteAnswers(cities, revenue, revealed, shops.quality, revenue / tasteless, lost)

    def _market(self, number: int, streets: Streets) -> Market:
        return Market(self.city.settings.gravity, streets, self._shops[number], np.array([self.city.start_day]))

    def _yearly(self, number: int, presence: Floats) -> Floats:
        taken: Floats = self._year * self._markets[number].takings(presence)
        return taken

    def _today(self, number: int) -> Floats:
        """1 for each store that trades, 0 for those shut and for every site."""
        sites = self.city.sites[number].shops.lat.size
        today: Floats = np.r_[self.city.store_open[self.city.store_city == number], np.zeros(sites)]
        return today

    def _one_site_each(self, number: int) -> Floats:
        """The network today, and then with each site opened alone; shops x (1 + sites)."""
        own, sites = self.city.stores[number].lat.size, self.city.sites[number].shops.lat.size
        cases = np.repeat(self._today(number)[:, None], 1 + sites, 1)
        cases[own + np.arange(sites), 1 + np.arange(sites)] = 1.0
        return cases

    def _firsts(self) -> list[tuple[int, int]]:
        """The number of the first store and of the first site of each city."""
        stores = np.cumsum([0] + [own.lat.size for own in self.city.stores])
        sites = np.cumsum([0] + [there.shops.lat.size for there in self.city.sites])
        return [(int(store), int(site)) for store, site in zip(stores[:-1], sites[:-1], strict=True)]


def _joined(stores: Stores, sites: Stores) -> Stores:
    return Stores(*(np.concatenate([getattr(stores, one.name), getattr(sites, one.name)]) for one in fields(Stores)))
