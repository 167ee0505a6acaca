"""The event logs that features read, each as a query over the views of `DataSet.connect`.

An event's clock is arrival: `seen_at` is `received_at` where the table has it and `ts` where not. An id that comes
again within 35 days of the event that counted is the same event sent twice, and counts once, at its first arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from data.contracts import TABLES
from data.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

REPEAT_DAYS = 35


@dataclass(frozen=True)
class LogSource:
    """One event log: what an event is, which tables it is made of, and its query.

    Attributes:
        name: the log's name, as features declare it.
        meaning: what one event is.
        needs: the tables it reads.
        query: the SQL; `{pairs}` in it stands for the asked (member_id, offer_id), see `sql`.
    """

    name: str
    meaning: str
    needs: tuple[str, ...]
    query: str

    def sql(self, restrict: str | None = None) -> str:
        """The query that gives the log, one row an event, with `seen_at` in UTC.

        Args:
            restrict: a relation with columns member_id and offer_id; a log with one row per line and offer then holds
                only the asked pairs. Without it such a log is as large as all lines times all offers. The other logs
                are as they are.
        """
        every_pair = "(SELECT member_id, offer_id FROM (SELECT DISTINCT member_id FROM orders), offers)"
        return self.query.replace("{pairs}", restrict or every_pair)

    def require(self, connection: duckdb.DuckDBPyConnection) -> None:
        """See that the connection has the tables.

        Raises:
            DataError: tables are missing; all of them are named.
        """
        listed = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
        present = {str(name) for (name,) in listed}
        missing = [table for table in self.needs if table not in present]
        if missing:
            described = "; ".join(f"{table} ({TABLES[table].meaning})" for table in missing)
            raise DataError(
                f"log {self.name}: found no table {', '.join(missing)}; expected {', '.join(self.needs)}; "
                f"add to the folder: {described}"
            )


def _counted_once(table: str, key: str, joined: tuple[str, ...] = ()) -> str:
    """The rows of a table with `seen_at`, each id once within 35 days of the arrival that counted.

    A further column of the file that bears the name of a `joined` column makes way for it.
    """
    taken = ", ".join(f"'{name}'" for name in ("seen_at", *joined))
    late = any(column.name == "received_at" for column in TABLES[table].columns)
    seen_at = "coalesce(received_at, ts)" if late else "ts"
    return f"""(
        WITH arrived AS NOT MATERIALIZED (
            SELECT COLUMNS(lambda name: name NOT IN ({taken})), {seen_at} AS seen_at
            FROM {table}
        ),
        repeated AS (SELECT {key} FROM arrived GROUP BY {key} HAVING count(*) > 1),
        moments AS (
            SELECT {key}, list_transform(list_sort(list(seen_at)), lambda moment: [moment]) AS apart
            FROM arrived SEMI JOIN repeated USING ({key})
            GROUP BY {key}
        ),
        counted AS (
            SELECT {key}, unnest(list_reduce(apart, lambda kept, moment:
                CASE WHEN moment[1] > kept[-1] + INTERVAL {REPEAT_DAYS} DAY THEN kept || moment ELSE kept END
            )) AS seen_at
            FROM moments
        )
        SELECT * FROM arrived ANTI JOIN repeated USING ({key})
        UNION ALL BY NAME
        SELECT arrived.* FROM arrived JOIN counted USING ({key}, seen_at)
        QUALIFY row_number() OVER (PARTITION BY {key}, seen_at ORDER BY ts) = 1
    )"""


_LINES = _counted_once("orders", "line_id", ("category", "brand", "used_offer_id"))

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
    FROM {_counted_once("sends", "send_id", ("kind",))} AS sends LEFT JOIN offers USING (offer_id)
"""

_OF_THE_SENDING = ("member_id", "offer_id", "campaign_id", "arm", "kind")

_REDEMPTIONS = f"""
    SELECT redemptions.*, sends.member_id, sends.offer_id, sends.campaign_id, sends.arm, offers.kind
    FROM {_counted_once("redemptions", "send_id", _OF_THE_SENDING)} AS redemptions
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
        )
    }
)
