"""The names that a filter may use, and what each may be compared with."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from data.contracts import TABLES
from features.audience.filter import TESTS
from features.audience.segments import SEGMENTS
from features.coupon import COUPON
from features.feature import Aggregate, Derived
from features.rfm import RFM
from features.ring import RING
from features.scan import SCAN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.feature import Feature
    from features.spec import FeatureSet

Sort: TypeAlias = Literal["text", "number", "seconds", "whole"]

TESTS_OF: Final[Mapping[Sort, tuple[str, ...]]] = MappingProxyType(
    {"text": ("=", "!=", "in"), **dict.fromkeys(("number", "seconds", "whole"), tuple(t for t in TESTS if t != "in"))}
)
"""The tests that make sense of a sort of value."""


@dataclass(frozen=True)
class Term:
    """A name in a filter.

    Attributes:
        name: As it is written.
        sort: What its values are: text, a number, a length of time (in seconds where a number is given), or a whole
            number.
        meaning: What it says.
        choices: The only texts that it can be; empty means any.
    """

    name: str
    sort: Sort
    meaning: str
    choices: tuple[str, ...] = ()


def _asked_by_member(features: FeatureSet) -> FeatureSet:
    """The features that need nothing but a member and a moment."""
    known = {feature.name: feature for feature in features.all}

    def alone(feature: Feature) -> bool:
        if isinstance(feature, Derived):
            return all(alone(known[name]) for name in feature.inputs)
        return isinstance(feature, Aggregate) and feature.key == "member_id"

    return features.only(*(feature.name for feature in features if alone(feature)))


MEMBER: Final = _asked_by_member(RFM + COUPON + SCAN + RING)
"""Every shipped feature of a member alone."""


def _columns(table: str, *names: str) -> dict[str, Term]:
    columns = [TABLES[table].column(name) for name in names]
    return {
        column.name: Term(column.name, "whole" if column.kind == "flag" else "text", column.meaning, column.choices)
        for column in columns
    }


COLUMNS: Final[Mapping[str, Term]] = MappingProxyType(
    _columns("members", "city", "channel", "phone_prefix", "referrer_id", "opted_out")
)
"""Columns of the table of members, as they stand in it now; it keeps no history."""

SEGMENT: Final = Term("segment", "text", "segment by recency, frequency and money", tuple(SEGMENTS))

TERMS: Final[Mapping[str, Term]] = MappingProxyType(
    {
        **COLUMNS,
        SEGMENT.name: SEGMENT,
        **{
            feature.name: Term(feature.name, "seconds" if feature.unit == "seconds" else "number", feature.meaning)
            for feature in MEMBER
        },
    }
)
"""What a condition on a member may look at."""

LINE_COLUMNS: Final[Mapping[str, Term]] = MappingProxyType(
    _columns("products", "category", "brand") | _columns("orders", "product_id", "store_id", "channel", "offer_id")
)
"""What `bought` may ask of each line of a basket."""

TOTALS: Final[Mapping[str, Term]] = MappingProxyType(
    {
        "baskets": Term("baskets", "whole", "baskets that hold such lines"),
        "pieces": Term("pieces", "whole", "pieces in such lines"),
        "spent_fen": Term("spent_fen", "whole", "fen paid for such lines, after discounts"),
    }
)
"""What `bought` may ask of all such lines together."""

LINE_TERMS: Final[Mapping[str, Term]] = MappingProxyType({**LINE_COLUMNS, **TOTALS})
"""All that `bought` may ask."""
