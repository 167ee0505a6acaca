"""Orders, sendings, redemptions, payouts, members and verdicts as a brand's tables show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from data.world.identifiers import identifiers
from data.world.labels import ORIGINS
from data.world.scan_table import chosen, instants

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Columns = dict[str, pa.Array[Any]]

_CHANNELS: Final = ("pos", "mini_program")
_ARMS: Final = ("control", "treated")
_DECIMALS: Final = 6


def order_columns(
    seed: int, lines: NDArray[Any], *, products: pa.Array[Any], stores: pa.Array[Any], offers: pa.Array[Any]
) -> Columns:
    """The columns of the table `orders`, of records of `LINE`; ids of products, stores and offers by number."""
    return {
        "line_id": identifiers(seed, "line", lines["line"]),
        "order_id": identifiers(seed, "order", lines["order"]),
        "ts": instants(lines["at"]),
        "member_id": identifiers(seed, "member", lines["member"]),
        "store_id": chosen(stores, lines["store"]),
        "channel": chosen(pa.array(_CHANNELS), lines["channel"]),
        "product_id": chosen(products, lines["product"]),
        "quantity": pa.array(lines["quantity"], pa.int64()),
        **{
            name: pa.array(lines[name], pa.int64())
            for name in ("amount_fen", "discount_fen", "coupon_discount_fen", "margin_fen")
        },
        "offer_id": chosen(offers, lines["offer"]),
    }


def send_columns(seed: int, sends: NDArray[Any], *, offers: pa.Array[Any], campaigns: pa.Array[Any]) -> Columns:
    """The columns of the table `sends`, of records of `SEND`, and the chance with which the offer was drawn."""
    return {
        "send_id": identifiers(seed, "send", sends["send"]),
        "ts": instants(sends["at"]),
        "member_id": identifiers(seed, "member", sends["member"]),
        "offer_id": chosen(offers, sends["offer"]),
        "campaign_id": chosen(campaigns, sends["campaign"]),
        "arm": chosen(pa.array(_ARMS), sends["treated"].astype(np.int64)),
        "propensity": _chances(sends["propensity"]),
        "offer_propensity": _chances(sends["offer_propensity"]),
    }


def redemption_columns(seed: int, redemptions: NDArray[Any]) -> Columns:
    """The columns of the table `redemptions`, of records of `REDEMPTION`."""
    return {
        "send_id": identifiers(seed, "send", redemptions["send"]),
        "ts": instants(redemptions["at"]),
        "order_id": identifiers(seed, "order", redemptions["order"]),
    }


def member_columns(seed: int, members: NDArray[Any], *, cities: pa.Array[Any], channels: pa.Array[Any]) -> Columns:
    """The columns of the table `members`, of records of `MEMBER`; names of cities and channels by number."""
    return {
        "member_id": identifiers(seed, "member", members["member"]),
        "registered_at": instants(members["registered_at"]),
        "referrer_id": identifiers(seed, "member", members["referrer"]),
        "phone_prefix": _digits(members["phone_prefix"]),
        "city": chosen(cities, members["city"]),
        "channel": chosen(channels, members["channel"]),
        "opted_out": pa.array(members["opted_out"].astype(np.int8)),
    }


def payout_columns(seed: int, payouts: NDArray[Any], first: int) -> Columns:
    """The columns of the table `payouts`, of records of `PAYOUT`; `first` were paid before."""
    return {
        "payout_id": identifiers(seed, "payout", first + np.arange(len(payouts))),
        "ts": instants(payouts["at"]),
        "member_id": identifiers(seed, "member", payouts["member"]),
        "account_id": identifiers(seed, "account", payouts["account"]),
        "amount_fen": pa.array(payouts["amount_fen"], pa.int64()),
    }


def label_columns(seed: int, labels: NDArray[Any]) -> Columns:
    """The columns of the table `scan_labels`, of records of `LABEL` whose `scan` counts in order of arrival."""
    return {
        "scan_id": identifiers(seed, "scan", labels["scan"]),
        "is_wool": pa.array(labels["is_wool"].astype(np.int8)),
        "landed_at": instants(labels["at"]),
        "origin": chosen(pa.array(ORIGINS), labels["origin"]),
    }


def _chances(values: NDArray[np.float64]) -> pa.Array[Any]:
    return pa.array(np.round(values, _DECIMALS), pa.float64(), mask=np.isnan(values))


def _digits(numbers: NDArray[Any]) -> pa.Array[Any]:
    return pa.array(numbers, pa.int64(), mask=np.asarray(numbers) < 0).cast(pa.string())
