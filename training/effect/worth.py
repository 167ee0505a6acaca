"""What sending an offer to a member is worth: the extra purchases it wins, times what they earn, less what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.export import Valued, valued
from training.learner import raw_scores

if TYPE_CHECKING:
    import lightgbm
    import numpy as np
    from numpy.typing import NDArray

    from training.calibrate import Calibrator
    from training.effect.model import EffectModel, Head
    from training.effect.shrinkage import Shrinkage
    from training.effect.task import EffectTask

__all__ = ["OfferModel", "Valued"]


@dataclass(frozen=True)
class OfferModel:
    """All that values an offer, fitted.

    Attributes:
        task: What was learned.
        learner: Name of the learner of the effect.
        purchase: The effect on the chance to buy.
        shrinkage: How it is drawn towards segments.
        basket: What a basket in which an offer is used earns before the discount.
        redemption: The trees of the chance that a sent offer is redeemed.
        calibrator: From their raw score to that chance.
    """

    task: EffectTask
    learner: str
    purchase: EffectModel
    shrinkage: Shrinkage
    basket: Head
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
            self.basket.answer(matrix, sent=True),
            self.redeems(matrix),
            matrix[:, names.index(self.task.face_value)],
            self.shrinkage,
            self.shrinkage.segments_of(names, matrix),
        )
