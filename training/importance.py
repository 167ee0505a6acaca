"""What rows drawn with known chances say of all: weighting by the inverse of the chance, in its three forms.

Inverse propensity scoring (Horvitz and Thompson, "A generalization of sampling without replacement from a finite
universe", JASA 47, 1952), its self-normalised form (Swaminathan and Joachims, "The self-normalized estimator for
counterfactual learning", NIPS 2015), and the doubly robust form (Dudik, Langford and Li, "Doubly robust policy
evaluation and learning", ICML 2011), in which a model foretells each row and what was drawn corrects it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.studentised import Figure, Measure

    Reals = NDArray[np.float64]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Weighed:
    """Rows of a log, each with how many rows it stands for; all of shape (rows,).

    Attributes:
        weight: How many rows it stands for; 0 where it says nothing.
        reward: What came of it; 0 where not known.
        counted: Whether the row is one of those that the figure is about.
        open: Whether only the draw can tell what it is worth; the others are worth 0 for certain.
        direct: What a model expects of the row under the policy that is judged; None without a model.
        foretold: What the same model expected of what was done there.
    """

    weight: Reals
    reward: Reals
    counted: Flags
    open: Flags
    direct: Reals | None = None
    foretold: Reals | None = None

    def columns(self) -> Reals:
        """What each row adds to the sums that `MEASURES` are made of, shape (rows, 6)."""
        nothing = np.zeros(len(self.weight))
        direct = nothing if self.direct is None else self.direct
        foretold = nothing if self.foretold is None else self.foretold
        return np.column_stack(
            (
                self.counted,
                self.weight * self.reward,
                self.weight,
                self.counted & self.open,
                direct,
                self.weight * (self.reward - foretold),
            )
        )

    def measures(self, start: int = 0) -> dict[str, Measure]:
        """The estimators by name, as figures of the columns that begin at `start`; `dr` only with a model."""
        whole = slice(start, start + 6)
        named: dict[str, Measure] = {
            "ips": lambda sums: _ips(sums[whole]),
            "snips": lambda sums: _snips(sums[whole]),
        }
        if self.direct is not None:
            named["dr"] = lambda sums: _doubly_robust(sums[whole])
        return named


def _ips(sums: tuple[Figure, ...]) -> Figure:
    return sums[1] / sums[0]


def _snips(sums: tuple[Figure, ...]) -> Figure:
    """The weighted mean over the rows that are open, times their share, which needs no draw to be known."""
    return (sums[1] / sums[2] * (sums[3] / sums[0])).where(sums[3].value > 0)


def _doubly_robust(sums: tuple[Figure, ...]) -> Figure:
    return (sums[4] + sums[5]) / sums[0]
