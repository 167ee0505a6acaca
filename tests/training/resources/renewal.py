"""A task from outside the repository: will a service contract be renewed, and is a call worth its price?"""

from __future__ import annotations

from datetime import timedelta

from data.questions import Label, Rows
from features.spec import FeatureSet, column
from training.baseline import logistic_regression, single_feature
from training.learner import Binary
from training.metrics import average_precision, roc_auc
from training.payoff import Payoff
from training.split import Temporal
from training.task import Task

TASK = Task(
    name="renewal",
    rows=Rows("contract", ("contracts",), "SELECT contract_id AS row_id, ends_at AS as_of, * FROM contracts"),
    label=Label(
        "lapsed",
        ("contracts",),
        "SELECT contract_id AS row_id, lapsed AS label, ends_at + INTERVAL 30 DAY AS closes_at FROM contracts",
    ),
    unit="customer_id",
    features=FeatureSet(
        column("complaints", "complaints", "Complaints of the last year"),
        column("years", "years", "Years that the customer has had a contract"),
    ),
    split=Temporal(test=timedelta(days=120), group="month", folds=2),
    learner=Binary(parameters={"num_iterations": 50, "num_leaves": 4, "learning_rate": 0.1}, bags=2),
    search=lambda trial: {"num_leaves": trial.suggest_int("num_leaves", 2, 8)},
    metrics=(roc_auc, average_precision),
    payoff=Payoff(("wait", "call", "visit"), ("stays", "lapses"), ((0, -1_000), (-50, -400), (-300, -100))),
    baselines=(single_feature("complaints", "complaints"), logistic_regression()),
)
