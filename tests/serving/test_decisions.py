from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UsageError
from serving.decisions import Interval, decide, expected_values, thresholds
from serving.payoff import Payoff

MONEY = st.floats(-1e6, 1e6).map(lambda value: round(value, 2))
FRAUD = Payoff(
    ("pay", "step_up", "block"),
    ("honest", "wool"),
    ((10.0, -100.0), (5.0, -20.0), (-50.0, 0.0)),
)


@st.composite
def payoffs(draw: st.DrawFn) -> Payoff:
    actions = draw(st.integers(1, 5))
    values = draw(st.lists(st.tuples(MONEY, MONEY), min_size=actions, max_size=actions))
    return Payoff(tuple(f"a{number}" for number in range(actions)), ("no", "yes"), tuple(values))


def test_the_action_of_the_highest_expected_value_is_taken() -> None:
    action, value = decide(np.array([0.0, 0.2, 0.9, 1.0]), FRAUD)

    assert [FRAUD.actions[index] for index in action] == ["pay", "step_up", "block", "block"]
    assert value == pytest.approx([10, 0.8 * 5 - 0.2 * 20, -0.1 * 50, 0])


def test_a_tie_goes_to_the_earlier_action() -> None:
    payoff = Payoff(("none", "send"), ("ignored", "redeemed"), ((0.0, 0.0), (-100.0, 300.0)))

    action, value = decide(np.array([0.25]), payoff)

    assert (action[0], value[0]) == (0, 0.0)


def test_thresholds_follow_from_the_money() -> None:
    assert thresholds(FRAUD) == (
        Interval("pay", 0.0, pytest.approx(5 / 85)),
        Interval("step_up", pytest.approx(5 / 85), pytest.approx(55 / 75)),
        Interval("block", pytest.approx(55 / 75), 1.0),
    )


def test_an_action_that_never_pays_has_no_interval() -> None:
    payoff = Payoff(("none", "waste"), ("no", "yes"), ((0.0, 0.0), (-1.0, -1.0)))

    assert thresholds(payoff) == (Interval("none", 0.0, 1.0),)


@given(payoffs(), st.floats(0, 1))
def test_intervals_and_decisions_agree(payoff: Payoff, probability: float) -> None:
    action, value = decide(np.array([probability]), payoff)

    intervals = thresholds(payoff)
    assert (intervals[0].low, intervals[-1].high) == (0.0, 1.0)
    assert all(left.high == right.low for left, right in pairwise(intervals))
    named = next(interval.action for interval in intervals if interval.low <= probability <= interval.high)
    worth = expected_values(np.array([probability]), payoff)[0]
    assert worth[payoff.actions.index(named)] == pytest.approx(value[0], abs=1e-6)
    assert value[0] == worth.max() == worth[action[0]]


@given(payoffs(), st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_one_row_is_decided_as_among_many(payoff: Payoff, probabilities: list[float]) -> None:
    action, value = decide(np.array(probabilities), payoff)

    for row, probability in enumerate(probabilities):
        alone, worth = decide(np.array([probability]), payoff)
        assert (alone[0], worth[0]) == (action[row], value[row])


@given(payoffs(), st.lists(st.floats(0, 1), min_size=1))
def test_two_outcomes_can_be_said_in_one_column_or_two(payoff: Payoff, probabilities: list[float]) -> None:
    one = np.array(probabilities)

    assert np.array_equal(decide(one, payoff)[0], decide(np.column_stack((1 - one, one)), payoff)[0])


def test_more_outcomes_need_a_column_each() -> None:
    payoff = Payoff(("a", "b"), ("x", "y", "z"), ((0, 0, 10), (1, 1, 1)))

    assert decide(np.array([[0.5, 0.4, 0.1], [0.0, 0.0, 1.0]]), payoff)[0].tolist() == [0, 0]
    assert decide(np.array([[0.5, 0.45, 0.05]]), payoff)[0].tolist() == [1]
    with pytest.raises(UsageError, match=r"shape \(2,\), expected \(rows, 3\)"):
        decide(np.array([0.5, 0.5]), payoff)
    with pytest.raises(UsageError, match="found 3 outcomes, expected 2"):
        thresholds(payoff)


def test_no_rows_have_no_decisions() -> None:
    action, value = decide(np.empty(0), FRAUD)

    assert (action.size, value.size) == (0, 0)


@pytest.mark.parametrize("probability", [np.nan, -0.1, 1.1, np.inf])
def test_what_is_no_probability_is_refused(probability: float) -> None:
    with pytest.raises(UsageError, match=r"1 rows \(first: 1\) that hold no probabilities"):
        decide(np.array([0.5, probability]), FRAUD)


def test_all_faults_of_a_table_are_said_at_once() -> None:
    with pytest.raises(UsageError) as refused:
        Payoff(("a", "a", "b"), ("no",), ((float("nan"),), (1.0, 2.0)))

    message = str(refused.value)
    assert "expected each name once" in message
    assert "found 1 outcomes, expected at least 2" in message
    assert "found 2 rows of value_fen" in message
    assert "row 1 of value_fen: found [nan]" in message
    assert "row 2 of value_fen: found 2 values" in message
