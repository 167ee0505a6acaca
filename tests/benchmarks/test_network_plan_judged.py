"""The exact plan against every plan there is, and the search against it on a simulated chain."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.network_plan import best_plan, consultant, limits_of, moves_of, plan_shares, revealed
from data.world.city import City
from data.world.preset import PRESETS
from serving.siting.plan import Limits, Moves, Rules, exhaustive


@pytest.mark.parametrize("seed", range(5))
def test_the_programme_finds_what_asking_every_set_finds(seed):
    generator = np.random.default_rng(seed)
    city = tuple("ABC"[place % 3] for place in range(9))
    costs, each = generator.uniform(1, 4, 9), generator.uniform(1, 9, 9)
    moves = Moves(tuple(map(str, range(9))), np.full(9, 30.0), np.arange(9.0), city, costs, np.zeros(9, np.bool_))
    rules = Rules(moves, Limits(4, budget_fen=9.0, city_cap=2))

    def worth(chosen, /):
        return sum(each[list(chosen)][[city[one] == name for one in chosen]].sum() ** 0.8 for name in "ABC")

    assert worth(best_plan(worth, rules)) == pytest.approx(worth(exhaustive(worth, rules)))


def test_told_the_truth_the_search_is_the_best_and_the_rule_is_not():
    city = City(PRESETS["world/v1"].city, 4)
    moves = moves_of(city)
    limits = limits_of(moves)
    told = {"consultant": consultant(city), "revealed": revealed(city)}
    shares = plan_shares(city, told, Limits(4, limits.budget_fen, limits.spacing_m, 2))
    assert shares["truth"] > 0.99
    assert 0.2 < shares["consultant"] < shares["revealed"] < shares["truth"]
