"""The only place where a score becomes an action.

An action is worth what its pay-off table says, weighted with the calibrated probabilities of what may happen; the
action worth most is taken. No threshold is ever typed: `thresholds` shows the ones that follow from the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Payoff:
    """What each action earns or costs under each outcome, in fen.

    The first action is what happens if nobody decides (pay the prize, send no coupon): it wins ties, and an answer
    whose best action it is recommends nothing. With two outcomes the second is the one that the model predicts.

    Attributes:
        actions: Names of the actions, the passive one first.
        outcomes: Names of what may happen; exactly one does.
        value_fen: One row an action, one number an outcome.
    """

    actions: tuple[str, ...]
    outcomes: tuple[str, ...]
    value_fen: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        """Refuse a table that is not one number for each action and outcome."""
        problems = [*_name_problems("actions", self.actions, 1), *_name_problems("outcomes", self.outcomes, 2)]
        if len(self.value_fen) != len(self.actions):
            problems.append(f"found {len(self.value_fen)} rows of value_fen, expected one for each action")
        for number, row in enumerate(self.value_fen, start=1):
            if len(row) != len(self.outcomes):
                problems.append(f"row {number} of value_fen: found {len(row)} values, expected one for each outcome")
            if not all(np.isfinite(value) for value in row):
                problems.append(f"row {number} of value_fen: found {list(row)}, expected finite numbers of fen")
        if problems:
            raise UsageError("Payoff: " + "; ".join(problems) + ". Mend the table in the task's declaration.")


@dataclass(frozen=True)
class Interval:
    """The probabilities from `low` up to `high` at which `action` earns most (two outcomes)."""

    action: str
    low: float
    high: float


def decide(probability: NDArray[np.float64], payoff: Payoff) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Take the action of the highest expected value for each row.

    Args:
        probability: For two outcomes the calibrated probability of the second, shape (rows,); otherwise of every
            outcome, shape (rows, outcomes), each row summing to 1.
        payoff: The pay-off table.

    Returns:
        Index into `payoff.actions`, shape (rows,), ties to the earlier action; and its expected value in fen. A row's
        result does not depend on the rows beside it.

    Raises:
        UsageError: The shape does not fit the table, or a number is no probability.
    """
    expected = expected_values(probability, payoff)
    action = np.argmax(expected, axis=1)
    return action, np.take_along_axis(expected, action[:, None], axis=1)[:, 0]


def expected_values(probability: NDArray[np.float64], payoff: Payoff) -> NDArray[np.float64]:
    """Expected value of every action in fen, shape (rows, actions); arguments and errors as in `decide`."""
    of_outcome = _of_outcomes(np.asarray(probability, dtype=np.float64), len(payoff.outcomes))
    value = np.array(payoff.value_fen, dtype=np.float64)
    # Summed outcome by outcome, not by a matrix product, whose rounding depends on how many rows it is given.
    total: NDArray[np.float64] = of_outcome[:, 0, None] * value[:, 0]
    for outcome in range(1, len(payoff.outcomes)):
        total = total + of_outcome[:, outcome, None] * value[:, outcome]
    return total


def thresholds(payoff: Payoff) -> tuple[Interval, ...]:
    """The intervals of probability in which each action is taken, in rising order; actions never taken are left out.

    Expected values are straight lines in the probability of the second outcome, and the best action is their upper
    edge. At the very border `decide` may differ by the rounding of one multiplication.

    Raises:
        UsageError: The table has more than two outcomes, so the choice has no order along one probability.
    """
    if len(payoff.outcomes) != 2:
        raise UsageError(
            f"thresholds: found {len(payoff.outcomes)} outcomes, expected 2; with more, look at expected_values."
        )
    lines = [(no, yes - no) for no, yes in payoff.value_fen]
    borders = sorted({0.0, 1.0, *_crossings(lines)})
    middles = np.array([(low + high) / 2 for low, high in pairwise(borders)])
    chosen, _ = decide(middles, payoff)
    intervals: list[Interval] = []
    for (low, high), action in zip(pairwise(borders), chosen, strict=True):
        name = payoff.actions[int(action)]
        if intervals and intervals[-1].action == name:
            intervals[-1] = Interval(name, intervals[-1].low, high)
        else:
            intervals.append(Interval(name, low, high))
    return tuple(intervals)


def _name_problems(what: str, names: tuple[str, ...], least: int) -> list[str]:
    problems = []
    if len(names) < least:
        problems.append(f"found {len(names)} {what}, expected at least {least}")
    if len(set(names)) != len(names):
        problems.append(f"found {what} {list(names)}, expected each name once")
    if not all(names):
        problems.append(f"found an empty name among {what}")
    return problems


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
