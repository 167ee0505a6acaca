"""The pace of a budget: a price that rises when money goes faster than planned, and falls when it goes slower.

The night's prices were right for the members that were expected. By day others come, at other hours, and redeem more
or less than foretold. At each tick the controller compares what was committed since the last one with what the plan
asks of the rest of the money, and moves the price by a bounded factor. What an offer costs is committed when it is
sent, at its expectation, corrected by how redemptions have run against expectations so far, and settled when it is
used or lapses. Money that is committed is never committed twice, and a reserve covers the luck of what is open.

Everything is a function of the state, which is a plain record: written with the decisions it can be replayed.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import msgspec

from data.errors import UsageError

_LEAST_RATIO: Final = 0.5
_LARGEST_RATIO: Final = 2.0
_PRIOR: Final = 0.02
"""Redemptions count as having run as expected for this share of the budget, until there is evidence."""


class Pacing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a budget is to be spent.

    Attributes:
        budget_fen: The money.
        price: The price that the allocation found; 0 where it saw no scarcity.
        plan: Points (share of the time that has passed, share of the budget that is then spent), from (0, 0) to (1, 1),
            straight in between: the expected traffic.
        gain: How much of a relative error of the spending rate goes into the price at a tick.
        most_step: The largest factor by which the price changes at a tick, up or down.
        most_range: The largest factor by which it may leave `price`, up or down.
        least_price: The price is never below it.
        steadiness: Share of the budget that is added to what was spent and to what was planned before they are
            compared, so that a handful of redemptions moves nothing.
        caution: Standard deviations of the open offers' cost that are kept in reserve.

    Raises:
        UsageError: A number is out of its range, or the plan does not rise from (0, 0) to (1, 1); all at once.
    """

    budget_fen: float
    price: float
    plan: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 1.0))
    gain: float = 0.15
    most_step: float = 1.25
    most_range: float = 8.0
    least_price: float = 0.01
    steadiness: float = 0.004
    caution: float = 3.0

    def __post_init__(self) -> None:
        """Refuse what cannot be paced."""
        problems = [
            f"{name}: found {value}, expected {expected}"
            for name, value, fine, expected in (
                ("budget_fen", self.budget_fen, 0 < self.budget_fen < math.inf, "more than 0"),
                ("price", self.price, 0 <= self.price < math.inf, "0 or more"),
                ("gain", self.gain, 0 < self.gain <= 1, "more than 0, at most 1"),
                ("most_step", self.most_step, 1 < self.most_step < math.inf, "more than 1"),
                ("most_range", self.most_range, 1 < self.most_range < math.inf, "more than 1"),
                ("least_price", self.least_price, 0 < self.least_price < math.inf, "more than 0"),
                ("steadiness", self.steadiness, 0 < self.steadiness < 1, "between 0 and 1"),
                ("caution", self.caution, 0 <= self.caution < math.inf, "0 or more"),
            )
            if not fine
        ]
        rises = all(one[0] < two[0] and one[1] <= two[1] for one, two in pairwise(self.plan))
        if len(self.plan) < 2 or self.plan[0] != (0.0, 0.0) or self.plan[-1] != (1.0, 1.0) or not rises:
            problems.append(f"plan: found {self.plan}, expected points that rise from (0, 0) to (1, 1)")
        if problems:
            raise UsageError("Pacing: " + "; ".join(problems) + ".")

    def planned(self, at: float) -> float:
        """The share of the budget that is to be spent when a share of the time has passed.

        >>> Pacing(budget_fen=1, price=1, plan=((0.0, 0.0), (0.5, 0.8), (1.0, 1.0))).planned(0.25)
        0.4
        """
        for (start, low), (end, high) in pairwise(self.plan):
            if at <= end:
                return low + (high - low) * max(at - start, 0.0) / (end - start)
        return 1.0


