"""What each member of Complete Journey buys in December, from what was known at its first instant.

Candidates, features and learner are those of the tasks `next_category` and `next_purchase`, as `shepherd train` fits
them; months before December teach. With L the set of items that a member bought in December (members who bought
nothing are not judged), recall@10 = hits in the first ten places / |L|, and NDCG@10 as in `training.ranking_metrics`.
Intervals resample households; a gain is paired on the same draws.

- personal_top: what the member bought most often, of equals the latest;
- global_top: what everyone bought most in the 30 days before;
- personal_then_global_top: own counts first, everyone's 90 days among equals (Li et al., "A next basket recommendation
  reality check", TOIS 2023, call it GP-TopFreq); `recent_then_global_top` counts the member's last 180 days.

`repeat` and `explore` take apart what the member had bought before and what not: the share of each that stands in the
same first ten places.

    python -m benchmarks.next_purchase
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.shown import as_dicts, print_fitted
from data.journey import complete_journey
from training.bundles import read
from training.dataset import examples
from training.interval import Resampling
from training.ranking_metrics import compare_lists, recall_at
from training.ranking_pipeline import fit_order
from training.release import release
from training.tasks.next_purchase import CATEGORY, PLACES, TASK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.sources import DataSet
    from training.ranking_metrics import Lists
    from training.ranking_pipeline import FittedOrder
    from training.task import RankingTask

TRIALS: Final = 1
TASKS: Final = {"category": CATEGORY, "product": TASK}


def measure(home: Path | None = None, seed: int = 0, trials: int = TRIALS) -> dict[str, Any]:
    """Fit both tasks on Complete Journey and judge them on its last month.

    Args:
        home: Where tables, features and bundles are kept; a folder of its own if not given.
        seed: Where chance starts.
        trials: Sets of parameters to try; 1 keeps the tasks' own.
    """
    if home is None:
        with tempfile.TemporaryDirectory(prefix="shepherd-next-") as folder:
            return measure(Path(folder), seed, trials)
    journey = complete_journey(home / "journey")
    return {name: judged(task, journey, home, seed, trials) for name, task in TASKS.items()}


def judged(task: RankingTask, data_set: DataSet, home: Path, seed: int = 0, trials: int = TRIALS) -> dict[str, Any]:
    """One task's figures beside those of its baselines, with the proof of its export."""
    began = time.process_time()
    fitted = fit_order(task, data_set, home=home, trials=trials, seed=seed)
    parity = read(release(fitted, home).folder).manifest.parity
    record = fitted.record
    return {
        "model": as_dicts(record.metrics),
        "baselines": {name: as_dicts(figures) for name, figures in record.baselines.items()},
        **_parts(fitted, data_set, seed),
        "lists": len(np.unique(fitted.predictions.lists.code[fitted.predictions.lists.relevant > 0])),
        "candidates": record.rows["test"],
        "among_candidates": _among_candidates(fitted.predictions.lists),
        "parity": {"wrong_leaves": parity.wrong_leaves, "max_raw_difference": parity.max_raw_difference},
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def _among_candidates(lists: Lists) -> float:
    """The share of all that came true that stood among the candidates: what no order can go beyond."""
    _, first = np.unique(lists.code, return_index=True)
    return float(lists.label.sum() / lists.relevant[first].sum())


def _parts(fitted: FittedOrder, data_set: DataSet, seed: int) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Recall of what the member had bought before and of what not, by the model and by each baseline."""
    said, task = fitted.predictions, fitted.model.task
    table = examples(task, data_set, fitted.built)
    rows = table.rows_of(said.row_id)
    scores = {"model": said.score, **{one.name: one.score(table, rows) for one in task.baselines}}
    repeats = _repeats(task, data_set, said.row_id)
    known = table.matrix[rows, table.features.index(task.baselines[0].features[0])] > 0
    parts = {
        "repeat": said.lists.part(said.lists.label * known, repeats),
        "explore": said.lists.part(said.lists.label * ~known, said.lists.relevant - repeats),
    }
    return {
        part: {
            name: as_dicts(figures)
            for name, figures in compare_lists(
                lists, scores, (recall_at(PLACES),), lambda units: Resampling(units, np.random.default_rng([seed, 1]))
            ).items()
        }
        for part, lists in parts.items()
    }


def _repeats(task: RankingTask, data_set: DataSet, row_id: NDArray[np.object_]) -> NDArray[np.float64]:
    """How many of the things that came true of each row's list the member had bought before."""
    with data_set.connect() as connection:
        counted = connection.sql(f"SELECT row_id, repeats FROM ({task.label.sql})").to_arrow_table().combine_chunks()
    place = pc.index_in(pa.array(row_id, pa.string()), counted["row_id"].combine_chunks())
    return np.asarray(counted["repeats"].take(place).cast(pa.float64()).to_numpy(), np.float64)


def main() -> None:
    """Print one JSON object."""
    print_fitted(__doc__ or "", measure, TRIALS)


if __name__ == "__main__":
    main()
