"""The price of a budget, found in training on rows that could be sent, so that it stands in the bundle.

Each row is one offer that one member could get; the exact budget is a part of what sending to all would cost. An
audience at a later moment has prices of its own (`shepherd offers`); these are what the service answers by until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from serving.allocation.policy import BUDGET, Found, OfferPolicy, write_prices
from serving.allocation.prices import ShadowPrices
from serving.allocation.problem import Problem
from serving.allocation.solver import solve
from serving.offer_batch import Allocated, allocate
from serving.offer_decisions import Decider, policy_of
from training.formulas import Limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from training.formulas import OfferRules

__all__ = [
    "Allocated",
    "Decider",
    "OfferPolicy",
    "allocate",
    "found_policy",
    "policy_of",
    "write_prices",
]

_ANY: Final = "any"


def found_policy(
    lower: NDArray[np.float64],
    cost: NDArray[np.float64],
    budget: float,
    limits: Limits | None = None,
    offers: tuple[OfferRules, ...] = (),
) -> OfferPolicy:
    """The rules of a task with the price at which its budget is just spent.

    Args:
        lower: What sending each row can be counted on to earn, its cost taken off, fen, shape (rows,).
        cost: What it is expected to cost, fen, 0 or more, shape (rows,).
        budget: The part of what sending to all would cost that may be spent, above 0 and at most 1.
        limits: The numbers of the guardrails; the usual ones if not given: fraud probability up to .5, fewer than 4
            sends in 30 days, 3 days after a send, 7 after a redemption, nothing that is expected to lose, no face
            value above the margin of the member's usual basket.
        offers: For whom and when certain offers hold; all for everybody if not given.

    Raises:
        DataError: Rows differ in length, or a number is none.
    """
    fen = budget * float(cost.sum())
    problem = Problem(lower[:, None], cost[:, None], None, (_ANY,), (BUDGET,), {BUDGET: fen})
    done = solve(problem, threads=1)
    return OfferPolicy(
        prices=ShadowPrices(dict(done.prices.budgets), ()),
        limits=limits or Limits(),
        offers=offers,
        found=Found(len(lower), fen, done.spend[BUDGET], done.value, done.gap),
    )
