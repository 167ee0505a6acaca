"""From prices to an allocation: what the prices alone would do, mended until no limit is broken and nothing is left.

Prices leave ties, and a few members too many or too few. In this order:

1. where a segment is served less than it must be, members without an offer get the one that costs least value;
2. where a budget or stock is overspent, members give back what loses least value for each unit set free, first without
   going below the least service of their segment, then, if it cannot be otherwise, below it: money is never overspent;
3. what is left is filled, most value for each fen charged first, as long as it fits.

For a single budget this is the greedy solution over the efficient increments of every member, whose value never falls
when the budget grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serving.allocation.kernel import (
    BY_SEND,
    FILL,
    SERVE,
    SHED_BUDGET,
    SHED_STOCK,
    UNCOUNTED,
    Case,
    Goal,
    Left,
    Tariff,
    Terms,
    mend,
)
from serving.allocation.problem import ticks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.allocation.dual import Dual
    from serving.allocation.kernel import Used
    from serving.allocation.problem import Problem

_UNLIMITED = np.iinfo(np.int64).max // 2


@dataclass(frozen=True)
class Mended:
    """An allocation within every limit.

    Attributes:
        choice: Index of each member's offer, -1 for none, shape (members,).
        left: What of each limit is not used.
        moves: How many changes it took.
    """

    choice: NDArray[np.int64]
    left: Left
    moves: int


def mended(problem: Problem, dual: Dual, tariff: Tariff) -> Mended:
    """Choose by a tariff, and mend the choice.

    Args:
        problem: What is to be solved.
        dual: Its dual, over all members.
        tariff: What each offer is charged.
    """
    choice = np.empty(problem.members, np.int64)
    _, used = dual.used(tariff, choice)
    left, moves = left_over(problem, used), 0
    case = Case(problem.table, tariff, problem.terms, left)
    for kind, targets, strict in (
        (SERVE, len(left.served), False),
        (SHED_BUDGET, len(left.budget), True),
        (SHED_STOCK, len(left.stock), True),
        (SHED_BUDGET, len(left.budget), False),
        (SHED_STOCK, len(left.stock), False),
        (SERVE, len(left.served), True),
    ):
        for target in range(targets):
            moves += mend(case, choice, Goal(kind, target, strict))
    moves += mend(case._replace(tariff=_normed(tariff)), choice, Goal(FILL, 0, strict=True))
    return Mended(choice, left, moves)


def left_over(problem: Problem, used: Used) -> Left:
    """What a choice leaves of every limit, in ticks, pieces and members."""
    terms = problem.terms
    budget = np.array([ticks(fen) for fen in problem.budgets.values()], np.int64)
    np.subtract.at(budget, terms.budget, used.ticks)
    stock = np.array([_pieces(problem, terms, place) for place in range(len(problem.offers))], np.int64)
    counted = np.where(terms.stock == BY_SEND, used.sends, np.where(terms.stock == UNCOUNTED, 0, used.ticks))
    return Left(budget, stock - counted, used.served - problem.needed())


def _pieces(problem: Problem, terms: Terms, place: int) -> int:
    if terms.stock[place] == UNCOUNTED:
        return _UNLIMITED
    stock = problem.stock[problem.offers[place]]
    return int(min(stock.pieces, _UNLIMITED)) if terms.stock[place] == BY_SEND else ticks(stock.pieces * stock.face_fen)


def _normed(tariff: Tariff) -> Tariff:
    """The same in proportion: with one price it is 1, so that the order of filling does not hang on its last bits."""
    most = max(float(tariff.per_cost.max()), float(tariff.per_send.max()))
    return Tariff(tariff.per_cost / most, tariff.per_send / most, tariff.bonus) if most > 0 else tariff
