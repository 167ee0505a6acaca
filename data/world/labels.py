"""Verdicts on scans as a brand's risk desk would reach them: late, for less than half, mostly right.

Four desks look: rules that count what happens in an hour send scans to be looked at; reviewers take up a ring or a
member for a week at a time, so that the scans of one ring are judged together; accounts that paid out dispute prizes;
and an audit draws scans by lot. A scan that several looked at carries the first verdict. That verdicts come late and
for few is known of the trade (notes on risk, sections 3 and 6); the figures are assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.world.hashes import uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORIGINS: Final = ("rule", "review", "chargeback", "audit")
LABEL: Final = np.dtype([("scan", "i8"), ("at", "i8"), ("is_wool", "?"), ("origin", "i1")])

_RULE, _REVIEW, _CHARGEBACK, _AUDIT = range(4)
_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR
_WEEK: Final = 7 * _DAY
_NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True)
class LabelSettings:
    """How many scans are looked at, how long a verdict takes, and how often it is wrong; all assumed.

    Attributes:
        rule_scans: Scans of one member in an hour from which a rule asks for a look.
        rule_members: Members on one phone in an hour from which it does.
        rule_looked_at: Share of those that somebody finds the time to look at.
        ring_reviewed: Chance that a ring is taken up, a week.
        crowd_reviewed: Chance that a member of a crowd that looks guilty is taken up, a week.
        member_reviewed: Chance that any other honest member is taken up, a week.
        review_covers: Share of the scans of a week that a review reaches.
        chargeback: Share of the prizes of the wool party that are disputed later.
        chargeback_honest: Share of honest prizes that are.
        audited: Share of all scans that are looked at by lot.
        wrong: Share of verdicts that are wrong.
        days: Median time until a verdict lands.
        days_spread: Standard deviation of its logarithm.
        days_longest: No verdict lands later.
        chargeback_times: How much longer a dispute takes than a look.
    """

    rule_scans: int = 6
    rule_members: int = 3
    rule_looked_at: float = 0.35
    ring_reviewed: float = 0.39
    crowd_reviewed: float = 0.03
    member_reviewed: float = 0.004
    review_covers: float = 0.8
    chargeback: float = 0.3
    chargeback_honest: float = 0.001
    audited: float = 0.015
    wrong: float = 0.02
    days: float = 6.0
    days_spread: float = 0.7
    days_longest: float = 45.0
    chargeback_times: float = 2.5


def verdicts(
    settings: LabelSettings,
    seed: int,
    generator: np.random.Generator,
    scans: NDArray[Any],
    arrived: NDArray[np.int64],
    prize_fen: NDArray[np.int64],
) -> NDArray[Any]:
    """What the desks will find about scans.

    Args:
        settings: How they work.
        seed: The seed of the world; it decides which ring or member is taken up in which week.
        generator: Where the rest of chance comes from.
        scans: Records of `SCAN`, in order of arrival, of whole hours.
        arrived: When each arrived; microseconds since 1970 UTC.
        prize_fen: What each won.

    Returns:
        Records of `LABEL`, one for each scan looked at; `scan` is its place among `scans`.
    """
    count = len(scans)
    lands = np.full((len(ORIGINS), count), _NEVER, np.int64)
    wool = scans["family"] > 0
    looked_at = suspicious(settings, scans, arrived) & (generator.random(count) < settings.rule_looked_at)
    _set(lands[_RULE], looked_at, arrived + _delays(settings, generator, count))
    _set(lands[_REVIEW], *_reviews(settings, seed, generator, scans, arrived))
    disputed = np.where(wool, settings.chargeback, settings.chargeback_honest)
    disputed = (prize_fen > 0) & (generator.random(count) < disputed)
    _set(lands[_CHARGEBACK], disputed, arrived + _delays(settings, generator, count, settings.chargeback_times))
    audited = generator.random(count) < settings.audited
    _set(lands[_AUDIT], audited, arrived + _delays(settings, generator, count))
    first = lands.argmin(axis=0)
    chosen = np.flatnonzero(lands.min(axis=0) < _NEVER) if count else np.empty(0, np.int64)
    labels = np.empty(len(chosen), LABEL)
    labels["scan"] = chosen
    labels["at"] = lands[first[chosen], chosen]
    labels["is_wool"] = wool[chosen] ^ (generator.random(len(chosen)) < settings.wrong)
    labels["origin"] = first[chosen]
    return labels


def suspicious(settings: LabelSettings, scans: NDArray[Any], arrived: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which scans a simple rule would point at: many of one member, or many members on one phone, within an hour."""
    hour = arrived // _HOUR
    _, by_member = _groups(hour, scans["member"])
    often = np.bincount(by_member)[by_member] >= settings.rule_scans
    device, by_device = _groups(hour, scans["device"])
    pairs, _ = _groups(by_device, scans["member"])
    members = np.bincount(by_device[pairs], minlength=len(device))
    suspects: NDArray[np.bool_] = often | (members[by_device] >= settings.rule_members) & (scans["device"] >= 0)
    return suspects


def _groups(one: NDArray[Any], other: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that share both values: a row of each group, and the group of each row."""
    if not len(one):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    least = other.min()
    both = (one - one.min()).astype(np.int64) * (int(other.max()) - int(least) + 1) + (other - least)
    order = np.argsort(both)
    new = np.diff(both[order], prepend=-1) != 0
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(new) - 1
    return order[new], group


def _reviews(
    settings: LabelSettings,
    seed: int,
    generator: np.random.Generator,
    scans: NDArray[Any],
    arrived: NDArray[np.int64],
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which scans a review reaches and when its verdict lands: cases are closed as a whole, some time after the week.

    Weeks are told by the clock of each case, so that not all of them end at once.
    """
    ring, member = scans["ring"].astype(np.int64), scans["member"]
    of_ring = scans["family"] > 0
    kind, case = of_ring.astype(np.int64), np.where(of_ring, ring, member)
    shift = (uniform(seed, "review week", kind, case) * _WEEK).astype(np.int64)
    week = (arrived + shift) // _WEEK
    ordinary = np.where(scans["crowd"] > 0, settings.crowd_reviewed, settings.member_reviewed)
    taken_up = uniform(seed, "review", kind, case, week) < np.where(of_ring, settings.ring_reviewed, ordinary)
    reached = taken_up & (generator.random(len(scans)) < settings.review_covers)
    # The normal deviate of a case by the method of Box and Muller, from two hashed draws.
    radius = np.sqrt(-2.0 * np.log1p(-uniform(seed, "review radius", kind, case, week)))
    normal = radius * np.cos(2.0 * np.pi * uniform(seed, "review turn", kind, case, week))
    end = (week + 1) * _WEEK - shift
    minutes = generator.integers(0, _HOUR, len(scans))
    # A case can only be closed after its week, on whose scans it has then waited half a week on average already.
    closed = end + np.minimum(_span(settings, normal) // 2, int(settings.days_longest * _DAY) - _WEEK - _HOUR) + minutes
    return reached, closed


def _delays(
    settings: LabelSettings, generator: np.random.Generator, count: int, times: float = 1.0
) -> NDArray[np.int64]:
    return _span(settings, generator.standard_normal(count), times)


def _span(settings: LabelSettings, normal: NDArray[np.float64], times: float = 1.0) -> NDArray[np.int64]:
    days = np.minimum(settings.days * times * np.exp(settings.days_spread * normal), settings.days_longest)
    return (days * _DAY).astype(np.int64)


def _set(lands: NDArray[np.int64], chosen: NDArray[np.bool_], at: NDArray[np.int64]) -> None:
    lands[chosen] = at[chosen]
