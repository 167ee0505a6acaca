"""Maximal covering and p-median against an exact solver, on fifty random instances each."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.locations import Instance, exact_covering, exact_median
from data.errors import UsageError
from serving.siting.covering import carried, covered, greedy_covering, maximal_covering, p_median

INSTANCES = 50


@pytest.fixture(scope="module")
def instances():
    generator = np.random.default_rng(20_261)
    return [Instance.drawn(generator) for _ in range(INSTANCES)]


def test_covering_equals_the_exact_solver_and_greedy_keeps_its_bound(instances):
    for one in instances:
        best = covered(one.demand, one.within, exact_covering(one))
        assert covered(one.demand, one.within, maximal_covering(one.demand, one.within, one.count)) == pytest.approx(
            best
        )
        assert covered(one.demand, one.within, greedy_covering(one.demand, one.within, one.count)) >= best * (
            1 - 1 / math.e
        )


def test_the_median_equals_the_exact_solver(instances):
    for one in instances:
        best = carried(one.demand, one.apart_m, exact_median(one))
        assert carried(one.demand, one.apart_m, p_median(one.demand, one.apart_m, one.count)) == pytest.approx(best)


def test_greedy_alone_is_not_always_best(instances):
    short = [
        covered(one.demand, one.within, greedy_covering(one.demand, one.within, one.count))
        < covered(one.demand, one.within, exact_covering(one)) - 1e-9
        for one in instances
    ]
    assert any(short)


@pytest.mark.parametrize("count", [0, 4])
def test_a_number_of_sites_that_cannot_be_is_refused(count):
    with pytest.raises(UsageError, match="expected from 1 to 3"):
        p_median(np.ones(2), np.ones((2, 3)), count)
