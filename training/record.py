"""What a fit leaves behind for whoever has to sign it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.interval import Interval
    from training.split import Fold
    from training.task import Parameters
    from training.tune import Tuned

Figures = Mapping[str, "Interval"]
_DRAWS = 1_000


@dataclass(frozen=True)
class Bin:
    """One tenth of the test rows by predicted chance: how often it came true, and how often it was said to."""

    rows: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Search:
    """How the parameters were found.

    Attributes:
        trials: Sets of parameters that were tried.
        folds: Rows learned from and judged on in each fold.
        default: The task's first metric on each fold, for its own parameters.
        chosen: The same for the chosen ones.
        parameters: All that the model was made with.
    """

    trials: int
    folds: tuple[tuple[int, int], ...]
    default: tuple[float, ...]
    chosen: tuple[float, ...]
    parameters: Parameters

    @staticmethod
    def of(tuned: Tuned, folds: Sequence[Fold], own: Parameters) -> Search:
        """What a search found, whose choice rules over the learner's own parameters."""
        rows = tuple((len(fold.fit), len(fold.validate)) for fold in folds)
        return Search(tuned.trials, rows, tuned.default_folds, tuned.folds, {**own, **tuned.parameters})


@dataclass(frozen=True)
class Record:
    """Everything a reviewer asks of one fit; all figures are of the test, which was scored once.

    Attributes:
        task: Name of the task.
        seed: Where chance started.
        data_hash: Content of the tables.
        fingerprint: Declarations of the features.
        rows: How many rows were learned from (`train`), tested on (`test`) and dropped because they span the cut; where
            a task learns from unlabelled rows `unlabelled` instead, and `test_by_lot` for those that stand for all.
        positives: How many of them came true.
        test_from: The cut.
        search: How the parameters were found.
        metrics: The model's figures.
        baselines: Those of each baseline, and the model's gain over it.
        money: Fen earned a row, by the model's actions and by constant ones; like rates and calibration of the rows
            that stand for all.
        rates: Which share of each outcome's rows got which action, and what the pay-off's cap let through.
        calibration: Tenths of the test by predicted chance.
        slices: The model's metrics within each value of each slice column.
        attributions: Mean absolute contribution of each feature to the raw score, largest first.
        drift: Population stability index of each feature between what was learned from and the test; empty where both
            are the same rows.
    """

    task: str
    seed: int
    data_hash: str
    fingerprint: str
    rows: Mapping[str, int]
    positives: Mapping[str, int]
    test_from: datetime
    search: Search
    metrics: Figures
    baselines: Mapping[str, Figures]
    money: Figures
    rates: Figures
    calibration: tuple[Bin, ...]
    slices: Mapping[str, Mapping[str, Figures]]
    attributions: Mapping[str, float]
    drift: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """For JSON: intervals as value, low and high; instants in ISO 8601; what has no meaning as null."""
        return {name: _plain(value) for name, value in dataclasses.asdict(self).items()}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def calibration(label: NDArray[np.float64], probability: NDArray[np.float64], bins: int = 10) -> tuple[Bin, ...]:
    """Rows in tenths of predicted chance, lowest first.

    >>> calibration(np.array([0.0, 1.0]), np.array([0.1, 0.8]), bins=2)
    (Bin(rows=1, predicted=0.1, observed=0.0), Bin(rows=1, predicted=0.8, observed=1.0))
    """
    order = np.argsort(probability, kind="stable")
    return tuple(
        Bin(len(rows), float(probability[rows].mean()), float(label[rows].mean()))
        for rows in np.array_split(order, bins)
        if len(rows)
    )


def relative_error(record: Record) -> float:
    """How far a tenth of the test is off in the mean, as a share of the rate that came true; NaN where nothing did.

    That is the expected calibration error (Naeini et al. 2015) in tenths of equal size, which is small wherever things
    are rare, divided by how rare they are.
    """
    off = sum(one.rows * abs(one.predicted - one.observed) for one in record.calibration)
    true = sum(one.rows * one.observed for one in record.calibration)
    return off / true if true else math.nan


def error_by_chance(record: Record) -> float:
    """How large `relative_error` gets by chance alone, in all but 2.5 % of draws from the predicted chances.

    With a handful of positives a model that is exactly right looks far off; NaN where nothing came true.
    """
    rows = np.array([one.rows for one in record.calibration], np.int64)
    predicted = np.array([one.predicted for one in record.calibration])
    true = sum(one.rows * one.observed for one in record.calibration)
    if not true:
        return math.nan
    drawn = np.random.default_rng([record.seed, 5]).binomial(rows, predicted.clip(0, 1), (_DRAWS, len(rows)))
    return float(np.percentile(np.abs(drawn - rows * predicted).sum(axis=1) / true, 97.5))
