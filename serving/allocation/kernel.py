"""The compiled loops of the allocation: the best offer at given prices, and the moves that mend a choice.

All machine code stands in this one file, so that an edit makes all of it anew. Every loop trusts its indices: the
caller has checked them. Scores are doubles, without fused multiply-add, so that one row and a million rows get the
same bits. What is used up is counted in whole ticks, each row's cost rounded up: sums of integers do not hang on their
order, and what fits in ticks fits in fen.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.kernel import compiled
from serving.allocation.prices import NO_OFFER

Int32: TypeAlias = NDArray[np.int32]
Int64: TypeAlias = NDArray[np.int64]
Doubles: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Amounts: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

TICKS: Final = float(1 << 20)
"""Ticks in a fen."""

NOTHING: Final = -2
"""No move is possible."""

UNCOUNTED: Final = 0
BY_SEND: Final = 1
BY_COST: Final = 2

FILL: Final = 0
SHED_BUDGET: Final = 1
SHED_STOCK: Final = 2
SERVE: Final = 3


class Table(NamedTuple):
    """What is known of each member and offer.

    Attributes:
        value: Fen, shape (members, offers).
        cost: Fen, likewise.
        allowed: Likewise, or one row for all members.
        segment: Code of each member's segment, -1 for none; empty where there are no segments.
    """

    value: Amounts
    cost: Amounts
    allowed: Flags
    segment: Int32


class Tariff(NamedTuple):
    """What each offer is charged: a share of its cost and a fixed sum; and what serving each segment is worth."""

    per_cost: Doubles
    per_send: Doubles
    bonus: Doubles


class Terms(NamedTuple):
    """The budget of each offer, and how its stock is counted."""

    budget: Int32
    stock: Int32


class Left(NamedTuple):
    """What may still be used: ticks of each budget, ticks or pieces of each stock, members served above the least.

    Negative where a limit is broken.
    """

    budget: Int64
    stock: Int64
    served: Int64


class Case(NamedTuple):
    """All that a change of offers is weighed by."""

    table: Table
    tariff: Tariff
    terms: Terms
    left: Left


class Goal(NamedTuple):
    """What changes of offers are for.

    Attributes:
        kind: `FILL`, `SHED_BUDGET`, `SHED_STOCK` or `SERVE`.
        target: The budget, offer or segment.
        strict: Keeps the limits when serving, and the least service when anything is taken away.
    """

    kind: int
    target: int
    strict: bool


class Used(NamedTuple):
    """Ticks and sends of each offer, and how many of each segment are served."""

    ticks: Int64
    sends: Int64
    served: Int64


@compiled
def ticks_of(cost: float) -> int:
    """A cost in ticks, rounded up."""
    return math.ceil(cost * TICKS)


@compiled
def charge(table: Table, tariff: Tariff, row: int, offer: int) -> float:
    """What an offer is charged; no offer is free."""
    if offer < 0:
        return 0.0
    return float(tariff.per_cost[offer] * np.float64(table.cost[row, offer]) + tariff.per_send[offer])


@compiled
def score(table: Table, tariff: Tariff, row: int, offer: int) -> float:
    """What an offer is worth to a member after its charges; no offer is worth 0."""
    if offer < 0:
        return 0.0
    segment = table.segment[row] if len(table.segment) else -1
    bonus = tariff.bonus[segment] if segment >= 0 else 0.0
    return float(np.float64(table.value[row, offer]) - charge(table, tariff, row, offer) + bonus)


@compiled
def best(table: Table, tariff: Tariff, row: int) -> tuple[int, float]:
    """The offer of the highest score above 0, else no offer; and that score.

    Of equals the cheapest is taken, of equally cheap ones the first.
    """
    mask = table.allowed[row if len(table.allowed) > 1 else 0]
    chosen, top = NO_OFFER, 0.0
    for offer in range(len(mask)):
        if mask[offer]:
            worth = score(table, tariff, row, offer)
            if worth > top or (worth == top and chosen >= 0 and table.cost[row, offer] < table.cost[row, chosen]):
                chosen, top = offer, worth
    return chosen, top


@compiled
def best_of_all(table: Table, tariff: Tariff, choice: Int64, used: Used) -> float:
    """Every member's best offer, written to ``choice`` unless that is empty, with what it uses; the sum of scores."""
    total = 0.0
    for row in range(len(table.value)):
        chosen, top = best(table, tariff, row)
        total += top
        if len(choice):
            choice[row] = chosen
        if chosen >= 0:
            used.ticks[chosen] += ticks_of(table.cost[row, chosen])
            used.sends[chosen] += 1
            if len(table.segment) and table.segment[row] >= 0:
                used.served[table.segment[row]] += 1
    return total


