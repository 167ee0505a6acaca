"""A task from outside the repository that puts lists in order: what does a visitor of a shop take from a shelf?"""

from __future__ import annotations

from datetime import timedelta

from data.questions import Label, Rows
from features.spec import FeatureSet, column
from training.ranking import Ranking
from training.ranking_baseline import RankedBy
from training.ranking_metrics import ndcg_at, recall_at
from training.split import Temporal
from training.task import RankingTask

TASK = RankingTask(
    name="shelf",
    rows=Rows("candidate", ("candidates",), "SELECT *, day AS as_of FROM candidates"),
    label=Label(
        "taken",
        ("candidates",),
        "SELECT row_id, taken AS label, day + INTERVAL 7 DAY AS closes_at, wanted AS relevant FROM candidates",
    ),
    lists="visit",
    unit="member_id",
    features=FeatureSet(
        column("liking", "points", "How much the member likes it"),
        column("popularity", "members", "How many like it"),
        column("mood", "points", "Of the visit alone"),
    ),
    split=Temporal(test=timedelta(days=60), group="visit", folds=2),
    learner=Ranking({"num_iterations": 30, "num_leaves": 4, "learning_rate": 0.2, "min_data_in_leaf": 20}),
    search=lambda trial: {"num_leaves": trial.suggest_int("num_leaves", 2, 8)},
    metrics=(ndcg_at(3), recall_at(3)),
    baselines=(RankedBy("liked", ("liking",)), RankedBy("popular", ("popularity", "-liking"))),
)
