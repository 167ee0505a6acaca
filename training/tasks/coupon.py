"""Which members will use a coupon booklet: the chance that anything of what is sent is redeemed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from data.journey import complete_journey
from data.questions import REDEEMED, SENDS
from features.coupon import COUPON
from training.baseline import logistic_regression, single_feature
from training.learner import Binary
from training.metrics import average_precision, roc_auc
from training.payoff import Payoff
from training.split import Temporal
from training.task import Example, Task

if TYPE_CHECKING:
    import optuna

    from training.task import Parameters


OFFER_LINE, CATEGORY_LINE = "member_offer_offer_line", "member_offer_offer_category_line"

MORE_IS_LIKELIER = (
    "member_redemption_count_lifetime",
    "member_redemption_count_90d",
    "member_redemption_count_30d",
    "member_redemption_rate",
    "member_kind_redemption_rate",
    "member_coupon_events_lifetime",
    "member_coupon_events_a_month",
    "member_coupon_events_a_basket_lifetime",
    "member_coupon_events_a_basket_90d",
    "member_order_line_count_couponed_90d",
    "member_order_line_count_couponed_30d",
    "member_distinct_category_couponed_365d",
    "member_sum_coupon_discount_fen_90d",
    f"{OFFER_LINE}_count_90d",
    "member_offer_sum_offer_line_amount_fen_60d",
    "member_offer_distinct_offer_line_product_30d",
    "member_offer_distinct_offer_line_product_90d",
    "member_offer_distinct_offer_line_category_60d",
    f"{OFFER_LINE}_share_90d",
    "member_offer_wallet_share_offer_line_90d",
    f"{OFFER_LINE}_count_couponed_365d",
    f"{OFFER_LINE}_share_couponed_365d",
    f"{CATEGORY_LINE}_count_couponed_365d",
    f"{CATEGORY_LINE}_share_couponed_365d",
    f"{CATEGORY_LINE}_share_90d",
    "member_offer_distinct_offer_category_line_category_60d",
    f"{CATEGORY_LINE}_count_60d",
)
LONGER_AGO_IS_LESS_LIKELY = (
    "member_redemption_days",
    "member_coupon_days",
    f"{OFFER_LINE}_days",
    f"{CATEGORY_LINE}_days_couponed",
)
CAMPAIGN_FACTS = ("offer_product_count", "campaign_send_count", "campaign_days")
FEATURES = COUPON.only(*MORE_IS_LIKELIER, *LONGER_AGO_IS_LESS_LIKELY, *CAMPAIGN_FACTS)


def search(trial: optuna.Trial) -> Parameters:
    """Around stumps, heavily averaged: with some hundred redemptions to learn from, the rest is mostly noise."""
    return {
        "max_depth": trial.suggest_int("max_depth", 1, 3),
        "num_leaves": trial.suggest_int("num_leaves", 2, 8),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.05, 0.5, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 1.0, 60.0, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 3, 60, log=True),
        "num_iterations": trial.suggest_int("num_iterations", 200, 800, log=True),
    }


TASK = Task(
    name="coupon",
    rows=SENDS,
    label=REDEEMED,
    unit="member_id",
    features=FEATURES,
    split=Temporal(
        test_from=datetime(2017, 8, 1, tzinfo=UTC),
        group="campaign_id",
        folds=3,
        validate_from=datetime(2017, 3, 29, tzinfo=UTC),
    ),
    learner=Binary(
        parameters={
            "learning_rate": 0.1,
            "num_iterations": 600,
            "num_leaves": 2,
            "max_depth": 1,
            "extra_trees": True,
            "min_data_in_leaf": 5,
            "lambda_l2": 10.0,
            "feature_fraction": 0.1,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "max_bin": 255,
        },
        bags=8,
        more_is_likelier=MORE_IS_LIKELIER,
        more_is_less_likely=LONGER_AGO_IS_LESS_LIKELY,
    ),
    search=search,
    metrics=(average_precision, roc_auc),
    payoff=Payoff(
        actions=("skip", "send"),
        outcomes=("not_redeemed", "redeemed"),
        value_fen=((0.0, 0.0), (-50.0, 400.0)),
    ),
    baselines=(single_feature("past_redemption_rate", "member_redemption_rate"), logistic_regression()),
    slices=("kind",),
    example=Example("journey", "read Complete Journey", complete_journey),
)
"""The pay-off assumes that a booklet costs 50 fen to print and post, and that a member who redeems brings 400 fen of
margin. Put the campaign's own figures here; actions and their thresholds follow.
"""
