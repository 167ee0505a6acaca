"""The segments that marketing people know: recency against frequency and money, in fifths of those who ever bought.

Each member who bought before the moment gets a score from 1 to 5 for how lately (R), for how often (F) and for how much
money (M) in the last 365 days; 5 is best. A score is the fifth in which the middle of all members with the same value
lies, so equals share a score. F and M are averaged (a half counts up), and R against that average names the segment.
The table is the usual one of R and F that is handed round with the eleven names; `lost` is its lowest corner, as in the
tables of eleven. A member who never bought is `never_bought`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FEATURES: Final = ("member_basket_since", "member_basket_count_365d", "member_sum_amount_fen_365d")
"""What the scores are read from: recency in seconds, baskets, fen."""

NEVER_BOUGHT: Final = "never_bought"

SEGMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "champions": "核心客户",
        "loyal": "忠诚客户",
        "potential_loyalists": "潜在忠诚客户",
        "new": "新客户",
        "promising": "有潜力客户",
        "need_attention": "需要关注客户",
        "about_to_sleep": "即将沉睡客户",
        "at_risk": "流失风险客户",
        "cannot_lose": "不能失去的客户",
        "hibernating": "沉睡客户",
        "lost": "流失客户",
        NEVER_BOUGHT: "从未购买",
    }
)
"""The segments from best to worst, with their Chinese names."""

_SLEEPY, _SLIPPING = ("about_to_sleep", "about_to_sleep", "need_attention", "loyal", "loyal"), ("at_risk", "at_risk")
_TABLE: Final = (
    ("lost", "hibernating", *_SLIPPING, "cannot_lose"),
    ("hibernating", "hibernating", *_SLIPPING, "cannot_lose"),
    _SLEEPY,
    ("promising", "potential_loyalists", "potential_loyalists", "loyal", "loyal"),
    ("new", "potential_loyalists", "potential_loyalists", "champions", "champions"),
)
"""By R, from 1, and the average of F and M, from 1."""


def segments(since: NDArray[np.float64], baskets: NDArray[np.float64], fen: NDArray[np.float64]) -> NDArray[np.object_]:
    """The segment of each member.

    Args:
        since: Seconds since the last basket, NaN for who never bought, shape (members,).
        baskets: Baskets of the last 365 days.
        fen: What they cost.

    Returns:
        Names of `SEGMENTS`, shape (members,).
    """
    named = np.full(len(since), NEVER_BOUGHT, dtype=object)
    buyers = np.flatnonzero(~np.isnan(since))
    recency = fifths(-since[buyers])
    worth = (fifths(baskets[buyers]) + fifths(fen[buyers]) + 1) // 2
    named[buyers] = np.array(_TABLE, dtype=object)[recency - 1, worth - 1]
    return named


def fifths(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The fifth of each value, 1 the lowest to 5 the highest; equals share the fifth of their middle.

    >>> fifths(np.array([10.0, 20, 30, 40, 50])), fifths(np.array([7.0, 7, 7, 7, 90]))
    (array([1, 2, 3, 4, 5]), array([3, 3, 3, 3, 5]))
    """
    ranked = np.sort(values)
    middle = np.searchsorted(ranked, values, "left") + np.searchsorted(ranked, values, "right")
    return np.asarray(np.minimum(middle * 5 // (2 * max(1, len(values))) + 1, 5), dtype=np.int64)
