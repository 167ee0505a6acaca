"""An order learned from some lists and judged on later ones: what the search asks of each fold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.learner import raw_scores
from training.ranking_metrics import Lists

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lightgbm
    from numpy.typing import NDArray

    from training.dataset import Examples
    from training.split import Fold
    from training.task import Parameters, RankingTask

SCORED_AT_ONCE = 100_000


def lists_of(table: Examples, rows: NDArray[np.intp]) -> Lists:
    """What came true of the lists of some rows."""
    return Lists(table.label[rows], table.lists[rows], table.relevant[rows], table.unit[rows])


def taught(
    task: RankingTask,
    table: Examples,
    rows: NDArray[np.intp],
    parameters: Parameters,
    generator: np.random.Generator,
) -> lightgbm.Booster:
    """The task's learner on some rows."""
    return task.learner.fit(
        table.features, table.matrix[rows], table.label[rows], table.lists[rows], parameters, generator
    )


def order_values(
    task: RankingTask, table: Examples, folds: Sequence[Fold], parameters: Parameters, seed: int
) -> list[float]:
    """The task's first metric over the lists of each fold that are judged on."""
    values = []
    for number, fold in enumerate(folds):
        booster = taught(task, table, fold.fit, parameters, np.random.default_rng([seed, number]))
        score = scored_order(booster, table.matrix[fold.validate])
        values.append(task.metrics[0].of(lists_of(table, fold.validate), score))
    return values


def scored_order(booster: lightgbm.Booster, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scores of feature rows, some at a time so that memory stays bounded; shape (rows,)."""
    starts = range(0, len(matrix), SCORED_AT_ONCE)
    parts = [raw_scores(booster, matrix[start : start + SCORED_AT_ONCE]) for start in starts]
    return np.concatenate(parts) if parts else np.empty(0)
