"""What a member's past, everyone's past, the store and the weather say about one candidate for the next purchase.

The best single fact is the share of the member's baskets that held the candidate; what everyone buys helps where the
member's own past is short. What grows with the length of the history is put per basket, so that a member with a year
behind them does not look like a new kind of member to a model that was taught on half a year.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from features.rfm import BASKETS, DISCOUNTED, LINES, RFM
from features.spec import (
    DAYS_30,
    GAP,
    LIFETIME,
    WEEK,
    FeatureSet,
    Log,
    column,
    count,
    days,
    derived,
    distinct,
    mean,
    share,
    since,
    std,
    sum_,
)

if TYPE_CHECKING:
    from features.feature import Declared, Feature
    from features.kernel import Doubles

DAYS_14, DAYS_90, DAYS_180 = days(14), days(90), days(180)
RECENT: Final = (DAYS_14, DAYS_30, DAYS_90, DAYS_180, LIFETIME)

_CATEGORY: Final = ("member_id", "category")
_PRODUCT: Final = ("member_id", "product_id")
_STORE_CATEGORY: Final = ("store_id", "category")
_STORE_PRODUCT: Final = ("store_id", "product_id")
HABITS: Final = Log(
    "orders",
    entities=(_CATEGORY, _PRODUCT, "category", "product_id", _STORE_CATEGORY, _STORE_PRODUCT),
    noun="order line",
)


def _over(part: Doubles, whole: Doubles) -> Doubles:
    return part / whole


def _a_basket(part: Doubles, baskets: Doubles) -> Doubles:
    return part / (baskets + 1.0)


def _overdue(since_seconds: Doubles, gap_seconds: Doubles) -> Doubles:
    return since_seconds / np.maximum(gap_seconds, 3_600.0)


def _own(item: str) -> tuple[Declared, ...]:
    """How often, how lately and how regularly the member bought the candidate."""
    key, name = ("member_id", f"{item}"), item.removesuffix("_id")
    baskets = f"member_{name}_distinct_order"
    goods = f"this {name} by this member"
    return (
        count(HABITS, by=key, over=RECENT),
        distinct(HABITS, "order_id", by=key, over=(DAYS_90, DAYS_180)),
        sum_(HABITS, "amount_fen", by=key, over=DAYS_90),
        since(HABITS, by=key),
        since(HABITS, by=key, first=True),
        mean(HABITS, GAP, by=key, over=LIFETIME, meaning=f"Usual time between two purchases of {goods}"),
        std(HABITS, GAP, by=key, over=LIFETIME, meaning=f"How irregular the time between purchases of {goods} is"),
        share(HABITS, where=DISCOUNTED, by=key, over=DAYS_180),
        derived(
            f"member_{name}_basket_share_180d",
            _a_basket,
            "share",
            f"Share of the member's baskets in the last 180 days that held this {name}, drawn towards 0 when few",
            of=(f"{baskets}_180d", "member_basket_count_180d"),
        ),
        derived(
            f"member_{name}_basket_share_90d",
            _a_basket,
            "share",
            f"Share of the member's baskets in the last 90 days that held this {name}, drawn towards 0 when few",
            of=(f"{baskets}_90d", "member_basket_count_90d"),
        ),
        derived(
            f"member_{name}_lines_a_basket",
            _a_basket,
            "order lines",
            f"Order lines of this {name} for each basket the member ever had, drawn towards 0 when few",
            of=(f"member_{name}_order_line_count_lifetime", "member_basket_count_lifetime"),
        ),
        derived(
            f"member_{name}_overdue",
            _overdue,
            "ratio",
            f"Time since the member last bought this {name} as a multiple of the usual time between such purchases",
            of=(f"member_{name}_order_line_since", f"member_{name}_mean_order_line_gap_seconds_lifetime"),
        ),
    )


def _everyone(item: str) -> tuple[Declared, ...]:
    """How much everyone buys the candidate, at what price, and whether that is rising; the same of the store."""
    name = item.removesuffix("_id")
    store = ("store_id", item)
    return (
        count(HABITS, by=item, over=(WEEK, DAYS_30, DAYS_90)),
        distinct(HABITS, "member_id", by=item, over=(DAYS_30, DAYS_90)),
        mean(HABITS, "amount_fen", by=item, over=DAYS_90),
        share(HABITS, where=DISCOUNTED, by=item, over=(WEEK, DAYS_30)),
        count(HABITS, by=store, over=DAYS_30),
        derived(
            f"{name}_trend",
            _over,
            "share",
            f"Share of the last 90 days' order lines of this {name} that fell in the last 30: a third is steady",
            of=(f"{name}_order_line_count_30d", f"{name}_order_line_count_90d"),
        ),
        derived(
            f"{name}_repeat_rate",
            _over,
            "order lines",
            f"Order lines of this {name} for each member who bought it in the last 90 days",
            of=(f"{name}_order_line_count_90d", f"{name}_distinct_member_90d"),
        ),
    )


def _weather(item: str) -> tuple[Feature, ...]:
    """The week before, and how it differs from the weather in which the candidate is bought; null without weather."""
    name = item.removesuffix("_id")
    return (
        column("week_temperature_c", "degrees Celsius", "Mean temperature in the member's city in the week before"),
        column("week_rain_mm", "millimetres", "Mean rain a day in the member's city in the week before"),
        column(
            f"{name}_temperature_gap_c",
            "degrees Celsius",
            f"How much warmer that week was than the days on which this {name} is bought",
        ),
        column(
            f"{name}_rain_gap_mm",
            "millimetres",
            f"How much more it rained in that week than on the days on which this {name} is bought",
        ),
    )


MEMBER: Final = FeatureSet(
    RFM.only(
        "member_basket_count_30d",
        "member_basket_count_90d",
        "member_basket_count_lifetime",
        "member_basket_since",
        "member_mean_amount_fen_90d",
    ),
    count(BASKETS, by="member_id", over=DAYS_180),
    count(LINES, by="member_id", over=DAYS_90),
    distinct(LINES, "category", by="member_id", over=DAYS_90),
    distinct(LINES, "product_id", by="member_id", over=DAYS_90),
)
"""How often the member comes, and how widely they buy."""

NEXT_CATEGORY: Final = FeatureSet(MEMBER, *_own("category"), *_everyone("category"), *_weather("category"))
"""What is known of one category for one member."""

_OF_ITS_CATEGORY: Final = (
    "member_category_order_line_count_30d",
    "member_category_order_line_count_180d",
    "member_category_basket_share_180d",
    "member_category_order_line_since",
    "member_category_overdue",
    "category_order_line_count_30d",
)

NEXT_PRODUCT: Final = FeatureSet(
    MEMBER,
    *_own("product_id"),
    *_everyone("product_id"),
    *_weather("product_id"),
    NEXT_CATEGORY.only(*_OF_ITS_CATEGORY),
    derived(
        "product_share_of_category",
        _over,
        "share",
        "Share of the member's order lines of this category in the last 180 days that were of this product",
        of=("member_product_order_line_count_180d", "member_category_order_line_count_180d"),
    ),
    derived(
        "product_popularity_in_category",
        _over,
        "share",
        "Share of everyone's order lines of this category in the last 30 days that were of this product",
        of=("product_order_line_count_30d", "category_order_line_count_30d"),
    ),
)
"""What is known of one product for one member, and of the category it is of."""
