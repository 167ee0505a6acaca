"""Plans for a simulated chain held against the best plan there is, by the truth that no table has.

What a plan is worth is what the whole chain truly sells with it more than today. The best plan is exact: what a city
sells does not depend on another city, so every set of sites that a city's cap allows is asked of the truth, and an
integer programme picks one set a city under the common number and budget.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from data.errors import DependencyDown
from data.world.city import joined
from data.world.grid import great_circle_km
from data.world.oracle import Oracle
from serving.sites import Candidates
from serving.siting.plan import Limits, Moves, Rules, network_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from data.world.city import City
    from serving.sites import SiteScorer
    from serving.siting.plan import Chosen, Worth

OPENINGS: Final = 8
CITY_CAP: Final = 3
SPACING_M: Final = 500.0
BUDGET_SHARE: Final = 0.8
"""Of what that many sites of median cost would cost to open: tight enough that costs matter."""
RULE_KM: Final = 1.0


def moves_of(city: City) -> Moves:
    """The candidates of all cities in the order of the truth, as openings."""
    sites = city.site_lat.size
    return Moves(
        name=tuple(map(str, range(sites))),
        lat=city.site_lat,
        lon=city.site_lon,
        city=tuple(city.cities[place] for place in city.site_city),
        cost_fen=joined(city.sites, "opening_cost_fen").astype(np.float64),
        closing=np.zeros(sites, np.bool_),
    )


def limits_of(moves: Moves) -> Limits:
    """The limits under which plans are compared."""
    budget = BUDGET_SHARE * OPENINGS * float(np.median(moves.cost_fen))
    return Limits(OPENINGS, budget_fen=budget, spacing_m=SPACING_M, city_cap=CITY_CAP)


def consultant(city: City, reach_km: float = RULE_KM) -> Worth:
    """The consultant's rule: a site is worth the people who live within so many kilometres, whoever else is there."""
    apart = great_circle_km(city.lat[:, None], city.lon[:, None], city.site_lat, city.site_lon)
    people = city.population @ (apart <= reach_km)
    return lambda chosen: float(people[list(chosen)].sum())


def revealed(city: City) -> Worth:
    """What the truth would say of a set of sites if it knew neither their hidden quality nor anybody's taste.

    No map tells more: what is left to the best plan is luck, but for what members' scans could say of taste.
    """
    seen = copy(city)
    seen.streets = tuple(
        replace(streets, land=replace(streets.land, taste=np.ones_like(streets.land.taste))) for streets in city.streets
    )
    seen.sites = tuple(
        replace(sites, shops=replace(sites.shops, quality=np.zeros_like(sites.shops.quality))) for sites in city.sites
    )
    oracle = Oracle(seen)
    return lambda chosen: oracle.network(sites=chosen)


def best_plan(worth: Worth, rules: Rules) -> Chosen:
    """The best plan where a city's sites do not touch another city's: exact.

    Args:
        worth: What a set of sites is worth, the sum of what it is worth in each city.
        rules: The moves, all openings, and the limits; the cap by city keeps the sets few.
    """
    cities, limits = sorted(set(rules.moves.city)), rules.limits
    sets: list[Chosen] = []
    home: list[int] = []
    for number, city in enumerate(cities):
        here = [place for place, name in enumerate(rules.moves.city) if name == city]
        most = min(limits.openings, len(here) if limits.city_cap is None else limits.city_cap)
        kept = [one for size in range(most + 1) for one in combinations(here, size) if rules.kept(one)]
        sets += kept
        home += [number] * len(kept)
    today = worth(())
    gain = np.array([worth(one) - today for one in sets])
    chosen = _one_a_city(gain / np.abs(gain).max(initial=1.0), sets, np.array(home), rules)
    return tuple(sorted(place for number in chosen for place in sets[number]))


def plan_shares(city: City, worths: dict[str, Worth], limits: Limits | None = None) -> dict[str, float]:
    """What share of the best plan's gain each judge's plan truly brings.

    Args:
        city: The cities of a world.
        worths: By name, what each judge holds sets of sites to be worth; sites by their place in the truth's order.
        limits: `limits_of` the candidates if not given.

    Returns:
        For each name the share, 1 for the best; `truth` is the plan that our search finds when told the truth: what the
        search itself costs.
    """
    moves = moves_of(city)
    rules, oracle = Rules(moves, limits or limits_of(moves)), Oracle(city)
    today = oracle.network()

    def true(chosen: Chosen) -> float:
        return oracle.network(sites=chosen)

    best = true(best_plan(true, rules)) - today
    told: dict[str, Callable[[Chosen], float]] = {"truth": true, **worths}
    found = {name: network_plan(worth, rules) for name, worth in told.items()}
    return {name: (true(tuple(step.move for step in plan.steps)) - today) / best for name, plan in found.items()}


def measure(scorer: SiteScorer, city: City) -> dict[str, float]:
    """What share of the best plan's gain a model's plan brings, beside the consultant's rule.

    Args:
        scorer: The model, learned from the tables of that world.
        city: The same world's cities, of which the model knows the tables alone.

    Returns:
        `model`, `consultant`, `revealed` and `truth` (our search told the truth), each as a share of the best plan.
    """
    shops = [sites.shops for sites in city.sites]
    names = city.settings.stores.formats
    candidates = Candidates.of(
        np.round(city.site_lat, 6),
        np.round(city.site_lon, 6),
        format=[names[form] for form in joined(shops, "form")],
        area_m2=joined(shops, "area_m2"),
    )
    forecast = scorer.forecast(candidates)

    def sells(chosen: Chosen) -> float:
        return scorer.network(candidates, chosen, forecast=forecast).total_fen

    return plan_shares(city, {"model": sells, "consultant": consultant(city), "revealed": revealed(city)})


def _one_a_city(gain: np.ndarray, sets: list[Chosen], home: np.ndarray, rules: Rules) -> list[int]:
    """Which sets to take, one for each city, within the number and the budget."""
    one = sparse.csr_array((np.ones(home.size), (home, np.arange(home.size))))
    sizes = np.array([[len(chosen) for chosen in sets]])
    limits = [LinearConstraint(one, 1, 1), LinearConstraint(sizes, -np.inf, rules.limits.openings)]
    if rules.limits.budget_fen is not None:
        costs = np.array([[rules.moves.cost_fen[list(chosen)].sum() for chosen in sets]]) / rules.limits.budget_fen
        limits.append(LinearConstraint(costs, -np.inf, 1))
    whole = np.ones(gain.size, np.int64)
    found = milp(-gain, constraints=limits, integrality=whole, bounds=Bounds(0, 1), options={"mip_rel_gap": 0.0})
    if not found.success:
        raise DependencyDown(f"the exact solver gave up: {found.message}")
    return np.flatnonzero(found.x > 0.5).tolist()
