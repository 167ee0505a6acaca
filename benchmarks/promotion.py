"""Who gets a promotion that costs 0.15 and brings 10 from whoever buys because of it (an experiment with 84 534 rows).

Half of the customers got the promotion by lot; 1.70 % of them bought, and 0.76 % of the others. Over the customers whom
a policy chooses, with B buyers among n of each arm:

* IRR = B_T / n_T - B_C / n_C, how much likelier a purchase becomes
* NIR = 10 * B_T - 0.15 * n_T - 10 * B_C, what the promotion earned among them

Each customer is chosen or not by models of the other folds, and is chosen if the effect said of them pays for the
promotion: more than 0.15 / 10. Nothing else is chosen, so nothing is chosen by what came of it. The folds are dealt
anew several times and a customer counts by the share of dealings that choose them, so that the figures hang less on one
dealing. NIR is scaled to 41 650 customers, the size of the half on which others published theirs. There are 1 040
buyers in all, hence the wide intervals.

    python -m benchmarks.promotion
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from benchmarks.folds import cross_fitted, dealt
from benchmarks.shown import of_sums, print_figures
from training.effect.learners import DRLearner, SLearner, TLearner, XLearner
from training.effect.trees import SMALL_TREES, Trees
from training.interval import Resampling

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from training.effect.model import EffectLearner

    Array = NDArray[np.float64]
    Columns = Mapping[str, Array]

PRICE, COST = 10.0, 0.15
SCALED_TO: Final = 41_650
FOLDS, DEALINGS = 5, 4
BAGS: Final = 2
PLAIN: Final = "plain_t"
OURS: Final = "mean_of_learners"
"""The mean of what small learners say; a learner alone swings with its seed where buyers are this few."""


def _small(**changed: float) -> Trees:
    return Trees({**SMALL_TREES, **changed}, bags=BAGS)


LEARNERS: Final[Mapping[str, EffectLearner]] = MappingProxyType(
    {
        "t_additive": TLearner(_small(num_leaves=2, max_depth=1, num_iterations=150)),
        "t": TLearner(_small(num_leaves=4, max_depth=2, num_iterations=80)),
        "s": SLearner(_small(num_iterations=80, feature_fraction=1.0)),
        "x": XLearner(_small(num_leaves=4, max_depth=2, num_iterations=80)),
        "dr": DRLearner(_small(num_leaves=4, max_depth=2, num_iterations=80)),
    }
)
"""Smaller than usual: a fold teaches 830 buyers. Chosen on a half of the rows, dealt apart."""

_SEED: Final = 6
_FILE: Final = ("promotion_rct", "train.parquet")
_NUMBERS: Final = ("V2", "V3", "V4", "V7")
_CODES: Final = ("V1", "V5", "V6")
"""Columns of a few whole numbers that mean no order."""


def measure(real: Path, dealings: int = DEALINGS, resamples: int = 1_000) -> dict[str, Any] | None:
    """NIR and IRR of the policies, and how much ours earns beyond the plain T-learner.

    Args:
        real: The folder of real sets.
        dealings: How often the folds are dealt.
        resamples: How many draws of customers.

    Returns:
        `irr` and `nir` of the mean of the learners; `gain_over_t_learner`, paired, in NIR; `policies.NAME` {irr, nir,
        share} of each learner, of the plain T-learner and of treating everybody; `customers`, `buyers`. None without
        the data.
    """
    path = real.joinpath(*_FILE)
    if not path.is_file():
        return None
    names, matrix, treated, bought = read(path)
    generator = np.random.default_rng(_SEED)
    chosen = policies(names, matrix, treated, bought, generator, dealings)
    figures = earned(chosen, treated, bought, Resampling(np.arange(len(bought)), generator, resamples))
    return {**figures, "customers": len(bought), "buyers": int(bought.sum())}


def policies(
    names: list[str],
    matrix: NDArray[np.float32],
    treated: NDArray[np.bool_],
    bought: Array,
    generator: np.random.Generator,
    dealings: int,
) -> dict[str, Array]:
    """The share of dealings in which each policy chooses each customer, by models that have not seen them.

    Args:
        names: Name of each column, the plain ones first.
        matrix: Their values, shape (customers, columns).
        treated: Who got the promotion.
        bought: Who bought.
        generator: Deals and seeds.
        dealings: How often the folds are dealt.
    """
    propensity = np.full(len(bought), treated.mean())
    tried: dict[str, tuple[EffectLearner, int]] = {name: (one, len(names)) for name, one in LEARNERS.items()}
    tried[PLAIN] = (TLearner(_small()), len(_NUMBERS) + len(_CODES))
    chosen = {name: np.zeros(len(bought)) for name in (OURS, *tried, "everybody")}
    for _ in range(dealings):
        fold = dealt(2 * bought + treated, FOLDS, generator)
        said = {}
        for name, (learner, width) in tried.items():

            def effect(
                known: NDArray[np.bool_], asked: NDArray[np.bool_], learner: EffectLearner = learner, width: int = width
            ) -> Array:
                part = matrix[:, :width]
                model = learner.fit(
                    names[:width], part[known], treated[known], bought[known], propensity[known], generator
                )
                return model.effect(part[asked])

            said[name] = cross_fitted(fold, effect)
        said[OURS] = np.mean([said[name] for name in LEARNERS], axis=0)
        for name, effects in said.items():
            chosen[name] += (effects * PRICE > COST) / dealings
    return {**chosen, "everybody": np.ones(len(bought))}


def earned(
    chosen: Mapping[str, Array], treated: NDArray[np.bool_], bought: Array, resampling: Resampling
) -> dict[str, Any]:
    """IRR and NIR of each policy, and the gain of the first over the plain T-learner.

    Args:
        chosen: How much each customer counts as chosen, 0 to 1, by policy.
        treated: Who got the promotion.
        bought: Who bought.
        resampling: Draws of customers.
    """
    arms = {"sent": treated.astype(np.float64), "withheld": 1.0 - treated}
    columns = {"rows": np.ones(len(bought))}
    for name, share in chosen.items():
        for arm, inside in arms.items():
            columns |= {f"{name}/{arm}": share * inside, f"{name}/{arm}_bought": share * inside * bought}

    def figures(sums: Columns) -> Columns:
        found: dict[str, Array] = {}
        for name in chosen:
            sent, withheld = sums[f"{name}/sent"], sums[f"{name}/withheld"]
            buyers, others = sums[f"{name}/sent_bought"], sums[f"{name}/withheld_bought"]
            found |= {
                f"{name}/irr": buyers / sent - others / withheld,
                f"{name}/nir": (PRICE * (buyers - others) - COST * sent) * SCALED_TO / sums["rows"],
                f"{name}/share": (sent + withheld) / sums["rows"],
            }
        return {**found, "gain": found[f"{OURS}/nir"] - found[f"{PLAIN}/nir"]}

    found = of_sums(columns, figures, resampling)
    shown = {name: {one: found[f"{name}/{one}"] for one in ("irr", "nir", "share")} for name in chosen}
    return {
        "irr": shown[OURS]["irr"],
        "nir": shown[OURS]["nir"],
        "gain_over_t_learner": found["gain"],
        "policies": shown,
    }


def read(path: Path) -> tuple[list[str], NDArray[np.float32], NDArray[np.bool_], Array]:
    """Names of the columns and their values by ID, who got the promotion and who bought; one more column a code."""
    with duckdb.connect() as connection:
        table = connection.sql(f"SELECT * FROM read_parquet('{path}') ORDER BY ID").fetchnumpy()
    columns = {name: np.asarray(table[name], np.float32) for name in (*_NUMBERS, *_CODES)}
    for name in _CODES:
        codes = np.unique(table[name])
        columns |= {f"{name}_is_{code}": (table[name] == code).astype(np.float32) for code in codes}
    treated = np.asarray(table["Promotion"].astype(str) == "Yes", np.bool_)
    return list(columns), np.column_stack(list(columns.values())), treated, np.asarray(table["purchase"], np.float64)


def main() -> None:
    """Measures and prints."""
    print_figures("python -m benchmarks.promotion", "Who gets a promotion, and what it earns.", measure)


if __name__ == "__main__":
    main()
