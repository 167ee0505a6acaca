"""What is known of an offer and its member when a lot decides whether it is sent: few facts, each with a reason.

What an offer changes hangs on what the member would do without it (pace, how lately, how much of this), on an eye for
discounts, on being in touch already (the mini program), and on the offer's own depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from features.coupon import COUPON
from features.offer import quotient
from features.rfm import BASKETS, DISCOUNTED, LINES
from features.spec import LIFETIME, FeatureSet, Log, Where, column, days, derived, mean, share

if TYPE_CHECKING:
    from features.feature import Feature

MINI_PROGRAM: Final = Where("channel", "==", "mini_program", "mini_program")
PRICES: Final = Log("orders", entities=("member_id",), noun="order line", qualified=True)

DEPTH: Final = "offer_depth"
"""The face value as a part of the basket that it asks for."""


def _capped(name: str, seconds: str, meaning: str) -> Feature:
    return derived(name, lambda age: (age / 86_400).clip(max=365.0), "days", meaning, of=(seconds,))


OFFERED = FeatureSet(
    COUPON.only(*(name for name in COUPON.names if name != "campaign_send_count")),
    share(BASKETS, where=MINI_PROGRAM, by="member_id", over=(days(90), LIFETIME)),
    share(LINES, where=DISCOUNTED, by="member_id", over=LIFETIME),
    mean(PRICES, "amount_fen", by="member_id", over=LIFETIME),
    column("registration_age_seconds", "seconds", "Seconds since the member joined"),
    _capped("registration_age_days", "registration_age_seconds", "Days since the member joined; 365 when longer ago"),
    column("face_value_fen", "fen", "What the offer takes off"),
    column("threshold_fen", "fen", "Basket value from which the offer holds"),
    derived(
        DEPTH,
        quotient,
        "share",
        "Face value as a part of the basket value from which the offer holds",
        of=("face_value_fen", "threshold_fen"),
    ),
    column("offer_of_one_brand", "flag", "Whether the offer is good for one brand alone: 1 or 0"),
    column("offer_price_fen", "fen", "Mean list price of the products that the offer is good for"),
    column("offer_margin_fen", "fen", "Mean margin of a piece of the products that the offer is good for"),
)
