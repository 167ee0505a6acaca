"""What sending an offer is worth, asked of a bundle: margin, how sure it is, cost, and the chance that it is redeemed.

For one member and the offers that could be sent, one row each. Which of them to send, within budget and rules, is
decided elsewhere: argmax of the lower bound less the budget's price times the cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from data.errors import DataError
from serving.bundle import Bundle
from serving.manifest import Feature
from serving.scorer import Scorer
from serving.worth import Earned, Valued, valued

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.manifest import Effects, Head
    from serving.response import Changed

ARM: Final = Feature("offer_sent", "flag", "Whether the offer is sent: 1, or withheld: 0", "never null")
"""The column behind the features of a head that learned from both arms."""


class OfferValues:
    """The heads of one bundle of offers, ready to be asked.

    Raises:
        DataError: The bundle is of no offers, or a graph cannot be loaded.
    """

    def __init__(self, bundle: Bundle) -> None:
        if bundle.manifest.effects is None:
            raise DataError(
                f"Bundle {bundle.manifest.task}/{bundle.manifest.version}: found no effects, expected what offers "
                "change; serve a bundle of a task that learns them, such as offers."
            )
        self.manifest, self.effects = bundle.manifest, bundle.manifest.effects
        self._redemption = Scorer(bundle)
        self._heads = {name: head_scorer(bundle, name) for name in self.effects.heads}

    def value(self, features: NDArray[np.float32]) -> Valued:
        """What sending the offer of each row is worth; a row's answer does not depend on the rows beside it.

        Args:
            features: In the bundle's order, float32, shape (rows, features), NaN for unknown; each row is a member with
                one offer.

        Raises:
            UsageError: The features are of another shape.
        """
        effects, names = self.effects, self.manifest.feature_names
        changed = self._changed(features)
        return valued(
            self.effect(features) if changed is None else changed.won - changed.lost,
            np.zeros(len(features)) if changed is None else changed.lost,
            Earned(
                *(self._answer(one, features, sent=True) for one in (effects.basket, effects.usual, effects.top_up))
            ),
            self._redemption.probability(features),
            features[:, names.index(effects.face_value)],
            effects.shrinkage,
            effects.shrinkage.segments_of(names, features),
        )

    def effect(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """What the model says that sending changes in the chance to buy, shape (rows,), before it is shrunk."""
        changed = self._changed(features)
        if changed is not None:
            return changed.won - changed.lost
        total = np.full(len(features), self.effects.constant)
        for term in self.effects.terms:
            total += term.weight * self._answer(term.head, features, sent=term.sent)
        return total

    def _changed(self, features: NDArray[np.float32]) -> Changed | None:
        """Who is won and who is put off, where the model tells them apart."""
        response = self.effects.response
        if response is None:
            return None
        anyway = self._answer(response.anyway, features, sent=False)
        return response.apply(self.manifest.feature_names, features, anyway)

    def _answer(self, name: str, features: NDArray[np.float32], *, sent: bool) -> NDArray[np.float64]:
        head, scorer = self.effects.heads[name], self._heads[name]
        rows = as_asked(head, features, sent=sent)
        return scorer.probability(rows) if head.kind == "chance" else scorer.raw(rows)


def head_scorer(bundle: Bundle, name: str) -> Scorer:
    """The scorer of one head of a bundle."""
    effects: Effects | None = bundle.manifest.effects
    if effects is None or name not in effects.heads:
        raise DataError(f"Bundle {bundle.folder}: found no head {name!r}, expected one of those in its manifest")
    head = effects.heads[name]
    features = (*bundle.manifest.features, ARM) if head.sees_arm else bundle.manifest.features
    manifest = msgspec.structs.replace(bundle.manifest, features=features, score_base=head.score_base, effects=None)
    return Scorer(Bundle(manifest, bundle.heads[name], bundle.folder))


def as_asked(head: Head, features: NDArray[np.float32], *, sent: bool) -> NDArray[np.float32]:
    """The rows as a head is asked them, with the offer sent or withheld."""
    if not head.sees_arm:
        return features
    rows = np.empty((len(features), features.shape[1] + 1), np.float32)
    rows[:, :-1], rows[:, -1] = features, sent
    if head.dose is not None and not sent:
        rows[:, head.dose] = 0.0
    return rows
