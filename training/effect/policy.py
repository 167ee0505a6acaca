"""What a rule of sending would have earned, out of the rows in which a lot decided: the only ground for promotion.

The reward of a row is what it was worth to the brand: the margin of what the offer is good for, with what a purchase
brings along, less what was redeemed. The margin of everything the member bought is reported beside it: it owes nothing
to a model, and is so much noisier that it seldom says anything of one wave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.off_policy import LoggedActions, always, gain_of, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from training.effect.experiment import Experiment
    from training.formulas import Earned
    from training.interval import Interval, Resampling
    from training.off_policy import PolicyValue

_ROUNDING = 1e-12  # so that value - price * cost of the row at the border is not above 0 by a last bit


@dataclass(frozen=True)
class Foretold:
    """What models that had not seen a row expect of its reward, in fen; arrays have one value a row.

    Attributes:
        sent: If the offer is sent.
        withheld: If it is withheld.
        along: What a purchase brings along beyond what the offer is good for, the same for every row.
    """

    sent: NDArray[np.float64]
    withheld: NDArray[np.float64]
    along: float

    @staticmethod
    def of(
        sent: NDArray[np.float64],
        withheld: NDArray[np.float64],
        earned: Earned,
        redeems: NDArray[np.float64],
        cost: NDArray[np.float64],
        along: float,
    ) -> Foretold:
        """From the chances to buy if sent and withheld, what purchases earn, and what redeeming adds and costs."""
        purchase = earned.usual + along
        return Foretold(sent * purchase + redeems * earned.top_up - cost, withheld * purchase, along)


def logged(experiment: Experiment, foretold: Foretold) -> LoggedActions:
    """The log of the lot, with the worth of each row as its reward.

    That is the margin of what the offer is good for, with what a purchase brings along at its mean (where it varies it
    is noise far larger than any effect), less what was redeemed.
    """
    propensity = np.where(experiment.treated, experiment.propensity, 1.0 - experiment.propensity)
    return LoggedActions(
        action=experiment.treated.astype(np.int64),
        reward=experiment.goods_margin_fen + experiment.purchased * foretold.along - experiment.cost_fen,
        propensity=propensity,
        unit=experiment.unit,
        chances=np.column_stack((1.0 - experiment.propensity, experiment.propensity)),
        foretold=np.column_stack((foretold.withheld, foretold.sent)),
    )


def logged_margin(experiment: Experiment) -> LoggedActions:
    """The log of the lot, with the margin of everything bought as its reward."""
    return LoggedActions(
        action=experiment.treated.astype(np.int64),
        reward=experiment.margin_fen,
        propensity=np.where(experiment.treated, experiment.propensity, 1.0 - experiment.propensity),
        unit=experiment.unit,
    )


def best(figure: PolicyValue) -> Interval:
    """The doubly robust figure of a policy value where there is one, else the self-normalised one."""
    return figure.dr or figure.snips


def price_of(value: NDArray[np.float64], cost: NDArray[np.float64], budget: float) -> float:
    """The price of the budget: what a fen of cost has to bring beyond itself so that the rows sent cost that much.

    Args:
        value: What sending is worth, fen, shape (rows,).
        cost: What it is expected to cost, fen, 0 or more, shape (rows,).
        budget: The most that all together may cost, in fen.

    Returns:
        0 where the rows worth sending cost no more.
    """
    worth = value > 0
    ratio = np.divide(value, cost, out=np.full(len(value), np.inf), where=cost > 0)
    order = np.flatnonzero(worth)[np.argsort(-ratio[worth], kind="stable")]
    over = np.flatnonzero(np.cumsum(cost[order]) > budget)
    return float(ratio[order[over[0]]]) * (1 + _ROUNDING) if len(over) else 0.0


def sends(value: NDArray[np.float64], cost: NDArray[np.float64], price: float = 0.0) -> NDArray[np.bool_]:
    """Whether each row is sent at a price of the budget."""
    return value - price * cost > 0


def within(score: NDArray[np.float64], cost: NDArray[np.float64], budget: float) -> NDArray[np.bool_]:
    """The rows of the highest score that together cost no more than a budget."""
    order = np.argsort(-score, kind="stable")
    chosen = np.zeros(len(score), np.bool_)
    chosen[order[np.cumsum(cost[order]) <= budget]] = True
    return chosen


def values(
    policies: Mapping[str, NDArray[np.bool_]],
    log: LoggedActions,
    resampling: Callable[[], Resampling],
    against: str,
) -> dict[str, dict[str, Interval]]:
    """What each policy earns a row, and how much more one of them earns than each other (paired), in fen.

    Args:
        policies: By name, whether each row is sent.
        log: The lot's log.
        resampling: Gives the same draws of units at every call.
        against: The policy whose lead is told.
    """
    chances = {name: always(sent.astype(np.int64), 2) for name, sent in policies.items()}
    found = {name: {"value": best(value_of(policy, log, resampling()))} for name, policy in chances.items()}
    for name, policy in chances.items():
        if name != against:
            found[name]["gain"] = best(gain_of(chances[against], policy, log, resampling()))
    return found
