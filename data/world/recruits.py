"""The accounts of the wool party: drawn as anybody's, then dealt to rings, and put to what each trade needs of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.people import draw_people
from data.world.records import FAMILIES, MEMBER
from data.world.registers import CHANNELS, registration_hours
from data.world.trade import HOUR_US, ROSTER, turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.city import City
    from data.world.people import People, PeopleSettings
    from data.world.trade import Crew, Integers, Records

_FRIEND = CHANNELS.index("friend")
_REFERRAL_STAR = FAMILIES.index("referral_star")


@dataclass(frozen=True)
class RecruitSettings:
    """How accounts are got hold of; assumed.

    Attributes:
        waves: Most lots in which a ring registers its accounts.
        wave_days: Median days from a lot's registration to the ring's first work.
        wave_sigma: Spread of the logarithm of these.
        within_h: Median hours from a lot's first registration to an account's.
        cash_out_fen: Balance from which accounts registered for the purpose withdraw.
        cash_out_sigma: Spread of the logarithm of how long that takes.
    """

    waves: int = 4
    wave_days: float = 9.0
    wave_sigma: float = 1.0
    within_h: float = 8.0
    cash_out_fen: tuple[int, ...] = (100, 200, 500)
    cash_out_sigma: float = 1.0


@dataclass(frozen=True)
class Recruits:
    """All accounts of the wool party in the order of rings; every array has an entry (`devices` a row) an account.

    Attributes:
        roster: ROSTER records.
        members: MEMBER records.
        households: Number of each household.
        devices: The phone at first and the one after it.
        changed_us: From when the second one is used.
    """

    roster: Records
    members: Records
    households: Integers
    devices: Integers
    changed_us: Integers

    @classmethod
    def none(cls) -> Recruits:
        """Nobody."""
        whole = np.empty(0, np.int64)
        return cls(np.empty(0, ROSTER), np.empty(0, MEMBER), whole, whole.reshape(0, 2), whole)

    def joined(self, others: Recruits) -> Recruits:
        """These, then the others."""
        return Recruits(
            roster=np.concatenate([self.roster, others.roster]),
            members=np.concatenate([self.members, others.members]),
            households=np.concatenate([self.households, others.households]),
            devices=np.concatenate([self.devices, others.devices]),
            changed_us=np.concatenate([self.changed_us, others.changed_us]),
        )

    def device_at(self, places: Integers, at: Integers) -> Integers:
        """Number of the phone of the accounts at these places of the roster at these instants."""
        return np.asarray(self.devices[places, (at >= self.changed_us[places]).astype(np.int64)], np.int64)


@dataclass(frozen=True)
class Recruiter:
    """What recruiting needs of the world.

    Attributes:
        settings: How accounts are got hold of.
        people: How people differ, the same for all.
        city: Where they live.
        days: Length of the world.
        seed: Seed of the world.
        friends: MEMBER records of some honest members, who may have brought an account.
    """

    settings: RecruitSettings
    people: PeopleSettings
    city: City
    days: int
    seed: int
    friends: Records

    def recruit(self, generator: np.random.Generator, crew: Crew, rings: Records, first_member: int) -> Recruits:
        """The accounts of one family's rings; member numbers run on from `first_member`, and tell nothing of the ring.

        Args:
            generator: Of the family.
            crew: How its rings are made up.
            rings: RING records, whose `first` and `held` say where each ring's accounts stand in the roster.
            first_member: Number of the first.
        """
        count, family = int(rings["held"].sum()), int(rings["family"][0])
        numbers = range(first_member, first_member + count)
        people = draw_people(self.people, self.city, self.days, self.seed, "wool", family, numbers)
        ring, rank = turns(rings["held"])
        place = self._dealt(generator, people, rings["held"], local=crew.local)
        roster = np.zeros(count, ROSTER)
        roster["member"] = people.members["member"][place]
        roster["ring"], roster["rank"] = rings["ring"][ring], rank
        roster["base"] = rings["first"][ring] if crew.local else rings["first"][0] + np.arange(count)
        roster["lat"], roster["lon"], roster["city"] = people.lat[place], people.lon[place], people.city[place]
        roster["main_hour"], roster["hour_spread"] = people.main_hour[place], people.hour_spread[place]
        self._shops(generator, roster, people.cell[place], ring, rings)
        members = people.members[place].copy()
        members["family"], members["ring"] = family, rings["ring"][ring]
        self._register(generator, crew, rings, ring, rank, members)
        self._referrers(generator, crew, rings, ring, rank, members)
        self._payees(generator, crew, rings, ring, rank, members)
        roster["registered_at"] = members["registered_at"]
        roster["joins"] = np.maximum(rings["start"][ring], (members["registered_at"] - START_US) // DAY_US)
        return Recruits(roster, members, people.household[place], people.devices[place], people.changed_us[place])

    def _dealt(
        self, generator: np.random.Generator, people: People, sizes: Integers, *, local: bool
    ) -> NDArray[np.int64]:
        """The person behind each account: of one city for each ring of a local trade, as far as people last."""
        order = generator.permutation(len(people))
        if not local:
            return order
        left = np.bincount(people.city, minlength=len(self.city.cities))
        at = np.full(len(people), -1, np.int64)
        pools = {town: list(order[people.city[order] == town]) for town in range(left.size)}
        ends = np.cumsum(sizes)
        spare: list[int] = []
        for place in np.argsort(-sizes, kind="stable"):
            enough = np.where(left >= sizes[place], left, 0)
            weights = enough if enough.any() else left
            town = int(generator.choice(left.size, p=weights / weights.sum()))
            taken = [pools[town].pop() for _ in range(min(int(sizes[place]), len(pools[town])))]
            left[town] -= len(taken)
            start = int(ends[place] - sizes[place])
            at[start : start + len(taken)] = taken
        spare = [person for pool in pools.values() for person in pool]
        at[at < 0] = spare
        return at

    def _shops(
        self, generator: np.random.Generator, roster: Records, cells: Integers, ring: Integers, rings: Records
    ) -> None:
        """The shop near the home of each ring's first account, by the pull of shops."""
        first = np.cumsum(rings["held"]) - rings["held"]
        stores, weights = self.city.store_weights(cells[first])
        reached = np.cumsum(weights, axis=1) < generator.random(rings.size)[:, None]
        chosen = stores[np.arange(rings.size), np.minimum(reached.sum(axis=1), stores.shape[1] - 1)]
        roster["store"] = chosen[ring]
        roster["store_lat"] = self.city.store_lat[chosen][ring]
        roster["store_lon"] = self.city.store_lon[chosen][ring]

    def _register(
        self,
        generator: np.random.Generator,
        crew: Crew,
        rings: Records,
        ring: Integers,
        rank: Integers,
        members: Records,
    ) -> None:
        """When accounts were registered: in lots before the ring starts, or long ago; a star's one after another."""
        settings = self.settings
        start = START_US + rings["start"].astype(np.int64) * DAY_US
        lots = generator.lognormal(np.log(settings.wave_days), settings.wave_sigma, (rings.size, settings.waves))
        lot = (generator.random(ring.size) ** 1.5 * settings.waves).astype(np.int64)
        day = start[ring] // DAY_US - 1 - np.ceil(lots[ring, lot]).astype(np.int64)
        moment = registration_hours(generator, rings.size * settings.waves).reshape(rings.size, -1)[ring, lot]
        within = settings.within_h * generator.exponential(size=ring.size)
        made = _at_local(day, moment) + (within * HOUR_US).astype(np.int64)
        made = np.minimum(made, start[ring] - HOUR_US)
        old = members["registered_at"]
        keeps = (generator.random(ring.size) >= crew.fresh) & (old < start[ring] - HOUR_US)
        members["registered_at"] = np.where(keeps, old, made)
        if int(rings["family"][0]) == _REFERRAL_STAR:
            members["registered_at"] = self._one_after_another(generator, rings, ring, rank, members["registered_at"])

    def _one_after_another(
        self, generator: np.random.Generator, rings: Records, ring: Integers, rank: Integers, made: Integers
    ) -> NDArray[np.int64]:
        """Children join over the life of their star, several on a good day, in order of rank; the star came before."""
        start = rings["start"].astype(np.int64)
        clumps = generator.integers(0, np.maximum(self.days - start, 1), (12, rings.size))
        anywhen = start[ring] + (generator.random(ring.size) * (self.days - start[ring])).astype(np.int64)
        clump = start[ring] + clumps[generator.integers(0, 12, ring.size), ring]
        day = START_US // DAY_US + np.where(generator.random(ring.size) < 0.6, clump, anywhen)
        joined = _at_local(day, registration_hours(generator, ring.size))
        joined = joined[np.lexsort((joined, ring))]
        # The first account of a ring is the star.
        return np.where(rank == 0, np.minimum(made, START_US + start[ring] * DAY_US - DAY_US), joined)

    def _referrers(
        self,
        generator: np.random.Generator,
        crew: Crew,
        rings: Records,
        ring: Integers,
        rank: Integers,
        members: Records,
    ) -> None:
        """Who brought each account: the ring's first, one of its own, a friend as anybody's, or nobody."""
        made = members["registered_at"]
        first = (np.cumsum(rings["held"]) - rings["held"])[ring]
        earlier = first + (generator.random(ring.size) * rank).astype(np.int64)
        own = np.where(generator.random(ring.size) < crew.brought_by_first, first, earlier)
        brought = (rank > 0) & (generator.random(ring.size) < crew.brought) & (made[own] < made)
        friend = self._friends(generator, made)
        befriended = (members["referrer"] >= 0) & (friend >= 0)
        members["referrer"] = np.where(brought, members["member"][own], np.where(befriended, friend, -1))
        anybody = generator.permutation(members["channel"][members["channel"] != _FRIEND])
        lone = (members["referrer"] < 0) & (members["channel"] == _FRIEND)
        if anybody.size:
            members["channel"][lone] = generator.choice(anybody, int(lone.sum()))
        members["channel"][members["referrer"] >= 0] = _FRIEND

    def _friends(self, generator: np.random.Generator, made: NDArray[np.int64]) -> NDArray[np.int64]:
        """An honest member who joined before each account, drawn by how many they brought; -1 where there is none."""
        pool = np.sort(self.friends, order="registered_at")
        known = np.searchsorted(pool["registered_at"], made)
        chosen = (generator.random(made.size) * known).astype(np.int64)
        if pool.size == 0:
            return np.full(made.size, -1, np.int64)
        return np.where(known > 0, pool["member"][np.minimum(chosen, pool.size - 1)], -1)

    def _payees(
        self,
        generator: np.random.Generator,
        crew: Crew,
        rings: Records,
        ring: Integers,
        rank: Integers,
        members: Records,
    ) -> None:
        """Where prizes go and how soon: to one account for several members where the trade pools them."""
        least, most = crew.accounts_a_payee
        together = generator.integers(least, most + 1, rings.size)[ring]
        first = (np.cumsum(rings["held"]) - rings["held"])[ring]
        payee = first + rank // together * together
        own = (together == 1) & (members["account"] == members["member"])
        members["account"] = np.where(own, members["account"], members["member"][payee])
        balances = np.array(self.settings.cash_out_fen)
        quick = generator.lognormal(np.log(crew.cash_out_h), self.settings.cash_out_sigma, ring.size) * HOUR_US
        members["cash_out_fen"] = balances[generator.integers(0, balances.size, ring.size)]
        members["cash_out_us"] = np.maximum(quick, DAY_US / 1000.0).astype(np.int64)


def _at_local(day: NDArray[Any], hour: NDArray[np.float64]) -> NDArray[np.int64]:
    """Instants of local hours of days counted from 1970, where days begin at local midnight."""
    return np.asarray(day * DAY_US + START_US % DAY_US + (hour * HOUR_US).astype(np.int64), np.int64)
