"""Learning from rows that nobody has judged: which of them are taken for a no, and what they count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from training.dataset import Examples
from training.learner import Binary
from training.split import NEVER
from training.unlabelled import Past, Unlabelled, columns, scored

LEARNER = Binary({"num_iterations": 20, "num_leaves": 4, "min_data_in_leaf": 2}, bags=1, more_is_likelier=("sign",))


def _table(label, sign, by_lot=None):
    count = len(label)
    zeros = np.zeros(count, np.int64)
    matrix = np.column_stack((sign, np.arange(count) % 7)).astype(np.float32)
    return Examples(
        row_id=np.arange(count).astype(object),
        as_of=np.arange(count),
        closes_at=np.where(np.isnan(label), NEVER, 0),
        label=np.asarray(label, float),
        unit=zeros,
        group=zeros,
        slices={},
        features=("sign", "noise"),
        matrix=matrix,
        by_lot=~np.isnan(label) if by_lot is None else by_lot,
    )


def _drawn(yes_share=0.2, count=2_000, seed=0):
    """Rows of which a fifth is a yes that its sign tells apart; every fifth row has a label, drawn by lot."""
    generator = np.random.default_rng(seed)
    yes = generator.random(count) < yes_share
    sign = yes + generator.normal(0, 0.1, count)
    label = np.where(np.arange(count) % 5 == 0, yes.astype(float), np.nan)
    return _table(label, sign), yes


@pytest.fixture
def task(renewal):
    return replace(renewal, learner=LEARNER, unlabelled=Unlabelled(weight=0.5))


def _past(task, table):
    labelled = np.flatnonzero(~np.isnan(table.label))
    return Past.of(task, table, labelled, np.flatnonzero(np.isnan(table.label)))


def _lesson(past, seed=0):
    return past.lesson(LEARNER, past.table.features, {}, np.random.default_rng(seed))


def test_a_task_that_does_not_ask_for_them_learns_from_labelled_rows_alone(task):
    table, _ = _drawn()
    lesson = _lesson(_past(replace(task, unlabelled=None), table))

    assert lesson.rows.tolist() == np.flatnonzero(~np.isnan(table.label)).tolist()
    assert lesson.weight is None
    assert (lesson.label == table.label[lesson.rows]).all()


def test_rows_that_are_likeliest_a_yes_are_not_learned_from_as_a_no(task):
    table, yes = _drawn()
    past = _past(task, table)
    lesson = _lesson(past)
    presumed = lesson.rows[len(past.labelled) :]

    assert not yes[presumed].any()
    assert (lesson.label[len(past.labelled) :] == 0).all()
    left_out = len(past.unlabelled) - len(presumed)
    assert left_out == round(past.possible_yes())
    assert yes[past.unlabelled].sum() <= left_out <= 1.3 * yes[past.unlabelled].sum()


def test_a_labelled_row_counts_one_and_an_unlabelled_one_its_weight(task):
    past = _past(task, _drawn()[0])
    lesson = _lesson(past)

    assert set(lesson.weight[: len(past.labelled)]) == {1.0}
    assert set(lesson.weight[len(past.labelled) :]) == {0.5}


def test_rows_that_are_thinned_count_for_those_left_out(task):
    table, _ = _drawn()
    whole, thin = (
        _lesson(_past(replace(task, unlabelled=asked), table)) for asked in (Unlabelled(0.5), Unlabelled(0.5, most=100))
    )

    assert len(thin.rows) == (~np.isnan(table.label)).sum() + 100
    assert thin.weight.sum() == pytest.approx(whole.weight.sum())
    assert len(set(thin.rows)) == len(thin.rows)


def test_a_search_learns_from_fewer_and_is_else_the_same():
    assert Unlabelled(0.2, most=50, most_searched=7).searched() == Unlabelled(0.2, most=7, most_searched=7)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 60), st.integers(1, 60), st.integers(0, 300))
def test_how_many_may_be_a_yes_never_exceeds_how_many_there_are(yes, no, unlabelled):
    label = np.concatenate((np.ones(yes), np.zeros(no), np.full(unlabelled, np.nan)))
    past = Past(None, _table(label, label), np.arange(yes + no), yes + no + np.arange(unlabelled))

    assert 0 <= past.possible_yes() <= unlabelled


def test_verdicts_on_suspicion_do_not_say_how_common_a_yes_is(task):
    label = np.concatenate((np.ones(50), np.zeros(50), np.full(100, np.nan)))
    by_lot = np.zeros(200, np.bool_)
    by_lot[50:100] = True

    assert _past(task, _table(label, label, by_lot)).possible_yes() == 0.0


def test_without_a_label_by_lot_it_is_refused(task):
    label = np.array([1.0, 0.0, np.nan])
    with pytest.raises(DataError, match=r"found no label by lot among 2 .* audit draw scans at random"):
        _past(task, _table(label, label, np.zeros(3, np.bool_))).possible_yes()


@pytest.mark.parametrize("wrong", [{"weight": 0.0}, {"most": 0}, {"most_searched": 0}])
def test_a_recipe_that_leaves_nothing_is_refused(wrong):
    with pytest.raises(UsageError, match="learns from labelled rows alone has unlabelled=None"):
        Unlabelled(**wrong)


def test_what_is_learned_without_a_feature_never_asks_for_it(task):
    table, _ = _drawn()
    past = _past(task, table)
    booster = past.taught({}, np.random.default_rng(0), ("noise",))

    assert booster.feature_name() == ["noise"]
    other = replace(table, matrix=table.matrix * np.array([[-1, 1]], np.float32))
    rows = np.arange(len(table.label))
    assert (scored(booster, table, rows, ("noise",)) == scored(booster, other, rows, ("noise",))).all()


def test_the_same_seed_teaches_the_same(task):
    past = _past(replace(task, unlabelled=Unlabelled(0.5, most=300)), _drawn()[0])
    one, other = (past.taught({}, np.random.default_rng(4)).model_to_string() for _ in range(2))

    assert one == other


def test_columns_come_in_the_order_asked_for():
    table, _ = _drawn(count=10)
    assert columns(table, np.array([3, 1]), ("noise", "sign")).tolist() == table.matrix[[3, 1]][:, ::-1].tolist()
