"""A budget lasts to the end of the day and no longer, whoever comes and however they redeem."""

from dataclasses import dataclass

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import UsageError
from serving.allocation.pacing import (
    Pace,
    Pacing,
    affords,
    asked,
    begin,
    committed,
    ratio,
    sent,
    settled,
    ticked,
)
from serving.allocation.problem import Problem
from serving.allocation.solver import solve

FACE = np.array([300.0, 600.0, 1200.0])
TICKS = 200
VISITS = 24_000
OPEN = 200
"""Visits between a send and its redemption or lapse."""


@dataclass(frozen=True)
class Day:
    """Visits in their order: when, what was foretold, and what is true."""

    at: np.ndarray
    value: np.ndarray
    cost: np.ndarray
    true_value: np.ndarray
    true_cost: np.ndarray


def _day(seed, worth=1.0, redemption=1.0, late=0.0):
    """A day whose visits earn `worth` times, redeem `redemption` times what was foretold, and come later than planned.

    What is worth more is seen in the predicted values of the day, as of other members; redemption is not.
    """
    draw = np.random.default_rng(seed)
    at = np.sort(draw.random(VISITS) ** (1 / (1 + late)))
    chance = draw.beta(2, 12, (VISITS, 1)) * draw.uniform(0.6, 1.4, (VISITS, 3))
    cost = np.clip(chance, 0, 0.8) * FACE
    drift = 1 + (worth - 1) * at[:, None]
    value = cost * draw.lognormal(0.3, 0.7, (VISITS, 3)) * drift
    return Day(at, value, cost, value, cost * redemption)


def _spend(day, pacing, seed=0):
    """Play the day: where the budget stands at its end, what was earned, and the state at each tick."""
    draw = np.random.default_rng(seed)
    luck = draw.random(VISITS)
    pace, earned, states, waiting = begin(pacing), 0.0, [], []
    ends = np.arange(1, TICKS + 1) / TICKS
    tick = 0
    for visit in range(VISITS):
        while day.at[visit] >= ends[tick]:
            pace = ticked(pacing, pace, float(ends[tick]))
            states.append(pace)
            tick += 1
        while waiting and waiting[0][0] <= visit:
            pace = settled(pace, *waiting.pop(0)[1:])
        pace = asked(pace)
        worth = day.value[visit] - pace.price * day.cost[visit]
        offer = int(np.argmax(worth))
        if worth[offer] <= 0 or not affords(pacing, pace, day.cost[visit, offer], FACE[offer]):
            continue
        cost, face = float(day.cost[visit, offer]), float(FACE[offer])
        pace = sent(pace, cost, face)
        earned += day.true_value[visit, offer]
        paid = face if luck[visit] < day.true_cost[visit, offer] / face else 0.0
        waiting.append((visit + OPEN, cost, face, paid))
    for _, *rest in waiting:
        pace = settled(pace, *rest)
    return pace, earned, states


def _planned(budget, **more):
    """The price that the night found on yesterday's visits."""
    yesterday = _day(7)
    problem = Problem(yesterday.value, yesterday.cost, None, ("a", "b", "c"), ("day",) * 3, {"day": budget})
    return Pacing(budget_fen=budget, price=solve(problem, threads=1).prices.budgets["day"], **more)


BUDGET = 500_000.0
DRIFTS = [
    ({}, 0.95),
    ({"worth": 0.6}, 0.95),
    ({"redemption": 1.25}, 0.95),
    ({"worth": 1.4, "redemption": 1.2, "late": 0.4}, 0.9),  # hindsight keeps money for the evening, no plan does
]


@pytest.mark.parametrize(("drift", "share"), DRIFTS)
def test_no_drift_overspends_or_costs_much_of_the_best_that_hindsight_knows(drift, share):
    day = _day(9, **drift)
    pace, earned, _ = _spend(day, _planned(BUDGET))
    hindsight = Problem(day.true_value, day.true_cost, None, ("a", "b", "c"), ("day",) * 3, {"day": BUDGET})
    assert 0.97 * BUDGET < pace.paid_fen <= 1.001 * BUDGET
    assert earned > share * solve(hindsight, threads=1).dual_value


def test_the_nights_price_without_a_pacer_overspends_or_misses_where_the_day_drifts():
    day = _day(9, worth=1.4, redemption=1.2)
    price = _planned(BUDGET).price
    worth = day.value - price * day.cost
    offer = worth.argmax(axis=1)
    taken = worth.max(axis=1) > 0
    assert day.true_cost[np.arange(VISITS), offer][taken].sum() > 1.2 * BUDGET


