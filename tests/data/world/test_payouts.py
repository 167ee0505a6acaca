"""Prize money is neither lost nor made, and goes out when its owner would take it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data.world.payouts import Purses
from data.world.records import MEMBER

CASH_OUT = (10, 25, 10**15)
WAIT = (5, 0, 7)


def _purses(folder):
    members = np.zeros(3, MEMBER)
    members["member"] = np.arange(3)
    members["account"] = (70, 71, 70)
    members["cash_out_fen"] = CASH_OUT
    members["cash_out_us"] = WAIT
    purses = Purses.of(folder / "purses", 3)
    purses.open(members)
    return purses


def _story(prizes):
    """One prize after the other."""
    balance = [0, 0, 0]
    for at, (member, prize) in enumerate(prizes):
        if prize == 0:
            continue
        balance[member] += prize
        if balance[member] >= CASH_OUT[member]:
            yield (at + WAIT[member], member, 71 if member == 1 else 70, balance[member])
            balance[member] = 0


@given(
    prizes=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=60),
    cut=st.integers(0, 60),
)
def test_payouts_are_those_of_one_prize_after_the_other(tmp_path_factory, prizes, cut):
    purses = _purses(tmp_path_factory.mktemp("purses"))
    member, prize = (np.array([one[part] for one in prizes], np.int64) for part in (0, 1))
    at = np.arange(len(prizes))

    found = np.concatenate(
        [purses.pay_in(member[part], prize[part], at[part]) for part in (slice(None, cut), slice(cut, None))]
    )

    assert sorted(found.tolist()) == sorted(_story(prizes))


def test_who_never_withdraws_is_never_paid(tmp_path):
    paid = _purses(tmp_path).pay_in(np.full(9, 2), np.full(9, 500), np.arange(9))

    assert len(paid) == 0
