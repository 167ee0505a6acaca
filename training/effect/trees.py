"""How the forests of an effect are grown: bags of LightGBM trees, averaged into one."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from data.errors import UsageError
from training.ensemble import average
from training.learner import FIXED, SEEDS, grow

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lightgbm
    import numpy as np
    from numpy.typing import NDArray

    from training.effect.model import Kind
    from training.task import Parameters

SMALL_TREES: Parameters = MappingProxyType(
    {
        "learning_rate": 0.05,
        "num_iterations": 120,
        "num_leaves": 8,
        "max_depth": 3,
        "min_data_in_leaf": 100,
        "lambda_l2": 10.0,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "max_bin": 127,
    }
)
"""Effects are small beside what moves the outcome anyway: shallow trees, slowly, each on a part of the features."""

_OBJECTIVES = {"chance": "binary", "amount": "regression"}


@dataclass(frozen=True)
class Trees:
    """How a forest is grown.

    Attributes:
        parameters: LightGBM parameters, `num_iterations` among them.
        bags: How many of different seeds are averaged; a power of two, so that their average is one exact forest.
        more_is_likelier: Columns of which more never lowers what a forest of the sent arm, or of the effect, says: the
            face value, for purchases.
        threads: Threads of one booster.
    """

    parameters: Parameters = field(default_factory=lambda: SMALL_TREES)
    bags: int = 4
    more_is_likelier: tuple[str, ...] = ()
    threads: int = 1

    def grown(
        self,
        features: Sequence[str],
        matrix: NDArray[np.float32],
        target: NDArray[np.float64],
        weight: NDArray[np.float64],
        kind: Kind,
        generator: np.random.Generator,
        *,
        rising: bool = True,
    ) -> lightgbm.Booster:
        """One forest of these rows.

        Args:
            features: Name of each column.
            matrix: Feature values, float32, shape (rows, features), NaN for null.
            target: What it learns to say: 0 and 1 alone for a chance, any number for an amount.
            weight: What each row counts.
            kind: Which of the two.
            generator: Where the seeds of the bags come from.
            rising: Whether `more_is_likelier` holds for it.

        Raises:
            UsageError: `more_is_likelier` names a column that is not there.
        """
        unknown = sorted(set(self.more_is_likelier) - set(features))
        if unknown:
            raise UsageError(
                f"Effect: more_is_likelier names columns that the rows have not: found {', '.join(unknown)}; "
                f"expected names among {', '.join(features)}"
            )
        settings = {
            **self.parameters,
            **FIXED,
            "objective": _OBJECTIVES[kind],
            "num_threads": self.threads,
            "monotone_constraints": [int(rising and name in self.more_is_likelier) for name in features],
        }
        seeds = generator.integers(SEEDS, size=self.bags)
        bags = [{**settings, "seed": int(seed)} for seed in seeds]
        return average(grow(bags, features, matrix, target, weight))
