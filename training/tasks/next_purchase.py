"""Which products each member will buy next: in the month after the first instant of each month."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from data.candidates import NextPurchase
from data.journey import complete_journey
from features.next_purchase import NEXT_CATEGORY, NEXT_PRODUCT
from training.ranking import Ranking
from training.ranking_baseline import RankedBy
from training.ranking_metrics import ndcg_at, recall_at
from training.split import Temporal
from training.task import Example, RankingTask

if TYPE_CHECKING:
    import optuna

    from features.spec import FeatureSet
    from training.task import Parameters

PLACES = 10


def search(trial: optuna.Trial) -> Parameters:
    """Around what a month of lists can teach; more leaves learn members by heart."""
    return {
        "num_leaves": trial.suggest_int("num_leaves", 15, 63, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 100, 2_000, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.2, 0.8),
        "lambdarank_truncation_level": trial.suggest_int("lambdarank_truncation_level", 10, 40),
        "num_iterations": trial.suggest_int("num_iterations", 80, 240, log=True),
    }


def next_purchase(name: str, asked: NextPurchase, features: FeatureSet, test_from: datetime) -> RankingTask:
    """The task of putting what a member may buy next in order.

    Args:
        name: The task's name.
        asked: What is bought, and in how long a time.
        features: What is known of a candidate.
        test_from: The first moment whose lists are held out.
    """
    own, everyone = f"member_{asked.name}_order_line", f"{asked.name}_order_line"
    return RankingTask(
        name=name,
        rows=asked.rows,
        label=asked.label,
        lists="list_id",
        unit="member_id",
        features=features,
        split=Temporal(test_from=test_from, group="as_of", folds=2),
        learner=Ranking(
            parameters={
                "learning_rate": 0.08,
                "num_iterations": 120,
                "num_leaves": 31,
                "min_data_in_leaf": 200,
                "feature_fraction": 0.5,
                "bagging_fraction": 0.7,
                "bagging_freq": 1,
                "lambdarank_truncation_level": 20,
                "max_bin": 127,
            },
        ),
        search=search,
        metrics=(ndcg_at(PLACES), recall_at(PLACES)),
        baselines=(
            RankedBy("personal_top", (f"{own}_count_lifetime", f"-{own}_since")),
            RankedBy("global_top", (f"{everyone}_count_30d",)),
            RankedBy("personal_then_global_top", (f"{own}_count_lifetime", f"{everyone}_count_90d")),
            RankedBy("recent_then_global_top", (f"{own}_count_180d", f"{everyone}_count_90d")),
        ),
        example=Example("journey", "read Complete Journey", complete_journey),
    )


TASK = next_purchase(
    "next_purchase",
    NextPurchase("product_id", warm_up=6, own=100, top=60),
    NEXT_PRODUCT,
    datetime(2017, 12, 1, tzinfo=UTC),
)
"""Products. What a member bought most and what everyone buys most are hard to beat (Li et al., "A next basket
recommendation reality check", TOIS 2023), so the lists of both stand beside the model's.
"""

CATEGORY = next_purchase(
    "next_category",
    NextPurchase("category", warm_up=5, own=100, top=60),
    NEXT_CATEGORY,
    datetime(2017, 12, 1, tzinfo=UTC),
)
"""The same of categories."""
