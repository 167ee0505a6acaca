"""What a model's actions earn: the same decisions as live, held against always doing the same thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from serving.decisions import Payoff, decide
from training.interval import Interval, Resampling, of_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Payoff", "money"]


def money(
    payoff: Payoff,
    probability: NDArray[np.float64],
    label: NDArray[np.float64],
    resampling: Callable[[], Resampling],
) -> dict[str, Interval]:
    """Fen earned a row by the model's actions, by each action taken for all, and the lead over the best of those.

    Args:
        payoff: What each action is worth for each outcome.
        probability: Calibrated chance of a yes, shape (rows,).
        label: What came true, 0 or 1.
        resampling: Makes the draws, anew and the same each time, that all comparisons are paired.
    """
    worth = np.asarray(payoff.value_fen, dtype=np.float64)
    outcome = label.astype(np.intp)
    chosen, _ = decide(probability, payoff)
    earned = {"model": worth[chosen, outcome]}
    earned |= {f"always_{action}": worth[number, outcome] for number, action in enumerate(payoff.actions)}
    best = max(list(earned)[1:], key=lambda name: float(earned[name].mean()))
    figures = {name: of_mean(values, resampling()) for name, values in earned.items()}
    return figures | {"gain_over_best_constant": of_mean(earned["model"] - earned[best], resampling())}
