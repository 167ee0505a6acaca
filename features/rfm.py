"""Recency, frequency and money: what a member's own purchases say about the next one."""

from __future__ import annotations

from features.spec import (
    DAYS_30,
    GAP,
    LIFETIME,
    FeatureSet,
    Log,
    Where,
    count,
    days,
    derived,
    entropy,
    mean,
    share,
    since,
    std,
    sum_,
)

BASKETS = Log("baskets", entities=("member_id",))
LINES = Log("orders", entities=("member_id",), noun="order line")

DISCOUNTED = Where("discount_fen", ">", 0, "discounted")
COUPONED = Where("coupon_discount_fen", ">", 0, "couponed")

SPANS = (DAYS_30, days(90), days(365), LIFETIME)
SEASON_AND_YEAR = (days(90), days(365))

RFM = FeatureSet(
    since(BASKETS, by="member_id", meaning="Seconds since the member last bought anything (recency)"),
    count(BASKETS, by="member_id", over=SPANS),
    sum_(BASKETS, "amount_fen", by="member_id", over=SPANS),
    mean(BASKETS, "amount_fen", by="member_id", over=SEASON_AND_YEAR),
    since(BASKETS, by="member_id", first=True, meaning="Seconds since the member first bought anything (tenure)"),
    mean(BASKETS, GAP, by="member_id", over=LIFETIME, meaning="Usual time between two purchases of this member"),
    std(BASKETS, GAP, by="member_id", over=LIFETIME, meaning="How irregular the time between purchases is"),
    entropy(LINES, "category", by="member_id", over=SEASON_AND_YEAR),
    share(LINES, where=DISCOUNTED, by="member_id", over=SEASON_AND_YEAR),
    share(LINES, where=COUPONED, by="member_id", over=SEASON_AND_YEAR),
    derived(
        "member_recency_over_cadence",
        lambda member_basket_since, member_mean_basket_gap_seconds_lifetime: (
            member_basket_since / member_mean_basket_gap_seconds_lifetime
        ),
        unit="ratio",
        meaning="Time since the last purchase as a multiple of the member's usual time between purchases",
    ),
    derived(
        "member_frequency_trend",
        lambda member_basket_count_30d, member_basket_count_90d: member_basket_count_30d / member_basket_count_90d,
        unit="share",
        meaning="Share of the last 90 days' baskets that fell in the last 30: a third is steady, more is rising",
    ),
)
