"""What the rules of sending ask of members, as the build told it: known, or said to be unknown.

A rule whose fact was not built, or is null for a member where null means that nobody knows, rules nothing out; the
answer names it, so that nobody takes silence for a pass. Days are counted on from the moment of the row to the moment
of the question; counts are as they were built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serving.allocation.rules import Coded, Members
from serving.allocation.rulings import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from serving.allocation.policy import OfferPolicy
    from serving.allocation.rules import Limits
    from serving.offers import Grid, OfferBook

    Doubles = NDArray[np.float64]

FRAUD: Final = "fraud_probability"
OPTED_OUT: Final = "opted_out"
SINCE_SEND: Final = "days_since_send"
SINCE_REDEMPTION: Final = "days_since_redemption"
BASKET_MARGIN: Final = "usual_basket_margin_fen"
REGION: Final = "region"
SEGMENT: Final = "segment"
HOLDOUT: Final = "in_holdout"
PIECES_LEFT: Final = "offer_pieces_left"

_DAY: Final = 86_400_000_000
_NULL_TELLS: Final = frozenset(
    {Rule.SENT_LATELY, Rule.REDEEMED_LATELY, Rule.FRAUD_RISK, Rule.OTHER_REGION, Rule.OTHER_SEGMENT}
)
"""Rules to which a null is an answer: never sent or redeemed; a risk, region or segment that could not be said."""


def sends_column(limits: Limits) -> str:
    """The column that counts what a member was sent in the days that the limit is about.

    >>> from serving.allocation.rules import Limits
    >>> sends_column(Limits())
    'sends_30d'
    """
    return f"sends_{limits.sends_days:g}d"


def columns_of(policy: OfferPolicy) -> dict[Rule, str]:
    """The column that each rule of a policy is held against, of those rules that it has."""
    columns = {
        Rule.FRAUD_RISK: FRAUD,
        Rule.OPTED_OUT: OPTED_OUT,
        Rule.SENT_TOO_OFTEN: sends_column(policy.limits),
        Rule.SENT_LATELY: SINCE_SEND,
        Rule.REDEEMED_LATELY: SINCE_REDEMPTION,
        Rule.FACE_ABOVE_MARGIN: BASKET_MARGIN,
        Rule.HOLDOUT: HOLDOUT,
    }
    if any(offer.regions for offer in policy.offers):
        columns[Rule.OTHER_REGION] = REGION
    if any(offer.segments for offer in policy.offers) or policy.prices.segments:
        columns[Rule.OTHER_SEGMENT] = SEGMENT
    return columns


@dataclass(frozen=True)
class MemberFacts:
    """What is known of some members.

    Attributes:
        members: As the rules ask for it.
        unknown: For each rule whether the fact it asks for is unknown of a member, shape (members,).
        segment: Code of each member's segment among those that have a price, -1 for none; None where none has.
    """

    members: Members
    unknown: Mapping[Rule, NDArray[np.bool_]]
    segment: NDArray[np.int64] | None

    def unknown_of(self, place: int) -> tuple[Rule, ...]:
        """The rules that say nothing of one member."""
        return tuple(rule for rule in Rule if rule in self.unknown and self.unknown[rule][place])


def member_facts(book: OfferBook, grid: Grid, policy: OfferPolicy, moment: int) -> MemberFacts:
    """What the newest row of each member says of them.

    Args:
        book: The rows.
        grid: The members, and which rows are theirs.
        policy: Whose rules ask.
        moment: Of the question, microseconds since 1970 in UTC.
    """
    columns = columns_of(policy)
    told = {rule: book.facts[name][grid.latest] for rule, name in columns.items() if name in book.facts}
    numbers = {rule: values.astype(np.float64) for rule, values in told.items() if values.dtype != np.object_}
    passed = (moment - book.as_of[grid.latest]) / _DAY
    names = tuple(policy.prices.segments)
    segment = _coded(told.get(Rule.OTHER_SEGMENT))
    return MemberFacts(
        members=Members(
            fraud_probability=numbers.get(Rule.FRAUD_RISK),
            opted_out=_flags(numbers.get(Rule.OPTED_OUT)),
            sends=_counts(numbers.get(Rule.SENT_TOO_OFTEN)),
            days_since_send=_later(numbers.get(Rule.SENT_LATELY), passed),
            days_since_redemption=_later(numbers.get(Rule.REDEEMED_LATELY), passed),
            basket_margin_fen=numbers.get(Rule.FACE_ABOVE_MARGIN),
            region=_coded(told.get(Rule.OTHER_REGION)),
            segment=segment,
            holdout=_flags(numbers.get(Rule.HOLDOUT)),
        ),
        unknown={rule: _unknown(rule, told.get(rule), len(grid.members)) for rule in columns},
        segment=_among(segment, names, len(grid.members)) if names else None,
    )


def _unknown(rule: Rule, values: NDArray[np.float64] | NDArray[np.object_] | None, members: int) -> NDArray[np.bool_]:
    if values is None:
        return np.ones(members, np.bool_)
    if rule in _NULL_TELLS:
        return np.zeros(members, np.bool_)
    return np.isnan(values.astype(np.float64))


def _flags(values: Doubles | None) -> NDArray[np.bool_] | None:
    return None if values is None else values > 0  # unknown is not above


def _counts(values: Doubles | None) -> NDArray[np.int64] | None:
    return None if values is None else np.nan_to_num(values).astype(np.int64)


def _later(days: Doubles | None, passed: Doubles) -> Doubles | None:
    return None if days is None else days + passed


def _coded(values: NDArray[np.float64] | NDArray[np.object_] | None) -> Coded | None:
    if values is None:
        return None
    names = tuple(sorted({str(value) for value in values if value is not None}))
    code = {name: place for place, name in enumerate(names)}
    return Coded(np.array([-1 if value is None else code[str(value)] for value in values], np.int64), names)


def _among(segment: Coded | None, names: tuple[str, ...], members: int) -> NDArray[np.int64]:
    if segment is None:
        return np.full(members, -1, np.int64)
    place = np.array([names.index(name) if name in names else -1 for name in segment.names] + [-1], np.int64)
    codes: NDArray[np.int64] = place[segment.codes]
    return codes
