"""What the trades of the wool party have in common: rings, their accounts, a day's duty, and the scans they draft.

A trade drafts scans in terms of accounts (who), phones, lines (whose home network) and codes; `data.world.disguise`
turns drafts into scans with the devices, browsers and addresses that the world gives everybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from data.world.supply import Supply

    Integers = NDArray[np.int64]
    Doubles = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Records = NDArray[Any]

SECOND_US: Final = 1_000_000
HOUR_US: Final = 3_600 * SECOND_US
LONGEST_RUN: Final = 24
SHORTEST_RUN: Final = 6
SHOPPERS_LINKED: Final = 0.08

RING: Final = np.dtype(
    [
        ("ring", "i4"),
        ("family", "i1"),
        ("start", "i4"),  # first day of work
        ("end", "i4"),  # first day without; -1 while it works
        ("first", "i8"),  # place of its first account in the roster
        ("accounts", "i8"),  # how many it works with at a time
        ("held", "i8"),  # how many it holds, those kept back included
        ("used_up", "i8"),  # accounts given up so far; those kept back took their places
        ("phones", "i8"),  # accounts are dealt over so many phones
        ("scans_a_day", "f8"),  # planned for a day on which it works, were it careful
        ("greed", "f8"),  # times as many scans in a sitting, and as few sittings; 1 is careful
        ("hour", "f8"),  # when its shift begins, local
        ("pace", "f8"),  # times as many scans and times as quick as at first; less is slower
        ("mix", "f8"),  # share of its scans that an ordinary shopper could have made
        ("proxies", "f8"),  # share of its scans that go out through other people's homes
    ]
)
"""A ring: one organised group. What adaptation changes stands in its last fields."""

ROSTER: Final = np.dtype(
    [
        ("member", "i8"),
        ("ring", "i4"),
        ("rank", "i8"),  # place in its ring
        ("registered_at", "i8"),
        ("joins", "i4"),  # first day on which it can scan
        ("base", "i8"),  # place in the roster of whose home the ring works from
        ("lat", "f8"),
        ("lon", "f8"),
        ("city", "i2"),
        ("main_hour", "f8"),  # local hour around which its owner shops
        ("hour_spread", "f8"),
        ("store", "i4"),  # the shop where its ring works, or nearby
        ("store_lat", "f8"),
        ("store_lon", "f8"),
    ]
)
"""An account of a ring, in the order of rings."""

DRAFT: Final = np.dtype(
    [
        ("account", "i8"),  # place in the roster
        ("phone", "i8"),  # place in the roster of whose phone it is
        ("line", "i8"),  # place in the roster of whose home network it is
        ("store", "i4"),  # in whose network it is; -1 outside shops
        ("proxied", "?"),  # through somebody else's home
        ("at", "i8"),
        ("batch", "i4"),
        ("serial", "i8"),
        ("campaign", "i4"),  # -1: the one that runs for the product there and then
        ("lat", "f8"),
        ("lon", "f8"),
        ("linked", "?"),
    ]
)
"""A scan as its trade thinks of it."""

SHELVED: Final = np.dtype([("batch", "i4"), ("serial", "i8"), ("lat", "f8"), ("lon", "f8")])
"""A code that stands in a shop: an honest shopper will scan it within days, at that place."""

OPENING: Final = np.dtype([("at", "i8"), ("until", "i8"), ("campaign", "i4"), ("linked", "?")])
"""A moment from which prizes are better than usual: a promotion that starts, a live stream, a flash sale."""


class Shelf(Protocol):
    """Codes that honest shoppers are about to scan."""

    def sample(self, generator: np.random.Generator, city: int, count: int) -> Records:
        """Up to `count` different codes on sale in the city: SHELVED; fewer where fewer are left."""


@dataclass(frozen=True)
class Crew:
    """How the rings of a family are made up; every number is assumed unless its family says otherwise.

    Attributes:
        share: Of all scans of the wool party.
        scans_an_account: Scans that an account makes while its ring works, which sizes the rings.
        accounts: Fewest and most accounts of a ring.
        accounts_a_phone: Fewest and most accounts that share a phone.
        accounts_a_payee: Fewest and most accounts whose prizes go to one payment account.
        working: Chance that a ring works on a day.
        bold: Share of the rings that scan all they can in few sittings, which simple limits catch.
        mix: Share of scans that any shopper could have made, for cover.
        proxies: Share of scans through other people's homes.
        local: Whether the ring lives in one city.
        fresh: Share of accounts registered for the purpose; the others are older accounts, bought or one's own.
        brought: Share of the accounts registered for the purpose that others of the ring refer.
        brought_by_first: Share of those that the ring's first account refers.
        cash_out_h: Median hours from a balance worth withdrawing to its withdrawal.
        code_share: Price of a code as a share of the mean prize it may win.
        account_fen: What an account costs to register or buy.
        phone_fen_week: What a phone costs a week: hire, or wear.
        scan_fen: Labour, proxies and fees for one scan.
        accounts_a_thousand: Accounts for a thousand honest members, all rings together; 0 goes by scans_an_account.
    """

    share: float
    scans_an_account: float
    accounts: tuple[int, int]
    accounts_a_phone: tuple[int, int]
    accounts_a_payee: tuple[int, int]
    working: float
    bold: float
    mix: float
    proxies: float
    local: bool
    fresh: float
    brought: float
    brought_by_first: float
    cash_out_h: float
    code_share: float
    account_fen: float
    phone_fen_week: float
    scan_fen: float
    accounts_a_thousand: float = 0.0


@dataclass(frozen=True)
class Duty:
    """What a family has to do on a day: the rings at work, in order, and how many scans each plans.

    Attributes:
        day: Counted from 0.
        midnight: Its first instant, local midnight, in microseconds UTC.
        rings: RING, those at work.
        scans: Scans that each of them plans.
        roster: ROSTER of the whole wool party.
        supply: Where codes come from.
        shelf: Codes about to be scanned by honest shoppers.
        generator: Of this family and day.
    """

    day: int
    midnight: int
    rings: Records
    scans: Integers
    roster: Records
    supply: Supply
    shelf: Shelf
    generator: np.random.Generator

    def planned(self) -> tuple[Integers, Integers]:
        """For each scan planned, the place of its ring among `rings`, and its turn within the ring from 0."""
        return turns(self.scans)

    def ranked(self, owner: Integers, rank: Integers) -> Integers:
        """Places in the roster of the accounts at these ranks, counted round among those a ring works with."""
        rings = self.rings[owner]
        held = np.maximum(rings["held"], 1)
        return np.asarray(rings["first"] + (rings["used_up"] + rank % rings["accounts"]) % held, np.int64)

    def greedily(self, owner: Integers, turn: Integers, scans: float) -> Integers:
        """Whose turn of a sitting it is, when each account scans so often and greedy rings let it scan more."""
        return np.asarray(turn // np.maximum(np.round(scans * self.rings["greed"]), 1)[owner], np.int64)

    def anyone(self, owner: Integers) -> Integers:
        """Places in the roster of an account of each ring, drawn at random."""
        drawn = (self.generator.random(owner.size) * self.rings["accounts"][owner]).astype(np.int64)
        return self.ranked(owner, drawn)

    def phones(self, owner: Integers, accounts: Integers) -> Integers:
        """Places in the roster of whose phone each account is worked on: accounts are dealt over a ring's phones."""
        rings = self.rings[owner]
        rank = self.roster["rank"][accounts]
        share = np.maximum(-(-rings["held"] // np.maximum(rings["phones"], 1)), 1)
        return np.asarray(rings["first"] + rank // share, np.int64)

    def draft(self, owner: Integers, accounts: Integers) -> Records:
        """Drafts of these accounts on their phones, from the ring's base, by camera, at midnight, without a code."""
        drafts = np.zeros(owner.size, DRAFT)
        base = self.roster["base"][accounts]
        drafts["account"] = accounts
        drafts["phone"] = self.phones(owner, accounts)
        drafts["line"] = base
        drafts["store"] = -1
        drafts["proxied"] = self.generator.random(owner.size) < self.rings["proxies"][owner]
        drafts["at"] = self.midnight
        drafts["campaign"] = -1
        drafts["lat"] = self.roster["lat"][base]
        drafts["lon"] = self.roster["lon"][base]
        return drafts

    def ordinary(self, scans: Integers) -> Records:
        """So many scans of each ring as any shopper makes them: codes over the counter, at home, by day."""
        owner, _ = turns(scans)
        drafts = self.draft(owner, self.anyone(owner))
        self.at_home(drafts)
        self._as_shoppers(drafts, np.ones(owner.size, np.bool_))
        return drafts

    def covered(self, owner: Integers, drafts: Records, *, at_home: bool = True) -> Records:
        """The drafts with each ring's share of ordinary scans put among them, at home or from the ring's base."""
        chosen = self.generator.random(owner.size) < self.rings["mix"][owner]
        if at_home:
            mine = drafts[chosen]
            self.at_home(mine)
            drafts[chosen] = mine
        self._as_shoppers(drafts, chosen)
        return drafts

    def _as_shoppers(self, drafts: Records, chosen: Flags) -> None:
        accounts = drafts["account"][chosen]
        people, generator = self.roster[accounts], self.generator
        near = people["main_hour"] + people["hour_spread"] * generator.standard_normal(accounts.size)
        anywhen = generator.uniform(7.0, 23.0, accounts.size)
        moment = np.where(generator.random(accounts.size) < 0.8, near, anywhen) % 24.0
        at = self.midnight + hours(moment)
        drafts["at"][chosen] = at
        city = people["city"].astype(np.int64)
        drafts["batch"][chosen], drafts["serial"][chosen] = self.supply.bought(generator, city, at)
        drafts["linked"][chosen] = generator.random(accounts.size) < SHOPPERS_LINKED
        drafts["proxied"][chosen] = False
        drafts["store"][chosen] = -1

    def at_home(self, drafts: Records) -> None:
        """Puts drafts into the homes and onto the lines of their own accounts."""
        accounts = drafts["account"]
        drafts["line"] = accounts
        drafts["lat"] = self.roster["lat"][accounts]
        drafts["lon"] = self.roster["lon"][accounts]

    def loose_codes(
        self, owner: Integers, cities: Integers, taken: int, campaign: int = -1
    ) -> tuple[Integers, Integers]:
        """Codes of broken-up crates for scans sorted by ring: few from each crate, in no order.

        Args:
            owner: Ring of each scan, ascending.
            cities: City whose caps each ring buys, by place among `rings`; -1 for anywhere.
            taken: Codes used of a crate, at most 6.
            campaign: The campaign they are bought for; -1 for none in particular.

        Returns:
            Batch and serial for each scan.
        """
        counts = np.bincount(owner, minlength=self.rings.size)
        needed = -(-counts // taken)
        crates = self.supply.crates(self.generator, np.repeat(cities, needed), self.midnight, campaign)
        keys = self.generator.random((crates.batch.size, LONGEST_RUN))
        keys[np.arange(LONGEST_RUN) >= crates.length[:, None]] = 2.0
        order = np.argsort(keys, axis=1)
        turn = turns(counts)[1]
        spread = np.maximum(needed, 1)[owner]
        crate = (np.cumsum(needed) - needed)[owner] + turn % spread
        return crates.batch[crate], crates.first[crate] + order[crate, turn // spread]


class Trade(Protocol):
    """One family: how its rings are made up and what they do."""

    @property
    def crew(self) -> Crew:
        """How its rings are made up."""

    def day(self, duty: Duty) -> Records:
        """The scans that its rings make on a day: DRAFT, in any order; none where the trade has nothing to do."""


def turns(counts: Integers) -> tuple[Integers, Integers]:
    """Owner and turn of each of `counts` things, owners ascending.

    >>> turns(np.array([2, 0, 1]))
    (array([0, 0, 2]), array([0, 1, 0]))
    """
    owner = np.repeat(np.arange(counts.size), counts)
    begins = np.cumsum(counts) - counts
    return owner, np.arange(owner.size) - begins[owner]


def paced(generator: np.random.Generator, counts: Integers, median_s: Doubles, sigma: float) -> Integers:
    """Microseconds from the first of each owner's things, which follow each other by log-normal gaps.

    Args:
        generator: Chance.
        counts: Things of each owner.
        median_s: Median gap of each owner in seconds.
        sigma: Spread of the logarithm of a gap; 1.3 and more leaves pauses of many minutes.

    Returns:
        For each thing, owners ascending: 0 for the first of an owner.
    """
    owner, turn = turns(counts)
    gaps = median_s[owner] * generator.lognormal(0.0, sigma, owner.size)
    gaps[turn == 0] = 0.0
    total = np.cumsum(gaps)
    begins = np.cumsum(counts) - counts
    before = np.where(counts > 0, total[np.minimum(begins, max(total.size - 1, 0))] if total.size else 0.0, 0.0)
    return np.asarray((total - before[owner]) * SECOND_US, np.int64)


def sittings(owner: Integers, account: Integers) -> tuple[Integers, Integers]:
    """Where runs of one owner's things on one account begin, and the run that each thing is in.

    >>> sittings(np.array([0, 0, 0, 1]), np.array([5, 5, 6, 6]))
    (array([0, 2, 3]), array([0, 0, 1, 2]))
    """
    new = np.ones(owner.size, np.bool_)
    new[1:] = (np.diff(owner) != 0) | (np.diff(account) != 0)
    return np.flatnonzero(new), np.cumsum(new) - 1


def hours(of_day: Doubles) -> Integers:
    """Microseconds of hours of the day, which may run past midnight."""
    return np.asarray(of_day * HOUR_US, np.int64)


def gathered(drafts: Sequence[Records]) -> Records:
    """Several lots of drafts as one."""
    return np.concatenate(drafts) if drafts else np.empty(0, DRAFT)
