from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from training.split import NEVER, Temporal

DAY = 86_400_000_000


def _days(*numbers):
    return np.array(numbers, dtype=np.int64) * DAY


def _at(day):
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)


def test_a_row_that_spans_the_cut_is_dropped_and_counted():
    division = Temporal(test_from=_at(10)).divide(_days(1, 5, 9, 10, 12), _days(4, 10, 11, 15, 20))
    assert division.train.tolist() == [0, 1]
    assert division.dropped.tolist() == [2]
    assert division.test.tolist() == [3, 4]


def test_a_gap_keeps_labels_that_closed_late_out_of_training():
    division = Temporal(test_from=_at(10), gap=timedelta(days=3)).divide(_days(1, 5, 12), _days(4, 8, 20))
    assert division.train.tolist() == [0]
    assert division.dropped.tolist() == [1]


def test_a_test_of_a_length_is_counted_back_from_the_latest_row():
    division = Temporal(test=timedelta(days=2)).divide(_days(1, 5, 9, 10), _days(2, 6, 10, 11))
    assert division.test_from == _at(8)
    assert division.test.tolist() == [2, 3]


def test_a_row_without_a_label_is_never_tested_on():
    division = Temporal(test_from=_at(10)).divide(_days(1, 5, 12, 13), np.append(_days(4, 12, 15), NEVER))
    assert (division.train.tolist(), division.dropped.tolist(), division.test.tolist()) == ([0], [1], [2])


def test_a_fold_names_what_had_no_label_yet_and_what_never_gets_one():
    as_of = _days(1, 2, 3, 4, 5, 6)
    closes = np.array([2 * DAY, 9 * DAY, NEVER, 8 * DAY, NEVER, 9 * DAY])
    train = np.array([0, 1, 3, 5])
    (fold,) = Temporal(test_from=_at(20), folds=1, validate_from=_at(4)).chain(as_of, closes, as_of, train)
    assert (fold.fit.tolist(), fold.validate.tolist()) == ([0], [3, 5])
    assert (fold.unlabelled.tolist(), fold.unjudged.tolist()) == ([1, 2], [4])


def test_a_table_in_which_no_row_has_a_label_is_refused_by_name():
    with pytest.raises(DataError, match="none has a label"):
        Temporal(test_from=_at(2)).divide(_days(1, 3), np.full(2, NEVER))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), st.integers(0, 5)), min_size=8, max_size=60))
def test_no_fold_learns_from_what_was_not_known_yet_and_none_divides_a_group(rows):
    starts = {group: start for start, _, group in rows}
    as_of = _days(*(starts[group] for *_, group in rows))
    closes = as_of + _days(*(length for _, length, _ in rows))
    groups = np.array([group for *_, group in rows])
    train = np.arange(len(rows))
    try:
        folds = Temporal(test_from=_at(200)).chain(as_of, closes, groups, train)
    except DataError:
        return
    for fold in folds:
        assert closes[fold.fit].max() <= as_of[fold.validate].min()
        assert not set(fold.fit) & set(fold.validate)
        outside = np.setdiff1d(train, fold.validate)
        assert not set(groups[fold.validate]) & set(groups[outside])


def test_an_empty_side_names_the_cut_and_the_fix():
    with pytest.raises(
        DataError, match=r"leaves 3 rows to learn from and 0 to test on .* name another cut with --test-from"
    ):
        Temporal(test_from=_at(100)).divide(_days(1, 2, 3), _days(2, 3, 4))


def test_too_short_a_history_is_told_from_a_wrong_cut():
    with pytest.raises(DataError, match=r"leaves 0 rows to learn from .* no cut can have both: give a longer history"):
        Temporal(test_from=_at(2)).divide(_days(1, 2, 3), _days(20, 21, 22))
    with pytest.raises(DataError, match=r"found 2 rows .* in 1 group of as_of: .* give a longer history"):
        Temporal(test_from=_at(50)).chain(_days(1, 1), _days(20, 20), np.array([0, 0]), np.arange(2))


@pytest.mark.parametrize(
    "arguments",
    [{}, {"test_from": _at(1), "test": timedelta(days=1)}, {"test_from": datetime(2020, 1, 1)}],  # noqa: DTZ001 - the fault
)
def test_a_split_names_one_cut_with_a_zone(arguments):
    with pytest.raises(UsageError):
        Temporal(**arguments)
