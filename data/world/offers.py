"""The coupons themselves: what each takes off, and what it is good for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from data.world.almanac import DAY_US, START_US
from data.world.identifiers import identifiers
from data.world.products import CATEGORIES, OWN_BRAND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from data.world.coupons import CouponSettings
    from data.world.products import Products

EVERYTHING: Final = "everything"


@dataclass(frozen=True)
class Offer:
    """One coupon: `face_fen` off the first line of what it is good for, from `threshold_fen` on that line.

    Attributes:
        category: a name of CATEGORIES, or "everything".
        own: good for own label only.
        face_fen: what it takes off.
        threshold_fen: list value of the line from which it holds; at least twice the face.
    """

    category: str
    own: bool
    face_fen: int
    threshold_fen: int


OFFERS: Final = (
    Offer("kiwifruit", own=True, face_fen=400, threshold_fen=1600),
    Offer("kiwifruit", own=False, face_fen=300, threshold_fen=1800),
    Offer("citrus", own=False, face_fen=200, threshold_fen=1200),
    Offer("berries", own=True, face_fen=500, threshold_fen=1800),
    Offer("apples_pears", own=False, face_fen=200, threshold_fen=1500),
    Offer("water", own=True, face_fen=150, threshold_fen=900),
    Offer("tea_drinks", own=False, face_fen=200, threshold_fen=1000),
    Offer("tea_drinks", own=True, face_fen=300, threshold_fen=1000),
    Offer("milk", own=False, face_fen=150, threshold_fen=1200),
    Offer("yogurt", own=True, face_fen=300, threshold_fen=1500),
    Offer("crisps", own=False, face_fen=200, threshold_fen=1200),
    Offer("nuts", own=True, face_fen=500, threshold_fen=2500),
    Offer("bakery", own=True, face_fen=200, threshold_fen=1000),
    Offer("instant_noodles", own=False, face_fen=150, threshold_fen=1000),
    Offer(EVERYTHING, own=True, face_fen=300, threshold_fen=1500),
    Offer(EVERYTHING, own=True, face_fen=600, threshold_fen=2500),
)
"""The coupons of world/v1; faces and thresholds as small chains print them (assumed)."""


def scopes(offers: Sequence[Offer]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What each offer is good for: by offer and category; and by offer, whether own label only."""
    names = np.array(CATEGORIES)
    good_for = np.array([(names == offer.category) | (offer.category == EVERYTHING) for offer in offers])
    return good_for, np.array([offer.own for offer in offers])


def offer_table(settings: CouponSettings, products: Products, days: int, seed: int) -> pa.Table:
    """The table `offers`: what each coupon takes off, from when, on what; `window_days` beside it.

    An offer can be sent throughout the world and holds for `window_days` from the day after it was sent.
    """
    offers, window_days = settings.offers, settings.window_days
    good_for, own_only = scopes(offers)
    names = identifiers(seed, "product", np.arange(len(products))).to_pylist()
    goods = good_for[:, products.category] & (products.own | ~own_only[:, None])
    count, ends = len(offers), START_US + DAY_US * (days + 1 + window_days)
    columns: dict[str, Any] = {
        "offer_id": identifiers(seed, "offer", np.arange(count)),
        "kind": pa.array(["own_brand" if offer.own else "category" for offer in offers]),
        "face_value_fen": pa.array([offer.face_fen for offer in offers], pa.int64()),
        "threshold_fen": pa.array([offer.threshold_fen for offer in offers], pa.int64()),
        "category": pa.array([None if offer.category == EVERYTHING else offer.category for offer in offers]),
        "brand": pa.array([OWN_BRAND if offer.own else None for offer in offers]),
        "product_ids": pa.array(
            [[names[place] for place in np.flatnonzero(row)] for row in goods], pa.list_(pa.string())
        ),
        "starts_at": pa.array(np.full(count, START_US), pa.timestamp("us", "UTC")),
        "ends_at": pa.array(np.full(count, ends), pa.timestamp("us", "UTC")),
        "window_days": pa.array(np.full(count, window_days)),
    }
    return pa.table(columns)
