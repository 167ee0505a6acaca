from __future__ import annotations

import numpy as np
import pytest

from benchmarks.coupon_worlds import BUDGET, Questions, allocated, chosen, figures, outcome, taken


def _asked(value, cost, true):
    return Questions(value, cost, redeems=cost / 100, true=true, revealed=true, paid=cost)


def test_a_model_that_knows_all_that_tables_reveal_has_all_of_it():
    draw = np.random.default_rng(1)
    true, cost = draw.normal(5, 20, (500, 4)), draw.uniform(5, 50, (500, 4))
    asked = _asked(true, cost, true)
    found = figures([outcome(asked), outcome(asked)])
    assert found["observable_share"]["value"] == found["oracle_share"]["value"] == 1.0
    assert found["roi_gain"]["low"] > 0
    assert found["margin_gain_fen"]["low"] > 0
    assert found["same_offers_margin_gain_fen"]["value"] > 0
    assert (found["members"], found["overspend"]) == (1_000, 0.0)
    assert found["dual_gap"] < 1e-3


def test_what_is_said_at_random_has_a_part_of_it():
    draw = np.random.default_rng(2)
    true, cost = draw.normal(5, 20, (500, 4)), draw.uniform(5, 50, (500, 4))
    asked = _asked(draw.normal(size=true.shape), cost, true)
    assert figures([outcome(asked)])["observable_share"]["high"] < 0.5


def test_the_budget_holds_and_is_used():
    draw = np.random.default_rng(3)
    value, cost = draw.normal(5, 20, (500, 4)), draw.uniform(5, 50, (500, 4))
    budget = BUDGET * cost.max(axis=1).sum()
    offer, sent, gap = allocated(value, cost, budget)
    assert budget - 50 <= taken(cost, offer, sent).sum() <= budget
    assert gap < 1e-3
    offer, sent, _ = allocated(value, cost, 1e9)
    assert taken(value, offer, sent).sum() == pytest.approx(taken(value, *chosen(value)).sum())


def test_nothing_is_sent_where_nothing_is_worth_it():
    offer, sent = chosen(np.array([[-1.0, -2.0], [3.0, 4.0]]))
    assert (offer.tolist(), sent.tolist()) == ([0, 1], [False, True])
    assert taken(np.array([[7.0, 8.0], [9.0, 10.0]]), offer, sent).tolist() == pytest.approx([0.0, 10.0])
