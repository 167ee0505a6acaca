"""What the rows and the label of the coupon task say, on tables small enough to check by hand."""

from __future__ import annotations

import duckdb
import pytest

from data.questions import REDEEMED, SENDS

TABLES = """
    CREATE TABLE campaigns AS SELECT 'c' AS campaign_id, TIMESTAMPTZ '2025-01-01 00:00:00+00' AS starts_at,
                                     TIMESTAMPTZ '2025-01-20 00:00:00+00' AS ends_at;
    CREATE TABLE offers AS SELECT 'o' AS offer_id, 'booklet' AS kind, ['p', 'q'] AS product_ids;
    CREATE TABLE sends AS SELECT * FROM (VALUES
        ('first', TIMESTAMPTZ '2025-01-01 00:00:00+00', 'm1', 'o', 'c', 'treated'),
        ('withheld', TIMESTAMPTZ '2025-01-01 00:00:00+00', 'm2', 'o', 'c', 'control'),
        ('second', TIMESTAMPTZ '2025-01-05 00:00:00+00', 'm3', 'o', 'c', 'treated')
    ) AS sent(send_id, ts, member_id, offer_id, campaign_id, arm);
    CREATE TABLE redemptions AS SELECT * FROM (VALUES
        ('first', TIMESTAMPTZ '2025-01-19 00:00:00+00'), ('second', TIMESTAMPTZ '2025-02-20 00:00:00+00')
    ) AS used(send_id, ts);
"""


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        opened.execute(TABLES)
        yield opened


def test_what_was_withheld_is_no_row_and_a_later_wave_is_not_counted_before_it_is_sent(connection):
    rows = connection.sql(f"SELECT row_id, campaign_send_count, offer_product_count FROM ({SENDS.sql}) ORDER BY row_id")
    assert rows.fetchall() == [("first", 1, 2), ("second", 2, 2)]


def test_a_redemption_after_the_campaign_closed_is_not_its_success(connection):
    labels = connection.sql(f"SELECT row_id, label FROM ({REDEEMED.sql}) WHERE row_id <> 'withheld' ORDER BY row_id")
    assert labels.fetchall() == [("first", 1), ("second", 0)]
