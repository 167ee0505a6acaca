"""The allocation: the most value for all members together, within every limit, and a proof of how good it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import DataError, UsageError
from serving.allocation.bisection import bisect
from serving.allocation.descent import Minimum, Search, descend
from serving.allocation.dual import Dual, Point, scales
from serving.allocation.kernel import TICKS
from serving.allocation.prices import OfferTerms, ShadowPrices, choose
from serving.allocation.problem import ticks
from serving.allocation.repair import Mended, mended

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.allocation.problem import Problem

_SAMPLE: Final = 1 << 15
_NEARLY: Final = 100.0
"""How hard the search stays near the prices of a sample."""
_HAIR: Final = 1.0 + 1e-9
"""A single limit's price is raised by so much before the choice is filled: equals are all left to the filling."""


@dataclass(frozen=True)
class Allocation:
    """Who gets what, what it earns, and how far it can be from the best there is.

    Attributes:
        choice: Index of each member's offer, -1 for no offer, shape (members,).
        prices: What the limits cost; `choose` with them answers as `choice` does but for the `mended` members.
        value: Expected extra margin in fen.
        dual_value: A bound in fen that no allocation within the limits can pass.
        gap: How far the value is below the bound, as a share of the bound.
        spend: Expected cost of each budget in fen, each member's rounded up to a millionth; never above the budget.
        used: Of each offer with a stock, pieces taken or expected to be used; never above the stock.
        sends: Members who get each offer.
        served: Members of each segment who get some offer.
        shortfall: How many more of each segment should have been served, where that did not fit beside the rest; only
            those that fall short.
        mended: Members whose offer is not what the prices alone would give.
        looks: How often all members were looked at, those of the sample not counted.
        settled: Whether the prices are the optimum's to the tolerance.
    """

    choice: NDArray[np.int64]
    prices: ShadowPrices
    value: float
    dual_value: float
    gap: float
    spend: dict[str, float]
    used: dict[str, float]
    sends: dict[str, int]
    served: dict[str, int]
    shortfall: dict[str, int]
    mended: int
    looks: int
    settled: bool


def solve(
    problem: Problem, *, tolerance: float = 1e-8, most_looks: int = 400, threads: int | None = None
) -> Allocation:
    """Give each member at most one offer, for the most value together, within budgets, stock and least service.

    The prices are found by bisection where one limit binds, by a proximal bundle where several do, on a sample first;
    then the choice at these prices is mended (`serving.allocation.repair`). The same problem gives the same answer to
    the bit, whatever the number of threads.

    Args:
        problem: Who could get what.
        tolerance: How much lower the bound might still get, as a share of what could be earned without limits.
        most_looks: After how many looks at all members the search ends, `settled` or not; the gap holds either way.
        threads: How many look at members at once; as many as there are processors if not given.

    Raises:
        UsageError: An option is out of its range.
        DataError: The least service costs more than budgets and stock can pay, which the bound proves.
    """
    if not (0 < tolerance < 1 and most_looks >= 1 and (threads is None or threads >= 1)):
        raise UsageError(
            f"solve: found tolerance {tolerance}, most_looks {most_looks} and threads {threads}, expected a tolerance "
            "between 0 and 1, and at least 1 of each other."
        )
    dual = Dual.of(problem, threads or os.cpu_count() or 1)
    found, single = _search(dual, Search(tolerance, most_looks, problem.seen.least_fen))
    if found.bound < problem.seen.least_fen - 1e-9 * abs(problem.seen.most_fen):
        raise DataError(
            "Allocation: found a least service that costs more than the budgets and stock can pay, expected limits "
            f"that some allocation keeps ({_wanted(problem)}); lower the shares, or raise budgets or stock."
        )
    exact = found.point.prices
    done = mended(problem, dual, dual.tariff(exact * _HAIR if single else exact))
    return _account(problem, dual, found, done)


def _search(dual: Dual, search: Search) -> tuple[Minimum, bool]:
    """The prices of the limits, and whether a single one of them binds."""
    free = dual.at(np.zeros(len(dual.limits)))
    broken = np.flatnonzero(free.slope < 0)
    if not len(broken):
        return Minimum(free, free.value, 1, settled=True), False
    scale = scales(free, dual.limits)
    if len(broken) == 1:
        # The other limits may stay free: then one price is all there is to find.
        found = bisect(lambda price: _along(dual, price, int(broken[0])), _only(free, broken), scale[broken[0]], search)
        whole = dual.at(_spread(found.point.prices, len(dual.limits), int(broken[0])))
        if not found.settled or not (np.delete(whole.slope, broken) < 0).any():
            return Minimum(whole, found.bound, found.looks + 2, found.settled), True
    start, pull = free, 1.0
    if len(dual.table.value) > 2 * _SAMPLE:
        few = dual.sample(_SAMPLE)
        guess = descend(few.at, few.at(free.prices), scale, search)
        start, pull = dual.at(guess.point.prices), _NEARLY
    return _tidied(dual, descend(dual.at, start, scale, search, pull), free.value, search), False


