"""Which coupon earns more than it costs: what sending it changes, and what redeeming it takes off (千人千券)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from data.questions import OFFER_OUTCOMES, OFFERED, REDEEMED_IF_SENT
from data.world.example import coupon_world
from features.offered import DEPTH
from features.offered import OFFERED as KNOWN
from training.baseline import single_feature
from training.effect.learners import ClassTransformation, DRLearner, SLearner, TLearner, XLearner
from training.effect.response import ResponseLearner
from training.effect.shrinkage import Division
from training.effect.task import EffectTask
from training.effect.trees import SMALL_TREES, Trees
from training.formulas import Fact
from training.learner import Binary
from training.metrics import average_precision, log_loss
from training.payoff import Payoff
from training.split import Temporal
from training.task import Example, Task

if TYPE_CHECKING:
    import optuna

    from training.task import Parameters

FACE_VALUE = "face_value_fen"
MORE_OFF = (FACE_VALUE, DEPTH)
"""A member is never less likely to buy, or to redeem, for more taken off."""

FEATURES = KNOWN.only(
    "member_basket_since",
    "member_basket_count_30d",
    "member_basket_count_90d",
    "member_basket_count_lifetime",
    "member_basket_since_first",
    "member_mean_basket_gap_seconds_lifetime",
    "member_recency_over_cadence",
    "member_frequency_trend",
    "member_mean_amount_fen_365d",
    "member_entropy_category_365d",
    "member_order_line_share_discounted_lifetime",
    "member_mean_order_line_amount_fen_lifetime",
    "member_basket_share_mini_program_lifetime",
    "member_offer_offer_line_count_90d",
    "member_offer_offer_line_days",
    "member_offer_wallet_share_offer_line_365d",
    "member_offer_offer_category_line_count_90d",
    "member_offer_wallet_share_offer_category_line_365d",
    "member_redemption_count_lifetime",
    "member_redemption_rate",
    "member_send_count_treated_90d",
    "registration_age_days",
    "offer_of_one_brand",
    "offer_product_count",
    "offer_price_fen",
    "offer_margin_fen",
    "threshold_fen",
    *MORE_OFF,
)


def search(trial: optuna.Trial) -> Parameters:
    """Around a hundred and fifty trees of some leaves."""
    return {
        "num_iterations": trial.suggest_int("num_iterations", 80, 300, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 4, 15),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.2, 0.8, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 1.0, 60.0, log=True),
    }


TASK = Task(
    name="offers",
    rows=OFFERED,
    label=REDEEMED_IF_SENT,
    unit="member_id",
    features=FEATURES,
    split=Temporal(test=timedelta(days=1), group="campaign_id", folds=2),
    learner=Binary(
        parameters={
            "learning_rate": 0.05,
            "num_iterations": 200,
            "num_leaves": 8,
            "min_data_in_leaf": 60,
            "feature_fraction": 0.4,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "lambda_l2": 10.0,
            "max_bin": 127,
        },
        bags=2,
        more_is_likelier=MORE_OFF,
    ),
    search=search,
    metrics=(average_precision, log_loss),
    payoff=Payoff(
        actions=("skip", "send"),
        outcomes=("not_redeemed", "redeemed"),
        value_fen=((0.0, 0.0), (0.0, 0.0)),
    ),
    baselines=(single_feature("past_redemption_rate", "member_redemption_rate"),),
    slices=("kind",),
    example=Example("coupon_world", "simulate a small world of coupons", coupon_world),
    walked=False,
)
"""The chance that a sent offer is redeemed: the side of the cost. A redemption by itself earns nothing, so the table is
empty: what sending is worth is said by `EFFECT`.
"""

RISING = Trees(more_is_likelier=MORE_OFF)


def _of_orders(feature: str, centre: float, scale: float, low: float = 0.0, high: float = 1.0) -> Fact:
    """What orders show of a member: little, while they are few."""
    return Fact(feature, centre, scale, low, high, seen=ORDERS)


ORDERS = "member_basket_count_lifetime"
STRANGER = Fact(ORDERS, centre=1.0, scale=-1.0, low=0.0, high=1.0)
DISCOUNTED = _of_orders("member_order_line_share_discounted_lifetime", 0.3, 0.2)
DEAR = _of_orders("member_mean_order_line_amount_fen_lifetime", 700.0, 300.0, 200.0, 1_600.0)

FINE: Parameters = {**SMALL_TREES, "num_iterations": 300, "max_depth": 5, "num_leaves": 12}
"""Who buys anyway is told by every row: there is more to be learned of it than of effects."""

MARGINS: Parameters = {
    **SMALL_TREES,
    "num_iterations": 200,
    "max_depth": 4,
    "min_data_in_leaf": 20,
    "lambda_l2": 1.0,
}
"""What a discounted line earns hangs on the offer, sharply, and hardly on chance."""

RESPONSE = ResponseLearner(
    gain=(
        STRANGER,
        DISCOUNTED,
        DEAR,
        Fact(DEPTH, centre=0.2, scale=0.07, low=0.0, high=0.6),
        _of_orders("member_basket_share_mini_program_lifetime", 0.3, 0.25),
        Fact("offer_of_one_brand", centre=0.5, scale=1.0, low=0.0, high=1.0),
        Fact("member_recency_over_cadence", centre=1.0, scale=2.0, low=0.0, high=8.0),
        Fact("registration_age_days", centre=60.0, scale=-30.0, low=0.0, high=60.0),
    ),
    loss=(STRANGER, DISCOUNTED, DEAR),
    redeem=(DISCOUNTED,),
    trees=Trees(FINE, bags=2),
)

EFFECT = EffectTask(
    redemption=TASK,
    outcomes=OFFER_OUTCOMES,
    face_value=FACE_VALUE,
    learners={
        "response": RESPONSE,
        "s": SLearner(RISING, dose=FACE_VALUE),
        "t": TLearner(RISING),
        "x": XLearner(RISING),
        "dr": DRLearner(RISING),
        "class_transformation": ClassTransformation(RISING),
    },
    judge=DRLearner(),
    baskets=Trees(MARGINS, bags=2),
    divisions=(Division("member_basket_count_90d", (0.5, 6.5)), Division("offer_of_one_brand", (0.5,))),
)
