"""What a question about effects is: the offers that a lot decided on, what came of them, how that is learned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UsageError
from training.formulas import Limits, OfferRules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from data.questions import Outcomes
    from training.effect.learners import DRLearner
    from training.effect.model import EffectLearner
    from training.effect.shrinkage import Division
    from training.effect.trees import Trees
    from training.task import Task


@dataclass(frozen=True, kw_only=True)
class EffectTask:
    """One question about what offers change, from its rows to the value of sending each.

    Attributes:
        redemption: The side of the cost: the rows of both arms, what is known of them, how time divides them, and the
            chance that an offer is redeemed if it is sent.
        outcomes: What came of each row, sent or withheld.
        face_value: The feature that says what redeeming takes off, in fen.
        learners: Ways to learn the effect on purchases, by name. The first is taken unless another is surely better.
        judge: Whose doubly robust scores measure effects, whichever learner is judged.
        baskets: How the margin of a basket in which an offer is used is learned.
        divisions: What makes the segments that effects are drawn towards.
        caution: How many standard deviations below its mean a value is counted on.
        budget: The part of what sending to all would cost that policies are compared at.
        limits: The numbers of the rules that come before any price, such as how often a member may be sent something.
        rules: For whom and when certain offers hold; an offer that is not named holds for all while its campaign runs.
    """

    redemption: Task
    outcomes: Outcomes
    face_value: str
    learners: Mapping[str, EffectLearner]
    judge: DRLearner
    baskets: Trees
    divisions: tuple[Division, ...] = ()
    caution: float = 1.0
    budget: float = 0.3
    limits: Limits = field(default_factory=Limits)
    rules: tuple[OfferRules, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a question that cannot be asked.

        Raises:
            UsageError: No learner, a feature that the rows have not, or a budget that is no part.
        """
        known, problems = self.redemption.features.names, []
        asked = (self.face_value, *(one.feature for one in self.divisions))
        unknown = [name for name in asked if name not in known]
        if not self.learners:
            problems.append("found no learner, expected one or more")
        if unknown:
            problems.append(f"found the features {', '.join(unknown)}, expected those of {self.name}")
        if not 0 < self.budget <= 1 or not self.caution >= 0:
            problems.append(
                f"found budget {self.budget} and caution {self.caution}, expected a part of 1 and 0 or more"
            )
        if problems:
            raise UsageError(f"EffectTask {self.name!r}: " + "; ".join(problems))

    def newcomers(self, matrix: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether each row is of the first kind of the first division, as of members not known to buy; all without."""
        if not self.divisions:
            return np.ones(len(matrix), np.bool_)
        first = self.divisions[0]
        kinds = first.kinds(matrix[:, self.redemption.features.names.index(first.feature)])
        return np.asarray(kinds == 0)

    @property
    def name(self) -> str:
        """How the command line and the bundle folder call it."""
        return self.redemption.name
