"""What every report holds the model against: what a sensible person would use instead, and the model made smaller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UsageError
from training.rules import pick_rules
from training.unlabelled import scored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

    from training.rules import Circumstance
    from training.split import Fold
    from training.unlabelled import Past

STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0)
ISOLATED_ROWS = 20_000

Fit = Callable[["Past", "Sequence[Fold]", "NDArray[np.intp]", "np.random.Generator"], "NDArray[np.float64]"]


@dataclass(frozen=True)
class Baseline:
    """A way to score without our model.

    Attributes:
        name: As it appears in the report.
        score: Takes what may be learned from, the folds to choose on by the task's first metric, the numbers of the
            rows asked about, and where chance comes from; gives the score of each row asked about, higher for likelier.
        ablation: Whether it is the model itself with something left out. It is then no rival that the model has to be
            ahead of: it shows what the rest is worth, and keeps a model from promotion only if it is surely better.
    """

    name: str
    score: Fit
    ablation: bool = False


def single_feature(name: str, feature: str) -> Baseline:
    """Rank by one feature, nulls last: what a spreadsheet does."""
    return Baseline(name, partial(_single_feature, feature=feature))


def logistic_regression(name: str = "logistic_regression") -> Baseline:
    """Logistic regression on the very same features, its strength chosen on the same folds, of labelled rows alone.

    Values enter as signed logarithms, nulls as the median with an indicator, all standardised.
    """
    return Baseline(name, _logistic_regression)


def rules(
    limited: Sequence[str], circumstances: Sequence[Circumstance], rate: float, name: str = "analyst_rules"
) -> Baseline:
    """Limits on single features, picked and tightened as a careful analyst would.

    Args:
        limited: Features of which more is likelier.
        circumstances: In which limits of their own hold.
        rate: The share of rows drawn by lot and found to be a no that the rules in force may catch.
        name: As it appears in the report.
    """
    return Baseline(name, partial(_rules, limited=limited, circumstances=circumstances, rate=rate))


def without(name: str, features: Sequence[str]) -> Baseline:
    """An ablation: the task's own learner with its own parameters, taught the same rows without some features."""
    return Baseline(name, partial(_without, left_out=frozenset(features)), ablation=True)


def isolation_forest(name: str = "isolation_forest") -> Baseline:
    """How easily a row is told from all others (Liu, Ting and Zhou, "Isolation Forest", ICDM 2008): uses no label."""
    return Baseline(name, _isolation_forest)


def _single_feature(
    past: Past, _folds: Sequence[Fold], asked: NDArray[np.intp], _generator: np.random.Generator, *, feature: str
) -> NDArray[np.float64]:
    table = past.table
    if feature not in table.features:
        raise UsageError(
            f"the baseline ranks by a feature that the task has not: found {feature!r}, "
            f"expected one of {', '.join(table.features)}"
        )
    values = table.matrix[:, table.features.index(feature)].astype(np.float64)
    return np.nan_to_num(values, nan=np.nanmin(values, initial=0.0) - 1.0)[asked]


def _logistic_regression(
    past: Past, folds: Sequence[Fold], asked: NDArray[np.intp], _generator: np.random.Generator
) -> NDArray[np.float64]:
    table, metric = past.table, past.task.metrics[0]

    def validated(strength: float) -> float:
        values = []
        for fold in folds:
            model = _fitted(strength, past, fold.fit)
            values.append(metric.of(table.label[fold.validate], _probability(model, table.matrix[fold.validate])))
        return float(np.mean(values)) * (1 if metric.greater_is_better else -1)

    return _probability(_fitted(max(STRENGTHS, key=validated), past, past.labelled), table.matrix[asked])


def _fitted(strength: float, past: Past, rows: NDArray[np.intp]) -> Pipeline:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    model = make_pipeline(
        FunctionTransformer(_signed_logarithm),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=strength, max_iter=2_000),
    )
    return model.fit(past.table.matrix[rows], past.table.label[rows])


def _probability(model: Pipeline, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(model.predict_proba(matrix)[:, 1], dtype=np.float64)


def _signed_logarithm(values: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = values.astype(np.float64)
    return np.sign(wide) * np.log1p(np.abs(wide))


def _rules(
    past: Past,
    _folds: Sequence[Fold],
    asked: NDArray[np.intp],
    _generator: np.random.Generator,
    *,
    limited: Sequence[str],
    circumstances: Sequence[Circumstance],
    rate: float,
) -> NDArray[np.float64]:
    return pick_rules(past, limited, circumstances, rate).score(past.table, asked)


def _without(
    past: Past,
    _folds: Sequence[Fold],
    asked: NDArray[np.intp],
    generator: np.random.Generator,
    *,
    left_out: frozenset[str],
) -> NDArray[np.float64]:
    names = tuple(name for name in past.table.features if name not in left_out)
    return scored(past.taught({}, generator, names), past.table, asked, names)


def _isolation_forest(
    past: Past, _folds: Sequence[Fold], asked: NDArray[np.intp], generator: np.random.Generator
) -> NDArray[np.float64]:
    from sklearn.ensemble import IsolationForest
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    rows = np.concatenate((past.labelled[past.table.by_lot[past.labelled]], past.unlabelled))
    drawn = generator.choice(rows, min(len(rows), ISOLATED_ROWS), replace=False)
    model = make_pipeline(
        FunctionTransformer(_signed_logarithm),
        SimpleImputer(strategy="median", keep_empty_features=True),
        IsolationForest(random_state=int(generator.integers(2**31 - 1))),
    )
    model.fit(past.table.matrix[drawn])
    return -np.asarray(model.score_samples(past.table.matrix[asked]), dtype=np.float64)
