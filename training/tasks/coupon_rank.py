"""Which coupons of a booklet each member will use: the order in which they are shown, and never a probability."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from data.candidates import COUPON_USED, COUPONS_OF_BOOKLETS
from data.journey import complete_journey
from features.coupon_rank import COUPON_RANK
from training.ranking import Ranking
from training.ranking_baseline import RankedBy
from training.ranking_metrics import ndcg_at, recall_at
from training.split import Temporal
from training.task import Example, RankingTask

if TYPE_CHECKING:
    import optuna

    from training.task import Parameters

PLACES = 10
BOUGHT = ("member_offer_distinct_offer_line_product_365d", "member_offer_offer_line_count_365d")
REDEEMED = ("coupon_redemption_count", "coupon_category_redemption_count")


def search(trial: optuna.Trial) -> Parameters:
    """Small trees: some hundred lists in which anything came true teach the order."""
    return {
        "num_leaves": trial.suggest_int("num_leaves", 3, 24, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 20, 400, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.1, 0.8, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 1.0, 60.0, log=True),
        "num_iterations": trial.suggest_int("num_iterations", 60, 400, log=True),
    }


TASK = RankingTask(
    name="coupon_rank",
    rows=COUPONS_OF_BOOKLETS,
    label=COUPON_USED,
    lists="list_id",
    unit="member_id",
    features=COUPON_RANK,
    split=Temporal(
        test_from=datetime(2017, 8, 1, tzinfo=UTC),
        group="campaign_id",
        folds=2,
        validate_from=datetime(2017, 3, 29, tzinfo=UTC),
    ),
    learner=Ranking(
        parameters={
            "learning_rate": 0.05,
            "num_iterations": 150,
            "num_leaves": 6,
            "min_data_in_leaf": 60,
            "feature_fraction": 0.3,
            "lambda_l2": 10.0,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "lambdarank_truncation_level": 20,
        },
        bags=8,
    ),
    search=search,
    metrics=(recall_at(PLACES), ndcg_at(PLACES)),
    baselines=(
        RankedBy("most_redeemed_so_far", REDEEMED[:1]),
        RankedBy("most_redeemed_category_so_far", REDEEMED),
        RankedBy("bought_most_of_its_products", BOUGHT),
        RankedBy("bought_largest_share_of_its_products", ("member_coupon_product_share_365d",)),
    ),
    first_metric_decides=True,
    example=Example("journey", "read Complete Journey", complete_journey),
)
"""`most_redeemed_so_far` counts uses of the very same coupon before the booklet was sent; most coupons of a campaign
are new, so that `most_redeemed_category_so_far` goes on with coupons of the same categories.
"""
