"""E-mail or none: how well each effect learner ranks customers by what an e-mail changes (Hillstrom's MineThatData).

64 000 customers got an e-mail of men's wares, of women's or none, a third each, by lot. Here the two e-mails count as
one treatment, and visits and spend of the next two weeks are what it changes. Ten times the customers are halved; each
learner is taught on one half and judged on the other. An interval draws customers, the same in all ten, and tells how
sure the mean of the ten is.

    python -m benchmarks.email
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from benchmarks.folds import dealt
from benchmarks.shown import print_figures
from training.effect.learners import ClassTransformation, DRLearner, SLearner, TLearner, XLearner
from training.effect.trees import Trees
from training.interval import Resampling
from training.metrics import Judged
from training.uplift_metrics import Arms, Ranked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from training.effect.model import EffectLearner

    Array = NDArray[np.float64]

SPLITS: Final = 10
RESAMPLES: Final = 200
OUTCOMES: Final = ("visit", "spend")
TREES: Final = Trees(bags=2)
LEARNERS: Final[Mapping[str, EffectLearner]] = MappingProxyType(
    {
        "s": SLearner(TREES),
        "t": TLearner(TREES),
        "x": XLearner(TREES),
        "dr": DRLearner(TREES),
        "class_transformation": ClassTransformation(TREES),
    }
)

_SEED: Final = 6
_FILE: Final = ("email_rct", "hillstrom.parquet")
_COLUMNS: Final = """
    recency, history, mens, womens, newbie, ln(history) AS log_history, substr(history_segment, 1, 1)::INTEGER AS band,
    (zip_code = 'Rural')::INTEGER AS rural, (zip_code = 'Urban')::INTEGER AS urban,
    (channel <> 'Web')::INTEGER AS by_phone, (channel <> 'Phone')::INTEGER AS by_web
"""


def measure(real: Path, splits: int = SPLITS, resamples: int = RESAMPLES) -> dict[str, Any] | None:
    """Qini coefficient and uplift at 10 and 30 % of each learner, on visits and on spend.

    Args:
        real: The folder of real sets.
        splits: How often the customers are halved.
        resamples: How many draws of customers.

    Returns:
        `visit.LEARNER` and `spend.LEARNER`: `qini`, `uplift_at_0.1` and `uplift_at_0.3` with their intervals, in
        visits or dollars a customer, and `qini_over_splits`, its standard deviation between the splits; `everybody`,
        the effect on all. None without the data.
    """
    path = real.joinpath(*_FILE)
    if not path.is_file():
        return None
    names, matrix, treated, outcomes = read(path)
    generator = np.random.default_rng(_SEED)
    units = np.arange(len(treated))
    halves = [dealt(treated, 2, generator) == 1 for _ in range(splits)]
    found: dict[str, Any] = {}
    for name in OUTCOMES:
        said = {
            learner: scores(one, names, matrix, treated, outcomes[name], halves, generator)
            for learner, one in LEARNERS.items()
        }
        found[name] = judged(said, treated, outcomes[name], halves, Resampling(units, generator, resamples))
    return {**found, "customers": len(treated)}


def scores(
    learner: EffectLearner,
    names: list[str],
    matrix: NDArray[np.float32],
    treated: NDArray[np.bool_],
    outcome: Array,
    halves: list[NDArray[np.bool_]],
    generator: np.random.Generator,
) -> list[Array]:
    """What a learner taught on the rest of the customers says of those of each half, in their order."""
    propensity = np.full(len(treated), treated.mean())
    said = []
    for half in halves:
        known = ~half
        model = learner.fit(names, matrix[known], treated[known], outcome[known], propensity[known], generator)
        said.append(model.effect(matrix[half]))
    return said


def judged(
    said: Mapping[str, list[Array]],
    treated: NDArray[np.bool_],
    outcome: Array,
    halves: list[NDArray[np.bool_]],
    resampling: Resampling,
) -> dict[str, Any]:
    """The figures of each learner, in the mean of the halves, all on the same draws.

    Args:
        said: Of each learner, the scores of the customers of each half.
        treated: Who got an e-mail.
        outcome: What came of it.
        halves: Who is judged in each split, shape (customers,).
        resampling: Draws of customers.
    """
    ranked = {
        name: [Judged(outcome[half], score) for half, score in zip(halves, scored, strict=True)]
        for name, scored in said.items()
    }
    arms = [Arms(treated[half].astype(np.float64)) for half in halves]
    drawn: dict[str, list[Array]] = {name: [] for name in said}
    for weights in resampling.weights():
        inside = [weights[:, half] for half in halves]
        for name, one in ranked.items():
            drawn[name].append(np.mean(list(map(_figures, one, inside, arms)), axis=0))
    whole = {
        name: np.array([_figures(*each)[0] for each in zip(one, _ones(halves), arms, strict=True)])
        for name, one in ranked.items()
    }
    everybody = float(outcome[treated].mean() - outcome[~treated].mean())
    return {"everybody": everybody} | {name: _shown(whole[name], np.concatenate(drawn[name])) for name in said}


def read(path: Path) -> tuple[list[str], NDArray[np.float32], NDArray[np.bool_], dict[str, Array]]:
    """Names of the columns and their values (customers, columns), who got an e-mail, and the outcomes by name."""
    with duckdb.connect() as connection:
        rows = connection.sql(f"FROM read_parquet('{path}')")
        features = rows.project(_COLUMNS).fetchnumpy()
        answers = rows.project("segment <> 'No E-Mail' AS treated, visit, spend").fetchnumpy()
    matrix = np.column_stack([np.asarray(column, np.float32) for column in features.values()])
    outcomes = {name: np.asarray(answers[name], np.float64) for name in OUTCOMES}
    return list(features), matrix, np.asarray(answers["treated"], np.bool_), outcomes


def _figures(judged: Judged, weights: Array, arms: Arms) -> Array:
    """Qini coefficient and uplift at 10 and 30 %, shape (resamples, 3)."""
    ranked = Ranked.of(judged, weights, arms)
    return np.column_stack((ranked.qini_coefficient, ranked.at(0.1).effect, ranked.at(0.3).effect))


def _ones(halves: list[NDArray[np.bool_]]) -> list[Array]:
    return [np.ones((1, int(half.sum()))) for half in halves]


def _shown(whole: Array, drawn: Array) -> dict[str, Any]:
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    mean = whole.mean(axis=0)
    names = ("qini", "uplift_at_0.1", "uplift_at_0.3")
    figures: dict[str, Any] = {
        name: {"value": float(mean[place]), "low": float(low[place]), "high": float(high[place])}
        for place, name in enumerate(names)
    }
    return {**figures, "qini_over_splits": float(whole[:, 0].std(ddof=1)) if len(whole) > 1 else float("nan")}


def main() -> None:
    """Measures and prints."""
    print_figures("python -m benchmarks.email", "How learners rank customers by what an e-mail changes.", measure)


if __name__ == "__main__":
    main()
