"""The one formula by which what an offer changes becomes money, in training as live."""

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


def valued(
    effect: NDArray[np.float64],
    basket_fen: NDArray[np.float64],
    redeems: NDArray[np.float64],
    face_value_fen: NDArray[np.float32],
    shrinkage: Shrinkage,
    segment: NDArray[np.int64],
) -> Valued:
    """Extra purchases times what they earn, less what redeeming costs; all of shape (rows,).

    Every extra purchase earns what a basket in which such an offer is used earns before the discount; every redemption
    costs the face value. An offer without a face value costs nothing.

    Args:
        effect: What the forests say that sending changes in the chance to buy.
        basket_fen: Margin of a basket in which the offer is used, before the discount; below 0 counts as 0.
        redeems: The chance that the offer is redeemed if it is sent.
        face_value_fen: What redeeming takes off; NaN where unknown, which costs nothing.
        shrinkage: How effects are drawn towards segments.
        segment: The segment of each row.
    """
    extra, basket = shrinkage.apply(effect, segment), np.maximum(basket_fen, 0.0)
    face = np.nan_to_num(face_value_fen.astype(np.float64))
    cost = redeems * face
    return Valued(extra.mean * basket - cost, extra.sd * basket, cost, redeems, extra.mean)
