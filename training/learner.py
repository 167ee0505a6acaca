"""The models a task may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import lightgbm
import numpy as np

from data.errors import UsageError
from training.ensemble import average

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.task import Parameters

FIXED: Parameters = {
    "objective": "binary",
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
SEEDS = 2**31 - 1


@dataclass(frozen=True)
class Binary:
    """The chance of a yes: gradient-boosted trees, several of them averaged.

    Attributes:
        parameters: LightGBM parameters before the search, `num_iterations` among them.
        bags: How many models of different seeds are averaged; a power of two, so that their average is one exact model.
        more_is_likelier: Features of which more never lowers the chance.
        more_is_less_likely: Features of which more never raises it.
        threads: Threads of one booster; more than one only pays from some 100 000 rows on, and costs tenfold on a few
            thousand while another process is busy.
        calibration: How raw scores become probabilities: `sigmoid` for few positives, `isotonic` for thousands.
    """

    parameters: Parameters
    bags: int = 8
    more_is_likelier: tuple[str, ...] = ()
    more_is_less_likely: tuple[str, ...] = ()
    threads: int = 1
    calibration: Literal["sigmoid", "isotonic"] = "sigmoid"

    def fit(
        self,
        features: Sequence[str],
        matrix: NDArray[np.float32],
        label: NDArray[np.float64],
        parameters: Parameters,
        generator: np.random.Generator,
    ) -> lightgbm.Booster:
        """One model of these rows: the average of `bags` boosters.

        Args:
            features: Name of each column.
            matrix: Feature values as they are served, shape (rows, features), NaN for null.
            label: 0 or 1, shape (rows,).
            parameters: What the search chose; they rule over the learner's own.
            generator: Where the seeds of the bags come from.

        Raises:
            UsageError: A monotone constraint names a feature that the task has not.
        """
        settings = {
            **self.parameters,
            **parameters,
            **FIXED,
            "num_threads": self.threads,
            "monotone_constraints": self._constraints(features),
        }
        rounds = int(str(settings.pop("num_iterations", 100)))
        columns = lightgbm.Dataset(matrix, label, feature_name=list(features), free_raw_data=False)
        boosters = [
            lightgbm.train({**settings, "seed": int(seed)}, columns, num_boost_round=rounds)
            for seed in generator.integers(SEEDS, size=self.bags)
        ]
        return average(boosters)

    def _constraints(self, features: Sequence[str]) -> list[int]:
        constraints = dict.fromkeys(self.more_is_likelier, 1) | dict.fromkeys(self.more_is_less_likely, -1)
        unknown = sorted(set(constraints) - set(features))
        if unknown:
            raise UsageError(
                f"monotone constraints name features that the task has not: found {', '.join(unknown)}; "
                f"expected names among {', '.join(features)}"
            )
        return [constraints.get(name, 0) for name in features]


def raw_scores(booster: lightgbm.Booster, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """The model's log-odds before calibration, shape (rows,)."""
    return np.asarray(booster.predict(matrix, raw_score=True, num_threads=1), dtype=np.float64)
