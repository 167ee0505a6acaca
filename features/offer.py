"""What a member's past says about one offer: its products and categories bought, offers received, used and ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from features.rfm import BASKETS
from features.spec import (
    DAYS_30,
    LIFETIME,
    Feature,
    FeatureSet,
    Log,
    Where,
    Window,
    column,
    count,
    days,
    derived,
    distinct,
    since,
    sum_,
)

if TYPE_CHECKING:
    from features.kernel import Doubles

MEMBER_OFFER: Final = ("member_id", "offer_id")
MEMBER_KIND: Final = ("member_id", "kind")
OFFER_LINES = Log("offer_lines", entities=(MEMBER_OFFER,), noun="offer line", qualified=True)
CATEGORY_LINES = Log("offer_category_lines", entities=(MEMBER_OFFER,), noun="offer category line", qualified=True)
SENDS = Log("sends", entities=("member_id", MEMBER_KIND))
REDEMPTIONS = Log("redemptions", entities=("member_id", MEMBER_KIND))

TREATED = Where("arm", "==", "treated", "treated")
"""An offer that was withheld for a control group was not received, and cannot tire."""

DAYS_14 = days(14)
SPANS = (DAYS_30, days(90), days(365))
HISTORY = (*SPANS, LIFETIME)

PRIOR_SENDS: Final = 1.0
PRIOR_REDEMPTIONS: Final = 0.1


def quotient(part: Doubles, whole: Doubles) -> Doubles:
    """One feature over another; null where the whole is 0."""
    return part / whole


def smoothed_rate(redemptions: Doubles, sends: Doubles) -> Doubles:
    """The share of sends that were redeemed, drawn towards 1 in 10 while there are few."""
    return (redemptions + PRIOR_REDEMPTIONS) / (sends + PRIOR_SENDS)


def _excess(sends: Doubles, redemptions: Doubles) -> Doubles:
    return np.maximum(sends - redemptions, 0.0)


def _bought(log: Log, goods: str) -> tuple[Feature, ...]:
    """How often, for how much and how widely the member bought the goods of the offer."""
    lines = f"order lines in which this member bought {goods}"
    return tuple(
        feature
        for span in SPANS
        for feature in (
            count(log, by=MEMBER_OFFER, over=span, meaning=f"Number of {lines} {span.phrase}"),
            sum_(log, "amount_fen", by=MEMBER_OFFER, over=span, meaning=f"Money spent on {goods} {span.phrase}"),
            distinct(
                log,
                "product_id",
                by=MEMBER_OFFER,
                over=span,
                meaning=f"Number of different products among {goods} bought {span.phrase}",
            ),
        )
        if isinstance(feature, Feature)
    )


def _wallet_share(noun: str, goods: str, span: Window) -> Feature:
    return derived(
        f"member_offer_wallet_share_{noun}_{span.label}",
        quotient,
        unit="share",
        meaning=f"Share of this member's spending {span.phrase} that went to {goods}",
        of=(f"member_offer_sum_{noun}_amount_fen_{span.label}", f"member_sum_amount_fen_{span.label}"),
    )


def _fatigue(span: Window) -> Feature:
    return derived(
        f"member_offer_fatigue_{span.label}",
        _excess,
        unit="sends",
        meaning=f"Offers sent to this member {span.phrase} beyond those redeemed (fatigue)",
        of=(f"member_send_count_treated_{span.label}", f"member_redemption_count_{span.label}"),
    )


OFFER = FeatureSet(
    _bought(OFFER_LINES, "the products of this offer"),
    _bought(CATEGORY_LINES, "the categories of this offer"),
    sum_(BASKETS, "amount_fen", by="member_id", over=SPANS),
    tuple(_wallet_share("offer_line", "the products of this offer", span) for span in SPANS),
    tuple(_wallet_share("offer_category_line", "the categories of this offer", span) for span in SPANS),
    count(SENDS, by="member_id", over=(DAYS_14, *HISTORY), where=TREATED),
    count(REDEMPTIONS, by="member_id", over=(DAYS_14, *HISTORY)),
    derived(
        "member_redemption_rate",
        smoothed_rate,
        unit="share",
        meaning="Share of the offers ever sent to this member that were redeemed, drawn towards 1 in 10 when few",
        of=("member_redemption_count_lifetime", "member_send_count_treated_lifetime"),
    ),
    _fatigue(DAYS_14),
    _fatigue(DAYS_30),
    since(REDEMPTIONS, by="member_id", meaning="Seconds since this member last redeemed an offer"),
    since(SENDS, by="member_id", where=TREATED, meaning="Seconds since this member was last sent an offer"),
    column("offer_product_count", "products", "Number of products that the offer is good for"),
    column("campaign_days", "days", "How many days the campaign of the offer lasts"),
)