class Pace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a budget stands; make the first with `begin`.

    Attributes:
        price: The price of now.
        at: Share of the time that had passed at the last tick.
        mark_fen: What was committed at the last tick.
        paid_fen: What was redeemed.
        expected_fen: What had been expected of offers that are settled.
        open_fen: What is expected of offers that are not.
        open_variance: At most the variance of it, in fen squared.
        asked: How many members were looked at since the last tick.
    """

    price: float
    at: float = 0.0
    mark_fen: float = 0.0
    paid_fen: float = 0.0
    expected_fen: float = 0.0
    open_fen: float = 0.0
    open_variance: float = 0.0
    asked: int = 0


def begin(pacing: Pacing) -> Pace:
    """The start: nothing spent, the price of the allocation."""
    return Pace(max(pacing.price, pacing.least_price))


def ratio(pacing: Pacing, pace: Pace) -> float:
    """How redemptions run against expectations: 1.2 where they cost a fifth more than foretold."""
    prior = _PRIOR * pacing.budget_fen
    return min(max((pace.paid_fen + prior) / (pace.expected_fen + prior), _LEAST_RATIO), _LARGEST_RATIO)


def committed(pacing: Pacing, pace: Pace) -> float:
    """What is spent and bound, in fen."""
    return pace.paid_fen + ratio(pacing, pace) * pace.open_fen


def affords(pacing: Pacing, pace: Pace, cost: float, face: float) -> bool:
    """Whether one more offer fits, the reserve for the luck of open offers included.

    Args:
        pacing: The plan.
        pace: Where the budget stands.
        cost: Expected cost of the offer in fen.
        face: The most that it can cost in fen.
    """
    factor = ratio(pacing, pace)
    spread = pacing.caution * math.sqrt(factor * max(pace.open_variance + cost * face, 0.0))
    return pace.paid_fen + factor * (pace.open_fen + cost) + spread <= pacing.budget_fen


def asked(pace: Pace) -> Pace:
    """A member was looked at, whatever they got."""
    return msgspec.structs.replace(pace, asked=pace.asked + 1)


def sent(pace: Pace, cost: float, face: float) -> Pace:
    """An offer was sent: its expected cost is bound."""
    return msgspec.structs.replace(pace, open_fen=pace.open_fen + cost, open_variance=pace.open_variance + cost * face)


def settled(pace: Pace, cost: float, face: float, paid: float) -> Pace:
    """An offer was redeemed, or has lapsed (paid 0): its expected cost is no longer bound, what it cost is spent."""
    return msgspec.structs.replace(
        pace,
        paid_fen=pace.paid_fen + paid,
        expected_fen=pace.expected_fen + cost,
        open_fen=max(pace.open_fen - cost, 0.0),
        open_variance=max(pace.open_variance - cost * face, 0.0),
    )


def ticked(pacing: Pacing, pace: Pace, at: float) -> Pace:
    """Set the price anew.

    Nothing winds up: the price has bounds and no memory beside itself, each tick plans the rest of the money over the
    rest of the time, and a time in which nobody came, or in which the money is gone, does not move it.

    Args:
        pacing: The plan.
        pace: Where the budget stands.
        at: Share of the time that has passed, from that of the last tick to 1.

    Raises:
        UsageError: The time runs backwards, or past the end.
    """
    if not pace.at <= at <= 1:
        raise UsageError(f"ticked: found the share {at} of the time, expected {pace.at} to 1; tick in order.")
    now = committed(pacing, pace)
    before, due = pacing.planned(pace.at), pacing.planned(at)
    rest = max(pacing.budget_fen - pace.mark_fen, 0.0)
    price = pace.price
    if pace.asked and before < 1 and now < pacing.budget_fen:
        steady = pacing.steadiness * pacing.budget_fen
        target = rest * (due - before) / (1 - before)
        error = (max(now - pace.mark_fen, 0.0) + steady) / (target + steady)
        step = min(max(error**pacing.gain, 1 / pacing.most_step), pacing.most_step)
        middle = max(pacing.price, pacing.least_price)
        low, high = max(middle / pacing.most_range, pacing.least_price), middle * pacing.most_range
        price = min(max(price * step, low), high)
    return msgspec.structs.replace(pace, price=price, at=at, mark_fen=now, asked=0)
