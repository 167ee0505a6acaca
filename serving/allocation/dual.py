"""The dual of the allocation: what all limits together cost at given prices, and how far each is kept there.

With a price on every limit each member can be looked at alone. The sum of their best scores, plus what the limits are
worth at these prices, is never below the value of any allocation that keeps the limits; the prices at which it is least
are those of the optimum (the Lagrangian of the multiple-choice knapsack; Sinha & Zoltners 1979).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from serving.allocation.kernel import BY_COST, BY_SEND, TICKS, Table, Tariff, Terms, Used, best_of_all
from serving.allocation.problem import chunks, in_order, ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.allocation.problem import Problem

Doubles: TypeAlias = NDArray[np.float64]
Oracle: TypeAlias = Callable[[Doubles], "Point"]

_NONE: Final = np.empty(0, np.int64)


@dataclass(frozen=True)
class Limit:
    """One limit that may have a price.

    Attributes:
        kind: Money, stock, or the least service of a segment.
        place: Of the budget, the offer or the segment.
        size: Fen, pieces (fen, where stock is counted by use), or members.
    """

    kind: Literal["budget", "stock", "service"]
    place: int
    size: float


@dataclass(frozen=True)
class Point:
    """The dual at one vector of prices.

    Attributes:
        prices: One of each limit.
        value: The bound in fen.
        slope: How the bound changes with each price: what of each limit is left, negative where it is broken.
    """

    prices: Doubles
    value: float
    slope: Doubles


@dataclass(frozen=True)
class Dual:
    """The dual of some members.

    Attributes:
        table: Their values and costs.
        terms: The budget and the stock of each offer.
        limits: What may have a price.
        budgets: How many budgets there are.
        segments: How many segments there are.
        threads: How many look at members at once; they change no bit.
    """

    table: Table
    terms: Terms
    limits: tuple[Limit, ...]
    budgets: int
    segments: int
    threads: int

    @staticmethod
    def of(problem: Problem, threads: int) -> Dual:
        """The dual of all members of a problem."""
        limits = [
            Limit("budget", place, fen) for place, fen in enumerate(problem.budgets.values()) if math.isfinite(fen)
        ]
        limits += [
            Limit("stock", place, problem.stock[offer].pieces * problem.stock[offer].unit_fen)
            for place, offer in enumerate(problem.offers)
            if offer in problem.stock
        ]
        limits += [Limit("service", place, float(least)) for place, least in enumerate(problem.needed()) if least]
        counts = (len(problem.budgets), len(problem.segments))
        return Dual(problem.table, problem.terms, tuple(limits), *counts, threads)

    def sample(self, members: int) -> Dual:
        """The dual of every n-th member, the limits in proportion: its prices are a good start for those of all."""
        step = -(-len(self.table.value) // members)
        value, cost, allowed, segment = self.table
        mask = allowed if len(allowed) == 1 else allowed[::step]
        few = Table(in_order(value[::step]), in_order(cost[::step]), in_order(mask), in_order(segment[::step]))
        share = len(few.value) / len(value)
        limits = tuple(Limit(limit.kind, limit.place, limit.size * share) for limit in self.limits)
        return Dual(few, self.terms, limits, self.budgets, self.segments, self.threads)

    def tariff(self, prices: Doubles) -> Tariff:
        """What each offer is charged at the prices of the limits."""
        of_budget, of_piece = np.zeros(self.budgets), np.zeros(len(self.terms.budget))
        bonus = np.zeros(self.segments)
        targets = {"budget": of_budget, "stock": of_piece, "service": bonus}
        for limit, price in zip(self.limits, prices, strict=True):
            targets[limit.kind][limit.place] = price
        by_cost = np.where(self.terms.stock == BY_COST, of_piece, 0.0)
        return Tariff(
            of_budget[self.terms.budget] + by_cost, np.where(self.terms.stock == BY_SEND, of_piece, 0.0), bonus
        )

    def used(self, tariff: Tariff, choice: NDArray[np.int64] = _NONE) -> tuple[float, Used]:
        """Every member's best offer, written to `choice` if given: the sum of scores, and what all of it uses."""
        parts = list(chunks(self.table))

        def look(part: tuple[slice, Table]) -> tuple[float, Used]:
            rows, table = part
            used = _nothing_used(len(self.terms.budget), self.segments)
            return best_of_all(table, tariff, choice[rows] if len(choice) else choice, used), used

        if self.threads == 1 or len(parts) == 1:
            looked = [look(part) for part in parts]
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                looked = list(pool.map(look, parts))
        total = _nothing_used(len(self.terms.budget), self.segments)
        for _, used in looked:
            for whole, piece in zip(total, used, strict=True):
                np.add(whole, piece, out=whole)
        return math.fsum(score for score, _ in looked), total

    def at(self, prices: Doubles) -> Point:
        """The dual at some prices."""
        scores, used = self.used(self.tariff(prices))
        sizes = np.array([-limit.size if limit.kind == "service" else limit.size for limit in self.limits])
        slope = np.array([self._left(limit, used) for limit in self.limits])
        return Point(prices, scores + float(prices @ sizes), slope)

    def _left(self, limit: Limit, used: Used) -> float:
        """How much of a limit is left; exactly 0 or more if and only if it is kept."""
        if limit.kind == "service":
            return float(used.served[limit.place]) - limit.size
        if limit.kind == "stock" and self.terms.stock[limit.place] == BY_SEND:
            return math.floor(limit.size) - float(used.sends[limit.place])
        mine = self.terms.budget == limit.place if limit.kind == "budget" else np.arange(len(used.ticks)) == limit.place
        return (ticks(limit.size) - int(used.ticks[mine].sum())) / TICKS


def scales(point: Point, limits: Sequence[Limit]) -> Doubles:
    """A natural size of each price: at it the whole limit is worth all that could be earned without limits.

    No price of the optimum is above it where every limit is one of money or stock: the bound there is at least the
    price times the limit.
    """
    most = max(abs(point.value), 1.0)
    sizes = [max(limit.size, 0.01 * abs(left), 1e-6) for limit, left in zip(limits, point.slope, strict=True)]
    return most / np.array(sizes)


def _nothing_used(offers: int, segments: int) -> Used:
    return Used(np.zeros(offers, np.int64), np.zeros(offers, np.int64), np.zeros(segments, np.int64))
