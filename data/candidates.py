"""Lists that are put in order: what each member may buy next, and the coupons of a booklet that was sent to them.

A row is one candidate of one list; `list_id` names the list. The candidates of a member at a moment are what they
bought most themselves and what everyone buys most, so the best ten of either stand among them. A label also says how
many things of the list came true in all, candidates or not (`relevant`), so that what was never a candidate counts as
missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from data.logs import LOGS
from data.questions import Label, Rows

Span = Literal["week", "month"]


@dataclass(frozen=True)
class NextPurchase:
    """What a member will buy in the calendar week or month after a moment, of all categories or all products.

    A list is made at the first instant (UTC) of each week or month, for every member who had bought anything by then.

    Attributes:
        item: The column that says what is bought.
        span: How long the time is in which it is bought.
        warm_up: How many weeks or months of history there are behind the first lists.
        own: How many of the member's own items are candidates: bought most often, of equals the latest.
        top: How many of everyone's are: bought most often in the 90 days before.
    """

    item: Literal["category", "product_id"]
    span: Span = "month"
    warm_up: int = 3
    own: int = 100
    top: int = 60

    @property
    def name(self) -> str:
        """What is bought, in a word."""
        return self.item.removesuffix("_id")

    @property
    def rows(self) -> Rows:
        """The candidates, with the store the member was last seen in, and what the weather says of them.

        The weather's columns are null where there is no weather; a day counts once it is over everywhere on earth.
        """
        return Rows(
            f"{self.name} candidate",
            ("orders", "products", "members"),
            f"{self._pairs}, {self._places}, {self._weather} {self._facts}",
            optional=("weather",),
        )

    @property
    def label(self) -> Label:
        """Whether the member bought the candidate in the time after the moment; lists whose time is not over have none.

        `repeats` is how many of the things that came true the member had bought before.
        """
        return Label(
            f"{self.name} bought",
            ("orders", "products"),
            f"""
            {self._pairs},
            bought AS MATERIALIZED (
                SELECT as_of, member_id, item,
                    bool_or(lines.seen_at < as_of) AS repeated
                FROM cuts JOIN lines ON lines.seen_at < as_of + INTERVAL 1 {self.span}
                GROUP BY as_of, member_id, item HAVING max(lines.seen_at) >= as_of
            ),
            counted AS (
                SELECT as_of, member_id, count(*) AS relevant, count(*) FILTER (repeated) AS repeats
                FROM bought GROUP BY as_of, member_id
            )
            SELECT {self._row_id} AS row_id, (bought.item IS NOT NULL)::INTEGER AS label,
                pairs.as_of + INTERVAL 1 {self.span} AS closes_at,
                coalesce(relevant, 0) AS relevant, coalesce(repeats, 0) AS repeats
            FROM pairs
            LEFT JOIN bought USING (as_of, member_id, item)
            LEFT JOIN counted USING (as_of, member_id)
            WHERE pairs.as_of + INTERVAL 1 {self.span} <= (SELECT max(seen_at) + INTERVAL 1 DAY FROM lines)
            """,
        )

    @property
    def _row_id(self) -> str:
        return "concat_ws('/', pairs.member_id, strftime(pairs.as_of, '%Y-%m-%d'), pairs.item)"

    @property
    def _pairs(self) -> str:
        """Member, moment and candidate: from what had been bought before the moment."""
        return f"""
            WITH lines AS MATERIALIZED (
                SELECT seen_at, ts, member_id, store_id, category, {self.item} AS item FROM ({LOGS["orders"].sql()})
                WHERE member_id IS NOT NULL AND {self.item} IS NOT NULL
            ),
            cuts AS MATERIALIZED (
                SELECT unnest(generate_series(
                    date_trunc('{self.span}', min(seen_at)) + INTERVAL {self.warm_up} {self.span},
                    max(seen_at) + INTERVAL 1 DAY, INTERVAL 1 {self.span}
                )) AS as_of FROM lines
            ),
            own AS MATERIALIZED (
                SELECT as_of, member_id, item FROM cuts JOIN lines ON lines.seen_at < as_of
                GROUP BY as_of, member_id, item
                QUALIFY row_number() OVER (
                    PARTITION BY as_of, member_id ORDER BY count(*) DESC, max(seen_at) DESC, item
                ) <= {self.own}
            ),
            top AS (
                SELECT as_of, item FROM cuts JOIN lines ON lines.seen_at < as_of
                AND lines.seen_at >= as_of - INTERVAL 90 DAY
                GROUP BY as_of, item
                QUALIFY row_number() OVER (PARTITION BY as_of ORDER BY count(*) DESC, item) <= {self.top}
            ),
            pairs AS MATERIALIZED (
                SELECT as_of, member_id, item FROM own
                UNION
                SELECT as_of, member_id, item FROM (SELECT DISTINCT as_of, member_id FROM own) JOIN top USING (as_of)
            )"""

    @property
    def _places(self) -> str:
        """The store each member was last seen in, and the category of each product."""
        return """
            places AS MATERIALIZED (
                SELECT as_of, member_id, max_by(store_id, (seen_at, store_id)) AS store_id
                FROM cuts JOIN lines ON lines.seen_at < as_of GROUP BY as_of, member_id
            ),
            kinds AS MATERIALIZED (SELECT item, min(category) AS category FROM lines GROUP BY item)"""

    @property
    def _weather(self) -> str:
        """The week before the moment in the member's city, and the weather in which each item is bought."""
        return """
            dwellings AS MATERIALIZED (SELECT member_id, min(city) AS city FROM members GROUP BY member_id),
            skies AS MATERIALIZED (
                SELECT as_of, city, avg(temperature_c) AS temperature, avg(rain_mm) AS rain
                FROM cuts JOIN weather ON weather.day < as_of::DATE - 1 AND weather.day >= as_of::DATE - 8
                GROUP BY as_of, city
            ),
            bought_under AS (
                SELECT lines.seen_at, item, temperature_c, rain_mm
                FROM lines JOIN dwellings USING (member_id)
                JOIN weather ON weather.city = dwellings.city AND weather.day = lines.ts::DATE
            ),
            liked AS MATERIALIZED (
                SELECT as_of, item, avg(temperature_c) AS temperature, avg(rain_mm) AS rain
                FROM cuts JOIN bought_under ON bought_under.seen_at < as_of - INTERVAL 2 DAY
                AND bought_under.seen_at >= as_of - INTERVAL 365 DAY
                GROUP BY as_of, item
            )"""

    @property
    def _facts(self) -> str:
        category = "" if self.item == "category" else "kinds.category, "
        return f"""
            SELECT {self._row_id} AS row_id, pairs.as_of, pairs.member_id, pairs.item AS {self.item}, {category}
                places.store_id, concat_ws('/', pairs.member_id, strftime(pairs.as_of, '%Y-%m-%d')) AS list_id,
                skies.temperature AS week_temperature_c, skies.rain AS week_rain_mm,
                skies.temperature - liked.temperature AS {self.name}_temperature_gap_c,
                skies.rain - liked.rain AS {self.name}_rain_gap_mm
            FROM pairs
            JOIN places USING (as_of, member_id)
            JOIN kinds USING (item)
            LEFT JOIN dwellings USING (member_id)
            LEFT JOIN skies ON skies.as_of = pairs.as_of AND skies.city = dwellings.city
            LEFT JOIN liked ON liked.as_of = pairs.as_of AND liked.item = pairs.item"""