@compiled
def summary(table: Table, reachable: Int64, spans: Doubles) -> tuple[int, int]:
    """How many allowed values are not finite, and how many allowed costs are not finite or below 0.

    ``reachable`` counts the members of each segment who may get anything; ``spans`` sums every member's least and
    largest worth, no offer included, and largest cost.
    """
    wrong_values, wrong_costs = 0, 0
    for row in range(len(table.value)):
        mask = table.allowed[row if len(table.allowed) > 1 else 0]
        low, high, dear, reached = 0.0, 0.0, 0.0, False
        for offer in range(len(mask)):
            if not mask[offer]:
                continue
            value, cost = np.float64(table.value[row, offer]), np.float64(table.cost[row, offer])
            reached = True
            wrong_values += not math.isfinite(value)
            wrong_costs += not (math.isfinite(cost) and cost >= 0.0)
            low, high, dear = min(low, value), max(high, value), max(dear, cost)
        spans[0] += low
        spans[1] += high
        spans[2] += dear
        if reached and len(table.segment) and table.segment[row] >= 0:
            reachable[table.segment[row]] += 1
    return wrong_values, wrong_costs


@compiled
def stock_use(case: Case, row: int, offer: int) -> int:
    """What giving an offer takes from its stock, in pieces or ticks."""
    if case.terms.stock[offer] == BY_COST:
        return ticks_of(case.table.cost[row, offer])
    return 1 if case.terms.stock[offer] == BY_SEND else 0


@compiled
def fits(case: Case, row: int, held: int, offer: int) -> bool:
    """Whether a member may change offers without a limit being broken, or broken further."""
    if offer < 0:
        return True
    if case.terms.stock[offer] != UNCOUNTED and stock_use(case, row, offer) > case.left.stock[offer]:
        return False
    budget = case.terms.budget[offer]
    more = ticks_of(case.table.cost[row, offer])
    if held >= 0 and case.terms.budget[held] == budget:
        more -= ticks_of(case.table.cost[row, held])
        if more <= 0:
            return True
    return bool(more <= case.left.budget[budget])


@compiled
def relief(case: Case, goal: Goal, row: int, held: int, offer: int) -> int:
    """How much of a budget or a stock a change sets free."""
    if goal.kind == SHED_STOCK:
        return stock_use(case, row, held) if held == goal.target else 0
    if held < 0 or case.terms.budget[held] != goal.target:
        return 0
    freed = ticks_of(case.table.cost[row, held])
    if offer >= 0 and case.terms.budget[offer] == goal.target:
        freed -= ticks_of(case.table.cost[row, offer])
    return freed


@compiled
def urgency(case: Case, goal: Goal, row: int, held: int, offer: int) -> float:
    """How late a change comes among all, the least first; infinity where it does not serve the goal.

    Filling goes by value gained for each fen charged, shedding by what is lost for each unit set free, serving by what
    is lost.
    """
    table, tariff = case.table, case.tariff
    if goal.kind == FILL:
        before = np.float64(table.value[row, held]) if held >= 0 else 0.0
        gain = (np.float64(table.value[row, offer]) if offer >= 0 else 0.0) - before
        if gain <= 0.0:
            return math.inf
        dearer = charge(table, tariff, row, offer) - charge(table, tariff, row, held)
        return -gain / dearer if dearer > 0.0 else -math.inf
    loss = score(table, tariff, row, held) - score(table, tariff, row, offer)
    if goal.kind == SERVE:
        return loss
    freed = relief(case, goal, row, held, offer)
    return loss / freed if freed > 0 else math.inf


