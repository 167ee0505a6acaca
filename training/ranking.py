"""Learn an order: within each list the rows that come true are to stand first.

LambdaMART (Burges, "From RankNet to LambdaRank to LambdaMART: an overview", MSR-TR-2010-82): gradient-boosted trees
whose gradients come from pairs of one list, weighted by what swapping them changes in NDCG. The score puts rows of one
list in order. It is no probability, has no calibrator, and says nothing across lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError
from training.ensemble import average
from training.learner import FIXED, MANY_ROWS, ROUNDS, SEEDS, monotone

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lightgbm
    from numpy.typing import NDArray

    from training.task import Parameters


@dataclass(frozen=True)
class Ranking:
    """The order of the rows of a list: LambdaMART, several of them averaged.

    Attributes:
        parameters: LightGBM parameters before the search, `num_iterations` among them.
        bags: How many models of different seeds are averaged; a power of two, so that their average is one exact model.
        more_is_higher: Features of which more never moves a row down.
        more_is_lower: Features of which more never moves a row up.
        most_lists: At most so many lists are learned from, drawn at random.
        threads: Threads of one booster from 100 000 rows on; fewer rows get one.
    """

    parameters: Parameters
    bags: int = 2
    more_is_higher: tuple[str, ...] = ()
    more_is_lower: tuple[str, ...] = ()
    most_lists: int = 10_000
    threads: int = 1

    def fit(
        self,
        features: Sequence[str],
        matrix: NDArray[np.float32],
        label: NDArray[np.float64],
        lists: NDArray[np.int64],
        parameters: Parameters,
        generator: np.random.Generator,
    ) -> lightgbm.Booster:
        """One model of these rows: the average of `bags` boosters.

        Args:
            features: Name of each column.
            matrix: Feature values as they are served, shape (rows, features), NaN for null.
            label: 0 or 1, shape (rows,).
            lists: Code of the list of each row, shape (rows,), in any order.
            parameters: What the search chose; they rule over the learner's own.
            generator: Where the seeds of the bags and the draw of lists come from.

        Raises:
            DataError: There is no list of which some rows came true and some did not.
            UsageError: A monotone constraint names a feature that the task has not.
        """
        import lightgbm

        rows, sizes = telling_lists(label, lists, self.most_lists, generator)
        if not len(sizes):
            raise DataError(
                f"found no list with both outcomes among {len(np.unique(lists))} lists; expected some, because an "
                "order is learned from what came true beside what did not; give a longer history"
            )
        columns = lightgbm.Dataset(
            matrix[rows], label[rows], group=sizes, feature_name=list(features), free_raw_data=False
        )
        constraints = monotone(features, self.more_is_higher, self.more_is_lower)
        settings: dict[str, float | int | str | bool | list[int]] = {
            **self.parameters,
            **parameters,
            **FIXED,
            "objective": "lambdarank",
            "monotone_constraints": constraints,
        }
        settings["num_threads"] = self.threads if len(rows) >= MANY_ROWS else 1
        rounds = int(str(settings.pop(ROUNDS, 100)))
        seeds = generator.integers(SEEDS, size=self.bags)
        return average([lightgbm.train({**settings, "seed": int(seed)}, columns, rounds) for seed in seeds])


def telling_lists(
    label: NDArray[np.float64], lists: NDArray[np.int64], most: int, generator: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """The rows of lists that teach an order, list by list, and the size of each list.

    A list in which all rows are alike teaches none.

    Args:
        label: 0 or 1, shape (rows,).
        lists: Code of the list of each row.
        most: At most so many lists are taken, drawn at random.
        generator: Draws them.

    >>> generator = np.random.default_rng(0)
    >>> telling_lists(np.array([0.0, 1.0, 0.0, 0.0]), np.array([7, 8, 8, 7]), 10, generator)
    (array([1, 2]), array([2]))
    """
    order = np.argsort(lists, kind="stable")
    codes, starts, sizes = np.unique(lists[order], return_index=True, return_counts=True)
    if not len(codes):
        return order, sizes
    came_true = np.add.reduceat(label[order], starts)
    telling = np.flatnonzero((came_true > 0) & (came_true < sizes))
    if len(telling) > most:
        telling = np.sort(generator.choice(telling, most, replace=False))
    taken = np.zeros(len(codes), np.bool_)
    taken[telling] = True
    return order[np.repeat(taken, sizes)], sizes[telling]
