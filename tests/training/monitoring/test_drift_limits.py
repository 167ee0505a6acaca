"""How far something moved is held against a limit only where chance can be told from it."""

from __future__ import annotations

import pytest

from training.monitoring.drifted import LEAST_ROWS, Drifted, too_few
from training.monitoring.findings import Level, of_drift
from training.report.words import Said


def moved(rows):
    """A week in which everything moved far."""
    return Drifted(rows, {"age": 1.3}, 1.3, 1.3, 0.2, {"age": 0.3}, {"age": Said("age", "年龄")})


@pytest.mark.parametrize("rows", [1, LEAST_ROWS - 1])
def test_a_handful_of_rows_is_held_against_no_limit_and_says_so(rows):
    assert list(of_drift(moved(rows))) == []
    assert too_few(moved(rows)) == {
        "limits of drift": f"{rows} rows: below {LEAST_ROWS} nobody can tell drift from chance"
    }


def test_as_many_as_chance_is_known_of_are_held_against_each():
    assert too_few(moved(LEAST_ROWS)) == {}
    assert [one.level for one in of_drift(moved(LEAST_ROWS))] == [Level.ACT, Level.LOOK, Level.ACT]


def test_where_nobody_can_say_how_far_nothing_is_held():
    assert list(of_drift(None)) == []
    assert too_few(None) == {}
