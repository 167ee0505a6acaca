"""What is asked of the tables: the rows a task scores, and what later turned out to be true of them."""

from __future__ import annotations

from dataclasses import dataclass

from data.logs import LOGS


@dataclass(frozen=True)
class Linked:
    """Which rows hang together by what they share, and so are not independent: a column that no query gives.

    It is made of all tables, later than each row as well: intervals and samples ask for it, features may not.

    Attributes:
        name: The column it adds to the rows: ring.
        entity: The key column of the rows that is linked: member_id.
        shared: Pairs of a table and its column that, shared, links two entities: (("scans", "device_id"),).
        most: What more entities share links nobody: a shop's tablet is no ring's mark.
    """

    name: str
    entity: str
    shared: tuple[tuple[str, str], ...]
    most: int


@dataclass(frozen=True)
class Rows:
    """What is scored: one row an entity at a moment, with what the row itself says.

    Attributes:
        name: The row in the trade's words: scan, send, store.
        tables: The tables it is read from.
        sql: A query over them giving `row_id`, `as_of` (a time with zone), the key columns that features ask for, and
            any fact that is known at `as_of`.
        linked: What else makes rows depend on each other, as a further column; None where their own columns say it.
        optional: Tables that it reads where there are any; an empty one stands in where a data set has none.
    """

    name: str
    tables: tuple[str, ...]
    sql: str
    linked: Linked | None = None
    optional: tuple[str, ...] = ()


@dataclass(frozen=True)
class Label:
    """What turned out to be true of a row, and from when it could be known.

    Attributes:
        name: The truth in the trade's words: redeemed, wool, revenue.
        tables: The tables it is read from.
        sql: A query over them giving `row_id`, `label` (a number, 0 or 1 for a yes or no) and `closes_at`, the moment
            after which the label no longer changes: training uses a row only if that lies before the cut. Where not
            every row gets a label, also `by_lot`: whether the row was drawn by lot to be looked at, so that such rows
            stand for all; without that column every labelled row does.
    """

    name: str
    tables: tuple[str, ...]
    sql: str


@dataclass(frozen=True)
class Outcomes:
    """What came of rows of which a lot decided what was done, whatever was done.

    Attributes:
        name: In the trade's words.
        tables: The tables it is read from.
        sql: A query over them giving `row_id`; `treated`, whether it was done, and `propensity`, the chance with which
            the lot would do it; `purchased` (0 or 1) and `margin_fen`, of both arms alike; `redeemed` (0 or 1),
            `cost_fen`, what redeeming took off, and `basket_margin_fen`, what the basket in which it was redeemed
            earned before that (null where none was); and `closes_at`, from when none of these changes any more (null
            where the tables end before that).
    """

    name: str
    tables: tuple[str, ...]
    sql: str


SENDS = Rows(
    "send",
    ("sends", "campaigns", "offers"),
    """
    SELECT sends.send_id AS row_id, sends.ts AS as_of, sends.member_id, sends.offer_id, sends.campaign_id,
           offers.kind, campaigns.starts_at, campaigns.ends_at,
           offers.offer_product_count,
           count(*) OVER (
               PARTITION BY sends.campaign_id ORDER BY sends.ts RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
           ) AS campaign_send_count,
           date_diff('day', campaigns.starts_at, campaigns.ends_at) AS campaign_days
    FROM sends JOIN campaigns USING (campaign_id)
    JOIN (SELECT offer_id, kind, len(product_ids) AS offer_product_count FROM offers) AS offers USING (offer_id)
    WHERE sends.arm = 'treated'
    """,
)
"""Every offer of a campaign that was sent to a member and not withheld, at the moment it was sent."""

REDEEMED = Label(
    "redeemed",
    ("sends", "campaigns", "redemptions"),
    """
    SELECT sends.send_id AS row_id, (redemptions.send_id IS NOT NULL)::INTEGER AS label, campaigns.ends_at AS closes_at
    FROM sends JOIN campaigns USING (campaign_id) LEFT JOIN redemptions
    ON redemptions.send_id = sends.send_id AND redemptions.ts < campaigns.ends_at
    """,
)
"""Whether the member redeemed anything of what was sent before the campaign ended; known then."""

RING = Linked("ring", "member_id", (("scans", "device_id"), ("payouts", "account_id")), most=50)
"""Members who ever shared a phone or an account that prizes are paid to, over any number of steps."""

SCANS = Rows(
    "scan",
    LOGS["scans"].needs,
    f"""
    SELECT scan_id AS row_id, seen_at AS as_of, * EXCLUDE (scan_id, seen_at, ts, received_at, lat, lon),
           coalesce(registration_age_seconds < 7 * 86_400, false) AS new_member
    FROM ({LOGS["scans"].sql()})
    QUALIFY row_number() OVER (PARTITION BY scan_id ORDER BY seen_at) = 1
    """,
    RING,
)
"""Every scan at the moment it arrived, with what was then known of member, batch and campaign."""

WOOL = Label(
    "wool",
    ("scan_labels",),
    """
    SELECT scan_id AS row_id, is_wool::INTEGER AS label, landed_at AS closes_at,
           coalesce(origin = 'audit', false) OR NOT bool_or(coalesce(origin = 'audit', false)) OVER () AS by_lot
    FROM scan_labels
    QUALIFY row_number() OVER (PARTITION BY scan_id ORDER BY landed_at) = 1
    """,
)
"""The first verdict on a scan, known when it landed; most scans never get one, and those are not honest for it.

Audits draw scans by lot. In a brand's tables without audits every verdict is taken to stand for all scans, which makes
the wool party look commoner than it is: reviewers look where they suspect.
"""

