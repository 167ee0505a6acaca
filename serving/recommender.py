"""Answers which offers a member should get: score every running offer, rank, decide, explain."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from serving.contracts import ModelName, NoOffer, OfferBody, OffersAnswer, ReasonBody
from serving.decisions import decide
from serving.reasons import explain

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from serving.offers import Candidates, OfferBook
    from serving.scorer import Scorer


@dataclass(frozen=True)
class Recommender:
    """A model and the rows it scores.

    Raises:
        DataError: The rows were built by other feature declarations than the model was trained on.
    """

    scorer: Scorer
    book: OfferBook

    def __post_init__(self) -> None:
        """Refuse rows that were built by other declarations."""
        self.scorer.check_fingerprint(self.book.fingerprint)

    def answer(self, member_id: str, at: datetime, limit: int) -> OffersAnswer:
        """Rank the offers of one member at a moment by their chance.

        Args:
            member_id: A member that the features were built for.
            at: A moment with a time zone.
            limit: How many offers to name; `no_offer` looks at all of them.

        Raises:
            UnknownMember: Nothing was built for this member.
        """
        return self._answer(member_id, at, limit, self.book.candidates(member_id, at))

    def answers(self, members: tuple[str, ...], at: datetime, limit: int) -> tuple[OffersAnswer, ...]:
        """The same for many; of one that nothing was built for, that this is so."""
        return tuple(
            self.answer(one, at, limit) if one in self.book.members else self._unknown(one, at) for one in members
        )

    def _answer(self, member_id: str, at: datetime, limit: int, candidates: Candidates) -> OffersAnswer:
        manifest = self.scorer.manifest
        probability = self.scorer.probability(candidates.features)
        action, value = decide(probability, manifest.payoff)
        ranked = np.argsort(-probability, kind="stable")[:limit]
        return _named(
            OffersAnswer(
                decision_id="",
                member_id=member_id,
                at=at,
                model=self._model,
                offers=self._offers(candidates, ranked, probability, action, value),
                no_offer=self._no_offer(at, action),
            )
        )

    def _unknown(self, member_id: str, at: datetime) -> OffersAnswer:
        nothing = NoOffer(code="unknown_member", reason="Nothing was built for this member; check the id.")
        return _named(
            OffersAnswer(decision_id="", member_id=member_id, at=at, model=self._model, offers=(), no_offer=nothing)
        )

    @property
    def _model(self) -> ModelName:
        manifest = self.scorer.manifest
        return ModelName(task=manifest.task, version=manifest.version, feature_fingerprint=manifest.feature_fingerprint)

    def _offers(
        self,
        candidates: Candidates,
        ranked: NDArray[np.int64],
        probability: NDArray[np.float64],
        action: NDArray[np.int64],
        value: NDArray[np.float64],
    ) -> tuple[OfferBody, ...]:
        manifest = self.scorer.manifest
        rows = candidates.features[ranked]
        contributions = self.scorer.contributions(rows)
        return tuple(
            OfferBody(
                offer_id=candidates.offer_ids[index],
                campaign_id=candidates.campaign_ids[index],
                probability=float(probability[index]),
                action=manifest.payoff.actions[action[index]],
                expected_value_fen=float(value[index]),
                reasons=tuple(ReasonBody(**asdict(reason)) for reason in explain(manifest.features, row, moved)),
            )
            for index, row, moved in zip(ranked.tolist(), rows, contributions, strict=True)
        )

    def _no_offer(self, at: datetime, action: NDArray[np.int64]) -> NoOffer | None:
        if not action.size:
            return NoOffer(
                code="no_running_campaign",
                reason=f"No campaign that was built for this member runs at {at.isoformat()}.",
            )
        if not action.any():
            passive = self.scorer.manifest.payoff.actions[0]
            return NoOffer(
                code="nothing_pays",
                reason=f"None of {action.size} running offers is expected to earn more than {passive!r}.",
            )
        return None


def _named(answer: OffersAnswer) -> OffersAnswer:
    """Give an answer the id that follows from its content."""
    digest = hashlib.sha256(answer.model_dump_json().encode()).hexdigest()
    return answer.model_copy(update={"decision_id": digest[:32]})
