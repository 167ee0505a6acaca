"""Is this scan the wool party (羊毛党)? The chance that a verdict would say so, at the moment of the scan."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from data.questions import SCANS, WOOL
from data.world.example import small_world
from features.rfm import RFM
from features.ring import RING
from features.scan import SCAN
from training.baseline import isolation_forest, rules, without
from training.learner import Binary
from training.metrics import average_precision, tpr_at
from training.payoff import Holdout
from training.rules import Circumstance
from training.scan_costs import ScanCosts
from training.split import Temporal
from training.task import Example, Task
from training.unlabelled import Unlabelled

if TYPE_CHECKING:
    import optuna

    from training.task import Parameters

MORE_IS_LIKELIER = (
    *(name for name in (*SCAN.names, *RING.names) if "wool" in name),
    "device_distinct_member_7d",
    "device_distinct_member_30d",
    "phone_prefix_registration_count_1d",
    "referrer_registration_count_7d",
    "ip_scan_count_forged_1h",
    "batch_scan_count_inactive_1h",
    "member_scan_count_within_5s_1d",
    "member_kmh",
    "code_kmh",
)
"""What no honest explanation makes more honest: verdicts, a shared phone, puppets joining together, forged codes."""

CLOCKS = ("campaign_age_seconds",)
"""Grows with the calendar in a campaign that never ends: what was learned of a date says nothing of later ones."""

LIMITED = (
    "member_scan_count_5m",
    "member_scan_count_1h",
    "member_scan_count_1d",
    "member_scan_count_7d",
    "member_scan_count_30d",
    "member_scan_share_failed_7d",
    "member_scan_share_linked_7d",
    "member_scan_count_within_10s_1d",
    "member_distinct_local_day_30d",
    "device_scan_count_1h",
    "device_scan_count_1d",
    "device_scan_count_7d",
    "device_distinct_member_1d",
    "device_distinct_member_7d",
    "device_distinct_member_30d",
    "member_distinct_device_7d",
    "member_distinct_device_30d",
    "ip_scan_count_5m",
    "ip_scan_count_1h",
    "ip_distinct_member_1h",
    "ip_distinct_member_1d",
    "ip_distinct_member_new_member_1d",
    "wifi_distinct_member_7d",
    "member_distinct_ip_1d",
    "member_distinct_town_1d",
    "member_distinct_town_7d",
    "member_kmh",
    "member_usual_km",
    "batch_usual_km",
    "code_scan_count_lifetime",
    "code_kmh",
    "member_distinct_batch_1d",
    "member_batch_scan_count_1d",
    "batch_scan_count_inactive_1h",
    "phone_prefix_registration_count_1d",
    "referrer_registration_count_7d",
    "member_referral_count_direct_7d",
    "member_sum_prize_fen_1d",
    "member_sum_prize_fen_30d",
    "member_payout_count_30d",
)
"""What an analyst sets limits on."""

CIRCUMSTANCES = (
    Circumstance(),
    Circumstance("new member", "registration_age_seconds", below=30 * 86_400),
    Circumstance("by link", "entry", equal="link"),
    *(Circumstance(f"code {status}", "status", equal=status) for status in ("repeat", "inactive", "forged")),
)


def search(trial: optuna.Trial) -> Parameters:
    """Around some hundred trees of some dozen leaves on a part of the features each."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.03, 0.15, log=True),
        "num_iterations": trial.suggest_int("num_iterations", 100, 400, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 7, 63, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 10, 200, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.1, 0.6, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 0.5, 50.0, log=True),
    }


TASK = Task(
    name="fraud",
    rows=SCANS,
    label=WOOL,
    unit="ring",
    features=(SCAN + RING + RFM).only(*(name for name in (*SCAN.names, *RING.names, *RFM.names) if name not in CLOCKS)),
    split=Temporal(test=timedelta(days=14), folds=3),
    learner=Binary(
        parameters={
            "learning_rate": 0.08,
            "num_iterations": 200,
            "num_leaves": 15,
            "min_data_in_leaf": 20,
            "feature_fraction": 0.3,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 5.0,
            "max_bin": 127,
        },
        bags=2,
        more_is_likelier=MORE_IS_LIKELIER,
        threads=2,
        calibration="spline",
    ),
    search=search,
    metrics=(average_precision, tpr_at(0.001), tpr_at(0.01)),
    payoff=ScanCosts().payoff(),
    baselines=(
        rules(LIMITED, CIRCUMSTANCES, rate=0.001),
        without("lightgbm_without_rings", RING.names),
        isolation_forest(),
    ),
    first_metric_decides=True,  # a wrong verdict in fifty outweighs what happens at 0.1 % FPR
    slices=("campaign_id", "entry", "status", "new_member"),
    unlabelled=Unlabelled(),
    holdout=Holdout(share=0.01),
    example=Example("world", "simulate a small world", small_world),
)
