"""How a member uses coupons of any kind: the shop's own, those on the pack, and those in booklets sent to them.

Coupons seen at the till say far more than earlier redemptions, of which most members have none: on Complete Journey one
count of them ranks the members of a campaign at an AUC of about 0.8, past redemptions at 0.55.

What grows with the length of the history alone (days since, events ever) is capped or put per month, so that a member
with a year behind them does not look like a new kind of member to a model that was taught on half a year.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from features.offer import (
    CATEGORY_LINES,
    MEMBER_KIND,
    MEMBER_OFFER,
    OFFER,
    OFFER_LINES,
    REDEMPTIONS,
    SENDS,
    TREATED,
    quotient,
    smoothed_rate,
)
from features.rfm import BASKETS, COUPONED, LINES, RFM
from features.spec import (
    DAYS_30,
    LIFETIME,
    Feature,
    FeatureSet,
    Log,
    Window,
    column,
    count,
    days,
    derived,
    distinct,
    share,
    since,
    sum_,
)

if TYPE_CHECKING:
    from features.feature import Declared
    from features.kernel import Doubles

DAY_SECONDS: Final = 86_400
MONTH_SECONDS: Final = 30 * DAY_SECONDS
LONGEST_DAYS: Final = 90.0

DAYS_60, DAYS_90, DAYS_365 = days(60), days(90), days(365)
GOODS: Final = ((OFFER_LINES, "the products of this offer"), (CATEGORY_LINES, "the categories of this offer"))


def _sum(first: Doubles, second: Doubles) -> Doubles:
    return first + second


def _smoothed_share(events: Doubles, baskets: Doubles) -> Doubles:
    return events / (baskets + 3.0)


def _a_month(events: Doubles, tenure: Doubles) -> Doubles:
    return events / np.fmax(tenure / MONTH_SECONDS, 1.0)


def _capped_days(seconds: Doubles) -> Doubles:
    return np.fmin(seconds / DAY_SECONDS, LONGEST_DAYS)


def _nearest_days(first: Doubles, second: Doubles) -> Doubles:
    return _capped_days(np.fmin(first, second))


def _coupon_events(over: Window) -> tuple[Feature, ...]:
    """Uses of coupons at the till and of booklets together, and their part of all baskets."""
    events = f"member_coupon_events_{over.label}"
    return (
        derived(
            events,
            _sum,
            "events",
            f"Baskets paid with a coupon, plus booklets redeemed, {over.phrase}",
            of=(f"member_basket_count_couponed_{over.label}", f"member_redemption_count_{over.label}"),
        ),
        derived(
            f"member_coupon_events_a_basket_{over.label}",
            _smoothed_share,
            "events",
            f"Coupon events for each basket {over.phrase}, drawn towards 0 when there are few baskets",
            of=(events, f"member_basket_count_{over.label}"),
        ),
    )


def _recency(name: str, seconds: str, what: str) -> Feature:
    meaning = f"Days since the member last {what}; 90 when longer ago or never"
    return derived(name, _capped_days, "days", meaning, of=(seconds,))


def _goods(log: Log, goods: str) -> tuple[Declared, ...]:
    """Coupons used on the goods of an offer, how lately they were bought, and their part of all the member buys."""
    noun = log.event
    lines = f"member_offer_{noun}"
    return (
        count(
            log,
            by=MEMBER_OFFER,
            over=DAYS_365,
            where=COUPONED,
            meaning=f"Number of times this member bought {goods} with a coupon in the last 365 days",
        ),
        share(
            log,
            by=MEMBER_OFFER,
            over=DAYS_365,
            where=COUPONED,
            meaning=f"Share of this member's purchases of {goods} in the last 365 days that a coupon paid part of",
        ),
        distinct(
            log,
            "category",
            by=MEMBER_OFFER,
            over=DAYS_60,
            meaning=f"Number of different categories among {goods} that this member bought in the last 60 days",
        ),
        count(
            log,
            by=MEMBER_OFFER,
            over=DAYS_60,
            meaning=f"Number of times this member bought {goods} in the last 60 days",
        ),
        sum_(
            log,
            "amount_fen",
            by=MEMBER_OFFER,
            over=DAYS_60,
            meaning=f"Money this member spent on {goods} in the last 60 days",
        ),
        since(log, by=MEMBER_OFFER),
        since(log, by=MEMBER_OFFER, where=COUPONED),
        derived(
            f"{lines}_share_90d",
            quotient,
            "share",
            f"Share of the member's order lines in the last 90 days that were for {goods}",
            of=(f"{lines}_count_90d", "member_order_line_count_90d"),
        ),
        _recency(f"{lines}_days", f"{lines}_since", f"bought {goods}"),
        _recency(f"{lines}_days_couponed", f"{lines}_since_couponed", f"bought {goods} with a coupon"),
    )


COUPON = FeatureSet(
    RFM,
    OFFER,
    count(BASKETS, by="member_id", over=(DAYS_90, LIFETIME), where=COUPONED),
    _coupon_events(DAYS_90),
    _coupon_events(LIFETIME),
    derived(
        "member_coupon_events_a_month",
        _a_month,
        "events",
        "Coupon events for each month of the member's history",
        of=("member_coupon_events_lifetime", "member_basket_since_first"),
    ),
    count(LINES, by="member_id", over=(DAYS_30, DAYS_90), where=COUPONED),
    sum_(
        LINES,
        "coupon_discount_fen",
        by="member_id",
        over=DAYS_90,
        meaning="Money this member saved with coupons in the last 90 days",
    ),
    distinct(
        LINES,
        "category",
        by="member_id",
        over=DAYS_365,
        where=COUPONED,
        meaning="Number of different categories in which this member used a coupon in the last 365 days",
    ),
    since(BASKETS, by="member_id", where=COUPONED),
    derived(
        "member_coupon_days",
        _nearest_days,
        "days",
        "Days since the member last used a coupon or a booklet; 90 when longer ago or never",
        of=("member_basket_since_couponed", "member_redemption_since"),
    ),
    _recency("member_redemption_days", "member_redemption_since", "redeemed a booklet"),
    count(SENDS, by=MEMBER_KIND, over=LIFETIME, where=TREATED),
    count(REDEMPTIONS, by=MEMBER_KIND, over=LIFETIME),
    derived(
        "member_kind_redemption_rate",
        smoothed_rate,
        "share",
        "Share of the offers of this kind ever sent to this member that were redeemed, drawn towards 1 in 10 when few",
        of=("member_kind_redemption_count_lifetime", "member_kind_send_count_treated_lifetime"),
    ),
    count(LINES, by="member_id", over=DAYS_90),
    *(each for log, goods in GOODS for each in _goods(log, goods)),
    column("campaign_send_count", "sends", "Number of members whom the campaign is sent to"),
)
