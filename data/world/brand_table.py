"""Campaigns and batches as a brand's tables show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from data.world.campaigns import KINDS, TIME_ZONE
from data.world.identifiers import identifiers
from data.world.scan_table import chosen, instants

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Columns = dict[str, pa.Array[Any]]


def campaign_columns(seed: int, campaigns: NDArray[Any], coupons: NDArray[Any]) -> Columns:
    """The columns of the table `campaigns`: records of `CAMPAIGN`, then of `COUPON_CAMPAIGN`, in order of number.

    Beyond the contract: `kind`, and the `stock` of a flash sale, null for others.
    """
    nothing = np.full(len(coupons), np.nan)
    odds = np.concatenate([campaigns["odds"], nothing])
    stock = np.concatenate([campaigns["stock"], np.zeros(len(coupons), np.int64)])
    both = {
        name: np.concatenate([campaigns[name], coupons[name]]).astype(np.int64)
        for name in ("campaign", "starts_at", "ends_at", "budget_fen")
    }
    kinds = np.concatenate([campaigns["kind"], np.full(len(coupons), len(KINDS))])
    return {
        "campaign_id": identifiers(seed, "campaign", both["campaign"]),
        "starts_at": instants(both["starts_at"]),
        "ends_at": instants(both["ends_at"]),
        "time_zone": pa.array([TIME_ZONE] * len(kinds)),
        "prize_odds": pa.array(odds, pa.float64(), mask=np.isnan(odds)),
        "budget_fen": pa.array(both["budget_fen"]),
        "kind": chosen(pa.array([*KINDS, "coupons"]), kinds),
        "stock": pa.array(stock, pa.int64(), mask=stock <= 0),
    }


def batch_columns(seed: int, batches: NDArray[Any], *, products: pa.Array[Any], regions: pa.Array[Any]) -> Columns:
    """The columns of the table `batches`, of records of `BATCH` in order of number; names of regions by number.

    The tickets of a flash sale are a batch too, of no region.
    """
    first = batches["first_serial"]
    return {
        "batch_id": identifiers(seed, "batch", batches["batch"]),
        "product_id": chosen(products, batches["product"]),
        "activated_at": instants(batches["activated_at"]),
        "shipped_at": instants(batches["shipped_at"]),
        "region": chosen(regions, batches["city"]),
        "first_serial": pa.array(first, pa.int64()),
        "last_serial": pa.array(first + batches["codes"] - 1, pa.int64()),
    }
