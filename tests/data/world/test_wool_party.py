"""The nine trades at work in a real, small world: each must show what it is, and nothing that it is not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from data.world.almanac import DAY_US, START_US
from data.world.campaigns import FLASH_SALE, Campaigns, CampaignSettings
from data.world.city import City, CitySettings
from data.world.codes import CodeBook, CodeSettings
from data.world.defence import NaiveRules
from data.world.families.flash_bots import overrun
from data.world.grid import great_circle_km
from data.world.identifiers import identifiers
from data.world.networks import SHOP, Networks, NetworkSettings, wifi_number
from data.world.people import PeopleSettings, draw_people
from data.world.products import Products, ProductSettings, draw_products
from data.world.records import FAMILIES
from data.world.rings import Surroundings, TradeSettings, WoolParty, WoolSettings
from data.world.trade import SHELVED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SEED, MEMBERS, DAYS = 11, 8_000, 36
HOUR_US, MINUTE_US = 3_600_000_000, 60_000_000


@dataclass(frozen=True)
class Asked:
    members: int = MEMBERS
    days: int = DAYS
    leave_out: tuple[str, ...] = ()
    arrive: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    adapt: bool = False


class FullShelf:
    """A shelf that never runs out: any code sold loose in the city, somewhere near its middle."""

    def __init__(self, around: Surroundings, products: Products) -> None:
        self.around, self.own, self.at = around, np.flatnonzero(products.own), START_US
        self.sampled: set[tuple[int, int]] = set()

    def sample(self, generator: np.random.Generator, city: int, count: int) -> np.ndarray[Any, Any]:
        found = self.around.codes.loose(
            generator, generator.choice(self.own, count), np.full(count, city), np.full(count, self.at)
        )
        codes = np.zeros(count, SHELVED)
        codes["batch"], codes["serial"] = found
        codes["lat"] = self.around.city.city_lat[city] + generator.normal(0.0, 0.05, count)
        codes["lon"] = self.around.city.city_lon[city] + generator.normal(0.0, 0.05, count)
        self.sampled.update(zip(codes["batch"].tolist(), codes["serial"].tolist(), strict=True))
        return codes


@dataclass(frozen=True)
class Lived:
    """A party after all of its days, and what it scanned."""

    party: WoolParty
    scans: np.ndarray[Any, Any]
    shelf: FullShelf

    def of(self, family: str) -> np.ndarray[Any, Any]:
        return self.scans[self.scans["family"] == FAMILIES.index(family)]


@pytest.fixture(scope="module")
def city() -> City:
    return City(CitySettings(), SEED)


@pytest.fixture(scope="module")
def products() -> Products:
    return draw_products(ProductSettings(), SEED)


@pytest.fixture(scope="module")
def around(city: City, products: Products) -> Surroundings:
    size = (MEMBERS, DAYS, SEED)
    campaigns = Campaigns(CampaignSettings(), city, products, *size)
    friends = draw_people(PeopleSettings(), city, DAYS, SEED, "honest", 0, range(MEMBERS)).members
    return Surroundings(
        people=PeopleSettings(),
        city=city,
        codes=CodeBook(CodeSettings(), city, products, campaigns, *size),
        campaigns=campaigns,
        networks=Networks(NetworkSettings(), city, *size),
        friends=friends,
    )


@pytest.fixture(scope="module")
def live(around: Surroundings, products: Products) -> Callable[..., Lived]:
    """Lets a party live through its days; `judge` says which scans are blocked, `worth` what a prize is worth."""

    def lived(
        asked: Asked, settings: WoolSettings | None = None, judge: Any = None, worth: float = 1.0, seed: int = SEED
    ) -> Lived:
        party = WoolParty(settings or WoolSettings(), asked, around, seed)
        shelf = FullShelf(around, products)
        made, outcome = [], None
        for day in range(asked.days):
            shelf.at = START_US + day * DAY_US
            scans = party.day(day, shelf, outcome)
            prize = around.codes.prize(scans["batch"], scans["serial"], scans["campaign"])
            blocked = np.zeros(len(scans), np.bool_) if judge is None else judge(day, scans)
            won = np.where(blocked, 0, prize * worth).astype(np.int64)
            outcome = party.outcome(scans, blocked=blocked, prize_fen=won)
            made.append(scans)
        return Lived(party, np.concatenate(made), shelf)

    return lived


@pytest.fixture(scope="module")
def world(live: Callable[..., Lived]) -> Lived:
    return live(Asked())


def per(scans: np.ndarray[Any, Any], key: str, other: str) -> np.ndarray[Any, Any]:
    """How many different values of `other` each value of `key` has."""
    pairs = np.unique(scans[[key, other]])
    return np.unique(pairs[key], return_counts=True)[1]


def bought_as_shoppers_do(scans: np.ndarray[Any, Any], lived: Lived) -> float:
    return float(np.mean([pair in lived.shelf.sampled for pair in zip(scans["batch"], scans["serial"], strict=True)]))


def test_all_families_are_there_and_make_the_share_they_should(world: Lived) -> None:
    counts = np.bincount(world.scans["family"], minlength=len(FAMILIES))
    assert counts[0] == 0
    assert np.all(counts[1:] > 50)
    honest = WoolSettings().scans_a_member_day * MEMBERS * DAYS
    assert 0.055 < len(world.scans) / (len(world.scans) + honest) < 0.085


def test_nobody_scans_before_joining_or_outside_a_ring(world: Lived) -> None:
    members = world.party.members
    assert np.all(np.diff(members["member"]) > 0)
    assert members["member"][0] == MEMBERS
    place = np.searchsorted(members["member"], world.scans["member"])
    found = members[place]
    assert np.all(found["member"] == world.scans["member"])
    assert np.all(found["registered_at"] < world.scans["at"])
    assert np.all(found["ring"] == world.scans["ring"])
    assert np.all(found["family"] == world.scans["family"])
    assert np.all(found["referrer"] != found["member"])


def test_referrers_joined_before_those_they_brought(world: Lived, around: Surroundings) -> None:
    everybody = np.concatenate([around.friends, world.party.members])
    members = world.party.members[world.party.members["referrer"] >= 0]
    assert len(members) > 100
    referrers = everybody[np.searchsorted(everybody["member"], members["referrer"])]
    assert np.all(referrers["member"] == members["referrer"])
    assert np.all(referrers["registered_at"] <= members["registered_at"])


def test_the_same_seed_gives_the_same_scans_and_another_does_not(world: Lived, live: Callable[..., Lived]) -> None:
    assert np.array_equal(live(Asked()).scans, world.scans)
    assert not np.array_equal(live(Asked(), seed=SEED + 1).scans[:100], world.scans[:100])


def test_leaving_families_out_changes_nothing_about_the_others(world: Lived, live: Callable[..., Lived]) -> None:
    out = ("device_farm", "flash_bots")
    fewer = live(Asked(leave_out=out))
    kept = ~np.isin(world.scans["family"], [FAMILIES.index(name) for name in out])
    assert set(FAMILIES[1:]) - set(out) == {FAMILIES[place] for place in np.unique(fewer.scans["family"])}
    without = [name for name in world.scans.dtype.names or () if name not in {"number", "batch", "serial", "campaign"}]
    assert np.array_equal(fewer.scans[without], world.scans[kept][without])
    assert not np.isin(fewer.party.members["family"], [FAMILIES.index(name) for name in out]).any()


def test_a_family_that_arrives_late_is_not_seen_before(live: Callable[..., Lived]) -> None:
    late = live(Asked(arrive={"cap_resale": 20}))
    days = (late.of("cap_resale")["at"] - START_US) // DAY_US
    assert 20 <= days.min() <= 23
    others = (late.of("device_farm")["at"] - START_US) // DAY_US
    assert others.min() < 5


def test_farms_share_phones_and_one_line(world: Lived) -> None:
    scans = world.of("device_farm")
    assert per(scans, "device", "member").mean() > 2
    assert np.all(per(scans[scans["wifi"] >= 0], "ring", "wifi") == 1)
    assert per(scans, "member", "device").mean() < 1.3
    gaps = np.diff(np.sort(scans["at"][scans["ring"] == scans["ring"][0]])) / 1e6
    assert np.mean(gaps < 600) > 0.6


def test_rented_phones_work_in_bursts_from_homes_behind_proxies(world: Lived) -> None:
    scans = world.of("rented_phones")
    first, counts = np.unique(scans["member"], return_counts=True)
    addresses = per(scans, "member", "mobile_address")
    assert addresses[counts > 5].mean() > 0.7 * counts[counts > 5].mean()
    members = world.party.members
    mine = members[np.isin(members["member"], first)]
    assert np.unique(mine["account"], return_counts=True)[1].mean() > 3
    assert per(scans, "device", "member").mean() < 2.2
    in_burst = np.abs(scans["at"][:, None] - scans["at"][None, :]) < 40 * MINUTE_US
    of_ring = scans["ring"][:, None] == scans["ring"][None, :]
    assert (in_burst & of_ring).sum(axis=1).mean() > 4


def test_cap_buyers_scan_runs_from_far_away(world: Lived, around: Surroundings) -> None:
    scans = world.of("cap_resale")
    order = np.lexsort((scans["at"], scans["batch"], scans["member"]))
    steps = np.abs(np.diff(scans["serial"][order]))
    same = (np.diff(scans["batch"][order]) == 0) & (np.diff(scans["member"][order]) == 0)
    assert np.mean(steps[same] < 24) > 0.8
    assert same.mean() > 0.5
    sent = around.codes.batches["city"][scans["batch"]]
    here = around.city.nearest_city(scans["lat"], scans["lon"])
    assert np.mean(sent != here) > 0.6
    assert not scans["linked"].mean() > 0.1
    assert per(scans, "ring", "member").max() < 30


def test_leaked_lists_are_tried_before_they_are_active(world: Lived, around: Surroundings) -> None:
    scans = world.of("leaked_codes")
    lag = scans["at"] - around.codes.batches["activated_at"][scans["batch"]]
    assert 0.15 < np.mean(lag < 0) < 0.85
    assert np.mean(lag < 3 * DAY_US) > 0.8
    assert scans["linked"].mean() > 0.5
    assert per(scans, "ring", "batch").mean() > 8
    for family in ("device_farm", "cap_resale", "bonus_hunters", "store_clerks"):
        others = world.of(family)
        assert np.mean(others["at"] < around.codes.batches["activated_at"][others["batch"]]) < 0.02


def test_stars_bring_newcomers_who_scan_at_once_and_are_not_seen_again(world: Lived) -> None:
    scans = world.of("referral_star")
    members = world.party.members
    children = members[(members["family"] == FAMILIES.index("referral_star")) & (members["registered_at"] > START_US)]
    assert np.mean(children["referrer"] >= MEMBERS) > 0.9
    assert np.unique(children["referrer"], return_counts=True)[1].max() > 20
    joined = members["registered_at"][np.searchsorted(members["member"], scans["member"])]
    wait = (scans["at"] - joined) / HOUR_US
    assert np.mean(wait < 1) > 0.4
    assert np.mean(wait < 9 * 24) == 1.0
    assert np.unique(scans["member"], return_counts=True)[1].mean() < 4


def test_hunters_strike_when_prizes_rise_and_cash_out_at_once(world: Lived, around: Surroundings) -> None:
    scans = world.of("bonus_hunters")
    rises = np.sort(around.campaigns.rises)
    since = scans["at"] - rises[np.maximum(np.searchsorted(rises, scans["at"]) - 1, 0)]
    early = (since >= 0) & (since < 45 * MINUTE_US)
    assert np.mean(early) > 0.4
    assert np.mean(per(scans, "device", "member") == 1) > 0.95
    members = world.party.members
    mine = members[members["family"] == FAMILIES.index("bonus_hunters")]
    others = members[members["family"] == FAMILIES.index("store_clerks")]
    assert np.median(mine["cash_out_us"]) < HOUR_US < np.median(others["cash_out_us"])


def test_bots_ask_within_seconds_of_a_sale(world: Lived, around: Surroundings) -> None:
    scans = world.of("flash_bots")
    rows = around.campaigns.rows
    asked = scans[rows["kind"][scans["campaign"]] == FLASH_SALE]
    assert len(asked) > 0.4 * len(scans)
    seconds = (asked["at"] - rows["starts_at"][asked["campaign"]]) / 1e6
    assert np.median(seconds) < 20
    assert np.all(asked["linked"])
    assert len(np.unique(asked[["batch", "serial"]])) == len(asked)
    assert not np.isin(rows["kind"][world.scans["campaign"]], [FLASH_SALE])[
        world.scans["family"] != FAMILIES.index("flash_bots")
    ].any()


def test_clones_are_codes_of_others_tried_from_several_places(world: Lived) -> None:
    scans = world.of("cloned_codes")
    assert bought_as_shoppers_do(scans, world) > 0.75
    codes = scans[["batch", "serial"]]
    _, code, counts = np.unique(codes, return_inverse=True, return_counts=True)
    assert np.mean(counts > 1) > 0.25
    again = np.flatnonzero(counts > 1)[:200]
    spans = [
        great_circle_km(scans["lat"][code == one].min(), 100.0, scans["lat"][code == one].max(), 100.0) for one in again
    ]
    assert np.mean(np.array(spans) > 100) > 0.25


def test_clerks_scan_in_their_shop_in_opening_hours(world: Lived, around: Surroundings) -> None:
    scans = world.of("store_clerks")
    roster = world.party.recruits.roster
    place = np.argsort(roster["member"])[np.searchsorted(np.sort(roster["member"]), scans["member"])]
    shop = roster[place]
    inside = great_circle_km(scans["lat"], scans["lon"], shop["store_lat"], shop["store_lon"]) < 0.1
    assert 0.65 < inside.mean() < 0.95
    assert np.mean(scans["wifi"][inside] == wifi_number(SHOP, shop["store"][inside])) > 0.5
    hour = (scans["at"] - START_US) % DAY_US / HOUR_US
    assert np.all((hour[inside] > 8) & (hour[inside] < 22))
    assert around.city.store_open[shop["store"]].all()
    assert bought_as_shoppers_do(scans[inside], world) > 0.9


def test_rings_that_win_nothing_give_up_and_others_go_on(world: Lived, live: Callable[..., Lived]) -> None:
    poor = live(Asked(), worth=0.0)
    # Where a code costs nothing a clerk has little to lose, but labour is never free.
    started = poor.party.rings["start"] < 8
    telling = poor.party.books.balance["scans"] > 40
    assert np.mean(poor.party.rings["end"][started & telling] >= 0) > 0.75
    assert np.mean(world.party.rings["end"] >= 0) < 0.35
    for ring in poor.party.rings[poor.party.rings["end"] >= 0]:
        days = (poor.scans["at"][poor.scans["ring"] == ring["ring"]] - START_US) // DAY_US
        assert days.max() <= ring["end"] + 1
    assert len(poor.scans) < len(world.scans)


def shown(scans: np.ndarray[Any, Any]) -> pa.Table:
    return pa.table(
        {
            "member_id": identifiers(SEED, "member", scans["member"]),
            "device_id": identifiers(SEED, "device", scans["device"]),
            "ip": identifiers(SEED, "ip", scans["wifi_address"].astype(np.int64)),
            "status": pa.array(["valid"] * len(scans)),
        }
    )


def test_adapting_lowers_what_gets_blocked_and_costs_money(live: Callable[..., Lived]) -> None:
    eager = replace(WoolSettings(), share=0.15)
    shares, costs, parties = [], [], []
    for adapt in (False, True):
        rules, told = NaiveRules(), []

        def judge(day: int, scans: np.ndarray[Any, Any], rules: NaiveRules = rules, told: list[Any] = told) -> Any:
            order = np.argsort(scans["at"], kind="stable")
            blocked = np.zeros(len(scans), np.bool_)
            blocked[order] = rules.judge(day, shown(scans[order]))
            told.append((blocked.sum(), len(scans)))
            return blocked

        lived = live(Asked(adapt=adapt), eager, judge, worth=5.0)
        late = np.array(told[-12:]).sum(axis=0)
        shares.append(late[0] / late[1])
        costs.append(lived.party.books.balance["cost_fen"].sum() / len(lived.scans))
        parties.append(lived.party)
    assert shares[0] > 0.05
    assert shares[1] < 0.75 * shares[0]
    assert costs[1] > costs[0]
    changed = parties[1].adaptation
    assert changed is not None
    assert changed.changes.sum() > 10
    adapted = parties[1].rings
    assert np.all(adapted["pace"] <= 1)
    assert np.all(adapted["accounts"] + adapted["used_up"] <= adapted["held"])


def gap(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """Largest distance of two distribution functions, in units of what chance exceeds once in ten thousand."""
    grid = np.unique(np.concatenate([one, other]))
    apart = np.searchsorted(np.sort(one), grid, "right") / len(one)
    apart = apart - np.searchsorted(np.sort(other), grid, "right") / len(other)
    return float(np.abs(apart).max() / (2.23 * np.sqrt(1 / len(one) + 1 / len(other))))


def test_no_single_value_is_shaped_otherwise_than_honest_ones(world: Lived, around: Surroundings) -> None:
    honest = draw_people(PeopleSettings(), around.city, DAYS, SEED, "honest", 0, range(MEMBERS))
    at = np.full(MEMBERS, START_US + 10 * DAY_US)
    members, scans = world.party.members, world.scans
    _, one_a_device = np.unique(scans["device"], return_index=True)
    _, one_an_address = np.unique(scans["mobile_address"], return_index=True)
    _, one_a_line = np.unique(scans["wifi_address"], return_index=True)
    home = around.networks.home(honest.household, honest.city, at)
    mobile = np.unique(around.networks.mobile(honest.devices[:, 0], honest.city, at))
    assert gap(scans["agent"][one_a_device] // 30, around.networks.agent(honest.devices[:, 0], at) // 30) < 1
    octets = np.concatenate([np.unique(home[1][home[0] >= 0]), mobile]) >> 24
    assert gap(scans["mobile_address"][one_an_address] >> 24, octets) < 1
    assert gap(scans["wifi_address"][one_a_line] >> 24, octets) < 1
    assert gap(members["phone_prefix"], honest.members["phone_prefix"]) < 1
    assert (
        gap(members["channel"][members["referrer"] < 0], honest.members["channel"][honest.members["referrer"] < 0]) < 1
    )
    assert gap(members["opted_out"].astype(float), honest.members["opted_out"].astype(float)) < 1
    printed = scans[around.campaigns.rows["kind"][scans["campaign"]] != FLASH_SALE]
    own = np.flatnonzero(np.bincount(around.codes.batches["product"]))
    bought = around.codes.loose(
        np.random.default_rng(0), np.resize(own, 4_000), np.resize(np.arange(8), 4_000), np.full(4_000, at[0])
    )
    assert gap(*(_places(around, codes) for codes in ((printed["batch"], printed["serial"]), bought))) < 1


def _places(around: Surroundings, codes: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Where in their batches codes lie, as a share of the batch: one of each crate."""
    batch, serial = codes
    _, one = np.unique(batch.astype(np.int64) * 10_000 + serial // 24, return_index=True)
    return serial[one] / around.codes.batches["codes"][batch[one]]


def test_serials_are_codes_of_their_batch(world: Lived, around: Surroundings) -> None:
    batches = around.codes.batches
    assert np.all((world.scans["serial"] >= 0) & (world.scans["serial"] < batches["codes"][world.scans["batch"]]))
    assert np.all((world.scans["campaign"] >= 0) & (world.scans["wifi"] >= -1))


def test_a_sale_can_be_overrun(live: Callable[..., Lived], around: Surroundings) -> None:
    honest_requests = 1.8
    asked = Asked(leave_out=tuple(name for name in FAMILIES[1:] if name != "flash_bots"))
    scans = live(asked, WoolSettings(trades=TradeSettings(flash_bots=overrun(honest_requests)))).scans
    sales = np.bincount(scans["campaign"], minlength=len(around.campaigns.rows))[around.campaigns.of_kind(FLASH_SALE)]
    honest = around.campaigns.settings.flash_shoppers * MEMBERS * honest_requests
    abnormal = sales / (sales + honest)
    assert np.all((abnormal > 0.94) & (abnormal < 0.975))


def test_the_trades_stand_in_the_order_of_the_families() -> None:
    assert tuple(TradeSettings().__dataclass_fields__) == FAMILIES[1:]
    assert sum(trade.crew.share for trade in TradeSettings().in_order()) == pytest.approx(1.0)


@pytest.mark.parametrize(("members", "rings"), [(300, 1), (20_000, 8), (40_000, 13)])
def test_rings_grow_with_the_world(around: Surroundings, members: int, rings: int) -> None:
    party = WoolParty(WoolSettings(), Asked(members=members, leave_out=FAMILIES[2:]), around, SEED)
    assert len(party.rings) == rings
    assert party.rings["start"].min() == 0


def test_the_smallest_world_shows_every_family(around: Surroundings, products: Products) -> None:
    party, shelf = WoolParty(WoolSettings(), Asked(members=300), around, SEED), FullShelf(around, products)
    families = [np.unique(party.day(day, shelf)["family"]) for day in range(DAYS)]
    assert set(np.concatenate(families).tolist()) == set(range(1, len(FAMILIES)))
    assert set(party.rings["greed"].tolist()) == {1.0}
