"""The network plan against every plan there is, and against what its theory promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import UsageError
from serving.siting.plan import Limits, Moves, Rules, exhaustive, greedy, network_plan

CELLS, STORES = 60, 4


class Quarter:
    """A town of shoppers with stores, candidates and Huff's shares: what any set of moves is worth."""

    def __init__(self, generator, sites=9, closings=True, margin=1.0):
        east, north = generator.uniform(0, 6, (2, CELLS + STORES + sites))
        shops = slice(CELLS, None)
        apart = np.hypot(east[:CELLS, None] - east[shops], north[:CELLS, None] - north[shops])
        self.pull = generator.uniform(0.5, 2, STORES + sites) * np.maximum(apart, 0.3) ** -2
        self.demand = generator.uniform(1, 10, CELLS) * 1e6
        self.margin, self.sites = margin, sites
        self.rent = generator.uniform(0.2, 1.2, STORES + sites) * 1e7 * (margin < 1)
        rows = np.r_[STORES : STORES + sites, 0 : STORES if closings else 0]
        self.shop = rows
        lat, lon = 30 + north[shops] / 111.195, 104 + east[shops] / 111.195 / math.cos(math.radians(30))
        self.stores = (lat[:STORES], lon[:STORES])
        self.moves = Moves(
            name=tuple(f"m{row}" for row in rows),
            lat=lat[rows],
            lon=lon[rows],
            city=tuple("AB"[row % 2] for row in rows),
            cost_fen=np.where(rows < STORES, 0.0, generator.uniform(1, 3, rows.size) * 1e6),
            closing=rows < STORES,
        )
        self.asked = []

    def __call__(self, chosen):
        self.asked.append(chosen)
        trading = np.r_[np.ones(STORES), np.zeros(self.sites)]
        for move in chosen:
            trading[self.shop[move]] = 1 - trading[self.shop[move]]
        own = self.pull @ trading
        return float(self.margin * (self.demand @ (own / (own + 1.5))) - self.rent @ trading)


@given(seed=st.integers(0, 10**6), count=st.integers(0, 4))
@settings(deadline=None, max_examples=30)
def test_a_plan_of_openings_is_the_best_or_within_a_hair_and_greedy_keeps_its_bound(seed, count):
    quarter = Quarter(np.random.default_rng(seed), closings=False)
    rules = Rules(quarter.moves, Limits(count))
    best = quarter(exhaustive(quarter, rules)) - quarter(())
    plan = network_plan(quarter, rules)
    eager = quarter(greedy(quarter, rules, lambda gain, _: gain)) - quarter(())
    assert len(plan.steps) <= count
    assert eager >= (1 - 1 / math.e) * best * (1 - 1e-9)
    assert plan.gain_fen >= 0.99 * best
    assert plan.gain_fen == pytest.approx(sum(step.gain_fen for step in plan.steps))
    assert [step.gain_fen for step in plan.steps] == sorted((step.gain_fen for step in plan.steps), reverse=True)


@given(seed=st.integers(0, 10**6), budget=st.floats(0, 8e6), spacing=st.floats(0, 2000), cap=st.integers(0, 2))
@settings(deadline=None, max_examples=30)
def test_no_plan_breaks_a_limit_and_few_are_worse_than_the_best(seed, budget, spacing, cap):
    quarter = Quarter(np.random.default_rng(seed), sites=8, margin=0.3)
    limits = Limits(openings=3, budget_fen=budget, spacing_m=spacing, city_cap=cap, closings=1)
    rules = Rules(quarter.moves, limits, quarter.stores)
    plan = network_plan(quarter, rules)
    chosen = tuple(step.move for step in plan.steps)
    best = quarter(exhaustive(quarter, rules)) - quarter(())
    opened = [one for one in chosen if not quarter.moves.closing[one]]
    assert rules.kept(chosen)
    assert plan.cost_fen <= budget
    assert len(opened) <= 3
    assert all(sum(quarter.moves.city[one] == city for one in opened) <= cap for city in "AB")
    assert -1e-6 <= plan.gain_fen <= best + 1e-6 * abs(best)
    assert plan.gain_fen >= 0.8 * best


def test_lazy_choice_asks_less_than_eager_choice_would():
    quarter = Quarter(np.random.default_rng(3), sites=60, closings=False)
    chosen = greedy(quarter, Rules(quarter.moves, Limits(8)), lambda gain, _: gain)
    assert len(chosen) == 8
    assert len(set(quarter.asked)) < 60 * 8 / 2


def test_a_store_that_costs_more_than_it_earns_is_closed_when_that_is_allowed():
    quarter = Quarter(np.random.default_rng(5), margin=0.3)
    quarter.rent[0] = 1e9
    with_it = network_plan(quarter, Rules(quarter.moves, Limits(1, closings=1)))
    without = network_plan(quarter, Rules(quarter.moves, Limits(1)))
    assert "m0" in {quarter.moves.name[step.move] for step in with_it.steps}
    assert not any(quarter.moves.closing[step.move] for step in without.steps)


def test_a_closing_makes_room_for_a_site_beside_the_store():
    moves = Moves(
        ("site", "store"),
        np.array([30.0, 30.0]),
        np.array([104.0, 104.001]),
        ("A", "A"),
        np.zeros(2),
        np.array([False, True]),
    )
    stores = (np.array([30.0]), np.array([104.001]))
    rules = Rules(moves, Limits(1, spacing_m=500, closings=1), stores)
    assert not rules.kept((0,))
    assert rules.kept((0, 1))
    worth = {(): 10.0, (1,): 11.0, (0, 1): 15.0, (0,): 99.0}
    plan = network_plan(worth.__getitem__, rules)
    assert {step.move for step in plan.steps} == {0, 1}


def test_a_plan_that_may_do_nothing_does_nothing():
    quarter = Quarter(np.random.default_rng(1))
    plan = network_plan(quarter, Rules(quarter.moves, Limits(0)))
    assert plan.steps == ()
    assert plan.gain_fen == 0


def test_limits_below_nought_are_refused_all_at_once():
    with pytest.raises(UsageError, match=r"openings is -1; spacing_m is -5"):
        Limits(openings=-1, spacing_m=-5)
