"""The wool party (羊毛党): rings of nine trades that start, work, adapt and give up, day by day.

Every parameter is assumed unless its own place gives a source. What a scan shows beyond the ring's behaviour comes from
the same functions as everybody's: phones, browsers, addresses, homes, phone numbers, codes and their serials.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import numpy as np

from data.world.adaptation import Adaptation, AdaptationSettings
from data.world.almanac import DAY_US, START_US
from data.world.disguise import Disguise
from data.world.economics import OUTCOME, Books, EconomicsSettings
from data.world.families.bonus_hunters import BonusHunters
from data.world.families.cap_resale import CapResale
from data.world.families.cloned_codes import ClonedCodes
from data.world.families.device_farm import DeviceFarm
from data.world.families.flash_bots import FlashBots
from data.world.families.leaked_codes import LeakedCodes
from data.world.families.referral_star import ReferralStar
from data.world.families.rented_phones import RentedPhones
from data.world.families.store_clerks import StoreClerks
from data.world.records import FAMILIES, MEMBER, SCAN
from data.world.recruits import Recruiter, Recruits, RecruitSettings
from data.world.streams import stream
from data.world.supply import Supply, SupplySettings
from data.world.trade import RING, Duty

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from data.world.campaigns import Campaigns
    from data.world.city import City
    from data.world.codes import CodeBook
    from data.world.networks import Networks
    from data.world.people import PeopleSettings
    from data.world.trade import Records, Shelf, Trade

_WEEK: Final = 7


@dataclass(frozen=True)
class TradeSettings:
    """The nine trades, in the order of FAMILIES."""

    device_farm: DeviceFarm = field(default_factory=DeviceFarm)
    rented_phones: RentedPhones = field(default_factory=RentedPhones)
    cap_resale: CapResale = field(default_factory=CapResale)
    leaked_codes: LeakedCodes = field(default_factory=LeakedCodes)
    referral_star: ReferralStar = field(default_factory=ReferralStar)
    bonus_hunters: BonusHunters = field(default_factory=BonusHunters)
    flash_bots: FlashBots = field(default_factory=FlashBots)
    cloned_codes: ClonedCodes = field(default_factory=ClonedCodes)
    store_clerks: StoreClerks = field(default_factory=StoreClerks)

    def in_order(self) -> tuple[Trade, ...]:
        """The trades, family 1 first."""
        return tuple(cast("Trade", getattr(self, one.name)) for one in fields(self))


@dataclass(frozen=True)
class WoolSettings:
    """How large the wool party is, and how its rings come and go.

    Attributes:
        share: Of all scans; the trade reports far more on the worst campaigns (notes/risk.md §1).
        scans_a_member_day: Honest scans expected of a member and day, which sizes the rest.
        rings_a_thousand: Rings for a thousand honest members, all families together.
        fewest_rings: Rings of a family, at least, in worlds of `fewest_from` members and more.
        fewest_from: See fewest_rings.
        size_sigma: Spread of the logarithm of the sizes of rings.
        greed: Least and most times as many scans that an account of a bold ring makes in a sitting.
        saved_up: Power of the greed with which such a ring makes fewer, larger working days.
        few_hands: Power of the greed with which it has fewer accounts.
        at_work: Share of the rings that are at work when the world starts.
        latest: Rings start before this share of the world is over.
        trades: What each family does.
        supply: Where codes come from.
        recruits: How accounts are got hold of.
        economics: When a ring gives up.
        adaptation: What a ring changes when it is blocked and has been told to adapt.
    """

    share: float = 0.07
    scans_a_member_day: float = 0.265
    rings_a_thousand: float = 3.0
    fewest_rings: int = 8
    fewest_from: int = 20_000
    size_sigma: float = 0.7
    greed: tuple[float, float] = (12.0, 36.0)
    saved_up: float = 0.6
    few_hands: float = 0.4
    at_work: float = 0.4
    latest: float = 0.85
    trades: TradeSettings = field(default_factory=TradeSettings)
    supply: SupplySettings = field(default_factory=SupplySettings)
    recruits: RecruitSettings = field(default_factory=RecruitSettings)
    economics: EconomicsSettings = field(default_factory=EconomicsSettings)
    adaptation: AdaptationSettings = field(default_factory=AdaptationSettings)


class Asked(Protocol):
    """What the wool party must know of the world that is asked for."""

    @property
    def members(self) -> int:
        """Honest members."""

    @property
    def days(self) -> int:
        """Length of the world."""

    @property
    def leave_out(self) -> tuple[str, ...]:
        """Families that are absent."""

    @property
    def arrive(self) -> Mapping[str, int]:
        """Families that start on a day, and which."""

    @property
    def adapt(self) -> bool:
        """Whether rings change what gets them blocked."""


@dataclass(frozen=True)
class Surroundings:
    """The rest of the world, as the wool party finds it.

    Attributes:
        people: How people differ, the same for all.
        city: Where they live.
        codes: What is printed.
        campaigns: What is to be won.
        networks: Lines, carriers and phones.
        friends: MEMBER records of some honest members, such as the first block's, who may have brought an account.
    """

    people: PeopleSettings
    city: City
    codes: CodeBook
    campaigns: Campaigns
    networks: Networks
    friends: Records = field(default_factory=lambda: np.empty(0, MEMBER))


class WoolParty:
    """All rings of a world.

    Member numbers run from the number of honest members upward, with gaps where families are left out, so that leaving
    one out changes nothing about the others.

    Args:
        settings: How large it is and how it works.
        request: The world asked for.
        around: The rest of that world.
        seed: Its seed.

    Attributes:
        rings: RING records, a row a ring in order of number; rows of families left out are absent, and ring numbers
            then have gaps too. `end` is the day on which a ring gave up, -1 while it works.
        recruits: The accounts, in the order of rings.
        books: What each ring costs and yields, in the order of `rings`.
    """

    def __init__(self, settings: WoolSettings, request: Asked, around: Surroundings, seed: int) -> None:
        self._settings = settings
        self._seed = seed
        self._days = request.days
        self._trades = settings.trades.in_order()
        crews = tuple(trade.crew for trade in self._trades)
        self._supply = Supply(
            settings.supply, around.codes, around.campaigns, shares=around.city.city_share, members=request.members
        )
        drawn = [self._drawn(family, request) for family in range(1, len(FAMILIES))]
        recruiter = Recruiter(settings.recruits, around.people, around.city, request.days, seed, around.friends)
        self.recruits = Recruits.none()
        present: list[NDArray[Any]] = []
        member, ring = request.members, 0
        for family, rings in enumerate(drawn, 1):
            rings["ring"] += ring
            if FAMILIES[family] not in request.leave_out:
                rings["first"] = self.recruits.roster.size + np.cumsum(rings["held"]) - rings["held"]
                generator = stream(seed, "wool recruits", family)
                self.recruits = self.recruits.joined(recruiter.recruit(generator, crews[family - 1], rings, member))
                present.append(rings)
            member += int(rings["held"].sum())
            ring += rings.size
        self.rings: Records = np.concatenate([np.empty(0, RING), *present])
        self.books = Books(settings.economics, self.rings, crews)
        self.adaptation = Adaptation(settings.adaptation, self.rings) if request.adapt else None
        self._disguise = Disguise(self.recruits, around.city, around.networks, self._supply)
        self._mean_prize = np.zeros(self.rings.size)
        self._later: Records = np.empty(0, SCAN)

    @property
    def members(self) -> Records:
        """MEMBER records of all accounts, those never used included, in order of number."""
        return np.sort(self.recruits.members, order="member")

    def day(self, day: int, shelf: Shelf, outcome: Records | None = None) -> Records:
        """The scans of all rings on a day: SCAN, with `number` counted from 0, none outside the day.

        Call it for each day in order.

        Args:
            day: Counted from 0.
            shelf: Codes that honest shoppers are about to scan.
            outcome: OUTCOME of the day before, a row a ring in the order of `rings`; None on the first day.
        """
        if outcome is not None:
            self._settle(day, outcome)
        families = np.unique(self.rings["family"])
        scans = np.concatenate([self._later, *(self._family(int(family), day, shelf) for family in families)])
        midnight = START_US + day * DAY_US
        scans = scans[scans["at"] >= midnight]
        today = scans["at"] < midnight + DAY_US
        self._later = scans[~today]
        scans = scans[today]
        scans["number"] = np.arange(scans.size)
        self._reckon(scans)
        return scans

    def outcome(self, scans: Records, *, blocked: NDArray[np.bool_], prize_fen: NDArray[np.int64]) -> Records:
        """OUTCOME of SCAN records, a row a ring in the order of `rings`; honest ones are passed over."""
        mine = scans["family"] > 0
        ring = np.searchsorted(self.rings["ring"], scans["ring"][mine])
        told = np.zeros(self.rings.size, OUTCOME)
        told["scans"] = np.bincount(ring, minlength=told.size)
        told["blocked"] = np.bincount(ring[blocked[mine]], minlength=told.size)
        told["prize_fen"] = np.bincount(ring, prize_fen[mine], minlength=told.size).astype(np.int64)
        return told

    def _settle(self, day: int, outcome: Records) -> None:
        """Books the day before; rings that do not pay give up at the end of their week, others may change."""
        self.books.enter(outcome, self._mean_prize)
        if self.adaptation is not None:
            self.adaptation.learn(stream(self._seed, "wool adaptation", day), self.rings, outcome, self.books)
        if day % _WEEK == 0:
            quitting = self.books.close_week(self.rings) & (self.rings["end"] < 0)
            self.rings["end"][quitting] = day

    def _family(self, family: int, day: int, shelf: Shelf) -> Records:
        trade = self._trades[family - 1]
        generator = stream(self._seed, "wool day", family, day)
        rings = self.rings[self.rings["family"] == family]
        # Who works every day waits for events; greed then shows in what is done at one.
        saved_up = rings["greed"] ** self._settings.saved_up if trade.crew.working < 1 else np.ones(rings.size)
        working = generator.random(rings.size) < trade.crew.working / saved_up
        planned = generator.poisson(rings["scans_a_day"] * rings["pace"] * saved_up)
        open_ = (rings["start"] <= day) & ((rings["end"] < 0) | (rings["end"] > day))
        at_work = working & open_
        duty = Duty(
            day=day,
            midnight=START_US + day * DAY_US,
            rings=rings[at_work],
            scans=planned[at_work].astype(np.int64),
            roster=self.recruits.roster,
            supply=self._supply,
            shelf=shelf,
            generator=generator,
        )
        if duty.rings.size == 0:
            return np.empty(0, SCAN)
        return self._disguise.scans(generator, trade.day(duty), family)

    def _reckon(self, scans: Records) -> None:
        """What the day's codes could win on average, which sets what each ring paid for them."""
        ring = np.searchsorted(self.rings["ring"], scans["ring"])
        value = self._supply.mean_prize_fen(scans["campaign"])
        counts = np.bincount(ring, minlength=self.rings.size)
        self._mean_prize = np.bincount(ring, value, minlength=self.rings.size) / np.maximum(counts, 1)

    def _drawn(self, family: int, request: Asked) -> Records:
        """The rings of one family, numbered from 0; `first` is left to recruiting."""
        settings, crew = self._settings, self._trades[family - 1].crew
        generator = stream(self._seed, "wool rings", family)
        count = self._count(request.members)
        rings = np.zeros(count, RING)
        rings["ring"] = np.arange(count)
        rings["family"] = family
        rings["end"] = -1
        weight = generator.lognormal(0.0, settings.size_sigma, count)
        turn = np.arange(count) < np.ceil(settings.at_work * count)
        begun = np.where(turn, 0.0, settings.latest * generator.random(count))
        start = np.floor(begun * request.days)
        whole = settings.share / (1.0 - settings.share) * settings.scans_a_member_day * request.members * request.days
        scans_a_day = weight * whole * crew.share / np.sum(weight * (request.days - start))
        arrives = request.arrive.get(FAMILIES[family], 0)
        rings["start"] = np.maximum(arrives + np.floor(begun * (request.days - arrives)), arrives)
        rings["scans_a_day"] = scans_a_day / crew.working
        fewest, most = crew.accounts
        life = scans_a_day * (request.days - start)
        # The first ring is careful and there from the start, so that the smallest world shows every family.
        bold = np.zeros(count, np.bool_)
        bold[1:] = generator.permutation(count - 1) < np.round(crew.bold * count)
        rings["greed"] = np.where(bold, generator.uniform(*settings.greed, count), 1.0)
        needed = life / crew.scans_an_account / rings["greed"] ** settings.few_hands
        if crew.accounts_a_thousand > 0:
            needed = weight / weight.sum() * crew.accounts_a_thousand * request.members / 1000
        rings["accounts"] = np.clip(np.round(needed), fewest, most)
        held_back = settings.adaptation.held_back if request.adapt else 0.0
        rings["held"] = rings["accounts"] + np.ceil(held_back * rings["accounts"]).astype(np.int64)
        sharing = generator.uniform(*crew.accounts_a_phone, count)
        rings["phones"] = np.clip(np.round(rings["accounts"] / sharing), 1, rings["accounts"])
        rings["hour"] = generator.uniform(9.0, 20.5, count)
        rings["pace"] = 1.0
        rings["mix"], rings["proxies"] = crew.mix, crew.proxies
        return rings

    def _count(self, members: int) -> int:
        families = len(FAMILIES) - 1
        count = max(1, round(members / 1000 * self._settings.rings_a_thousand / families))
        return max(count, self._settings.fewest_rings) if members >= self._settings.fewest_from else count
