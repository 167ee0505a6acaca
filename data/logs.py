"""The event logs that features read, each as a query over the views of `DataSet.connect`.

An event's clock is arrival: `seen_at` is `received_at` where the table has it and `ts` where not. An id that comes
again within 35 days of the event that counted is the same event sent twice, and counts once, at its first arrival.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from data.log_source import LogSource, counted_once
from data.scan_logs import SCAN_LOGS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LOGS", "LogSource"]

_LINES = counted_once("orders", "line_id", ("category", "brand", "used_offer_id"))

_ORDERS = f"""
    SELECT lines.*, products.category, products.brand
    FROM {_LINES} AS lines LEFT JOIN products USING (product_id)
"""

_BASKETS = f"""
    SELECT
        order_id,
        min(seen_at) AS seen_at,
        min(ts) AS ts,
        min(member_id) AS member_id,
        min(store_id) AS store_id,
        min(channel) AS channel,
        count(*) AS lines,
        count(DISTINCT product_id) AS products,
        sum(quantity)::BIGINT AS quantity,
        sum(amount_fen)::BIGINT AS amount_fen,
        sum(discount_fen)::BIGINT AS discount_fen,
        sum(coupon_discount_fen)::BIGINT AS coupon_discount_fen,
        sum(margin_fen)::BIGINT AS margin_fen
    FROM {_LINES}
    GROUP BY order_id
"""

_SENDS = f"""
    SELECT sends.*, offers.kind
    FROM {counted_once("sends", "send_id", ("kind",))} AS sends LEFT JOIN offers USING (offer_id)
"""

_OF_THE_SENDING = ("member_id", "offer_id", "campaign_id", "arm", "kind")

_REDEMPTIONS = f"""
    SELECT redemptions.*, sends.member_id, sends.offer_id, sends.campaign_id, sends.arm, offers.kind
    FROM {counted_once("redemptions", "send_id", _OF_THE_SENDING)} AS redemptions
    LEFT JOIN (SELECT DISTINCT ON (send_id) * FROM sends ORDER BY send_id, ts) AS sends USING (send_id)
    LEFT JOIN offers USING (offer_id)
"""

# An offer holds the products it lists; one without a list holds those of its category and its brand, and one that names
# neither is good for everything.
_ASKED = f"""
    WITH pairs AS MATERIALIZED (
        SELECT DISTINCT member_id, offer_id FROM {{pairs}} AS asked
        WHERE member_id IS NOT NULL AND offer_id IS NOT NULL
    ),
    asked_offers AS MATERIALIZED (SELECT * FROM offers SEMI JOIN pairs USING (offer_id)),
    offer_products AS MATERIALIZED (
        SELECT offer_id, unnest(product_ids) AS product_id FROM asked_offers
        UNION
        SELECT offer_id, product_id FROM asked_offers JOIN products
        ON (asked_offers.category IS NULL OR products.category = asked_offers.category)
        AND (asked_offers.brand IS NULL OR products.brand = asked_offers.brand)
        WHERE asked_offers.product_ids IS NULL
    ),
    lines AS (
        SELECT * RENAME (offer_id AS used_offer_id) FROM ({_ORDERS}) SEMI JOIN pairs USING (member_id)
    )
"""

_OFFER_LINES = f"""
    {_ASKED}
    SELECT lines.*, pairs.offer_id
    FROM lines JOIN offer_products USING (product_id) JOIN pairs USING (member_id, offer_id)
"""

_OFFER_CATEGORY_LINES = f"""
    {_ASKED},
    offer_categories AS MATERIALIZED (
        SELECT DISTINCT offer_id, category FROM offer_products JOIN products USING (product_id)
        WHERE category IS NOT NULL
    )
    SELECT lines.*, pairs.offer_id
    FROM lines JOIN offer_categories USING (category) JOIN pairs USING (member_id, offer_id)
"""

LOGS: Mapping[str, LogSource] = MappingProxyType(
    {
        log.name: log
        for log in (
            LogSource(
                "orders",
                "one line of one basket, with the category and brand of its product",
                ("orders", "products"),
                _ORDERS,
            ),
            LogSource(
                "baskets",
                "one basket: its first arrival, the sums of its lines, how many lines and products",
                ("orders",),
                _BASKETS,
            ),
            LogSource(
                "sends",
                "one offer given to one member or withheld (see arm), with the offer's kind",
                ("sends", "offers"),
                _SENDS,
            ),
            LogSource(
                "redemptions",
                "the first use of an offer that had been sent, with its member, offer, campaign and kind",
                ("redemptions", "sends", "offers"),
                _REDEMPTIONS,
            ),
            LogSource(
                "offer_lines",
                "one line of one basket, once for each offer that holds its product; used_offer_id is the line's own",
                ("orders", "products", "offers"),
                _OFFER_LINES,
            ),
            LogSource(
                "offer_category_lines",
                "one line of one basket, once for each offer that holds a product of its category",
                ("orders", "products", "offers"),
                _OFFER_CATEGORY_LINES,
            ),
            *SCAN_LOGS,
        )
    }
)
