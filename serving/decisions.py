"""The only place where a score becomes an action.

An action is worth what its pay-off table says, weighted with the calibrated probabilities of what may happen; the
action worth most is taken, after the price of a cap on harm is taken off the actions that the cap is about. No
threshold is ever typed: `thresholds` shows the ones that follow from the table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.payoff import Payoff


@dataclass(frozen=True)
class Interval:
    """The probabilities from `low` up to `high` at which `action` earns most (two outcomes)."""

    action: str
    low: float
    high: float


def decide(
    probability: NDArray[np.float64],
    payoff: Payoff,
    stake: NDArray[np.float64] | None = None,
    price: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Take the action of the highest expected value for each row.

    Args:
        probability: For two outcomes the calibrated probability of the second, shape (rows,); otherwise of every
            outcome, shape (rows, outcomes), each row summing to 1.
        payoff: The pay-off table.
        stake: What is at stake in each row, in fen, shape (rows,), where the table asks for it.
        price: What keeping the table's cap costs in each row, in fen, shape (rows,), from `Prices.of`; none without.

    Returns:
        Index into `payoff.actions`, shape (rows,), ties to the earlier action; and its expected value in fen, without
        the price. A row's result does not depend on the rows beside it.

    Raises:
        UsageError: The shape does not fit the table, a number is no probability, or a stake is missing.
    """
    expected = expected_values(probability, payoff, stake)
    priced = expected if price is None else expected - _surcharge(probability, payoff, price)
    action = np.argmax(priced, axis=1)
    return action, np.take_along_axis(expected, action[:, None], axis=1)[:, 0]


class RowDecider:
    """`decide` for one row at a time: the same operations in the same order, without arrays, hence the same bits.

    Arrays cost the hot path more than the model does; a test holds the two to each other.

    Args:
        payoff: A pay-off table of two outcomes.

    Raises:
        UsageError: It has more.
    """

    def __init__(self, payoff: Payoff) -> None:
        if len(payoff.outcomes) != 2:
            raise UsageError(f"RowDecider: found {len(payoff.outcomes)} outcomes, expected 2; use decide for more.")
        cap = payoff.cap
        self._protected = payoff.outcomes.index(cap.outcome) if cap else 0
        self._actions = tuple(
            (
                *fixed,
                *(payoff.value_of_stake[place] if payoff.stake else (0.0, 0.0)),
                bool(cap and action in cap.actions),
            )
            for place, (action, fixed) in enumerate(zip(payoff.actions, payoff.value_fen, strict=True))
        )

    def decide(self, probability: float, stake: float = 0.0, price: float = 0.0) -> tuple[int, float]:
        """The action of the highest expected value, ties to the earlier, and that value in fen without the price.

        Args:
            probability: Calibrated chance of the second outcome, 0 to 1.
            stake: What is at stake, 0 fen or more, where the table asks for it.
            price: What keeping the table's cap costs, in fen.

        Raises:
            UsageError: The probability or the stake is none.
        """
        if not (0.0 <= probability <= 1.0 and 0.0 <= stake < math.inf):
            raise UsageError(
                f"decide: found the probability {probability} and the stake {stake}, expected 0 to 1 and 0 fen or "
                "more; pass what the scorer returned, and the column that the table names."
            )
        no = 1.0 - probability
        surcharge = (no, probability)[self._protected] * price
        chosen, value, best = 0, 0.0, -math.inf
        for place, (fixed_no, fixed_yes, stake_no, stake_yes, capped) in enumerate(self._actions):
            expected = no * (fixed_no + stake_no * stake) + probability * (fixed_yes + stake_yes * stake)
            priced = expected - surcharge if capped else expected
            if priced > best:
                chosen, value, best = place, expected, priced
        return chosen, value


