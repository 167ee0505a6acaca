"""The pictures of a fit show what it recorded: every name once, ours on top, nothing that is not in the record."""

from __future__ import annotations

import pytest

from training.curves import draw
from training.interval import Interval
from training.pictures import ahead, budgets, earnings_of, sliced, treated_as
from training.report.curve import Curve, Line
from training.report.words import Said
from training.uplift_curves import BudgetPoint


def _names(axes):
    return [label.get_text() for label in axes.get_yticklabels()][::-1]


def _dots(axes):
    return [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "o"][::-1]


def test_the_model_stands_on_top_of_its_baselines(fitted):
    record = fitted.record
    figure = ahead(record)

    assert [axes.get_title() for axes in figure.axes] == list(record.metrics)
    for axes, (metric, found) in zip(figure.axes, record.metrics.items(), strict=True):
        assert _names(axes) == ["model", *record.baselines]
        assert _dots(axes) == pytest.approx([found.value, *(each[metric].value for each in record.baselines.values())])


def test_one_metric_may_be_asked_for(fitted):
    metric = next(iter(fitted.record.metrics))

    assert [axes.get_title() for axes in ahead(fitted.record, [metric]).axes] == [metric]


def test_slices_stand_below_the_whole(fitted):
    record = fitted.record
    metric = next(iter(record.metrics))
    (axes,) = sliced(record, metric).axes

    parts = {f"{column} = {value}" for column, values in record.slices.items() for value in values}
    assert _names(axes)[0] == "all"
    assert set(_names(axes)[1:]) == parts
    assert _dots(axes)[0] == pytest.approx(record.metrics[metric].value)


def test_intervals_are_drawn_as_long_as_they_are():
    (axes,) = earnings_of({"ours": Interval(2.0, 1.0, 4.0), "theirs": Interval(0.0, -1.0, 1.0)}, "fen").axes

    bars = [tuple(line.get_xdata()) for line in axes.lines if line.get_marker() != "o"]
    assert {(1.0, 4.0), (-1.0, 1.0)} <= set(bars)
    assert axes.get_xlabel() == "fen"


def test_what_is_too_far_off_is_an_arrow_with_its_figure():
    far = {
        "ours": Interval(2.0, 1.0, 3.0),
        "near": Interval(-4.0, -5.0, -3.0),
        "far": Interval(-1_383.0, -1_400.0, -1_300.0),
    }
    (axes,) = earnings_of(far, title="what is earned").axes

    low, high = axes.get_xlim()
    assert -10 < low < -5
    assert 3 < high < 5
    (arrow,) = (line for line in axes.lines if line.get_marker() == "<")
    assert (list(arrow.get_xdata()), list(arrow.get_ydata())) == ([0.02], [0])  # of the width, from the left
    assert _names(axes) == ["ours", "near", "far"]
    assert axes.texts[0].get_text() == "-1,383 [-1,400, -1,300]"
    assert axes.get_title() == "what is earned"


def test_everybody_of_an_outcome_gets_one_action(fitted):
    payoff = fitted.model.task.payoff
    (axes,) = treated_as(fitted.record, payoff.actions, payoff.outcomes).axes

    ends = {}
    for bar in axes.patches:
        ends[bar.get_y()] = max(ends.get(bar.get_y(), 0.0), bar.get_x() + bar.get_width())
    assert list(ends.values()) == pytest.approx([1.0] * len(payoff.outcomes))


def test_budgets_begin_with_nothing_and_only_ours_has_its_interval():
    def point(cost, value):
        return BudgetPoint(0.5, *(Interval(one, one - 1, one + 1) for one in (cost, value, value / cost)))

    (axes,) = budgets({"ours": [point(1, 3), point(2, 4)], "by lot": [point(1, 1), point(2, 2)]}).axes

    assert [list(line.get_ydata()) for line in axes.lines[:2]] == [[0, 3, 4], [0, 1, 2]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["ours", "by lot"]
    assert len(axes.collections) == 1


def test_money_is_drawn_as_deep_as_the_mildest_action_goes():
    said = Said("word", "词")
    mild, hard = Line(said, (0.0, 1.0), (-10.0, 0.0)), Line(said, (0.0, 1.0), (-1_000.0, -1.0))
    axes = draw((Curve("money", said, said, said, (mild, hard)),), {"feature": 1.0})["money"].axes[0]

    low, high = axes.get_ylim()
    assert -20 < low < -10
    assert 0 < high < 2