def _along(dual: Dual, price: NDArray[np.float64], place: int) -> Point:
    return _only(dual.at(_spread(price, len(dual.limits), place)), np.array([place]))


def _spread(price: NDArray[np.float64], limits: int, place: int) -> NDArray[np.float64]:
    prices = np.zeros(limits)
    prices[place] = price[0]
    return prices


def _only(point: Point, places: NDArray[np.int64]) -> Point:
    return Point(point.prices[places], point.value, point.slope[places])


def _tidied(dual: Dual, found: Minimum, free: float, search: Search) -> Minimum:
    """The same with no price on a limit that does not need one; the search leaves crumbs on those."""
    point, looks = found.point, found.looks
    crumbs = point.prices * np.abs([limit.size for limit in dual.limits]) < 1e3 * search.tolerance * abs(free)
    for place in np.flatnonzero(crumbs & (point.prices > 0)):
        prices = point.prices.copy()
        prices[place] = 0.0
        without, looks = dual.at(prices), looks + 1
        if without.value <= point.value + search.tolerance * abs(free):
            point = without
    return Minimum(point, min(found.bound, point.value), looks, found.settled)


def _account(problem: Problem, dual: Dual, found: Minimum, done: Mended) -> Allocation:
    prices = _shadow_prices(problem, dual, found.point.prices)
    value, differ = 0.0, 0
    codes = problem.segment if problem.segments else None
    for rows, part in problem.parts():
        mine = done.choice[rows]
        sent = np.flatnonzero(mine >= 0)
        value += float(part.value[sent, mine[sent]].sum(dtype=np.float64))
        mask = None if problem.allowed is None else part.allowed
        alone = choose(part.value, part.cost, mask, prices, None if codes is None else codes[rows])
        differ += int((alone != mine).sum())
    spend = {
        name: (ticks(fen) - int(left)) / TICKS
        for (name, fen), left in zip(problem.budgets.items(), done.left.budget, strict=True)
    }
    sends = np.bincount(done.choice[done.choice >= 0], minlength=len(problem.offers))
    served = (done.left.served + problem.needed()).tolist()
    short = np.maximum(-done.left.served, 0).tolist()
    return Allocation(
        choice=done.choice,
        prices=prices,
        value=value,
        dual_value=found.bound,
        gap=max(found.bound - value, 0.0) / abs(found.bound) if found.bound else 0.0,
        spend=spend,
        used={offer: _pieces_used(problem, done, offer) for offer in problem.stock},
        sends=dict(zip(problem.offers, sends.tolist(), strict=True)),
        served=dict(zip(problem.segments, served, strict=True)),
        shortfall={name: few for name, few in zip(problem.segments, short, strict=True) if few},
        mended=differ,
        looks=found.looks,
        settled=found.settled,
    )


def _pieces_used(problem: Problem, done: Mended, offer: str) -> float:
    stock, left = problem.stock[offer], int(done.left.stock[problem.offers.index(offer)])
    if stock.counted == "send":
        return float(int(stock.pieces) - left)
    return (ticks(stock.pieces * stock.face_fen) - left) / TICKS / stock.face_fen


def _shadow_prices(problem: Problem, dual: Dual, prices: NDArray[np.float64]) -> ShadowPrices:
    """The prices by name; a piece counted by use is priced in fen of its face value."""
    budgets = dict.fromkeys(problem.budgets, 0.0)
    pieces = dict.fromkeys(problem.offers, 0.0)
    segments = dict.fromkeys(problem.segments, 0.0)
    for limit, price in zip(dual.limits, prices.tolist(), strict=True):
        if limit.kind == "budget":
            budgets[list(budgets)[limit.place]] = price
        elif limit.kind == "stock":
            pieces[problem.offers[limit.place]] = price * problem.stock[problem.offers[limit.place]].unit_fen
        else:
            segments[problem.segments[limit.place]] = price
    terms = []
    for offer, budget in zip(problem.offers, problem.budget_of, strict=True):
        stock = problem.stock.get(offer)
        if stock is None:
            terms.append(OfferTerms(offer, budget))
        else:
            terms.append(OfferTerms(offer, budget, pieces[offer], stock.counted, stock.face_fen))
    return ShadowPrices(budgets, tuple(terms), segments)


def _wanted(problem: Problem) -> str:
    needed = zip(problem.segments, problem.needed().tolist(), strict=True)
    return ", ".join(f"{least:,} members of {name}" for name, least in needed if least)