OFFERED = Rows(
    "offer",
    ("sends", "campaigns", "offers", "products", "members"),
    """
    WITH goods AS (
        SELECT offers.offer_id,
               coalesce(len(any_value(offers.product_ids)), count(products.product_id)) AS offer_product_count,
               avg(products.price_fen)::BIGINT AS offer_price_fen,
               avg(products.margin_fen)::BIGINT AS offer_margin_fen
        FROM offers LEFT JOIN products ON CASE
            WHEN offers.product_ids IS NOT NULL THEN list_contains(offers.product_ids, products.product_id)
            ELSE (offers.category IS NULL OR products.category = offers.category)
                 AND (offers.brand IS NULL OR products.brand = offers.brand)
            END
        GROUP BY offers.offer_id
    )
    SELECT sends.send_id AS row_id, sends.ts AS as_of, sends.member_id, sends.offer_id, sends.campaign_id, sends.arm,
           offers.kind, offers.face_value_fen, offers.threshold_fen,
           (offers.brand IS NOT NULL)::INTEGER AS offer_of_one_brand, campaigns.starts_at, campaigns.ends_at,
           date_diff('day', campaigns.starts_at, campaigns.ends_at) AS campaign_days,
           goods.offer_product_count, goods.offer_price_fen, goods.offer_margin_fen,
           date_diff('second', members.registered_at, sends.ts) AS registration_age_seconds
    FROM sends JOIN campaigns USING (campaign_id) JOIN offers USING (offer_id) JOIN goods USING (offer_id)
         LEFT JOIN members USING (member_id)
    WHERE sends.propensity > 0 AND sends.propensity < 1
    """,
)
"""Every offer of which a lot with a logged chance decided whether it was sent or withheld, at that moment.

Of offers sent by any other rule nobody can say what would have come about without them: they are not among the rows.
"""

REDEEMED_IF_SENT = Label(
    "redeemed",
    ("sends", "campaigns", "redemptions"),
    f"SELECT * FROM ({REDEEMED.sql}) SEMI JOIN (FROM sends WHERE arm = 'treated') AS sent ON row_id = sent.send_id",
)
"""Whether an offer was redeemed before its campaign ended, of those that were sent: a withheld one tells nothing."""

OFFER_OUTCOMES = Outcomes(
    "what became of the offer",
    ("sends", "campaigns", "offers", "products", "orders", "redemptions"),
    """
    WITH lot AS (
        SELECT sends.send_id, sends.ts, sends.member_id, sends.offer_id, sends.arm = 'treated' AS treated,
               if(sends.arm = 'treated', sends.propensity, 1 - sends.propensity) AS propensity, campaigns.ends_at,
               offers.face_value_fen
        FROM sends JOIN campaigns USING (campaign_id) JOIN offers USING (offer_id)
        WHERE sends.propensity > 0 AND sends.propensity < 1
    ),
    goods AS (
        SELECT offers.offer_id, products.product_id
        FROM offers JOIN products ON CASE
            WHEN offers.product_ids IS NOT NULL THEN list_contains(offers.product_ids, products.product_id)
            ELSE (offers.category IS NULL OR products.category = offers.category)
                 AND (offers.brand IS NULL OR products.brand = offers.brand)
            END
    ),
    bought AS (
        SELECT lot.send_id, bool_or(goods.product_id IS NOT NULL) AS purchased, sum(orders.margin_fen) AS margin_fen,
               sum(orders.margin_fen + coalesce(orders.coupon_discount_fen, 0))
                   FILTER (WHERE goods.product_id IS NOT NULL) AS goods_margin_fen,
               count(goods.product_id) AS goods_lines
        FROM lot JOIN orders
        ON orders.member_id = lot.member_id AND orders.ts >= lot.ts AND orders.ts < lot.ends_at
        LEFT JOIN goods ON goods.offer_id = lot.offer_id AND goods.product_id = orders.product_id
        GROUP BY lot.send_id
    ),
    baskets AS (
        SELECT redemptions.order_id, sum(orders.margin_fen + coalesce(orders.coupon_discount_fen, 0)) AS margin_fen,
               sum(orders.margin_fen + orders.coupon_discount_fen) FILTER (WHERE orders.coupon_discount_fen > 0)
                   AS line_margin_fen
        FROM (SELECT DISTINCT order_id FROM redemptions) AS redemptions JOIN orders USING (order_id)
        GROUP BY redemptions.order_id
    )
    SELECT lot.send_id AS row_id, lot.treated, lot.propensity,
           coalesce(bought.purchased, false)::INTEGER AS purchased, coalesce(bought.margin_fen, 0) AS margin_fen,
           (redemptions.send_id IS NOT NULL)::INTEGER AS redeemed,
           if(redemptions.send_id IS NULL, 0, lot.face_value_fen) AS cost_fen,
           coalesce(bought.goods_margin_fen, 0) AS goods_margin_fen, coalesce(bought.goods_lines, 0) AS goods_lines,
           baskets.margin_fen AS basket_margin_fen, coalesce(baskets.line_margin_fen, 0) AS line_margin_fen,
           if(lot.ends_at <= (SELECT max(ts) FROM orders), lot.ends_at, NULL) AS closes_at
    FROM lot LEFT JOIN bought USING (send_id)
    LEFT JOIN redemptions ON redemptions.send_id = lot.send_id AND redemptions.ts < lot.ends_at
    LEFT JOIN baskets USING (order_id)
    """,
)
"""What a member bought from the moment of the draw until the campaign ended: anything the offer is good for, and the
margin of everything, whether it was sent or withheld; known when the campaign has ended.
"""
