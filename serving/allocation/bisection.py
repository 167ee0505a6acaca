"""The price of a single limit: the least at which it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from serving.allocation.descent import Minimum

if TYPE_CHECKING:
    from serving.allocation.descent import Search
    from serving.allocation.dual import Oracle, Point

_DOUBLINGS: Final = 200


def bisect(oracle: Oracle, start: Point, scale: float, search: Search) -> Minimum:
    """Find the least price at which the one limit is kept, between one where it is broken and one where it is kept.

    The dual falls up to that price and rises from there. The two come as near to each other as the tolerance says, as a
    share of the price; the dual is then as near to its least.

    Args:
        oracle: The dual of one price.
        start: Its value at price 0, where the limit is broken.
        scale: A natural size of the price.
        search: When to end.

    Returns:
        The point at the price where the limit is kept; its bound is the least of all prices tried.
    """
    low, high, looks = start, oracle(np.array([scale])), 1
    bound = min(start.value, high.value)
    while high.slope[0] < 0 and bound >= search.lowest and looks < _DOUBLINGS:
        low, high, looks = high, oracle(2 * high.prices), looks + 1
        bound = min(bound, high.value)
    if high.slope[0] < 0:
        return Minimum(high, bound, looks, settled=False)
    while looks < search.most_looks:
        middle = (low.prices + high.prices) / 2
        near = float(high.prices[0] - low.prices[0]) <= search.tolerance * float(high.prices[0])
        if near or not low.prices < middle < high.prices:
            return Minimum(high, bound, looks, settled=True)
        point, looks = oracle(middle), looks + 1
        bound = min(bound, point.value)
        low, high = (point, high) if point.slope[0] < 0 else (low, point)
    return Minimum(high, bound, looks, settled=False)
