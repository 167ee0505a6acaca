"""Maximal covering and p-median beside an exact solver: how often our answer is the best, and by how much it misses.

The exact answers come from mixed-integer programmes (HiGHS through scipy), solved to a gap of zero.

    python -m benchmarks.locations
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from data.errors import DependencyDown
from serving.siting.covering import carried, covered, greedy_covering, maximal_covering, p_median

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.siting.covering import Sites

    Doubles = NDArray[np.float64]

INSTANCES: Final = 50
REACH_M: Final = 1_500.0


@dataclass(frozen=True)
class Instance:
    """One random town.

    Attributes:
        demand: Of each place, shape (places,).
        apart_m: From each place to each site, shape (places, sites).
        count: How many sites to choose.
    """

    demand: Doubles
    apart_m: Doubles
    count: int

    @classmethod
    def drawn(cls, generator: np.random.Generator) -> Instance:
        """A town of 30 to 80 places and 10 to 25 sites on 8 km square, 2 to 6 of them to be chosen."""
        places, sites = int(generator.integers(30, 81)), int(generator.integers(10, 26))
        east, north = generator.uniform(0, 8_000, (2, places + sites))
        apart = np.hypot(east[:places, None] - east[places:], north[:places, None] - north[places:])
        return cls(generator.lognormal(6, 1, places), apart, int(generator.integers(2, 7)))

    @property
    def within(self) -> NDArray[np.bool_]:
        """Which sites reach which places."""
        return self.apart_m <= REACH_M


def exact_covering(instance: Instance) -> Sites:
    """The best sites for maximal covering: y_i <= sum of x_j that reach i, sum of x = p, most demand times y."""
    places, sites = instance.apart_m.shape
    reached = sparse.hstack([sparse.csr_array(-instance.within.astype(float)), sparse.eye_array(places)])
    chosen = sparse.csr_array(np.r_[np.ones(sites), np.zeros(places)][None, :])
    limits = [
        LinearConstraint(sparse.csr_array(reached), -np.inf, 0),
        LinearConstraint(chosen, instance.count, instance.count),
    ]
    return _solved(np.r_[np.zeros(sites), -instance.demand], limits, sites)


def exact_median(instance: Instance) -> Sites:
    """The best sites for the p-median: z_ij <= x_j, each place served once, sum of x = p, least demand times metres."""
    places, sites = instance.apart_m.shape
    serves = sparse.eye_array(places * sites)
    only_open = sparse.hstack([sparse.vstack([-sparse.eye_array(sites)] * places), serves])
    once = sparse.hstack(
        [sparse.csr_array((places, sites)), sparse.kron(sparse.eye_array(places), np.ones((1, sites)))]
    )
    chosen = sparse.csr_array(np.r_[np.ones(sites), np.zeros(places * sites)][None, :])
    limits = [
        LinearConstraint(sparse.csr_array(only_open), -np.inf, 0),
        LinearConstraint(sparse.csr_array(once), 1, 1),
        LinearConstraint(chosen, instance.count, instance.count),
    ]
    cost = np.r_[np.zeros(sites), (instance.demand[:, None] * instance.apart_m).ravel()]
    return _solved(cost, limits, sites)


def measure(instances: int = INSTANCES, seed: int = 20_261) -> dict[str, Any]:
    """Our answers beside the best on random towns.

    Args:
        instances: How many.
        seed: Where chance starts.

    Returns:
        For each question how many answers equal the best and the worst share of the best; for covering also the worst
        share that greedy choice alone reached, beside its bound of 1 - 1/e.
    """
    generator = np.random.default_rng(seed)
    covering, median, greedy = [], [], []
    for _ in range(instances):
        one = Instance.drawn(generator)
        best = covered(one.demand, one.within, exact_covering(one))
        covering.append(covered(one.demand, one.within, maximal_covering(one.demand, one.within, one.count)) / best)
        greedy.append(covered(one.demand, one.within, greedy_covering(one.demand, one.within, one.count)) / best)
        least = carried(one.demand, one.apart_m, exact_median(one))
        median.append(least / carried(one.demand, one.apart_m, p_median(one.demand, one.apart_m, one.count)))
    return {
        "instances": instances,
        "maximal_covering": {**_said(covering), "greedy_worst": min(greedy), "greedy_bound": 1 - 1 / math.e},
        "p_median": _said(median),
    }


def _said(shares: list[float]) -> dict[str, float]:
    return {"equal": sum(share > 1 - 1e-9 for share in shares), "worst": min(shares)}


def _solved(cost: Doubles, limits: list[LinearConstraint], sites: int) -> Sites:
    """The sites that the programme chooses; its first variables are theirs, and whole, the others follow."""
    whole = (np.arange(cost.size) < sites).astype(np.int64)
    found = milp(cost, constraints=limits, integrality=whole, bounds=Bounds(0, 1), options={"mip_rel_gap": 0.0})
    if not found.success:
        raise DependencyDown(f"the exact solver gave up: {found.message}")
    return tuple(np.flatnonzero(found.x[:sites] > 0.5).tolist())


def main() -> None:
    """Print the figures as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=INSTANCES)
    print(json.dumps(measure(parser.parse_args().instances)))


if __name__ == "__main__":
    main()
