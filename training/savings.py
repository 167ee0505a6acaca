"""The money that decisions saved, out of the log of decisions and what came of some of them.

What would have happened to a scan that was blocked is not known, and verdicts on it come where somebody suspects. So
only outcomes that a lot revealed are counted, each standing for as many decisions as its chance says
(`training.importance`), and the model's own probability foretells each outcome for the lot to correct. A known outcome
tells what each action would have been worth, so any two policies can be compared on one log; where both do the same,
the difference is 0 whatever the outcome, and nothing has to be revealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import DataError, UsageError
from training.decision_log import UNKNOWN
from training.importance import Weighed
from training.studentised import effective_rows, studentised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.decision_log import Logged
    from training.interval import Interval, Resampling
    from training.payoff import Payoff

PAYING_EVERYTHING: Final = 0
"""The policy that always takes the passive action."""


@dataclass(frozen=True)
class Savings:
    """What one policy saved against another, in fen a decision, with 95 % intervals that resample whole units.

    Attributes:
        ips: By inverse propensity: without bias, and wide.
        snips: Self-normalised: hardly biased, and steadier.
        doubly_robust: With the model's probability foretelling what the lot corrects; without bias, and the narrowest
            where the model is any good. None where the log has no probability.
        decisions: How many decisions the figures are about.
        differing: In how many the two policies do different things.
        revealed: Of how many of those the lot revealed the outcome.
        units: How many units these belong to.
        effective_rows: How many equally weighted rows would say as much (Kish): the square of the sum of the weights
            over the sum of their squares.
        outside: Decisions in which no lot was drawn and the policies differ: nothing can be said of them.
        holdout_cost: What letting scans through by lot cost, in fen a decision, against doing what was meant; as far as
            their outcomes are known.
    """

    ips: Interval
    snips: Interval
    doubly_robust: Interval | None
    decisions: int
    differing: int
    revealed: int
    units: int
    effective_rows: float
    outside: int
    holdout_cost: Interval

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "ips": self.ips.as_dict(),
            "snips": self.snips.as_dict(),
            "doubly_robust": None if self.doubly_robust is None else self.doubly_robust.as_dict(),
            "decisions": self.decisions,
            "differing": self.differing,
            "revealed": self.revealed,
            "units": self.units,
            "effective_rows": round(self.effective_rows, 1),
            "outside": self.outside,
            "holdout_cost": self.holdout_cost.as_dict(),
        }


def savings(
    payoff: Payoff,
    logged: Logged,
    resampling: Resampling,
    against: NDArray[np.int64] | int = PAYING_EVERYTHING,
) -> Savings:
    """What the policy that was served saved against another one, on the same decisions.

    The policy is judged as it meant to act; what the lot then cost is told beside it. Where the lot revealed fewer than
    some fifty units the intervals hold a little less often than they say, prizes being as uneven as they are.

    Args:
        payoff: What each action is worth under each outcome.
        logged: The decisions.
        resampling: Draws of `logged.unit`.
        against: What the other policy would have done in each row, shape (rows,): the analyst's rules, an older model;
            or one action for all, such as paying everything.

    Raises:
        DataError: The policies differ in rows of which the lot revealed nothing at all.
        UsageError: The log has probabilities, and the pay-off more than two outcomes for them to be of.
    """
    if logged.probability is not None and len(payoff.outcomes) != 2:
        raise UsageError(
            f"savings: found probabilities of one outcome and {len(payoff.outcomes)} outcomes, expected 2; leave the "
            "probabilities out of the log."
        )
    difference = _Difference.of(payoff, logged, against)
    if difference.differing.any() and not difference.revealed.any():
        raise DataError(
            f"savings: found {int(difference.differing.sum())} decisions in which the policies differ and no outcome "
            "that the lot revealed, expected some; give a longer log, or a larger share to the lot."
        )
    weighed = difference.weighed()
    columns = np.column_stack((weighed.columns(), difference.lost_to_lot(payoff, logged)))
    measures = weighed.measures()
    *estimates, lost = studentised(columns, [*measures.values(), lambda sums: sums[6] / sums[0]], resampling)
    found = dict(zip(measures, estimates, strict=True))
    revealed = difference.revealed
    return Savings(
        ips=found["ips"],
        snips=found["snips"],
        doubly_robust=found.get("dr"),
        decisions=int(difference.inside.sum()),
        differing=int((difference.inside & difference.differing).sum()),
        revealed=int(revealed.sum()),
        units=len(np.unique(logged.unit[revealed])),
        effective_rows=effective_rows(difference.weight[revealed]),
        outside=int((~difference.inside).sum()),
        holdout_cost=lost,
    )


@dataclass(frozen=True)
class _Difference:
    """How two policies differ, row by row.

    Attributes:
        differing: Whether they do different things.
        inside: Whether anything can be said: they do the same, or a lot was drawn.
        revealed: Whether they differ and the outcome is known.
        value: What ours is worth beyond the other's, in fen; 0 where not known.
        weight: How many decisions each revealed row stands for; 0 for others.
        foretold: What the model expects of it; None without its probability.
    """

    differing: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    revealed: NDArray[np.bool_]
    value: NDArray[np.float64]
    weight: NDArray[np.float64]
    foretold: NDArray[np.float64] | None

    @staticmethod
    def of(payoff: Payoff, logged: Logged, against: NDArray[np.int64] | int) -> _Difference:
        rows = np.arange(len(logged.meant))
        theirs = np.broadcast_to(np.asarray(against, np.int64), rows.shape)
        worth = _beyond(payoff, logged, theirs)
        differing = logged.meant != theirs
        inside = ~differing | (logged.chance > 0)
        revealed = differing & (logged.outcome != UNKNOWN)
        value = np.where(revealed, worth[rows, logged.outcome], 0.0)
        weight = np.divide(1.0, logged.chance, out=np.zeros(len(rows)), where=revealed)
        said = logged.probability
        foretold = None if said is None else np.where(inside, worth[:, 0] * (1.0 - said) + worth[:, 1] * said, 0.0)
        return _Difference(differing, inside, revealed, value, weight, foretold)

    def weighed(self) -> Weighed:
        return Weighed(self.weight, self.value, self.inside, self.differing, self.foretold, self.foretold)

    def lost_to_lot(self, payoff: Payoff, logged: Logged) -> NDArray[np.float64]:
        """What each row that was let through lost by it, in fen; 0 for all others."""
        rows = np.arange(len(logged.meant))
        let_through = logged.outcome != UNKNOWN
        worth = _beyond(payoff, logged, np.zeros(len(rows), np.int64))
        return np.where(self.inside & let_through, worth[rows, logged.outcome], 0.0)


def _beyond(payoff: Payoff, logged: Logged, theirs: NDArray[np.int64]) -> NDArray[np.float64]:
    """What the action meant is worth beyond the other, under each outcome: fen, shape (rows, outcomes)."""
    size = len(logged.meant)
    table = np.broadcast_to(payoff.values(logged.stake, size), (size, len(payoff.actions), len(payoff.outcomes)))
    rows = np.arange(size)
    beyond: NDArray[np.float64] = table[rows, logged.meant] - table[rows, theirs]
    return beyond
