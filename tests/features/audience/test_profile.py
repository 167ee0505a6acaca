"""Shares, intervals and indices of a profile: against counting by hand, and against drawing again and again."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.audience.parser import parse
from features.audience.population import population
from features.audience.profile import UNKNOWN, Sums, index_of, profile, share_of, wilson


def _sums(y, x):
    return Sums(float((x > 0).sum()), y.sum(), x.sum(), (y * y).sum(), (x * y).sum(), (x * x).sum())


@pytest.fixture(scope="module")
def found(brand, moment):
    with population(brand, moment) as everybody:
        chosen = everybody.select(parse("bought(within=90d)"))
        return chosen, profile(everybody, chosen)


def test_shares_are_those_counted_by_hand(found, brand_rows, moment):
    chosen, seen = found
    inside = set(chosen.preview(100))
    then = [row for row in brand_rows["members"] if row["registered_at"] is None or row["registered_at"] < moment]
    cities = Counter(row["city"] or UNKNOWN for row in then)
    own = Counter(row["city"] or UNKNOWN for row in then if row["member_id"] in inside)

    assert {row.name: row.audience.value for row in seen.region} == pytest.approx(
        {name: own[name] / len(inside) for name in cities}
    )
    assert {row.name: row.everybody.value for row in seen.region} == pytest.approx(
        {name: number / len(then) for name, number in cities.items()}
    )
    assert seen.size == len(inside)
    assert seen.everybody == len(then)


def test_demand_is_the_share_of_money_of_the_year_before(found, brand_rows, moment):
    chosen, seen = found
    inside = set(chosen.preview(100))
    category = {row["product_id"]: row["category"] or UNKNOWN for row in brand_rows["products"]}
    first = {}
    for row in brand_rows["orders"]:
        seen_at = row["received_at"] or row["ts"]
        if row["line_id"] not in first or seen_at < first[row["line_id"]][0]:
            first[row["line_id"]] = (seen_at, row)
    spent = Counter()
    for seen_at, row in first.values():
        if row["member_id"] in inside and moment - timedelta(days=365) <= seen_at < moment:
            spent[category[row["product_id"]]] += row["amount_fen"]

    assert {row.name: row.audience.value for row in seen.demand} == pytest.approx(
        {name: fen / spent.total() for name, fen in spent.items()}
    )


def test_every_side_holds_its_figures_together(found):
    for rows in found[1].sides.values():
        assert sum(row.audience.value for row in rows) == pytest.approx(1)
        for row in rows:
            assert 0 <= row.audience.low <= row.audience.value <= row.audience.high <= 1
            assert 0 <= row.everybody.low <= row.everybody.value <= row.everybody.high <= 1
            if row.index is not None:
                assert row.index.value == pytest.approx(row.audience.value / row.everybody.value)
                assert row.index.low <= row.index.value <= row.index.high


def test_everybody_beside_everybody_has_an_index_of_exactly_one(brand, moment):
    with population(brand, moment) as everybody:
        seen = profile(everybody, everybody.select(parse("everybody")))

    for rows in seen.sides.values():
        assert rows
        for row in rows:
            assert row.index is not None
            assert (row.index.low, row.index.value, row.index.high) == pytest.approx((1, 1, 1))


def test_nobody_has_a_profile_too(brand, moment):
    with population(brand, moment) as everybody:
        seen = profile(everybody, everybody.select(parse("not everybody")))

    assert seen.size == 0
    assert all(row.index is None for rows in seen.sides.values() for row in rows)
    assert all((row.audience.low, row.audience.high) == (0, 1) for row in seen.region)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_of_members_has_the_interval_of_wilson(counted):
    held, number = counted
    y = np.r_[np.ones(held), np.zeros(number - held)]

    found, expected = share_of(_sums(y, np.ones(number))), wilson(held / number, number)

    # The variance of a sample divides by n - 1, so that a member less is counted.
    assert found.value == pytest.approx(expected.value)
    assert found.low == pytest.approx(expected.low, abs=0.6 / number)
    assert found.high == pytest.approx(expected.high, abs=0.6 / number)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    draw = np.random.default_rng(5)
    held = {"share": 0, "index": 0}
    rounds = 400
    for _ in range(rounds):
        x = draw.gamma(2.0, 50.0, 900)
        inside = draw.random(900) < 0.3
        part = np.where(inside, draw.beta(3, 7, 900), draw.beta(2, 8, 900))
        y = x * part
        share = share_of(_sums(y[inside], x[inside]))
        index = index_of(_sums(y[inside], x[inside]), _sums(y[~inside], x[~inside]))
        held["share"] += share.low <= 0.3 <= share.high
        held["index"] += index.low <= 0.3 / (0.3 * 0.3 + 0.7 * 0.2) <= index.high

    assert 0.91 <= held["share"] / rounds <= 0.985
    assert 0.91 <= held["index"] / rounds <= 0.985
