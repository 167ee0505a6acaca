"""Every offer that runs at a moment, for every member of an audience: what is known of each, ready to be decided on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from data.errors import DataError
from data.questions import OFFERED
from features.batch import build

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from data.sources import DataSet
    from features.batch import Progress
    from features.spec import FeatureSet

TABLES = (*OFFERED.tables, "orders", "redemptions")

_RUNNING = """
    SELECT DISTINCT ON (offers.offer_id) offers.offer_id, campaigns.campaign_id
    FROM offers JOIN campaigns ON campaigns.starts_at <= $at AND $at < campaigns.ends_at
    WHERE offers.starts_at <= $at AND $at < offers.ends_at AND {which}
    ORDER BY offers.offer_id, campaigns.starts_at DESC, campaigns.campaign_id
"""
_SENT_IN = """EXISTS (
    FROM sends WHERE sends.offer_id = offers.offer_id AND sends.campaign_id = campaigns.campaign_id
    AND NOT (sends.arm = 'control' AND coalesce(sends.propensity, 0) >= 1)
)"""
"""A campaign in which everybody is withheld is the holdout's, and sends nothing."""

_FACTS = """
    WITH sent AS (
        SELECT member_id,
               count(*) FILTER (arm = 'treated' AND ts >= $at - to_days({days})) AS sends,
               max(ts) FILTER (arm = 'treated') AS last_at,
               coalesce(bool_or(arm = 'control' AND propensity >= 1), false) AS in_holdout
        FROM sends WHERE ts < $at GROUP BY member_id
    ),
    used AS (
        SELECT sends.member_id, max(redemptions.ts) AS last_at
        FROM redemptions JOIN sends USING (send_id) WHERE redemptions.ts < $at GROUP BY sends.member_id
    ),
    baskets AS (
        SELECT member_id, avg(margin_fen) AS margin_fen
        FROM (
            SELECT member_id, sum(margin_fen) AS margin_fen FROM orders
            WHERE ts < $at AND ts >= $at - INTERVAL 365 DAYS GROUP BY member_id, order_id
        )
        GROUP BY member_id
    )
    SELECT asked.member_id, members.opted_out::DOUBLE AS opted_out, coalesce(sent.sends, 0) AS sends_{days}d,
           (epoch_us($at) - epoch_us(sent.last_at)) / 86_400_000_000 AS days_since_send,
           (epoch_us($at) - epoch_us(used.last_at)) / 86_400_000_000 AS days_since_redemption,
           baskets.margin_fen AS usual_basket_margin_fen, members.city AS region,
           coalesce(sent.in_holdout, false) AS in_holdout{fraud}
    FROM asked LEFT JOIN members USING (member_id) LEFT JOIN sent USING (member_id) LEFT JOIN used USING (member_id)
         LEFT JOIN baskets USING (member_id){scored}
"""


@dataclass(frozen=True)
class Sending:
    """When and how offers are to go out.

    Attributes:
        at: The moment, with a time zone; only what happened before it counts.
        campaign: In which they go out; if not given, each offer's is the newest running one in which it is sent.
        sends_days: The days over which sends are counted for the frequency cap.
        fraud: Columns member_id and fraud_probability; without it nothing is known of that.
    """

    at: datetime
    campaign: str | None = None
    sends_days: int = 30
    fraud: pa.Table | None = None


def build_candidates(
    features: FeatureSet,
    data_set: DataSet,
    members: pa.Table,
    sending: Sending,
    path: Path,
    progress: Progress | None = None,
) -> int:
    """Write a row for each member with each running offer, with the facts that the rules of sending ask for.

    Args:
        features: Those of the model.
        data_set: Tables that keep their contracts.
        members: One column, member_id: each once.
        sending: When and how.
        path: The Parquet file.
        progress: Told after each column.

    Returns:
        How many rows.

    Raises:
        DataError: Tables are missing, or no offer runs at the moment.
    """
    missing = [name for name in TABLES if name not in data_set.files]
    if missing:
        raise DataError(f"offers need tables that {data_set.root} has not: missing {', '.join(missing)}")
    moment, fraud = sending.at.astimezone(UTC), sending.fraud
    with data_set.connect() as connection:
        connection.register("asked_members", members.select(["member_id"]))
        connection.execute("CREATE TEMP TABLE asked AS SELECT DISTINCT member_id FROM asked_members")
        _ask_running(connection, moment, sending.campaign)
        scored = "" if fraud is None else " LEFT JOIN asked_fraud USING (member_id)"
        if fraud is not None:
            connection.register("asked_fraud", fraud.select(["member_id", "fraud_probability"]))
        facts = _FACTS.format(
            days=sending.sends_days, scored=scored, fraud=", asked_fraud.fraud_probability" if scored else ""
        )
        connection.execute(f"CREATE TEMP TABLE asked_facts AS {facts}", {"at": moment})
        connection.execute(
            """CREATE TEMP TABLE asked_sends AS
            SELECT asked.member_id || ' ' || running.offer_id AS send_id, $at::TIMESTAMPTZ AS ts, asked.member_id,
                   running.offer_id, running.campaign_id, 'treated' AS arm, 0.5 AS propensity
            FROM asked CROSS JOIN running""",
            {"at": moment},
        )
        connection.execute(
            """CREATE TEMP TABLE asked_stock AS
            SELECT offers.offer_id, offers.stock - count(sends.send_id) AS offer_pieces_left
            FROM offers LEFT JOIN sends
            ON sends.offer_id = offers.offer_id AND sends.arm = 'treated' AND sends.ts < $at
            GROUP BY offers.offer_id, offers.stock""",
            {"at": moment},
        )
        rows = connection.sql(
            f"""WITH sends AS (SELECT * FROM asked_sends)
            SELECT told.*, asked_facts.* EXCLUDE (member_id), asked_stock.offer_pieces_left
            FROM ({OFFERED.sql}) AS told JOIN asked_facts USING (member_id) JOIN asked_stock USING (offer_id)
            ORDER BY row_id"""
        ).to_arrow_table()
        return build(features, connection, rows, path, progress).rows


def _ask_running(connection: duckdb.DuckDBPyConnection, at: datetime, campaign: str | None) -> None:
    which = _SENT_IN if campaign is None else "campaigns.campaign_id = $campaign"
    values = {"at": at} if campaign is None else {"at": at, "campaign": campaign}
    connection.execute(f"CREATE TEMP TABLE running AS {_RUNNING.format(which=which)}", values)
    if connection.sql("SELECT count(*) FROM running").fetchall() == [(0,)]:
        expected = "offers sent in a running campaign" if campaign is None else f"offers, and {campaign!r} running"
        raise DataError(
            f"Offers as of {at.isoformat()}: found none, expected {expected} at that moment; ask as of another with "
            "--at, or name the campaign with --campaign."
        )
