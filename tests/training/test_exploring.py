"""The pictures of features say what the rows say: shares that add up, medians of the right week, a feature turned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn

from features.spec import FeatureSet, column
from training.dataset import Examples
from training.exploring import (
    UNKNOWN,
    _duration,
    _edges,
    _ranks,
    _shares,
    alone,
    distributions,
    moved,
    related,
    through_time,
)

DAY = 86_400_000_000
DECLARED = FeatureSet(*(column(name, "points", name.title()) for name in ("tells", "turned", "noise")))
COLUMNS = drawn.arrays(
    np.float64, st.integers(0, 60), elements=st.one_of(st.floats(-1e6, 1e6, width=32), st.just(np.nan))
)


def _examples(matrix, label, names):
    rows = len(label)
    return Examples(
        row_id=np.array([str(number) for number in range(rows)], dtype=object),
        as_of=np.arange(rows) * DAY,
        closes_at=np.zeros(rows, np.int64),
        label=np.asarray(label, np.float64),
        unit=np.arange(rows),
        group=np.zeros(rows, np.int64),
        slices={},
        features=names,
        matrix=np.asarray(matrix, np.float32),
    )


@pytest.fixture
def rows():
    """Three features: one that tells, the same turned round, and noise that is known of half the rows."""
    generator = np.random.default_rng(3)
    label = np.tile([0.0, 1.0, np.nan], 70)
    tells = np.nan_to_num(label) * 2 + generator.normal(size=len(label))
    noise = np.where(np.arange(len(label)) % 4 < 2, generator.normal(size=len(label)), np.nan)
    return _examples(np.column_stack((tells, -tells, noise)), label, ("tells", "turned", "noise"))


@given(column=COLUMNS)
def test_shares_of_a_column_add_up_to_all_of_it(column):
    edges = _edges(column)
    shares = _shares(column, edges)

    assert len(shares) == len(edges)
    assert shares.sum() == pytest.approx(1.0 if len(column) else 0.0)
    assert shares[-1] * max(1, len(column)) == pytest.approx(np.isnan(column).sum())


@given(column=drawn.arrays(np.float32, st.integers(1, 40), elements=st.floats(-9, 9, width=32)))
def test_ranks_are_those_of_an_order_with_ties(column):
    found = _ranks(column)

    below, equal = (column[:, None] > column).sum(axis=1), (column[:, None] == column).sum(axis=1)
    np.testing.assert_allclose(found, below + (equal + 1) / 2)


def test_distributions_have_a_panel_a_feature_and_a_line_an_outcome(rows):
    figure = distributions(rows, DECLARED.only("tells", "noise"), outcomes=("stayed", "left"))

    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ["tells", "noise"]
    assert [line.get_label() for line in shown[0].lines] == ["stayed", "left"]
    assert shown[1].get_xticklabels()[-1].get_text() == UNKNOWN
    assert [line.get_ydata()[-1] for line in shown[1].lines] == pytest.approx([0.5, 0.5], abs=0.05)
    low, high = (line.get_ydata() for line in shown[0].lines)
    assert low[0] > high[0]  # the lowest tenth is of those who stayed
    assert low[-3] < high[-3]


def test_medians_are_of_their_own_stretch(rows):
    axes = through_time(rows, DECLARED.only("tells"), days=70).axes[0]

    line = axes.lines[0]
    assert list(line.get_xdata()) == [0, 70, 140]
    assert line.get_ydata() == pytest.approx([np.median(part) for part in np.split(rows.matrix[:, 0], 3)])


@pytest.mark.parametrize(
    ("seconds", "unit", "length"), [(9, "seconds", 1), (7_200, "hours", 3_600), (1e6, "days", 86_400)]
)
def test_seconds_are_drawn_in_a_unit_that_people_read(seconds, unit, length):
    asked = _examples(np.full((4, 1), seconds), [0, 1, 0, 1], ("since",))
    axes = through_time(asked, FeatureSet(column("since", "seconds", "Since then")), days=70).axes[0]

    assert axes.get_ylabel() == unit
    assert axes.lines[0].get_ydata() == pytest.approx([seconds / length])


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0 s"), (59, "59 s"), (90, "1.5 min"), (7_200, "2 h"), (86_400, "1 d"), (1e6, "12 d")]
)
def test_a_time_is_told_as_people_say_it(seconds, told):
    assert _duration(seconds) == told


def test_a_feature_in_seconds_has_marks_that_people_read():
    asked = _examples([[60.0], [7_200.0]], [0, 1], ("since",))
    axes = distributions(asked, FeatureSet(column("since", "seconds", "Since then"))).axes[0]

    assert [label.get_text() for label in axes.get_xticklabels()] == ["1 min", "2 h", UNKNOWN]
    assert axes.get_xlabel() == "time, from"


def test_a_feature_that_runs_the_other_way_is_as_good_and_noise_comes_last(rows):
    axes = alone(rows).axes[0]

    assert [label.get_text() for label in axes.get_yticklabels()] == ["noise", "turned", "tells"]
    dots = [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "o"]
    assert dots[1] == pytest.approx(dots[2])
    assert dots[2] > 0.85
    assert abs(dots[0] - 0.5) < 0.15


def test_what_says_the_same_twice_is_at_the_end_of_the_scale(rows):
    shown = related(rows, ["tells", "turned"]).axes[0].images[0].get_array()

    np.testing.assert_allclose(shown, [[1, -1], [-1, 1]])


def test_moves_are_drawn_in_the_order_asked_for():
    axes = moved({"still": 0.0, "gone": 2.0}, ["gone", "still"]).axes[0]

    assert [label.get_text() for label in axes.get_yticklabels()] == ["still", "gone"]
    assert [bar.get_width() for bar in axes.patches] == [0.0, 2.0]