def test_a_day_stopped_and_resumed_from_its_record_goes_on_to_the_bit():
    pacing = Pacing(budget_fen=10_000.0, price=2.0)
    pace = ticked(pacing, sent(asked(begin(pacing)), 123.4, 500.0), 0.25)
    again = msgspec.json.decode(msgspec.json.encode(pace), type=Pace)
    assert again == pace
    assert msgspec.json.decode(msgspec.json.encode(pacing), type=Pacing) == pacing
    assert ticked(pacing, asked(sent(again, 80.0, 500.0)), 0.5) == ticked(pacing, asked(sent(pace, 80.0, 500.0)), 0.5)


def test_the_price_rises_when_money_goes_too_fast_and_falls_when_too_slowly():
    pacing = Pacing(budget_fen=10_000.0, price=2.0)
    fast = ticked(pacing, sent(asked(begin(pacing)), 4_000.0, 500.0), 0.1)
    slow = ticked(pacing, sent(asked(begin(pacing)), 100.0, 500.0), 0.1)
    right = ticked(pacing, sent(asked(begin(pacing)), 1_000.0, 500.0), 0.1)
    assert slow.price < right.price < fast.price
    assert right.price == pytest.approx(2.0)


def test_nothing_winds_up():
    pacing = Pacing(budget_fen=10_000.0, price=2.0)
    idle = begin(pacing)
    for tick in range(1, 90):
        idle = ticked(pacing, asked(idle), tick / 100)  # visits, and nobody wants anything
    assert idle.price == 2.0 / pacing.most_range
    woken = ticked(pacing, sent(asked(idle), 9_000.0, 1.0), 0.9)
    assert woken.price == idle.price * pacing.most_step  # it moves at once
    night = begin(pacing)
    assert ticked(pacing, night, 0.5).price == night.price  # nobody came
    gone = sent(asked(begin(pacing)), 10_000.0, 1.0)
    assert ticked(pacing, gone, 0.1).price == gone.price  # the money is gone


def test_redemptions_that_run_dearer_than_foretold_are_seen():
    pacing = Pacing(budget_fen=10_000.0, price=2.0)
    pace = begin(pacing)
    assert ratio(pacing, pace) == 1.0
    for _ in range(40):
        pace = settled(sent(pace, 100.0, 500.0), 100.0, 500.0, 125.0)
    assert ratio(pacing, pace) == pytest.approx((5_000 + 200) / (4_000 + 200))
    assert committed(pacing, sent(pace, 100.0, 500.0)) == pytest.approx(5_000 + 100 * ratio(pacing, pace))


def test_a_step_of_the_plan_is_followed():
    pacing = Pacing(budget_fen=1.0, price=1.0, plan=((0.0, 0.0), (0.5, 0.0), (0.75, 0.9), (1.0, 1.0)))
    assert [pacing.planned(at) for at in (0, 0.25, 0.5, 0.625, 0.75, 1)] == [0, 0, 0, 0.45, 0.9, 1]


@settings(deadline=None)
@given(
    st.floats(0, 100),
    st.lists(st.tuples(st.floats(0, 3_000), st.booleans(), st.floats(0, 1)), min_size=1, max_size=30),
)
def test_whatever_happens_the_price_keeps_its_bounds_and_money_is_never_bound_twice(price, events):
    pacing = Pacing(budget_fen=10_000.0, price=price)
    pace, bound = begin(pacing), 0.0
    for number, (cost, used, luck) in enumerate(events, start=1):
        pace, before = asked(pace), pace.price
        if affords(pacing, pace, cost, 3_000.0):
            pace = sent(pace, cost, 3_000.0)
            bound += cost
            assert committed(pacing, pace) <= pacing.budget_fen
            if used:
                pace = settled(pace, cost, 3_000.0, cost * luck)
        pace = ticked(pacing, pace, number / len(events))
        assert 1 / pacing.most_step <= pace.price / before * (1 + 1e-12)
        assert pace.price / before <= pacing.most_step * (1 + 1e-12)
        middle = max(price, pacing.least_price)
        assert max(middle / pacing.most_range, pacing.least_price) <= pace.price <= middle * pacing.most_range
    assert bound <= pacing.budget_fen / 0.5


def test_a_plan_that_cannot_be_meant_is_refused_with_all_that_is_wrong():
    with pytest.raises(UsageError) as caught:
        Pacing(budget_fen=0.0, price=-1.0, gain=2.0, plan=((0.0, 0.0), (0.5, 0.8), (1.0, 0.7)))
    for found in ("budget_fen: found 0.0", "price: found -1.0", "gain: found 2.0", "plan: found"):
        assert found in str(caught.value)


def test_time_does_not_run_backwards():
    pacing = Pacing(budget_fen=1.0, price=1.0)
    with pytest.raises(UsageError, match=r"found the share 0\.1 of the time, expected 0\.5 to 1"):
        ticked(pacing, ticked(pacing, begin(pacing), 0.5), 0.1)
