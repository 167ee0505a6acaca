"""Recall and NDCG of lists, against sums written out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UsageError
from training.interval import Resampling
from training.ranking_metrics import Lists, compare_lists, ndcg_at, recall_at


def _lists(label, code, relevant=None):
    label, code = np.array(label, float), np.array(code)
    if relevant is None:
        relevant = np.bincount(code, label)[code]
    return Lists(label, code, np.array(relevant, float), code.copy())


def _by_hand(lists, score, places):
    recalls, gains = [], []
    for code in np.unique(lists.code):
        rows = np.flatnonzero(lists.code == code)
        if lists.relevant[rows[0]] == 0:
            continue
        first = sorted(rows, key=lambda row: (-score[row], row))[:places]
        hits = [lists.label[row] for row in first]
        recalls.append(sum(hits) / lists.relevant[rows[0]])
        best = sum(1 / math.log2(place + 2) for place in range(min(places, int(lists.relevant[rows[0]]))))
        gains.append(sum(hit / math.log2(place + 2) for place, hit in enumerate(hits)) / best)
    return np.mean(recalls), np.mean(gains)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=40),
    st.integers(1, 6),
    st.integers(0, 3),
)
def test_they_are_the_sums_of_their_definitions(rows, places, missed):
    code, label, score = (np.array(column) for column in zip(*rows, strict=True))
    lists = _lists(label, code, np.bincount(code, label)[code] + missed)
    if not (lists.relevant > 0).any():
        assert math.isnan(recall_at(places).of(lists, score.astype(float)))
        return
    recall, gain = _by_hand(lists, score, places)
    assert recall_at(places).of(lists, score.astype(float)) == pytest.approx(recall)
    assert ndcg_at(places).of(lists, score.astype(float)) == pytest.approx(gain)


def test_what_was_never_a_candidate_counts_as_missed():
    found = _lists([1, 0], [0, 0])
    missed = _lists([1, 0], [0, 0], relevant=[4, 4])
    score = np.array([1.0, 0.0])
    assert recall_at(10).of(found, score) == 1.0
    assert recall_at(10).of(missed, score) == 0.25
    assert ndcg_at(10).of(missed, score) < ndcg_at(10).of(found, score) == 1.0


def test_a_list_of_which_nothing_came_true_has_no_part():
    score = np.array([3.0, 2.0, 1.0])
    assert recall_at(1).of(_lists([1, 0, 0], [0, 0, 1]), score) == 1.0


def test_gains_are_paired_on_the_draws_of_units():
    generator = np.random.default_rng(3)
    code = np.repeat(np.arange(200), 8)
    label = (generator.random(len(code)) < 0.3).astype(float)
    lists = Lists(label, code, np.bincount(code, label)[code], code // 2)
    good = label + generator.normal(0, 1, len(code))
    scores = {"model": good, "same": good.copy(), "chance": generator.random(len(code))}

    figures = compare_lists(
        lists, scores, (recall_at(3), ndcg_at(3)), lambda units: Resampling(units, np.random.default_rng(0))
    )

    assert set(figures["model"]) == {"recall_at_3", "ndcg_at_3"}
    same, chance = figures["same"]["gain_ndcg_at_3"], figures["chance"]["gain_ndcg_at_3"]
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert 0 < chance.low < chance.value < chance.high
    lead = figures["model"]["ndcg_at_3"].value - figures["chance"]["ndcg_at_3"].value
    assert chance.value == pytest.approx(lead)


def test_a_part_of_what_came_true_is_judged_in_the_same_order():
    lists, score = _lists([1, 1, 0], [0, 0, 0]), np.array([3.0, 1.0, 2.0])
    repeated = lists.part(lists.label * [True, False, True], np.ones(3))
    assert recall_at(2).of(lists, score) == 0.5
    assert recall_at(2).of(repeated, score) == 1.0


@pytest.mark.parametrize("metric", [recall_at, ndcg_at])
def test_no_place_is_refused(metric):
    with pytest.raises(UsageError, match="found 0, expected 1 or more"):
        metric(0)
