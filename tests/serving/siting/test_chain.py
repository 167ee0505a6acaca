"""What a chain is worth to the plan: sales times margin, less rents; nothing unknown is taken for nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.errors import DataError
from serving.siting.chain import Chain, Shops
from serving.siting.plan import Limits, Rules, network_plan


def sold(opened, closed):
    """Sites sell 100 and 50, store a sells 200 and b 30; nobody takes from anybody."""
    return 230.0 + sum((100, 50)[one] for one in opened) - sum({"a": 200, "b": 30}[one] for one in closed)


def shops(names, rent):
    places = np.arange(len(names)) / 10
    return Shops(tuple(names), 30 + places, 104 + places, ("A",) * len(names), np.full(len(names), 5.0), np.array(rent))


@pytest.fixture
def chain():
    return Chain(sold, shops("xy", [10.0, 20.0]), shops("ab", [20.0, 25.0]), 0.5)


def test_the_worth_is_margin_on_sales_less_rents_of_what_moves(chain):
    assert chain(()) == 115
    assert chain((0,)) == 0.5 * 330 - 10
    assert chain((0, 3)) == 0.5 * 300 - 10 + 25


def test_the_plan_opens_what_earns_its_rent_and_closes_what_does_not(chain):
    plan = network_plan(chain, Rules(chain.moves(), Limits(openings=2, closings=1)))
    assert [chain.moves().name[step.move] for step in plan.steps] == ["x", "b", "y"]
    assert plan.gain_fen == 40 + 10 + 5


def test_by_sales_alone_nothing_is_closed(chain):
    plain = Chain(sold, replace(chain.sites, rent_fen=np.zeros(2)), shops("ab", [0.0, 0.0]))
    plan = network_plan(plain, Rules(plain.moves(), Limits(openings=2, closings=1)))
    assert plan.gain_fen == 150


def test_what_is_not_known_is_refused_all_at_once(chain):
    with pytest.raises(DataError, match=r"the rent of y; what the move costs of a; what the move costs of b"):
        Chain(
            sold,
            shops("xy", [1.0, np.nan]),
            replace(chain.stores, cost_fen=np.full(2, np.nan)),
        )
