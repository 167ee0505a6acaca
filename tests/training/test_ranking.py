"""A task that puts lists in order, from a flat table to the places that are served."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.errors import DataError, UsageError
from serving.rows import RowsRefused, answer_rows
from serving.scorer import Scorer
from training.bundles import read
from training.catalogue import find, shipped
from training.export import export
from training.ranking import Ranking, telling_lists
from training.ranking_baseline import RankedBy
from training.ranking_pipeline import fit_order
from training.task import RankingTask
from training.tracking.metrics import figures
from training.tracking.notes import note

TASK = find(str(Path(__file__).parent / "resources" / "shelf.py"))


@pytest.fixture(scope="module")
def brand(visits):
    return visits


@pytest.fixture(scope="module")
def fitted(fitted_order):
    return fitted_order


@pytest.fixture(scope="module")
def scorer(released_order):
    return Scorer(read(released_order.folder))


def test_the_order_is_ahead_of_what_either_feature_says_alone(fitted):
    record = fitted.record
    for baseline in ("liked", "popular"):
        assert record.baselines[baseline]["gain_ndcg_at_3"].low > 0
    assert record.metrics["recall_at_3"].low < record.metrics["recall_at_3"].value < 1
    assert record.search.trials == 2
    assert next(iter(record.attributions)) in {"liking", "popularity"}


def test_the_same_seed_gives_the_same_model(fitted, brand, tmp_path):
    again = fit_order(TASK, brand, home=tmp_path, trials=2)
    assert again.model.booster.model_to_string() == fitted.model.booster.model_to_string()
    assert again.record.metrics == fitted.record.metrics


def test_its_record_and_curves_speak_of_neither_money_nor_chance(fitted):
    assert (fitted.record.money, fitted.record.rates, fitted.record.calibration) == ({}, {}, ())
    assert not any(name.startswith(("money", "rates")) for name in figures(fitted.record))
    assert "fen" not in note(fitted.record)
    json.dumps(fitted.record.as_dict(), allow_nan=False)


def test_the_exported_graph_is_the_model_and_knows_no_probability(fitted, scorer):
    parity = scorer.manifest.parity
    assert (parity.wrong_leaves, parity.max_raw_difference) == (0, 0.0)
    assert np.array_equal(scorer.raw(fitted.predictions.matrix), fitted.predictions.score)
    assert scorer.manifest.lists == "visit"
    assert scorer.manifest.calibrator == {}
    with pytest.raises(UsageError, match="found an order of the rows of one visit, expected a model of chances"):
        scorer.probability(fitted.predictions.matrix)


def _lines(fitted, rows, **changed):
    names = fitted.model.task.features.names
    lines = [
        {"visit": f"visit-{fitted.predictions.lists.code[row]}"}
        | {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(names, fitted.predictions.matrix[row], strict=True)
        }
        | changed
        for row in rows
    ]
    return "\n".join(map(json.dumps, lines)).encode()


def test_rows_are_answered_by_their_place_in_their_list(fitted, scorer):
    said = fitted.predictions
    rows = np.flatnonzero(np.isin(said.lists.code, np.unique(said.lists.code)[:2]))
    answers = [json.loads(line) for line in answer_rows(scorer, _lines(fitted, rows)).splitlines()]
    assert all(set(answer) == {"place", "score", "reasons"} for answer in answers)
    for code in np.unique(said.lists.code[rows]):
        inside = [number for number, row in enumerate(rows) if said.lists.code[row] == code]
        by_place = sorted(inside, key=lambda number: answers[number]["place"])
        assert [answers[number]["place"] for number in by_place] == list(range(1, len(inside) + 1))
        scores = [answers[number]["score"] for number in by_place]
        assert scores == sorted(scores, reverse=True)


def test_a_line_that_names_no_list_is_refused(fitted, scorer):
    line = json.loads(_lines(fitted, [0]))
    del line["visit"]
    with pytest.raises(RowsRefused) as refusal:
        answer_rows(scorer, json.dumps(line).encode())
    assert refusal.value.problems[0].expected == "visit"


def test_an_order_takes_no_calibrator(fitted, tmp_path):
    with pytest.raises(UsageError, match="lists alone for an order"):
        export(
            tmp_path,
            task="shelf",
            version="one",
            booster=fitted.model.booster,
            calibrator=None,
            features=TASK.features,
            payoff=None,
            rows=fitted.predictions.matrix,
            data_hash="",
            metrics={},
            generator=np.random.default_rng(0),
        )


def test_lists_without_both_outcomes_teach_nothing():
    label = np.array([1.0, 0, 0, 0, 1, 1])
    rows, sizes = telling_lists(label, np.array([4, 4, 7, 7, 9, 9]), 10, np.random.default_rng(0))
    assert (rows.tolist(), sizes.tolist()) == ([0, 1], [2])
    with pytest.raises(DataError, match="found no list with both outcomes among 1 lists"):
        _taught(TASK.learner, np.zeros(2))


def _taught(learner, label):
    matrix, lists = np.arange(len(label), dtype=np.float32)[:, None], np.zeros(len(label), np.int64)
    return learner.fit(["one"], matrix, label, lists, {}, np.random.default_rng(0))


def test_more_of_a_feature_moves_no_row_down_where_that_is_declared():
    label = np.tile([1.0, 0.0], 50)[:99]
    free = Ranking({"num_iterations": 10, "min_data_in_leaf": 1, "num_leaves": 8})
    held = replace(free, more_is_higher=("one",))
    asked = np.arange(99, dtype=np.float32)[:, None]
    assert (np.diff(_taught(free, label).predict(asked)) < 0).any()
    assert (np.diff(_taught(held, label).predict(asked)) >= 0).all()
    with pytest.raises(UsageError, match="found two; expected names among one"):
        _taught(replace(free, more_is_lower=("two",)), label)


def test_at_most_so_many_lists_are_learned_from():
    lists = np.repeat(np.arange(50), 2)
    rows, sizes = telling_lists(np.tile([1.0, 0.0], 50), lists, 7, np.random.default_rng(0))
    assert (len(rows), sizes.tolist()) == (14, [2] * 7)
    assert (np.bincount(lists[rows])[np.unique(lists[rows])] == 2).all()


def test_a_baseline_of_an_unknown_feature_is_refused_with_the_names_there_are(brand, tmp_path):
    task = replace(TASK, baselines=(RankedBy("wrong", ("-taste",)),))
    with pytest.raises(UsageError, match="found -taste, expected names among liking, popularity, mood"):
        fit_order(task, brand, home=tmp_path, trials=1)


def test_lists_are_not_grown_on_a_cluster():
    assert TASK.grown_on(None) is TASK
    with pytest.raises(UsageError, match="leave --cluster out"):
        TASK.grown_on("local")


@pytest.mark.parametrize("name", ["next_purchase", "next_category", "coupon_rank"])
def test_the_tasks_that_ship_put_lists_in_order(name):
    task = find(name)
    assert name in shipped()
    assert isinstance(task, RankingTask)
    assert not task.walked
    assert all(feature.removeprefix("-") in task.features.names for one in task.baselines for feature in one.features)
