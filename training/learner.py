"""The models a task may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from data.errors import UsageError
from training.ensemble import average
from training.means import address_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lightgbm
    from numpy.typing import NDArray

    from training.task import Parameters

FIXED: Parameters = {
    "objective": "binary",
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
SEEDS = 2**31 - 1
MANY_ROWS = 100_000
ROUNDS = "num_iterations"
Settings = Mapping[str, float | int | str | bool | list[int]]


@dataclass(frozen=True)
class Binary:
    """The chance of a yes: gradient-boosted trees, several of them averaged.

    Attributes:
        parameters: LightGBM parameters before the search, `num_iterations` among them.
        bags: How many models of different seeds are averaged; a power of two, so that their average is one exact model.
        more_is_likelier: Features of which more never lowers the chance.
        more_is_less_likely: Features of which more never raises it.
        threads: Threads of one booster from 100 000 rows on; fewer rows get one, because more cost tenfold on a few
            thousand while another process is busy.
        cluster: Address of a Dask scheduler whose workers grow the trees, or `local` for two on this machine; none
            grows them in this process. Sums are rounded differently there, so models are alike, not equal.
        calibration: How raw scores become probabilities: `sigmoid` for few positives, `spline` where decisions are made
            in the tail, `isotonic` for thousands.
    """

    parameters: Parameters
    bags: int = 8
    more_is_likelier: tuple[str, ...] = ()
    more_is_less_likely: tuple[str, ...] = ()
    threads: int = 1
    cluster: str | None = None
    calibration: Literal["sigmoid", "isotonic", "spline"] = "sigmoid"

    def fit(
        self,
        features: Sequence[str],
        matrix: NDArray[np.float32],
        label: NDArray[np.float64],
        parameters: Parameters,
        generator: np.random.Generator,
        weight: NDArray[np.float64] | None = None,
    ) -> lightgbm.Booster:
        """One model of these rows: the average of `bags` boosters.

        Args:
            features: Name of each column.
            matrix: Feature values as they are served, shape (rows, features), NaN for null.
            label: 0 or 1, shape (rows,).
            parameters: What the search chose; they rule over the learner's own.
            generator: Where the seeds of the bags come from.
            weight: What each row counts, shape (rows,); 1 each if not given.

        Raises:
            UsageError: A monotone constraint names a feature that the task has not.
        """
        settings = {
            **self.parameters,
            **parameters,
            **FIXED,
            "num_threads": self.threads if len(label) >= MANY_ROWS else 1,
            "monotone_constraints": self._constraints(features),
        }
        bags: list[Settings] = [{**settings, "seed": int(seed)} for seed in generator.integers(SEEDS, size=self.bags)]
        if self.cluster is None:
            return average(grow(bags, features, matrix, label, weight))
        from training.cluster import fit_on_cluster  # Dask takes a second, and few fits need it

        return average(fit_on_cluster(bags, features, matrix, label, address_of(self.cluster), weight))

    def asking(self, features: Sequence[str]) -> Binary:
        """The same learner for fewer features: without the constraints on those that it will not see."""
        kept = frozenset(features)
        return replace(
            self,
            more_is_likelier=tuple(name for name in self.more_is_likelier if name in kept),
            more_is_less_likely=tuple(name for name in self.more_is_less_likely if name in kept),
        )

    def _constraints(self, features: Sequence[str]) -> list[int]:
        return monotone(features, self.more_is_likelier, self.more_is_less_likely)


def monotone(features: Sequence[str], rising: Sequence[str], falling: Sequence[str]) -> list[int]:
    """LightGBM's constraint of each feature: 1 where more never lowers the score, -1 where it never raises it, else 0.

    Raises:
        UsageError: One is named that is no feature.
    """
    constraints = dict.fromkeys(rising, 1) | dict.fromkeys(falling, -1)
    unknown = sorted(set(constraints) - set(features))
    if unknown:
        raise UsageError(
            f"monotone constraints name features that the task has not: found {', '.join(unknown)}; "
            f"expected names among {', '.join(features)}"
        )
    return [constraints.get(name, 0) for name in features]


def grow(
    bags: Sequence[Settings],
    features: Sequence[str],
    matrix: NDArray[np.float32],
    label: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
) -> list[lightgbm.Booster]:
    """One booster of these rows for each set of LightGBM parameters, in this process."""
    import lightgbm

    columns = lightgbm.Dataset(matrix, label, weight=weight, feature_name=list(features), free_raw_data=False)
    return [
        lightgbm.train(
            {name: value for name, value in settings.items() if name != ROUNDS},
            columns,
            int(str(settings.get(ROUNDS, 100))),
        )
        for settings in bags
    ]


def raw_scores(booster: lightgbm.Booster, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """The model's log-odds before calibration, shape (rows,)."""
    return np.asarray(booster.predict(matrix, raw_score=True, num_threads=1), dtype=np.float64)
