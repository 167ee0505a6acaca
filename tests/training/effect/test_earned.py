"""The formula of worth, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from serving.shrinkage import Segment, Shrinkage
from serving.worth import Earned, valued

AS_SAID = Shrinkage((), (Segment(mean=0.0, mean_sd=0.01, centre=0.0, spread=0.0, slope=1.0),))


def worth(effect, lost, redeems):
    earned = Earned(*(np.array([fen]) for fen in (1_000.0, 600.0, 200.0)))
    one = [np.array([number]) for number in (effect, lost)]
    return valued(*one, earned, np.array([redeems]), np.array([300], np.float32), AS_SAID, np.zeros(1, np.int64))


@pytest.mark.parametrize(
    ("effect", "lost", "redeems", "fen"),
    [
        (0.2, 0.0, 0.2, 0.2 * 1_000 - 0.2 * 300),  # all who redeem were won
        (0.0, 0.0, 0.4, 0.4 * 200 - 0.4 * 300),  # nobody was: they top up, and are paid
        (0.1, 0.1, 0.5, 0.2 * 1_000 - 0.1 * 600 + 0.3 * 200 - 0.5 * 300),
        (-0.1, 0.0, 0.0, -0.1 * 600),  # more are put off than the model knew
    ],
)
def test_each_kind_of_answer_is_worth_something_else(effect, lost, redeems, fen):
    found = worth(effect, lost, redeems)
    assert found.mean[0] == pytest.approx(fen)
    assert found.cost[0] == pytest.approx(redeems * 300)
    assert found.sd[0] == pytest.approx(10.0)