@compiled
def concerned(case: Case, goal: Goal, row: int, held: int) -> bool:
    """Whether a member's offer has to do with a goal at all."""
    if goal.kind == SERVE:
        return bool(held < 0 and len(case.table.segment) and case.table.segment[row] == goal.target)
    if goal.kind == SHED_STOCK:
        return held == goal.target
    return bool(goal.kind == FILL or (held >= 0 and case.terms.budget[held] == goal.target))


@compiled
def candidate(case: Case, goal: Goal, row: int, held: int) -> tuple[float, int]:
    """The most urgent change of a member, and to which offer; `NOTHING` where there is none."""
    first, found = math.inf, NOTHING
    if not concerned(case, goal, row, held):
        return first, found
    segment = case.table.segment[row] if len(case.table.segment) else -1
    kept = goal.strict and segment >= 0 and case.left.served[segment] <= 0
    free = goal.kind == SERVE and not goal.strict
    mask = case.table.allowed[row if len(case.table.allowed) > 1 else 0]
    for offer in range(NO_OFFER, len(mask)):
        if offer == held or (offer >= 0 and not mask[offer]) or (offer < 0 and kept):
            continue
        if free or fits(case, row, held, offer):
            key = urgency(case, goal, row, held, offer)
            if key < first:
                first, found = key, offer
    return first, found


@compiled
def move(case: Case, row: int, held: int, offer: int) -> None:
    """Book a change of offers."""
    left, terms = case.left, case.terms
    segment = case.table.segment[row] if len(case.table.segment) else -1
    if held >= 0:
        left.budget[terms.budget[held]] += ticks_of(case.table.cost[row, held])
        left.stock[held] += stock_use(case, row, held)
    if offer >= 0:
        left.budget[terms.budget[offer]] -= ticks_of(case.table.cost[row, offer])
        left.stock[offer] -= stock_use(case, row, offer)
    if segment >= 0:
        left.served[segment] += (offer >= 0) - (held >= 0)


@compiled
def reached(left: Left, goal: Goal) -> bool:
    """Whether nothing is left to be done for a goal; filling ends when there is no candidate."""
    if goal.kind == SHED_BUDGET:
        return bool(left.budget[goal.target] >= 0)
    if goal.kind == SHED_STOCK:
        return bool(left.stock[goal.target] >= 0)
    return bool(goal.kind == SERVE and left.served[goal.target] >= 0)


@compiled
def sink(keys: Doubles, rows: Int32, size: int, place: int) -> None:
    """Restore the order of a heap below one place; of equal keys the earlier row comes first."""
    while True:
        least = place
        for child in range(2 * place + 1, min(2 * place + 3, size)):
            if keys[child] < keys[least] or (keys[child] == keys[least] and rows[child] < rows[least]):
                least = child
        if least == place:
            return
        keys[place], keys[least] = keys[least], keys[place]
        rows[place], rows[least] = rows[least], rows[place]
        place = least


@compiled
def mend(case: Case, choice: Int64, goal: Goal) -> int:
    """Change offers, the most urgent change first, until a goal is reached; how many changes that took."""
    if reached(case.left, goal):
        return 0
    keys = np.empty(len(choice), np.float64)
    rows = np.empty(len(choice), np.int32)
    size, moves = 0, 0
    for row in range(len(choice)):
        key, offer = candidate(case, goal, row, choice[row])
        if offer != NOTHING:
            keys[size], rows[size] = key, row
            size += 1
    for place in range(size // 2 - 1, -1, -1):
        sink(keys, rows, size, place)
    while size and not reached(case.left, goal):
        row = rows[0]
        key, offer = candidate(case, goal, row, choice[row])
        if offer != NOTHING and key <= keys[0]:
            move(case, row, choice[row], offer)
            choice[row] = offer
            moves += 1
            key, offer = candidate(case, goal, row, choice[row])
        if offer == NOTHING:
            size -= 1
            keys[0], rows[0] = keys[size], rows[size]
        else:
            keys[0] = key
        sink(keys, rows, size, 0)
    return moves
