"""Human or machine: bidders at auctions, told apart by flat columns with the project's own learner.

No log stands behind these columns, so nothing of the features is tried here; what is tried is that the learner finds
machines among people in real data. 2 013 bidders have a label and one in twenty is a machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np

from training.interval import Interval, Resampling
from training.learner import Binary, raw_scores
from training.metrics import Judged, roc_auc

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FOLDS: Final = 5
LEARNER: Final = Binary(
    parameters={
        "learning_rate": 0.03,
        "num_iterations": 200,
        "num_leaves": 7,
        "min_data_in_leaf": 10,
        "feature_fraction": 0.3,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 1.0,
    },
    bags=4,
)
"""Small trees, as a table of a hundred machines asks for; not searched."""

_FOLDER: Final = "bot_bidders"
_PARTS: Final = ("labels.parquet", "complex_features.parquet")


def bot_bidders_auc(real: Path, generator: np.random.Generator, resamples: int = 1_000) -> Interval | None:
    """The mean area under the ROC curve over five folds of bidders, with its interval; None without the data.

    Args:
        real: The folder of real sets.
        generator: Deals the folds, seeds the trees and draws the bidders.
        resamples: How many draws; each fold is judged on its own in every draw.
    """
    paths = [real / _FOLDER / part for part in _PARTS]
    if not all(path.is_file() for path in paths):
        return None
    names, matrix, label = _read(*paths)
    fold = _dealt(label, generator)
    score = np.empty(len(label))
    for number in range(FOLDS):
        inside = fold == number
        booster = LEARNER.fit(names, matrix[~inside], label[~inside], {}, generator)
        score[inside] = raw_scores(booster, matrix[inside])
    return mean_area(label, score, fold, Resampling(np.arange(len(label)), generator, resamples))


def mean_area(
    label: NDArray[np.float64], score: NDArray[np.float64], fold: NDArray[np.int64], resampling: Resampling
) -> Interval:
    """The area of each fold by itself, since scores of different models do not compare, and the mean of those."""
    judged = [(Judged(label[fold == number], score[fold == number]), fold == number) for number in np.unique(fold)]

    def mean(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        areas = np.stack([roc_auc.measure(one, weights[:, inside]) for one, inside in judged])
        return np.asarray(areas.mean(axis=0), np.float64)

    drawn = np.concatenate([mean(weights) for weights in resampling.weights()])
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Interval(float(mean(np.ones((1, len(label))))[0]), float(low), float(high))


def _read(labels: Path, features: Path) -> tuple[list[str], NDArray[np.float32], NDArray[np.float64]]:
    """Names of the columns, their values (bidders, columns) and whether each bidder is a machine, by bidder_id."""
    with duckdb.connect() as connection:
        table = connection.sql(f"""
            SELECT * EXCLUDE (bidder_id) FROM read_parquet('{labels}') AS labels
            JOIN read_parquet('{features}') AS features USING (bidder_id)
            ORDER BY bidder_id
        """).fetchnumpy()
    label = np.asarray(table.pop("outcome"), np.float64)
    names = list(table)
    columns = [np.ma.filled(np.ma.asarray(table[name], np.float64), np.nan) for name in names]
    return names, np.column_stack(columns).astype(np.float32), label


def _dealt(label: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.int64]:
    """The fold of each row: as many of each class in all of them as can be."""
    fold = np.empty(len(label), np.int64)
    for outcome in (0.0, 1.0):
        rows = generator.permutation(np.flatnonzero(label == outcome))
        fold[rows] = np.arange(len(rows)) % FOLDS
    return fold
