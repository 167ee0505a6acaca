"""A task that declares the same has the same hash wherever it is, and one that declares anything else has another."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import training.tasks.offers
from data.errors import UsageError
from training.catalogue import find, shipped
from training.declaration import declaration
from training.metrics import Metric, roc_auc
from training.payoff import Holdout

RENEWAL = Path(__file__).parent / "resources" / "renewal.py"
ASKED = "import sys; from training.catalogue import find; from training.declaration import declaration\n"


@pytest.fixture
def hash_of(tmp_path):
    """The hash of a task declared by a text."""

    def told(text, name="renewal"):
        path = tmp_path / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        return declaration(find(str(path)))

    return told


@pytest.fixture(scope="module")
def text():
    return RENEWAL.read_text(encoding="utf-8")


@pytest.mark.parametrize("task", ["fraud", "coupon", "offers", "site", str(RENEWAL)])
def test_another_process_finds_the_same_hash(task):
    done = subprocess.run(  # noqa: S603 - our own statements
        [sys.executable, "-c", f"{ASKED}print(declaration(find(sys.argv[1])))", task],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7"},
    )

    assert done.stdout.strip() == declaration(find(task))


def test_no_two_tasks_have_the_same_hash():
    assert len({declaration(find(name)) for name in shipped()}) == len(shipped())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("contract_id AS row_id, ends_at AS as_of, *", "contract_id AS row_id, ends_at AS as_of, years, complaints"),
        ("lapsed AS label", "1 - lapsed AS label"),
        ('unit="customer_id"', 'unit="contract_id"'),
        ('column("complaints", "complaints"', 'column("complaints", "letters"'),
        ("days=120", "days=119"),
        ("folds=2", "folds=3"),
        ('"learning_rate": 0.1', '"learning_rate": 0.2'),
        ("bags=2", "bags=4"),
        ('suggest_int("num_leaves", 2, 8)', 'suggest_int("num_leaves", 2, 9)'),
        ("(roc_auc, average_precision)", "(average_precision, roc_auc)"),
        ("(-50, -400)", "(-50, -401)"),
        ('single_feature("complaints", "complaints")', 'single_feature("complaints", "years")'),
        (", logistic_regression()", ""),
    ],
)
def test_whatever_is_declared_otherwise_changes_it(text, hash_of, old, new):
    assert old in text
    assert hash_of(text.replace(old, new)) != declaration(find(str(RENEWAL)))


def test_a_constant_that_only_a_function_reads_changes_it(text, hash_of):
    reading = text.replace("TASK =", "MOST = 8\n\nTASK =").replace("2, 8)", "2, MOST)")

    assert hash_of(reading) != hash_of(reading.replace("MOST = 8", "MOST = 9"))


def test_a_constant_of_a_file_beside_it_changes_it(text, hash_of, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    beside = tmp_path / "renewal_costs.py"
    beside.write_text("MOST = 8\n")
    reading = text.replace("TASK =", "from renewal_costs import MOST\n\nTASK =").replace("2, 8)", "2, MOST)")

    before = hash_of(reading)
    beside.write_text("MOST = 9\n")

    assert hash_of(reading) != before


def test_comments_layout_docstrings_and_place_change_nothing(text, hash_of):
    retold = text.replace('"""A task from', '"""Another word for a task from').replace(
        "TASK = Task(", "# a comment\n\n\nTASK   =   Task("
    )

    assert hash_of(retold, "elsewhere") == declaration(find(str(RENEWAL)))


def test_another_file_of_the_same_name_does_not_touch_it(text, hash_of, tmp_path):
    path = tmp_path / "mine" / "renewal.py"
    path.parent.mkdir()
    path.write_text(text.replace("2, 8)", "2, 9)"))
    task = find(str(path))
    before = declaration(task)

    hash_of(text)

    assert declaration(task) == before


def test_a_task_made_of_one_that_ships_differs_by_what_was_replaced(hash_of):
    same = "from dataclasses import replace\n\nfrom training.tasks.fraud import TASK\n\n"
    trees = "replace(TASK.learner, parameters={**TASK.learner.parameters, 'num_iterations': %d})"
    made = [hash_of(f"{same}TASK = replace(TASK, learner={trees % count})\n") for count in (1, 2)]

    assert len({*made, declaration(find("fraud"))}) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"holdout": Holdout(share=0.02)},
        {"holdout": None},
        {"slices": ("entry",)},
        {"first_metric_decides": False},
        {"unlabelled": None},
        {"metrics": (roc_auc,)},
    ],
    ids=["holdout", "no holdout", "slices", "no metric decides", "no unlabelled rows", "metrics"],
)
def test_all_that_a_task_may_ask_is_part_of_it(change):
    fraud = find("fraud")

    assert declaration(replace(fraud, **change)) != declaration(fraud)


def test_what_changes_no_model_is_no_part_of_it():
    fraud = find("fraud")

    assert declaration(replace(fraud, example=None, walked=False)) == declaration(fraud)
    assert declaration(fraud.grown_on("tcp://somewhere:8786")) == declaration(fraud)


def test_a_cut_that_is_given_is_part_of_it_in_whatever_zone_it_is_said():
    fraud, moment = find("fraud"), datetime(2026, 5, 1, tzinfo=UTC)

    assert declaration(fraud.cut_at(moment)) != declaration(fraud)
    assert declaration(fraud.cut_at(moment)) == declaration(fraud.cut_at(moment.astimezone()))


def test_what_is_asked_of_offers_is_part_of_it(monkeypatch):
    before = declaration(find("offers"))

    monkeypatch.setattr(training.tasks.offers, "EFFECT", replace(training.tasks.offers.EFFECT, caution=2.0))

    assert declaration(find("offers")) != before


def _at_most(most):
    return Metric("at_most", lambda _judged, weights: weights[:, 0] * most)


def test_what_a_function_was_made_with_is_part_of_it():
    fraud = find("fraud")
    one, same, other = (declaration(replace(fraud, metrics=(_at_most(most),))) for most in (1, 1, 2))

    assert one == same
    assert one != other


def test_what_can_be_told_from_nothing_is_refused_by_its_place():
    with pytest.raises(UsageError, match=r"task 'fraud', slices\[1\]: found a object"):
        declaration(replace(find("fraud"), slices=("entry", object())))
