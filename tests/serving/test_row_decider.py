"""One row decided without arrays: the bits of `decide`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UsageError
from serving.decisions import RowDecider, decide
from serving.payoff import Cap, Payoff
from training.scan_costs import ScanCosts

MONEY = st.floats(-1e6, 1e6)
CHANCE = st.floats(0, 1)


@st.composite
def payoffs(draw: st.DrawFn) -> Payoff:
    actions = draw(st.integers(2, 5))
    pairs = st.lists(st.tuples(MONEY, MONEY), min_size=actions, max_size=actions).map(tuple)
    names = tuple(f"a{number}" for number in range(actions))
    staked = draw(st.booleans())
    cap = draw(st.sampled_from([None, Cap(names[1:2], "no", 0.01), Cap(names[-1:], "yes", 0.01)]))
    return Payoff(
        names, ("no", "yes"), draw(pairs), draw(pairs) if staked else (), stake="prize_fen" if staked else "", cap=cap
    )


@given(payoffs(), CHANCE, st.floats(0, 1e6), st.floats(0, 1e4))
def test_a_row_is_decided_as_in_an_array(payoff: Payoff, chance: float, stake: float, price: float) -> None:
    stakes = np.array([stake]) if payoff.stake else None
    prices = None if payoff.cap is None else np.array([price])
    action, value = decide(np.array([chance]), payoff, stakes, prices)

    found = RowDecider(payoff).decide(chance, stake, price)

    assert found == (int(action[0]), float(value[0]))


def test_ties_go_to_the_earlier_action() -> None:
    payoff = Payoff(("pay", "hold"), ("honest", "wool"), ((1.0, 1.0), (1.0, 1.0)))

    assert RowDecider(payoff).decide(0.3) == (0, 1.0)


def test_every_action_of_the_fraud_task_can_be_taken() -> None:
    payoff, generator = ScanCosts().payoff(), np.random.default_rng(2)
    decider = RowDecider(payoff)

    taken = {decider.decide(generator.random(), 10.0 ** generator.uniform(0, 5), 10.0)[0] for _ in range(5_000)}

    assert taken == set(range(len(payoff.actions)))


@pytest.mark.parametrize(("chance", "stake"), [(-0.1, 1.0), (1.1, 1.0), (np.nan, 1.0), (0.5, -1.0), (0.5, np.inf)])
def test_what_is_no_chance_or_stake_is_refused(chance: float, stake: float) -> None:
    with pytest.raises(UsageError, match="expected 0 to 1 and 0 fen or more"):
        RowDecider(ScanCosts().payoff()).decide(chance, stake)


def test_more_outcomes_are_refused() -> None:
    payoff = Payoff(("a",), ("x", "y", "z"), ((0.0, 0.0, 0.0),))

    with pytest.raises(UsageError, match="found 3 outcomes, expected 2"):
        RowDecider(payoff)
