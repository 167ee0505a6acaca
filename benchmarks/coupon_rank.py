"""Which coupons of a booklet the households of Complete Journey use: campaigns from August 2017 on, earlier ones teach.

A list is one booklet sent to one household, its rows all coupons of the campaign, at the moment of sending. Judged are
lists of which any coupon was used (12 in 100): recall@10 = used coupons among the first ten / all used ones. Intervals
resample households; a gain is paired on the same draws.

- most_redeemed_so_far: uses of the very same coupon by anyone before that moment;
- most_redeemed_category_so_far: the same, then uses of coupons that share a category, since most coupons are new;
- bought_most_of_its_products: how many of its products the household bought in the 365 days before, then lines.

`long_booklets` judges campaigns of more than ten coupons alone: of the others every order shows all.

    python -m benchmarks.coupon_rank
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.shown import as_dicts, print_fitted
from data.journey import complete_journey
from training.bundles import read
from training.dataset import examples
from training.interval import Resampling
from training.ranking_metrics import compare_lists
from training.ranking_pipeline import fit_order
from training.release import release
from training.tasks.coupon_rank import PLACES, TASK

if TYPE_CHECKING:
    from data.sources import DataSet
    from training.ranking_pipeline import FittedOrder

TRIALS: Final = 1


def measure(home: Path | None = None, seed: int = 0, trials: int = TRIALS) -> dict[str, Any]:
    """Fit the task on Complete Journey and judge it on its later campaigns.

    Args:
        home: Where tables, features and bundles are kept; a folder of its own if not given.
        seed: Where chance starts.
        trials: Sets of parameters to try; 1 keeps the task's own.
    """
    if home is None:
        with tempfile.TemporaryDirectory(prefix="shepherd-rank-") as folder:
            return measure(Path(folder), seed, trials)
    began = time.process_time()
    journey = complete_journey(home / "journey")
    fitted = fit_order(TASK, journey, home=home, trials=trials, seed=seed)
    parity = read(release(fitted, home).folder).manifest.parity
    record, lists = fitted.record, fitted.predictions.lists
    return {
        "model": as_dicts(record.metrics),
        "baselines": {name: as_dicts(figures) for name, figures in record.baselines.items()},
        "long_booklets": _long(fitted, journey, seed),
        "lists": len(np.unique(lists.code[lists.relevant > 0])),
        "parity": {"wrong_leaves": parity.wrong_leaves, "max_raw_difference": parity.max_raw_difference},
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def _long(fitted: FittedOrder, data_set: DataSet, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """The figures of booklets that do not fit into the places."""
    said = fitted.predictions
    table = examples(TASK, data_set, fitted.built)
    rows = table.rows_of(said.row_id)
    scores = {"model": said.score, **{one.name: one.score(table, rows) for one in TASK.baselines}}
    inside = table.matrix[rows, table.features.index("booklet_coupon_count")] > PLACES
    figures = compare_lists(
        said.lists.at(inside),
        {name: score[inside] for name, score in scores.items()},
        TASK.metrics,
        lambda units: Resampling(units, np.random.default_rng([seed, 1])),
    )
    return {name: as_dicts(part) for name, part in figures.items()}


def main() -> None:
    """Print one JSON object."""
    print_fitted(__doc__ or "", measure, TRIALS)


if __name__ == "__main__":
    main()
