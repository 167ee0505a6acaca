from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import duckdb
import pytest

from data.errors import GateRefused
from data.questions import Rows
from data.sources import open_folder
from features.offer import REDEMPTIONS
from features.spec import FeatureSet, column, count, days
from training.leakage import refuse_look_ahead
from training.tasks.coupon import TASK

MOMENT = datetime(2025, 3, 1, tzinfo=UTC)
LOOKING_AHEAD = """
    SELECT sends.send_id AS row_id, sends.ts AS as_of, sends.member_id, sends.offer_id, sends.campaign_id,
           (SELECT count(*) FROM redemptions WHERE redemptions.send_id = sends.send_id) AS redeemed_later
    FROM sends
"""


@pytest.fixture
def brand(tmp_path):
    """Three campaigns a month apart; every member redeems ten days after each send."""
    first, last = "make_timestamptz(2025, month, 1, 0, 0, 0)", "make_timestamptz(2025, month, 28, 0, 0, 0)"
    months, members = "range(1, 5) AS months(month)", "range(5) AS members(member)"
    tables = {
        "campaigns": f"SELECT 'c' || month AS campaign_id, {first} AS starts_at, {last} AS ends_at, 'UTC' AS time_zone "
        f"FROM {months}",
        "offers": f"SELECT 'o' || month AS offer_id, 'booklet' AS kind, ['p1'] AS product_ids, {first} AS starts_at, "
        f"{last} AS ends_at FROM {months}",
        "sends": f"SELECT 's' || month || '-' || member AS send_id, {first} AS ts, 'm' || member AS member_id, "
        f"'o' || month AS offer_id, 'c' || month AS campaign_id, 'treated' AS arm FROM {months}, {members}",
        "redemptions": "SELECT 's' || month || '-' || member AS send_id, "
        f"make_timestamptz(2025, month, 11, 0, 0, 0) AS ts FROM {months}, {members}",
    }
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, query in tables.items():
            connection.execute(f"COPY ({query}) TO '{tmp_path / name}.parquet'")
    return open_folder(tmp_path)


def _task(*features, sql=LOOKING_AHEAD):
    return replace(TASK, rows=Rows("send", ("sends",), sql), features=FeatureSet(*features))


def test_a_fact_that_counts_what_came_later_is_caught_and_named(brand):
    task = _task(
        column("redeemed_later", "redemptions", "Whether this very send is redeemed: planted"),
        count(REDEMPTIONS, by="member_id", over=days(90)),
    )
    with pytest.raises(GateRefused, match=r"leakage in task 'coupon': found redeemed_later changed when") as refused:
        refuse_look_ahead(task, brand, MOMENT)
    assert "member_redemption_count" not in str(refused.value)
    assert refused.value.exit_code == 4


def test_features_of_the_past_pass(brand):
    assert refuse_look_ahead(_task(count(REDEMPTIONS, by="member_id", over=days(90))), brand, MOMENT) == 15


def test_a_query_whose_rows_depend_on_the_future_is_caught(brand):
    task = _task(
        count(REDEMPTIONS, by="member_id", over=days(90)),
        sql=LOOKING_AHEAD + "WHERE send_id IN (SELECT send_id FROM redemptions)",
    )
    with pytest.raises(GateRefused, match="the rows themselves"):
        refuse_look_ahead(task, brand, MOMENT)
