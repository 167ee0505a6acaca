"""What speaks for one coupon among all of a booklet that was sent to a member.

What only the member or only the booklet says is the same for all of its coupons and cannot order them; it is there for
what it means beside the rest: a member who never uses coupons is no reason against one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from features.coupon import COUPON
from features.spec import FeatureSet, column, derived

if TYPE_CHECKING:
    from features.kernel import Doubles


def _per(part: Doubles, whole: Doubles) -> Doubles:
    return part / np.maximum(whole, 1.0)


_LINE, _CATEGORY_LINE = "member_offer_offer_line", "member_offer_offer_category_line"
_OF_THE_GOODS: Final = tuple(
    f"member_offer_{name}"
    for line in ("offer_line", "offer_category_line")
    for name in (
        f"{line}_count_30d",
        f"{line}_count_90d",
        f"{line}_count_365d",
        f"distinct_{line}_product_90d",
        f"distinct_{line}_product_365d",
        f"sum_{line}_amount_fen_90d",
        f"wallet_share_{line}_90d",
        f"{line}_count_couponed_365d",
        f"{line}_share_couponed_365d",
        f"{line}_share_90d",
        f"{line}_days",
        f"{line}_days_couponed",
    )
)
_OF_THE_MEMBER: Final = (
    "member_basket_count_90d",
    "member_redemption_count_lifetime",
    "member_coupon_events_90d",
    "member_coupon_events_a_basket_lifetime",
)

COUPON_RANK: Final = FeatureSet(
    COUPON.only(*_OF_THE_GOODS, *_OF_THE_MEMBER),
    column("coupon_product_count", "products", "Number of products that the coupon is good for"),
    column("booklet_coupon_count", "coupons", "Number of coupons in the booklet"),
    column("coupon_redemption_count", "redemptions", "Redemptions of this very coupon so far, in any campaign"),
    column(
        "coupon_category_redemption_count",
        "redemptions",
        "Redemptions so far of coupons that share a category with this one, once for each category",
    ),
    column(
        "coupon_category_redemption_most",
        "redemptions",
        "Redemptions so far of coupons in the category of this one that has most",
    ),
    column(
        "member_coupon_category_redemption_count",
        "redemptions",
        "Redemptions by this member so far of coupons that share a category with this one, once for each category",
    ),
    derived(
        "member_coupon_product_share_365d",
        _per,
        "share",
        "Share of the coupon's products that this member bought in the last 365 days",
        of=("member_offer_distinct_offer_line_product_365d", "coupon_product_count"),
    ),
    derived(
        "member_coupon_lines_a_product_90d",
        _per,
        "order lines",
        "Order lines in which this member bought the coupon's products in the last 90 days, for each of its products",
        of=(f"{_LINE}_count_90d", "coupon_product_count"),
    ),
    derived(
        "member_coupon_lines_of_category_90d",
        _per,
        "share",
        "Which part of what this member bought in the coupon's categories in the last 90 days was of its products",
        of=(f"{_LINE}_count_90d", f"{_CATEGORY_LINE}_count_90d"),
    ),
)
"""What is known of one coupon of a booklet for one member."""