_LISTS = """
    WITH lists AS MATERIALIZED (
        SELECT sends.send_id, sends.ts AS as_of, sends.member_id, sends.campaign_id, coupons.offer_id,
            regexp_replace(coupons.offer_id, '^coupon-[^-]*-', '') AS coupon, len(coupons.product_ids) AS products
        FROM sends JOIN offers AS coupons ON coupons.campaign_id = sends.campaign_id AND coupons.kind = 'coupon'
        WHERE sends.arm = 'treated'
    ),
    uses AS MATERIALIZED (
        SELECT coupon_redemptions.send_id, offer_id, ts, sends.member_id, sends.campaign_id,
            regexp_replace(coupon_redemptions.offer_id, '^coupon-[^-]*-', '') AS coupon
        FROM coupon_redemptions JOIN (SELECT send_id, member_id, campaign_id FROM sends) AS sends USING (send_id)
    )"""

COUPONS_OF_BOOKLETS = Rows(
    "coupon of a booklet",
    ("sends", "offers", "products", "coupon_redemptions"),
    f"""
    {_LISTS},
    kinds AS MATERIALIZED (
        SELECT DISTINCT offer_id, category
        FROM (SELECT offer_id, unnest(product_ids) AS product_id FROM offers WHERE kind = 'coupon')
        JOIN products USING (product_id) WHERE category IS NOT NULL
    ),
    moments AS MATERIALIZED (SELECT DISTINCT as_of FROM lists),
    so_far AS MATERIALIZED (
        SELECT as_of, coupon, count(*) AS uses FROM moments JOIN uses ON uses.ts < as_of
        GROUP BY as_of, coupon
    ),
    alike AS MATERIALIZED (
        SELECT as_of, category, count(*) AS uses
        FROM moments JOIN (uses JOIN kinds USING (offer_id)) ON uses.ts < as_of
        GROUP BY as_of, category
    ),
    alike_offers AS MATERIALIZED (
        SELECT as_of, offer_id, sum(uses)::BIGINT AS uses, max(uses) AS most
        FROM (SELECT DISTINCT as_of, offer_id FROM lists) JOIN kinds USING (offer_id)
        JOIN alike USING (as_of, category)
        GROUP BY as_of, offer_id
    ),
    own_alike AS MATERIALIZED (
        SELECT as_of, member_id, category, count(*) AS uses
        FROM (SELECT DISTINCT as_of, member_id FROM lists) JOIN (uses JOIN kinds USING (offer_id)) USING (member_id)
        WHERE ts < as_of GROUP BY as_of, member_id, category
    ),
    own_offers AS MATERIALIZED (
        SELECT as_of, member_id, offer_id, sum(uses)::BIGINT AS uses
        FROM lists JOIN kinds USING (offer_id) JOIN own_alike USING (as_of, member_id, category)
        GROUP BY as_of, member_id, offer_id
    )
    SELECT concat_ws('/', lists.send_id, lists.coupon) AS row_id, lists.as_of, lists.send_id AS list_id,
        lists.member_id, lists.offer_id, lists.campaign_id,
        lists.products AS coupon_product_count,
        count(*) OVER (PARTITION BY lists.send_id) AS booklet_coupon_count,
        coalesce(so_far.uses, 0) AS coupon_redemption_count,
        coalesce(alike_offers.uses, 0) AS coupon_category_redemption_count,
        coalesce(alike_offers.most, 0) AS coupon_category_redemption_most,
        coalesce(own_offers.uses, 0) AS member_coupon_category_redemption_count
    FROM lists
    LEFT JOIN so_far USING (as_of, coupon)
    LEFT JOIN alike_offers USING (as_of, offer_id)
    LEFT JOIN own_offers USING (as_of, member_id, offer_id)
    """,
)
"""Every coupon of every booklet that was sent to a member, at that moment, with what coupons like it had been used."""

COUPON_USED = Label(
    "coupon used",
    ("sends", "offers", "campaigns", "coupon_redemptions"),
    f"""
    {_LISTS},
    used AS MATERIALIZED (
        SELECT DISTINCT uses.send_id, uses.offer_id FROM uses JOIN campaigns USING (campaign_id)
        WHERE uses.ts < campaigns.ends_at
    ),
    counted AS (SELECT send_id, count(*) AS relevant FROM used GROUP BY send_id)
    SELECT concat_ws('/', lists.send_id, lists.coupon) AS row_id, (used.offer_id IS NOT NULL)::INTEGER AS label,
        campaigns.ends_at AS closes_at, coalesce(relevant, 0) AS relevant
    FROM lists JOIN campaigns USING (campaign_id)
    LEFT JOIN used USING (send_id, offer_id)
    LEFT JOIN counted USING (send_id)
    """,
)
"""Whether the member used that coupon before the campaign ended; known then."""
