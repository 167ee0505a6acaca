from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.effect.policy import price_of, sends, within

CENTS = st.integers(-5_000, 5_000).map(lambda fen: fen / 100)
AMOUNTS = st.lists(st.tuples(CENTS, st.floats(0.01, 20)), min_size=1, max_size=30)


@given(AMOUNTS, st.floats(0, 200))
def test_at_the_price_of_a_budget_no_more_than_the_budget_is_spent(pairs, budget):
    value, cost = np.array(pairs).T
    price = price_of(value, cost, budget)
    chosen = sends(value, cost, price)
    assert cost[chosen].sum() <= budget * (1 + 1e-9)
    assert (value[chosen] > 0).all()


@given(AMOUNTS)
def test_a_budget_that_is_wide_enough_has_no_price(pairs):
    value, cost = np.array(pairs).T
    assert price_of(value, cost, cost.sum() + 1) == 0.0


@given(AMOUNTS, st.floats(0, 200))
def test_nothing_that_is_left_out_brings_more_a_fen_than_what_is_sent(pairs, budget):
    value, cost = np.array(pairs).T
    chosen = sends(value, cost, price_of(value, cost, budget))
    if chosen.any() and not chosen.all():
        assert (value / cost)[~chosen].max() <= (value / cost)[chosen].min()


def test_the_highest_scores_are_sent_while_the_budget_lasts():
    chosen = within(np.array([0.1, 0.9, 0.5]), np.array([1.0, 2.0, 2.0]), 4.0)
    assert chosen.tolist() == [False, True, True]
    assert within(np.array([0.1, 0.9]), np.array([1.0, 2.0]), 0.0).tolist() == [False, False]


def test_an_offer_that_costs_nothing_is_sent_at_any_price():
    value, cost = np.array([1.0, 5.0]), np.array([0.0, 4.0])
    assert sends(value, cost, price_of(value, cost, 1.0)).tolist() == [True, False]
    assert price_of(value, cost, 1.0) == pytest.approx(1.25)
