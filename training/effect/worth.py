"""What sending an offer to a member is worth: the extra purchases it wins, times what they earn, less what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.formulas import Earned, Valued, valued
from training.learner import raw_scores

if TYPE_CHECKING:
    import lightgbm
    import numpy as np
    from numpy.typing import NDArray

    from training.calibrate import Calibrator
    from training.effect.model import EffectModel, Head
    from training.effect.shrinkage import Shrinkage
    from training.effect.task import EffectTask

__all__ = ["Earnings", "OfferModel", "Valued"]


@dataclass(frozen=True)
class Earnings:
    """What purchases earn before the discount, as forests of the offer and the member.

    Attributes:
        basket: A basket that the offer won.
        usual: What the offer is good for, of those who buy it without.
        top_up: What redeeming adds to a purchase made anyway.
        along: What comes along with the discounted line in a basket that was won, in fen; it is in `basket` already.
    """

    basket: Head
    usual: Head
    top_up: Head
    along: float

    def of(self, matrix: NDArray[np.float32]) -> Earned:
        """What is expected of each row, in fen."""
        return Earned(*(head.answer(matrix, sent=True) for head in (self.basket, self.usual, self.top_up)))

    @property
    def heads(self) -> dict[str, Head]:
        """By the names under which they are exported."""
        return {"basket": self.basket, "usual": self.usual, "top_up": self.top_up}


@dataclass(frozen=True)
class OfferModel:
    """All that values an offer, fitted.

    Attributes:
        task: What was learned.
        learner: Name of the learner of the effect.
        purchase: The effect on the chance to buy.
        shrinkage: How it is drawn towards segments.
        earnings: What purchases earn.
        redemption: The trees of the chance that a sent offer is redeemed.
        calibrator: From their raw score to that chance.
    """

    task: EffectTask
    learner: str
    purchase: EffectModel
    shrinkage: Shrinkage
    earnings: Earnings
    redemption: lightgbm.Booster
    calibrator: Calibrator

    def redeems(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """The chance that each row's offer is redeemed if it is sent, shape (rows,)."""
        return self.calibrator.apply(raw_scores(self.redemption, matrix))

    def value(self, matrix: NDArray[np.float32]) -> Valued:
        """What sending each row's offer is worth, by the formula that is served."""
        names = self.purchase.features
        return valued(
            self.purchase.effect(matrix),
            self.purchase.lost(matrix),
            self.earnings.of(matrix),
            self.redeems(matrix),
            matrix[:, names.index(self.task.face_value)],
            self.shrinkage,
            self.shrinkage.segments_of(names, matrix),
        )
