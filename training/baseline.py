"""What a sensible person would use instead of the model; every report holds the model against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.dataset import Examples
    from training.metrics import Metric
    from training.split import Fold

STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0)

Fit = Callable[["Examples", "NDArray[np.intp]", "Sequence[Fold]", "Metric"], "NDArray[np.float64]"]


@dataclass(frozen=True)
class Baseline:
    """A way to score without our model.

    Attributes:
        name: As it appears in the report.
        score: Takes the examples, the rows to learn from, the folds to choose on and the metric to choose by; gives the
            score of every row, higher for likelier, shape (rows,).
    """

    name: str
    score: Fit


def single_feature(name: str, feature: str) -> Baseline:
    """Rank by one feature, nulls last: what a spreadsheet does."""
    return Baseline(name, partial(_single_feature, feature=feature))


def logistic_regression(name: str = "logistic_regression") -> Baseline:
    """Logistic regression on the very same features, its strength chosen on the same folds.

    Values enter as signed logarithms, nulls as the median with an indicator, all standardised.
    """
    return Baseline(name, _logistic_regression)


def _single_feature(
    examples: Examples, _train: NDArray[np.intp], _folds: Sequence[Fold], _metric: Metric, *, feature: str
) -> NDArray[np.float64]:
    if feature not in examples.features:
        raise UsageError(
            f"the baseline ranks by a feature that the task has not: found {feature!r}, "
            f"expected one of {', '.join(examples.features)}"
        )
    values = examples.matrix[:, examples.features.index(feature)].astype(np.float64)
    return np.nan_to_num(values, nan=np.nanmin(values, initial=0.0) - 1.0)


def _logistic_regression(
    examples: Examples, train: NDArray[np.intp], folds: Sequence[Fold], metric: Metric
) -> NDArray[np.float64]:
    def validated(strength: float) -> float:
        values = []
        for fold in folds:
            model = _fitted(strength, examples, fold.fit)
            values.append(metric.of(examples.label[fold.validate], _probability(model, examples.matrix[fold.validate])))
        return float(np.mean(values)) * (1 if metric.greater_is_better else -1)

    return _probability(_fitted(max(STRENGTHS, key=validated), examples, train), examples.matrix)


def _fitted(strength: float, examples: Examples, rows: NDArray[np.intp]) -> Pipeline:
    model = make_pipeline(
        FunctionTransformer(_signed_logarithm),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=strength, max_iter=2_000),
    )
    return model.fit(examples.matrix[rows], examples.label[rows])


def _probability(model: Pipeline, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(model.predict_proba(matrix)[:, 1], dtype=np.float64)


def _signed_logarithm(values: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = values.astype(np.float64)
    return np.sign(wide) * np.log1p(np.abs(wide))
