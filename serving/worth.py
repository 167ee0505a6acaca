"""The one formula by which what an offer changes becomes money, in training as live.

An offer wins purchases, puts some off, and is redeemed by many who would have bought anyway: each is worth something
else. One won brings a whole basket; one put off takes away what the member would have bought of these goods; one who
comes anyway fills the basket up to the threshold. All of the redemptions are paid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.shrinkage import Shrinkage


@dataclass(frozen=True)
class Valued:
    """What sending an offer to a member is worth; an array has one value a row.

    Attributes:
        mean: Expected margin beyond what would be earned anyway, the cost of the offer taken off, in fen.
        sd: How unsure it is, as a standard deviation, in fen.
        cost: What the offer is expected to take off at the till, in fen: paid only if it is redeemed, by those who
            would have bought anyway as well.
        redeems: The chance that it is redeemed if it is sent.
        extra: How much the chance to buy is expected to rise.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    cost: NDArray[np.float64]
    redeems: NDArray[np.float64]
    extra: NDArray[np.float64]

    def lower(self, caution: float) -> NDArray[np.float64]:
        """What can be counted on: so many standard deviations below the mean, fen, shape (rows,)."""
        return self.mean - caution * self.sd


@dataclass(frozen=True)
class Earned:
    """What the margin of each row is expected to be, before the discount, in fen; arrays of shape (rows,).

    Attributes:
        basket: Of a basket that the offer won.
        usual: Of what the offer is good for, bought in its window by one who buys it without the offer.
        top_up: What redeeming adds to a purchase that would have been made anyway, since the threshold has to be met.
    """

    basket: NDArray[np.float64]
    usual: NDArray[np.float64]
    top_up: NDArray[np.float64]


def valued(
    effect: NDArray[np.float64],
    lost: NDArray[np.float64],
    earned: Earned,
    redeems: NDArray[np.float64],
    face_value_fen: NDArray[np.float32],
    shrinkage: Shrinkage,
    segment: NDArray[np.int64],
) -> Valued:
    """What is won, less what is put off, with what those add who come anyway, less the cost; all of shape (rows,).

    Every redemption costs the face value. An offer without a face value costs nothing. The more of the redemptions are
    of purchases won, the fewer are of those who come anyway.

    Args:
        effect: What the model says that sending changes in the chance to buy.
        lost: How many of those who would have bought it puts off, as a chance; the effect has them taken off already.
        earned: What purchases earn; below 0 counts as 0.
        redeems: The chance that the offer is redeemed if it is sent.
        face_value_fen: What redeeming takes off; NaN where unknown, which costs nothing.
        shrinkage: How effects are drawn towards segments.
        segment: The segment of each row.
    """
    extra = shrinkage.apply(effect, segment)
    basket, usual, top_up = (np.maximum(one, 0.0) for one in (earned.basket, earned.usual, earned.top_up))
    won = np.maximum(extra.mean + lost, 0.0)
    anyway = np.maximum(redeems - won, 0.0)
    cost = redeems * np.nan_to_num(face_value_fen.astype(np.float64))
    mean = won * basket - (won - extra.mean) * usual + anyway * top_up - cost
    return Valued(mean, extra.sd * basket, cost, redeems, extra.mean)
