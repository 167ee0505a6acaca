"""Nothing that was learned at or after the moment asked about may change an answer."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.batch import compute
from features.spec import DAY, FeatureSet, Log, last, sum_
from tests.features.judge import connect, table
from tests.features.stream import ALL, SCHEMA, drawn, events, instants, questions


def _answer(log, rows, features=ALL):
    with connect(log) as connection:
        return compute(features, connection, rows)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    log=st.lists(events, max_size=20), rows=st.lists(questions, min_size=1, max_size=6), cut=instants, data=st.data()
)
def test_later_events_change_nothing(log, rows, cut, data):
    asked = table([{**row, "as_of": min(row["as_of"], cut)} for row in rows])
    later = [{**event, "seen_at": max(event["seen_at"], cut)} for event in data.draw(st.lists(events, min_size=1))]
    assert _answer([*log, *later], asked).equals(_answer(log, asked))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(log=st.lists(events, max_size=20), rows=st.lists(questions, min_size=1, max_size=8), data=st.data())
def test_the_order_of_rows_and_events_has_no_meaning(log, rows, data):
    asked = table(rows)
    order = data.draw(st.permutations(range(len(rows))))
    shuffled = _answer(data.draw(st.permutations(log)), asked.take(order))
    assert shuffled.equals(_answer(log, asked).take(order))


PLANTED = FeatureSet(last(Log("planted", entities=("member_id",)), "next_amount", by="member_id"))


def _planted(log, rows):
    """A log with a column that looks ahead: what the member spends next."""
    with duckdb.connect() as connection:
        connection.register("events", pa.Table.from_pylist(log, SCHEMA))
        connection.sql(
            "CREATE TEMP VIEW planted AS SELECT seen_at, member_id, "
            "lead(amount) OVER (PARTITION BY member_id ORDER BY seen_at, amount) AS next_amount FROM events"
        )
        return compute(PLANTED, connection, rows)


def _leaks(answer, log, rows):
    """Whether answers change when everything not yet known at the moment asked about is taken away."""
    for number in range(rows.num_rows):
        row = rows.slice(number, 1)
        at = row["as_of"].cast(pa.int64())[0].as_py()
        if not answer(log, row).equals(answer([event for event in log if event["seen_at"] < at], row)):
            return True
    return False


def test_a_planted_future_column_is_caught():
    log, rows = drawn(np.random.default_rng(5), 60)
    asked = table(rows[:8])
    assert _leaks(_planted, log, asked)
    assert not _leaks(_answer, log, asked)


@pytest.mark.parametrize(("offset", "seen"), [(-86_400_000_001, 0), (-86_400_000_000, 1), (-1, 1), (0, 0), (1, 0)])
def test_a_window_holds_its_lower_edge_and_not_its_upper(offset, seen):
    at = 1_780_000_000_000_000
    blank = dict.fromkeys(SCHEMA.names)
    log = [{**blank, "seen_at": at + offset, "member_id": "ann", "amount": 1}]
    asked = table([{"as_of": at, "member_id": "ann", "offer_id": None, "budget": None}])
    day = FeatureSet(sum_(Log("events", entities=("member_id",)), "amount", by="member_id", over=DAY))
    assert _answer(log, asked, day)["member_sum_amount_1d"].to_pylist() == [float(seen)]


def test_a_day_is_24_hours_whatever_the_clocks_do():
    """In New York 2026-03-08 has 23 hours and 2026-11-01 has 25; the window does not care."""
    blank = dict.fromkeys(SCHEMA.names)
    day = FeatureSet(sum_(Log("events", entities=("member_id",)), "amount", by="member_id", over=DAY))
    for midnight in ("2026-03-09T04:00:00", "2026-11-02T05:00:00"):
        at = int(np.datetime64(midnight, "us").astype(np.int64))
        log = [
            {**blank, "seen_at": at - hours * 3_600_000_000, "member_id": "ann", "amount": 10**hours}
            for hours in range(1, 3)
        ]
        log += [
            {**blank, "seen_at": at - 24 * 3_600_000_000 - late, "member_id": "ann", "amount": 1} for late in (0, 1)
        ]
        asked = table([{"as_of": at, "member_id": "ann", "offer_id": None, "budget": None}])
        asked = asked.set_column(1, "as_of", asked["as_of"].cast(pa.timestamp("us", "America/New_York")))
        assert _answer(log, asked, day)["member_sum_amount_1d"].to_pylist() == [111.0]
