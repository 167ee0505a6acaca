"""What is asked of the tables: the rows a task scores, and what later turned out to be true of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rows:
    """What is scored: one row an entity at a moment, with what the row itself says.

    Attributes:
        name: The row in the trade's words: scan, send, store.
        tables: The tables it is read from.
        sql: A query over them giving `row_id`, `as_of` (a time with zone), the key columns that features ask for, and
            any fact that is known at `as_of`.
    """

    name: str
    tables: tuple[str, ...]
    sql: str


@dataclass(frozen=True)
class Label:
    """What turned out to be true of a row, and from when it could be known.

    Attributes:
        name: The truth in the trade's words: redeemed, wool, revenue.
        tables: The tables it is read from.
        sql: A query over them giving `row_id`, `label` (a number, 0 or 1 for a yes or no) and `closes_at`, the moment
            after which the label no longer changes: training uses a row only if that lies before the cut.
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
           len(offers.product_ids) AS offer_product_count,
           count(*) OVER (
               PARTITION BY sends.campaign_id ORDER BY sends.ts RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
           ) AS campaign_send_count,
           date_diff('day', campaigns.starts_at, campaigns.ends_at) AS campaign_days
    FROM sends JOIN campaigns USING (campaign_id) JOIN offers USING (offer_id)
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
