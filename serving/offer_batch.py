"""Which offer each member of an audience gets, all at once: at given prices, or within an exact budget.

The night's work: it runs the compiled solver, which no route does.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from data.errors import UsageError
from serving.allocation.prices import OfferTerms, ShadowPrices, scores
from serving.allocation.problem import Problem, Stock
from serving.allocation.rulings import Rule
from serving.allocation.solver import solve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from serving.allocation.policy import OfferPolicy
    from serving.allocation.solver import Allocation
    from serving.offer_decisions import Decided, Decider

_WIDE: Final = 1.959963984540054  # the normal quantile of a 95 % interval


@dataclass(frozen=True)
class Allocated:
    """What an audience gets.

    Attributes:
        decided: Members, offers, what was ruled out, and the choice.
        prices: At which it was made; the service answers by them too.
        policy: The rules.
        budget_fen: The budget; None where the prices were given.
        allocation: How it was solved; None likewise.
    """

    decided: Decided
    prices: ShadowPrices
    policy: OfferPolicy
    budget_fen: float | None
    allocation: Allocation | None

    def table(self) -> pa.Table:
        """A row a member, in the order asked: the offer that is sent, or the code of why there is none."""
        decided, sent = self.decided, self.decided.choice >= 0
        column = np.where(sent, decided.choice, 0)
        rows = np.arange(len(column))

        def of(table: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> pa.Array[pa.Scalar[pa.DataType]]:
            return pa.array(table[rows, column] if table.shape[1] else np.zeros(len(rows)), mask=~sent)

        pairs = [decided.grid.pairs[one] if one >= 0 else (None, None) for one in decided.choice.tolist()]
        return pa.table(
            {
                "member_id": pa.array(decided.grid.members, pa.string()),
                "action": pa.array(np.where(sent, "send", "skip").tolist(), pa.string()),
                "offer_id": pa.array([offer for offer, _ in pairs], pa.string()),
                "campaign_id": pa.array([campaign for _, campaign in pairs], pa.string()),
                "expected_margin_fen": of(decided.mean),
                "expected_margin_lower_fen": of(decided.lower),
                "expected_cost_fen": of(decided.cost),
                "redemption_probability": of(decided.redeems),
                "score_fen": of(decided.score),
                "no_offer": pa.array(decided.nothing().tolist(), pa.string()),
            }
        )

    def as_dict(self) -> dict[str, object]:
        """For JSON: size, money, and counts by reason."""
        decided = self.decided
        rows = np.flatnonzero(decided.choice >= 0)
        column = decided.choice[rows]
        mean, sd = decided.mean[rows, column], decided.sd[rows, column]
        return {
            "members": len(decided.choice),
            "offers": len(decided.grid.pairs),
            "sends": len(rows),
            "budget_fen": self.budget_fen,
            "spend_fen": float(decided.cost[rows, column].sum()),
            "expected_margin_fen": {
                "value": float(mean.sum()),
                "low": float((mean - _WIDE * sd).sum()),
                "high": float((mean + _WIDE * sd).sum()),
            },
            "counted_on_fen": float(decided.lower[rows, column].sum()),
            "no_offer": dict(sorted(Counter(code for code in decided.nothing() if code is not None).items())),
            "ruled_out": {
                str(rule.name): count for rule in Rule if (count := int(((decided.broken & np.uint16(rule)) > 0).sum()))
            },
            "unknown": {
                str(rule.name): count
                for rule, flags in decided.facts.unknown.items()
                if (count := int((flags & decided.there.any(axis=1)).sum()))
            },
            "prices": dict(self.prices.budgets),
            "policy": self.policy.priced(self.prices).fingerprint,
            "gap": None if self.allocation is None else self.allocation.gap,
            "mended": 0 if self.allocation is None else self.allocation.mended,
        }


def allocate(decider: Decider, members: Sequence[str], at: datetime, budget_fen: float | None = None) -> Allocated:
    """Decide for all members of an audience.

    Args:
        decider: Bundle, rows, rules and prices.
        members: Who they are, each once.
        at: The moment, with a time zone.
        budget_fen: What all sends together may be expected to cost; without it the decider's prices hold.

    Raises:
        UsageError: A budget is given, and the policy has several.
    """
    decided, policy = decider.decide(members, at), decider.policy
    if budget_fen is None:
        return Allocated(decided, policy.prices, policy, None, None)
    others = sorted({terms.budget for terms in decided.prices.offers} - {policy.budget})
    if others or decided.prices.segments:
        raise UsageError(
            f"offers: found the budgets {', '.join(others)} and the segments {list(decided.prices.segments)} beside "
            f"{policy.budget!r}, expected one budget and no least service; leave the budget out for known prices"
        )
    if not decided.grid.pairs:
        return Allocated(decided, policy.prices, policy, budget_fen, None)
    done = solve(_problem(decided, policy.budget, budget_fen))
    score = scores(decided.lower, decided.cost, decided.allowed, done.prices)
    solved = replace(decided, choice=done.choice, score=score, prices=done.prices)
    return Allocated(solved, _by_offer(done.prices, decided), policy, budget_fen, done)


def _problem(decided: Decided, budget: str, fen: float) -> Problem:
    offers = tuple(rules.offer for rules in decided.guardrails.offers)
    stock = {
        rules.offer: Stock(rules.pieces_left) for rules in decided.guardrails.offers if rules.pieces_left is not None
    }
    return Problem(decided.lower, decided.cost, decided.allowed, offers, (budget,) * len(offers), {budget: fen}, stock)


def _by_offer(prices: ShadowPrices, decided: Decided) -> ShadowPrices:
    """The prices by the offers' own names; an offer in two campaigns is charged the higher of its two."""
    dearest: dict[str, OfferTerms] = {}
    for terms, (offer, _) in zip(prices.offers, decided.grid.pairs, strict=True):
        if terms.stock_fen > dearest.get(offer, OfferTerms(offer, terms.budget)).stock_fen:
            dearest[offer] = OfferTerms(offer, terms.budget, terms.stock_fen, terms.counted, terms.face_fen)
    return ShadowPrices(dict(prices.budgets), tuple(dearest.values()))
