"""Two classic questions of location: reach most people within a distance, or stay nearest to all of them.

Maximal covering (Church and ReVelle 1974) chooses p sites so that most demand lies within reach of one; the p-median
(Hakimi 1964) chooses them so that the demand-weighted distance to the nearest is least. Both start from greedy choice
and exchange sites until nothing helps, again from each site that could come first. Greedy covering is at least 1 - 1/e
of the best; neither is proved best by itself, which is what an exact solver is asked for in the tests.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

Sites = tuple[int, ...]


def covered(demand: Doubles, within: NDArray[np.bool_], chosen: Sites) -> float:
    """The demand within reach of a chosen site.

    Args:
        demand: Of each place, shape (places,).
        within: Which sites reach which places, shape (places, sites).
        chosen: Sites by number.
    """
    return float(demand[within[:, list(chosen)].any(axis=1)].sum())


def carried(demand: Doubles, apart_m: Doubles, chosen: Sites) -> float:
    """The demand times the metres to its nearest chosen site.

    Args:
        demand: Of each place, shape (places,).
        apart_m: Shape (places, sites).
        chosen: Sites by number, at least one.
    """
    return float(demand @ apart_m[:, list(chosen)].min(axis=1))


def maximal_covering(demand: Doubles, within: NDArray[np.bool_], count: int) -> Sites:
    """The `count` sites found to reach most demand, by number; see `covered` for the arguments."""
    _require(count, within.shape[1])
    return _best(lambda chosen: covered(demand, within, chosen), within.shape[1], count)


def p_median(demand: Doubles, apart_m: Doubles, count: int) -> Sites:
    """The `count` sites found to lie nearest to the demand, by number; see `carried` for the arguments."""
    _require(count, apart_m.shape[1])
    return _best(lambda chosen: -carried(demand, apart_m, chosen), apart_m.shape[1], count)


def greedy_covering(demand: Doubles, within: NDArray[np.bool_], count: int) -> Sites:
    """The sites that greedy choice alone finds: at least 1 - 1/e of the most demand that `count` sites reach."""
    _require(count, within.shape[1])
    return _greedy(lambda chosen: covered(demand, within, chosen), within.shape[1], count, ())


def _best(worth: Callable[[Sites], float], sites: int, count: int) -> Sites:
    starts = [(), *((site,) for site in range(sites))]
    found = {_exchanged(worth, sites, start, 1) for start in {_greedy(worth, sites, count, one) for one in starts}}
    return _exchanged(worth, sites, max(sorted(found), key=worth), 2)


def _greedy(worth: Callable[[Sites], float], sites: int, count: int, start: Sites) -> Sites:
    chosen = start
    while len(chosen) < count:
        left = [site for site in range(sites) if site not in chosen]
        chosen = (*chosen, max(left, key=lambda site: worth((*chosen, site))))
    return tuple(sorted(chosen))


def _exchanged(worth: Callable[[Sites], float], sites: int, chosen: Sites, most: int) -> Sites:
    """Swap one site, or up to so many at once, as long as that helps."""
    while True:
        here = worth(chosen)
        tries = (_better(worth, sites, chosen, here, swapped) for swapped in range(1, most + 1))
        better = next((one for one in tries if one is not None), None)
        if better is None:
            return chosen
        chosen = better


def _better(worth: Callable[[Sites], float], sites: int, chosen: Sites, here: float, swapped: int) -> Sites | None:
    """The first set worth more among those that differ in so many sites."""
    others = [site for site in range(sites) if site not in chosen]
    for out in combinations(chosen, swapped):
        kept = [site for site in chosen if site not in out]
        for new in combinations(others, swapped):
            other = tuple(sorted((*kept, *new)))
            if worth(other) > here + 1e-9 * abs(here):
                return other
    return None


def _require(count: int, sites: int) -> None:
    if not 1 <= count <= sites:
        raise UsageError(f"sites to choose: found {count}, expected from 1 to {sites}, the sites there are")
