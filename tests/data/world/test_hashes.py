"""Chance that hangs on things: it repeats, it is even, and neighbours share nothing."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data.world.hashes import below, hashed, uniform


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20), st.integers(0, 2**32))
def test_a_thing_draws_the_same_whoever_asks_and_in_whatever_company(numbers, seed):
    together = hashed(seed, "part", np.array(numbers), 5)
    alone = [int(hashed(seed, "part", number, 5)[0]) for number in numbers]
    assert together.tolist() == alone


def test_names_seeds_and_order_of_numbers_matter():
    drawn = [hashed(1, "a", 2, 3), hashed(2, "a", 2, 3), hashed(1, "b", 2, 3), hashed(1, "a", 3, 2)]
    assert len({int(one[0]) for one in drawn}) == len(drawn)


def test_draws_fill_the_unit_interval_evenly_and_without_memory():
    drawn = uniform(7, "even", np.arange(200_000))
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts = np.histogram(drawn, 100, (0, 1))[0]
    # Chi-square with 99 degrees of freedom: mean 99, standard deviation 14.
    assert np.sum((counts - 2_000) ** 2 / 2_000) < 99 + 5 * 14
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.02


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=30))
def test_each_thing_may_have_a_bound_of_its_own(bounds):
    drawn = below(3, "bound", np.array(bounds), np.arange(len(bounds)))
    assert np.all((drawn >= 0) & (drawn < np.array(bounds)))
