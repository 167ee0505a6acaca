"""Which offers a member may get at all: the rules that no price can buy off, each with its reason.

Rules come first and prices second: what is ruled out is masked before the allocation sees it, so no budget, however
large, sends it. A fact that is not handed in (None) switches its rule off; an unknown fraud score (NaN) rules out,
because money is not sent to a risk that nobody has looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from data.errors import DataError, UsageError
from serving.allocation.rules import Coded, Limits, Members, OfferRules
from serving.allocation.rulings import Rule, RuledOut, RuleReason, reason

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from serving.allocation.problem import Amounts

    Flags = NDArray[np.bool_]
    Doubles = NDArray[np.float64]
    Reasons = NDArray[np.uint16]


@dataclass(frozen=True)
class Guardrails:
    """The rules, ready to be held against members.

    Attributes:
        limits: Their numbers.
        offers: For whom and when each offer holds, in the order of the columns.

    Raises:
        UsageError: An offer is declared twice, without a face value or without a time zone; all such findings at once.
    """

    limits: Limits
    offers: tuple[OfferRules, ...]

    def __post_init__(self) -> None:
        """Refuse offers that no rule can be held against."""
        problems = []
        names = [offer.offer for offer in self.offers]
        if len(set(names)) != len(names):
            problems.append(f"found the offers {names}, expected each once")
        for offer in self.offers:
            if not 0 < offer.face_fen < math.inf:
                problems.append(f"{offer.offer}: found a face value of {offer.face_fen} fen, expected more than 0")
            if offer.starts_at.tzinfo is None or offer.ends_at.tzinfo is None:
                problems.append(f"{offer.offer}: found times without a zone, expected UTC instants")
            if offer.pieces_left is not None and not 0 <= offer.pieces_left < math.inf:
                problems.append(f"{offer.offer}: found {offer.pieces_left} pieces left, expected 0 or more")
        if problems:
            raise UsageError("Guardrails: " + "; ".join(problems) + ".")

    def broken(self, members: Members, value: Amounts, cost: Amounts, at: datetime) -> Reasons:
        """Which rules each offer breaks for each member, as bits of `Rule`, shape (members, offers).

        What is 0 is allowed: `broken(...) == 0` is the mask of a `Problem`. Rows do not depend on each other, so any
        number of members can be done a part at a time.

        Args:
            members: What is known of them.
            value: Expected extra margin in fen before the cost of the offer, shape (members, offers).
            cost: Expected cost in fen, likewise.
            at: The moment of sending, with a time zone.

        Raises:
            DataError: Shapes do not fit, or a category has no facts; all such findings at once.
        """
        self._require(members, value, cost, at)
        whole = self._of_members(members, len(value))
        reasons = np.repeat(whole[:, None], len(self.offers), axis=1)
        for column, offer in enumerate(self.offers):
            reasons[:, column] |= self._of_offer(offer, members, at)
            net, floor = self._net(value[:, column], cost[:, column], offer)
            # What is not known is not above the floor.
            reasons[:, column] |= _bits(~(net >= floor), Rule.BELOW_MARGIN_FLOOR)
        return reasons

    def explain(self, members: Members, value: Amounts, cost: Amounts, at: datetime, row: int) -> tuple[RuledOut, ...]:
        """Every offer that one member cannot get, with all reasons in words; arguments and errors as in `broken`."""
        one = _only(members, row)
        value, cost = value[row : row + 1], cost[row : row + 1]
        broken = self.broken(one, value, cost, at)[0]
        return tuple(
            RuledOut(
                offer.offer,
                tuple(
                    self._worded(rule, offer, one, value[0, column], cost[0, column])
                    for rule in Rule
                    if broken[column] & rule
                ),
            )
            for column, offer in enumerate(self.offers)
            if broken[column]
        )

    def _require(self, members: Members, value: Amounts, cost: Amounts, at: datetime) -> None:
        problems = []
        if value.ndim != 2 or value.shape[1] != len(self.offers) or cost.shape != value.shape:
            expected = f"both (members, {len(self.offers)})"
            problems.append(f"value and cost: found shapes {value.shape} and {cost.shape}, expected {expected}")
        problems += [
            f"{name}: found shape {shape}, expected {value.shape[:1]}"
            for name, shape in members.lengths().items()
            if shape != value.shape[:1]
        ]
        missing = {offer.category for offer in self.offers if offer.category} - set(members.categories)
        if members.categories and missing:
            problems.append(f"categories: found nothing of {', '.join(sorted(missing))}, expected every offer's")
        if at.tzinfo is None:
            problems.append("at: found no time zone, expected a UTC instant")
        if problems:
            raise DataError("Guardrails: " + "; ".join(problems) + ".")

    def _of_members(self, members: Members, count: int) -> Reasons:
        """The rules about a member, whatever the offer."""
        limits, whole = self.limits, np.zeros(count, np.uint16)
        if members.fraud_probability is not None:
            whole |= _bits(~(members.fraud_probability <= limits.most_fraud_probability), Rule.FRAUD_RISK)
        if members.opted_out is not None:
            whole |= _bits(members.opted_out, Rule.OPTED_OUT)
        if members.sends is not None:
            whole |= _bits(members.sends >= limits.most_sends, Rule.SENT_TOO_OFTEN)
        if members.days_since_send is not None:
            whole |= _bits(members.days_since_send < limits.days_after_send, Rule.SENT_LATELY)
        if members.days_since_redemption is not None:
            whole |= _bits(members.days_since_redemption < limits.days_after_redemption, Rule.REDEEMED_LATELY)
        if members.holdout is not None:
            whole |= _bits(members.holdout, Rule.HOLDOUT)
        return whole

    def _of_offer(self, offer: OfferRules, members: Members, at: datetime) -> Reasons | np.uint16:
        """The rules about an offer and a member."""
        runs = offer.starts_at <= at < offer.ends_at
        reasons: Reasons | np.uint16 = np.uint16(0 if runs else Rule.OUTSIDE_WINDOW)
        if offer.pieces_left is not None and offer.pieces_left < 1:
            reasons |= np.uint16(Rule.OUT_OF_STOCK)
        if offer.category and members.categories:
            reasons = reasons | _bits(~members.categories[offer.category], Rule.OTHER_CATEGORY)
        if offer.regions and members.region is not None:
            reasons = reasons | _bits(~_among(members.region, offer.regions), Rule.OTHER_REGION)
        if offer.segments and members.segment is not None:
            reasons = reasons | _bits(~_among(members.segment, offer.segments), Rule.OTHER_SEGMENT)
        if members.basket_margin_fen is not None:
            most = self.limits.most_face_share * members.basket_margin_fen
            reasons = reasons | _bits(offer.face_fen > most, Rule.FACE_ABOVE_MARGIN)
        return reasons

    def _net(self, value: NDArray[Any], cost: NDArray[Any], offer: OfferRules) -> tuple[Doubles, Doubles]:
        """What an offer is expected to leave, and the least it may; the chance of a use is cost / face."""
        spent = cost.astype(np.float64)
        return value.astype(np.float64) - spent, self.limits.least_net_fen * spent / offer.face_fen

    def _worded(self, rule: Rule, offer: OfferRules, member: Members, value: float, cost: float) -> RuleReason:
        limits = self.limits
        if rule is Rule.BELOW_MARGIN_FLOOR:
            chance = float(cost) / offer.face_fen
            return reason(
                rule, _known((float(value) - float(cost)) / chance if chance else math.nan), limits.least_net_fen
            )
        if rule is Rule.FACE_ABOVE_MARGIN:
            margin = _first(member.basket_margin_fen)
            return reason(rule, offer.face_fen, None if margin is None else limits.most_face_share * margin)
        of_member = {
            Rule.FRAUD_RISK: (member.fraud_probability, limits.most_fraud_probability),
            Rule.SENT_TOO_OFTEN: (member.sends, limits.most_sends),
            Rule.SENT_LATELY: (member.days_since_send, limits.days_after_send),
            Rule.REDEEMED_LATELY: (member.days_since_redemption, limits.days_after_redemption),
        }
        if rule in of_member:
            found, limit = of_member[rule]
            return reason(rule, _first(found), limit, limits.sends_days)
        return reason(rule)


def _bits(flags: Any, rule: Rule) -> Reasons:  # noqa: ANN401 - what comparing an array gives
    bits: Reasons = np.asarray(flags).astype(np.uint16) * np.uint16(rule)
    return bits


def _among(coded: Coded, names: tuple[str, ...]) -> Flags:
    wanted = np.array([name in names for name in coded.names] + [False])  # the code -1 reads the last
    among: Flags = wanted[coded.codes]
    return among


def _only(members: Members, row: int) -> Members:
    """One member of many."""

    def at(each: Any) -> Any:  # noqa: ANN401 - an array of any kind
        if isinstance(each, Coded):
            return Coded(each.codes[row : row + 1], each.names)
        return None if each is None else each[row : row + 1]

    facts = {one.name: at(getattr(members, one.name)) for one in fields(members) if one.name != "categories"}
    return Members(**facts, categories={name: each[row : row + 1] for name, each in members.categories.items()})


def _first(array: NDArray[Any] | None) -> float | None:
    return None if array is None else _known(float(array[0]))


def _known(number: float) -> float | None:
    return number if math.isfinite(number) else None
