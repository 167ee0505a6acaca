"""How people became members: when, where, brought by whom, and where their prizes go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.records import MEMBER
from data.world.streams import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Wholes = NDArray[np.int64]
    Records = NDArray[np.void]

CHANNELS: Final = ("scan", "store", "mini_program", "friend", "advert")
"""Where members join; MEMBER.channel is a place in it."""

_NETWORKS: Final = (
    *range(134, 140),
    147,
    *range(150, 154),
    *range(155, 160),
    166,
    *range(175, 179),
    *range(180, 190),
    191,
    195,
    198,
    199,
)


@dataclass(frozen=True)
class RegisterSettings:
    """How members join. Assumed unless a source is given.

    Attributes:
        new_a_day: members who join on a day of the world, relative to those who were there before it.
        oldest_days: when the programme began, in days before the world.
        channels: shares of CHANNELS among those whom nobody brought.
        referred: share of members brought by another.
        near: share of them brought by somebody of their own city.
        popularity: tail of how many one member brings (Pareto index); below 2, a few people bring very many.
        most_popular: greatest pull of one member, that of a middling one being about .6.
        opted_out: share who want no offers.
        local_phone: share whose phone number is of their home city.
        phone_blocks: number blocks of each city.
        cash_out_fen: balances from which members withdraw, with shares cash_out_shares.
        cash_out_shares: see cash_out_fen; what is left to 1 never withdraws (the largest int64).
        cash_out_days: median days from that balance to the withdrawal; cash_out_spread: of its logarithm.
        cash_out_spread: see cash_out_days.
        shared_account: share of members whose prizes go to the account of the member just before them: mostly a
            spouse or a parent.
    """

    new_a_day: float = 0.0019
    oldest_days: float = 1460.0
    channels: tuple[float, ...] = (0.5, 0.22, 0.16, 0.04, 0.08)
    referred: float = 0.25
    near: float = 0.85
    popularity: float = 1.4
    most_popular: float = 60.0
    opted_out: float = 0.07
    local_phone: float = 0.78
    phone_blocks: int = 240
    cash_out_fen: tuple[int, ...] = (100, 200, 500, 1000, 2000)
    cash_out_shares: tuple[float, ...] = (0.24, 0.2, 0.22, 0.13, 0.06)
    cash_out_days: float = 1.5
    cash_out_spread: float = 2.2
    shared_account: float = 0.04


def draw_register(
    settings: RegisterSettings,
    city: Wholes,
    days: int,
    seed: int,
    generator: np.random.Generator,
    members: range,
) -> Records:
    """The MEMBER record of each person, honest and of no crowd, given their home cities."""
    count = len(members)
    made = np.zeros(count, MEMBER)
    made["member"] = np.arange(members.start, members.stop)
    made["registered_at"] = _registered(settings, generator, days, count)
    made["city"] = city
    made["ring"] = -1
    made["referrer"] = _referrers(settings, generator, made)
    channels = np.array(settings.channels)
    made["channel"] = generator.choice(len(channels), count, p=channels / channels.sum())
    made["channel"][made["referrer"] >= 0] = CHANNELS.index("friend")
    made["opted_out"] = generator.random(count) < settings.opted_out
    made["phone_prefix"] = _phone_prefixes(settings, generator, seed, city)
    made["account"] = made["member"]
    shared = np.flatnonzero(generator.random(count) < settings.shared_account)
    shared = shared[shared > 0]
    made["account"][shared] = made["member"][shared - 1]
    balances = np.array([*settings.cash_out_fen, np.iinfo(np.int64).max], np.int64)
    never = 1.0 - sum(settings.cash_out_shares)
    made["cash_out_fen"] = balances[generator.choice(len(balances), count, p=[*settings.cash_out_shares, never])]
    wait = settings.cash_out_days * np.exp(settings.cash_out_spread * generator.standard_normal(count))
    made["cash_out_us"] = (DAY_US * np.clip(wait, 1e-3, 90.0)).astype(np.int64)
    return made


def registration_hours(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Local hours of the day at which people join: days and evenings, hardly at night."""
    return np.where(
        generator.random(count) < 0.9, 6.5 + 17.0 * generator.beta(2.2, 1.6, count), generator.uniform(0.0, 24.0, count)
    )


def _registered(settings: RegisterSettings, generator: np.random.Generator, days: int, count: int) -> Wholes:
    """Most before the world, fewer the longer ago; a steady stream while it runs."""
    before = -1.0 - np.floor(settings.oldest_days * generator.random(count) ** 1.3)
    during = np.floor(days * generator.random(count))
    new = settings.new_a_day * days
    day = np.where(generator.random(count) < new / (1.0 + new), during, before)
    made: Wholes = START_US + (DAY_US * (day + registration_hours(generator, count) / 24.0)).astype(np.int64)
    return made


def _referrers(settings: RegisterSettings, generator: np.random.Generator, made: Records) -> Wholes:
    """Who brought each member: somebody who joined earlier, mostly of the same city, popular people far more often."""
    count = len(made)
    weight = np.minimum(generator.pareto(settings.popularity, count), settings.most_popular) + 0.05
    near = generator.random(count) < settings.near
    luck = generator.random(count)
    anywhere = _earlier(made["registered_at"], np.zeros(count, np.int64), weight, luck)
    at_home = _earlier(made["registered_at"], made["city"].astype(np.int64), weight, luck)
    chosen = np.where(near, at_home, anywhere)
    brought = (generator.random(count) < settings.referred) & (chosen >= 0)
    return np.where(brought, made["member"][chosen], -1)


def _earlier(at: Wholes, group: Wholes, weight: NDArray[np.float64], luck: NDArray[np.float64]) -> Wholes:
    """For each person the place of somebody of the same group who came earlier, drawn by weight; -1 for the first."""
    order = np.lexsort((at, group))
    total = np.concatenate([[0.0], np.cumsum(weight[order])])
    first = np.searchsorted(group[order], group[order], side="left")
    rank = np.arange(len(order))
    aim = total[first] + luck[order] * (total[rank] - total[first])
    found = np.minimum(np.searchsorted(total, aim, side="right") - 1, rank - 1)
    chosen = np.full(len(order), -1, np.int64)
    chosen[order] = np.where(rank > first, order[np.maximum(found, first)], -1)
    return chosen


def _phone_prefixes(
    settings: RegisterSettings, generator: np.random.Generator, seed: int, city: Wholes
) -> NDArray[np.int32]:
    """First seven digits: network, and a block of numbers that the network gave out in one city."""
    cities, blocks = int(city.max(initial=0)) + 1, settings.phone_blocks
    issued = np.empty((max(cities, 64), blocks), np.int32)
    for place in range(len(issued)):
        chance = stream(seed, "phone-blocks", place)
        issued[place] = 10_000 * chance.choice(_NETWORKS, blocks) + chance.integers(0, 10_000, blocks)
    local = generator.random(len(city)) < settings.local_phone
    origin = np.where(local, city, generator.integers(0, len(issued), len(city)))
    # Blocks that were given out early are fuller.
    block = (blocks * generator.random(len(city)) ** 1.5).astype(np.int64)
    return issued[origin, block]
