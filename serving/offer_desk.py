"""Answers which offer a member gets, in words: the decision, what it rests on, and what was ruled out and why."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from serving.contracts import (
    DecidedOfferBody,
    DecisionAnswer,
    MarginBody,
    ModelName,
    NothingSent,
    PolicyName,
    ReasonBody,
    RuleBody,
    RuledOutBody,
    UnknownRuleBody,
)
from serving.member_facts import columns_of
from serving.offers import UnknownMember
from serving.reasons import explain

if TYPE_CHECKING:
    from datetime import datetime

    from serving.allocation.rulings import RuledOut
    from serving.offer_decisions import Decided, Decider
    from serving.offers import OfferBook

_WORDS: Final = {
    "unknown_member": (
        "Nothing was built for this member; check the id, or build rows from data that hold this member.",
        "未找到该会员的数据，请检查会员编号或重新构建。",
    ),
    "no_running_campaign": (
        "No campaign that was built for this member runs at {at}.",
        "{at} 没有适用于该会员的进行中活动。",
    ),
    "opted_out": ("The member wants no offers.", "会员已拒绝接收优惠。"),
    "holdout": (
        "The member is among those who get no offers, so that the effect of offers can be measured.",
        "会员属于不发券的对照组，用于衡量发券效果。",
    ),
    "fraud_risk": (
        "The member may be no honest shopper; each offer says the chance.",
        "该会员疑似非诚信顾客，详见各券说明。",
    ),
    "all_ruled_out": (
        "Each of {there} running offers is ruled out; each says why.",
        "{there} 张进行中的券均被规则排除，原因见各券说明。",
    ),
    "nothing_pays": (
        "None of {left} offers that may be sent can be counted on to earn more than it is charged.",
        "{left} 张可发的券中，没有一张的保守增量毛利高于其预算成本。",
    ),
}


@dataclass(frozen=True)
class OfferDesk:
    """A decider with words."""

    decider: Decider

    @property
    def book(self) -> OfferBook:
        """The rows that it decides by."""
        return self.decider.book

    def answer(self, member_id: str, at: datetime, limit: int) -> DecisionAnswer:
        """What one member gets at a moment, and why.

        Args:
            member_id: A member that the rows were built for.
            at: A moment with a time zone.
            limit: How many offers that may be sent to name; the one that is sent is the first.

        Raises:
            UnknownMember: Nothing was built for this member.
        """
        if member_id not in self.decider.book.members:
            raise UnknownMember("Member: found none of this id, expected one that rows were built for; check the id.")
        return self.answers((member_id,), at, limit)[0]

    def answers(self, members: tuple[str, ...], at: datetime, limit: int) -> tuple[DecisionAnswer, ...]:
        """The same for many; of one that nothing was built for, that this is so."""
        decided = self.decider.decide(members, at)
        codes = [
            code if member in self.decider.book.members else "unknown_member"
            for member, code in zip(members, decided.nothing(), strict=True)
        ]
        return tuple(self._answer(decided, place, limit, code) for place, code in enumerate(codes))

    def _answer(self, decided: Decided, place: int, limit: int, code: str | None) -> DecisionAnswer:
        manifest, policy = self.decider.values.manifest, self.decider.policy
        member_id = decided.grid.members[place]
        ruled_out = decided.ruled_out(place) if decided.broken[place].any() else ()
        return _named(
            DecisionAnswer(
                decision_id="",
                member_id=member_id,
                at=decided.at,
                model=ModelName(
                    task=manifest.task, version=manifest.version, feature_fingerprint=manifest.feature_fingerprint
                ),
                policy=PolicyName(
                    fingerprint=policy.fingerprint,
                    budgets=policy.prices.budgets,
                    caution=self.decider.values.effects.caution,
                ),
                offers=self._offers(decided, place, limit),
                ruled_out=tuple(_ruled_out(decided, column, one) for column, one in ruled_out),
                unknown=self._unknown(decided, place),
                no_offer=_nothing(decided, place, code),
            )
        )

    def _offers(self, decided: Decided, place: int, limit: int) -> tuple[DecidedOfferBody, ...]:
        columns = np.flatnonzero(decided.allowed[place])
        # The one that is sent comes first, also among equals; of the others the cheaper, then the first.
        order = np.lexsort(
            (
                decided.cost[place, columns],
                -decided.score[place, columns],
                columns != decided.choice[place],
            )
        )
        ranked = columns[order][:limit]
        if not ranked.size:
            return ()
        features = self.decider.book.features[decided.grid.rows[place, ranked]]
        contributions = self.decider.scorer.contributions(features)
        described = self.decider.values.manifest.features
        return tuple(
            DecidedOfferBody(
                offer_id=decided.grid.pairs[column][0],
                campaign_id=decided.grid.pairs[column][1],
                action="send" if column == decided.choice[place] else "skip",
                expected_margin_fen=MarginBody(
                    mean=float(decided.mean[place, column]), lower=float(decided.lower[place, column])
                ),
                expected_cost_fen=float(decided.cost[place, column]),
                redemption_probability=float(decided.redeems[place, column]),
                score_fen=float(decided.score[place, column]),
                reasons=tuple(ReasonBody(**asdict(reason)) for reason in explain(described, row, moved)),
            )
            for column, row, moved in zip(ranked.tolist(), features, contributions, strict=True)
        )

    def _unknown(self, decided: Decided, place: int) -> tuple[UnknownRuleBody, ...]:
        if not decided.there[place].any():
            return ()
        columns = columns_of(self.decider.policy)
        return tuple(
            UnknownRuleBody(
                code=str(rule.name),
                sentence=f"{columns[rule]} is not known of this member, so this rule rules nothing out.",
                sentence_zh=f"未知该会员的 {columns[rule]}，此规则未生效。",
            )
            for rule in decided.facts.unknown_of(place)
        )


def _ruled_out(decided: Decided, column: int, found: RuledOut) -> RuledOutBody:
    offer, campaign = decided.grid.pairs[column]
    reasons = tuple(RuleBody(**msgspec.structs.asdict(one)) for one in found.reasons)
    return RuledOutBody(offer_id=offer, campaign_id=campaign, reasons=reasons)


def _nothing(decided: Decided, place: int, code: str | None) -> NothingSent | None:
    """Why nothing is sent; None where something is."""
    if code is None:
        return None
    reason, reason_zh = _WORDS[code]
    spoken = {
        "at": decided.at.isoformat(),
        "there": int(decided.there[place].sum()),
        "left": int(decided.allowed[place].sum()),
    }
    return NothingSent.model_validate(
        {"code": code, "reason": reason.format(**spoken), "reason_zh": reason_zh.format(**spoken)}
    )


def _named(answer: DecisionAnswer) -> DecisionAnswer:
    """Give an answer the id that follows from its content."""
    digest = hashlib.sha256(answer.model_dump_json().encode()).hexdigest()
    return answer.model_copy(update={"decision_id": digest[:32]})
