"""The prices of several limits at once: the least of a convex function with kinks, by a proximal bundle.

Each look at all members gives a cut, a plane below the dual. The next prices are the lowest point of all cuts, pulled
towards the best prices so far; how hard is adapted from look to look (Kiwiel, Mathematical Programming 46, 1990).
Moving one price at a time would be simpler and can stop at a kink that is no minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serving.allocation.quadratic import lowest_near

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.allocation.dual import Oracle, Point

    Doubles = NDArray[np.float64]

_MOST_CUTS: Final = 200
_GOOD: Final = 0.1
"""Share of the foreseen descent that has to come true for the centre to move."""
_PATIENCE: Final = 4
"""After how many looks that came to nothing the pull grows."""
_WEAKEST: Final = 1e-8
_NOTHING_FORESEEN: Final = 1e-15
"""A descent that rounding could have made up, as a share of the dual; a weaker pull looks further."""


@dataclass(frozen=True)
class Minimum:
    """Where a search ended.

    Attributes:
        point: The prices, and the dual there.
        bound: The least dual that was seen.
        looks: How often all members were looked at.
        settled: Whether the prices are the optimum's to the tolerance.
    """

    point: Point
    bound: float
    looks: int
    settled: bool


@dataclass(frozen=True)
class Search:
    """How far a search goes.

    Attributes:
        tolerance: How much lower the minimum may still be, as a share of the dual at price 0.
        most_looks: After how many looks it ends unsettled.
        lowest: The least value that the members could earn together; a bound below it proves that no allocation keeps
            the limits, and ends the search.
    """

    tolerance: float
    most_looks: int
    lowest: float


def descend(oracle: Oracle, start: Point, scale: Doubles, search: Search, pull: float = 1.0) -> Minimum:
    """Find the least value of a dual over prices that are not negative.

    Args:
        oracle: The dual.
        start: Where to begin, and the dual there.
        scale: A natural size of each price.
        search: When to end.
        pull: How hard the next prices are pulled to the best so far, at first; more for a start that is nearly right.
    """
    unit = max(abs(start.value), 1e-9)
    best, looks, misses = start, 1, 0
    points, slopes, heights = [start], [start.slope * scale / unit], [0.0]
    heights[0] = start.value / unit - float(slopes[0] @ (start.prices / scale))
    while looks < search.most_looks and best.value >= search.lowest:
        centre, now = best.prices / scale, best.value / unit
        nearest = lowest_near(np.array(slopes), np.array(heights), centre, pull)
        foreseen = now - nearest.height
        push = pull * (centre - nearest.point)
        slack = max(foreseen - float(push @ (centre - nearest.point)), 0.0)
        # Every cut is below the dual, so no prices of a natural size can be better by more than this.
        if slack + float(np.linalg.norm(push)) * (1.0 + float(np.linalg.norm(centre))) <= search.tolerance:
            return Minimum(best, best.value, looks, settled=True)
        if foreseen <= _NOTHING_FORESEEN:
            if pull == _WEAKEST:
                return Minimum(best, best.value, looks, settled=True)
            pull = max(pull / 10, _WEAKEST)
            continue
        found, looks = oracle(nearest.point * scale), looks + 1
        _keep(points, slopes, heights, nearest.weights)
        points.append(found)
        slopes.append(found.slope * scale / unit)
        heights.append(found.value / unit - float(slopes[-1] @ nearest.point))
        gained = now - found.value / unit
        if gained >= _GOOD * foreseen:
            best, misses = found, 0
            pull = max(pull / 4 if gained >= 0.5 * foreseen else pull, _WEAKEST)
        else:
            misses += 1
            # The dual curves up more than the pull says: one that would have foreseen what was found.
            pull = min(2 * pull * (1 - gained / foreseen), 10 * pull) if misses % _PATIENCE == 0 else pull
    return Minimum(best, best.value, looks, settled=False)


def _keep(points: list[Point], slopes: list[Doubles], heights: list[float], weights: Doubles) -> None:
    """Let go of the cuts that held nothing up, the oldest first, once there are many."""
    if len(points) < _MOST_CUTS:
        return
    least = int(np.argmin(weights))
    for kept in (points, slopes, heights):
        kept.pop(least)
