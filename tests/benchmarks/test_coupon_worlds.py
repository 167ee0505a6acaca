from __future__ import annotations

import numpy as np
import pytest

from benchmarks.coupon_worlds import BUDGET, Questions, chosen, figures, priced, taken


def _asked(value, cost, true):
    return Questions(value, cost, redeems=cost / 100, true=true, revealed=true, paid=cost)


def test_a_model_that_knows_all_that_tables_reveal_has_all_of_it():
    draw = np.random.default_rng(1)
    true, cost = draw.normal(5, 20, (500, 4)), draw.uniform(5, 50, (500, 4))
    asked = _asked(true, cost, true)
    found = figures(asked)
    assert found["observable_share"]["value"] == found["oracle_share"]["value"] == 1.0
    assert found["roi_gain"]["low"] > 0
    assert found["margin_gain_fen"]["low"] > 0


def test_what_is_said_at_random_has_a_part_of_it():
    draw = np.random.default_rng(2)
    true, cost = draw.normal(5, 20, (500, 4)), draw.uniform(5, 50, (500, 4))
    asked = _asked(draw.normal(size=true.shape), cost, true)
    assert figures(asked)["observable_share"]["high"] < 0.5


def test_the_budget_holds_and_is_used():
    draw = np.random.default_rng(3)
    value, cost = draw.normal(5, 20, (500, 4)), draw.uniform(5, 50, (500, 4))
    budget = BUDGET * cost.max(axis=1).sum()
    spent = taken(cost, *priced(value, cost, budget)).sum()
    assert budget - 50 <= spent <= budget
    assert taken(cost, *priced(value, cost, 1e9)).sum() == taken(cost, *chosen(value)).sum()


def test_nothing_is_sent_where_nothing_is_worth_it():
    offer, sent = chosen(np.array([[-1.0, -2.0], [3.0, 4.0]]))
    assert (offer.tolist(), sent.tolist()) == ([0, 1], [False, True])
    assert taken(np.array([[7.0, 8.0], [9.0, 10.0]]), offer, sent).tolist() == pytest.approx([0.0, 10.0])