def expected_values(
    probability: NDArray[np.float64], payoff: Payoff, stake: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Expected value of every action in fen, shape (rows, actions); arguments and errors as in `decide`."""
    of_outcome = _of_outcomes(np.asarray(probability, dtype=np.float64), len(payoff.outcomes))
    value = payoff.values(stake, len(of_outcome))
    # Summed outcome by outcome, not by a matrix product, whose rounding depends on how many rows it is given.
    total: NDArray[np.float64] = of_outcome[:, 0, None] * value[:, :, 0]
    for outcome in range(1, len(payoff.outcomes)):
        total = total + of_outcome[:, outcome, None] * value[:, :, outcome]
    return total


def harm(probability: NDArray[np.float64], payoff: Payoff) -> NDArray[np.float64]:
    """The chance of each row to be one that the cap protects, shape (rows,); arguments and errors as in `decide`.

    Raises:
        UsageError: The table has no cap.
    """
    if payoff.cap is None:
        raise UsageError("decide: found a price and no cap in the pay-off table, expected both or neither.")
    of_outcome = _of_outcomes(np.asarray(probability, dtype=np.float64), len(payoff.outcomes))
    protected: NDArray[np.float64] = of_outcome[:, payoff.outcomes.index(payoff.cap.outcome)]
    return protected


def thresholds(payoff: Payoff, stake: float = 0.0, price: float = 0.0) -> tuple[Interval, ...]:
    """The intervals of probability in which each action is taken, in rising order; actions never taken are left out.

    Expected values are straight lines in the probability of the second outcome, and the best action is their upper
    edge. At the very border `decide` may differ by the rounding of one multiplication.

    Args:
        payoff: The pay-off table.
        stake: What is at stake, in fen, where the table asks for it.
        price: What keeping its cap costs, in fen.

    Raises:
        UsageError: The table has more than two outcomes, so the choice has no order along one probability.
    """
    if len(payoff.outcomes) != 2:
        raise UsageError(
            f"thresholds: found {len(payoff.outcomes)} outcomes, expected 2; with more, look at expected_values."
        )
    borders = sorted({0.0, 1.0, *_crossings(_lines(payoff, stake, price))})
    middles = np.array([(low + high) / 2 for low, high in pairwise(borders)])
    rows = len(middles)
    priced = None if payoff.cap is None else np.full(rows, price)
    chosen, _ = decide(middles, payoff, np.full(rows, stake), priced)
    intervals: list[Interval] = []
    for (low, high), action in zip(pairwise(borders), chosen, strict=True):
        name = payoff.actions[int(action)]
        if intervals and intervals[-1].action == name:
            intervals[-1] = Interval(name, intervals[-1].low, high)
        else:
            intervals.append(Interval(name, low, high))
    return tuple(intervals)


def _surcharge(probability: NDArray[np.float64], payoff: Payoff, price: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the price takes off each action, shape (rows, actions)."""
    capped = np.array([payoff.cap is not None and action in payoff.cap.actions for action in payoff.actions])
    surcharge: NDArray[np.float64] = (harm(probability, payoff) * price)[:, None] * capped
    return surcharge


def _lines(payoff: Payoff, stake: float, price: float) -> list[tuple[float, float]]:
    """Each action's value at probability 0, and how it rises up to 1."""
    value = payoff.values(np.array([stake]), 1)[0].copy()
    if payoff.cap is not None:
        capped = [payoff.actions.index(action) for action in payoff.cap.actions]
        value[capped, payoff.outcomes.index(payoff.cap.outcome)] -= price
    return [(no, yes - no) for no, yes in value.tolist()]


def _of_outcomes(probability: NDArray[np.float64], outcomes: int) -> NDArray[np.float64]:
    if probability.ndim == 1 and outcomes == 2:
        probability = np.column_stack((1.0 - probability, probability))
    if probability.ndim != 2 or probability.shape[1] != outcomes:
        raise UsageError(
            f"decide: found probabilities of shape {probability.shape}, expected (rows, {outcomes})"
            f"{' or (rows,)' if outcomes == 2 else ''}; pass what the scorer returned for this task."
        )
    inside = np.asarray(((probability >= 0) & (probability <= 1)).all(axis=1))
    wrong = ~inside | (np.abs(np.where(inside[:, None], probability, 0).sum(axis=1) - 1) > 1e-9)
    if wrong.any():
        raise UsageError(
            f"decide: found {int(wrong.sum())} rows (first: {int(np.argmax(wrong))}) that hold no probabilities, "
            "expected values from 0 to 1 that sum to 1; calibrate the score first."
        )
    return probability


def _crossings(lines: list[tuple[float, float]]) -> list[float]:
    crossings = []
    for index, (start, slope) in enumerate(lines):
        for other_start, other_slope in lines[index + 1 :]:
            if slope != other_slope:
                crossings.append((other_start - start) / (slope - other_slope))
    return [crossing for crossing in crossings if 0.0 < crossing < 1.0]
