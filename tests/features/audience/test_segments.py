from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from features.audience.segments import NEVER_BOUGHT, SEGMENTS, fifths, segments

WHOLE = st.integers(0, 30).map(float)


@given(hnp.arrays(np.float64, st.integers(0, 60), elements=WHOLE))
def test_fifths_keep_the_order_give_equals_the_same_and_stay_within_one_to_five(values):
    found = fifths(values)

    assert ((found >= 1) & (found <= 5)).all()
    for value, fifth in zip(values, found, strict=True):
        assert (found[values == value] == fifth).all()
        assert (found[values > value] >= fifth).all()


def test_a_hundred_different_values_make_five_fifths_of_twenty():
    assert np.bincount(fifths(np.random.default_rng(1).permutation(100.0 + np.arange(100)))).tolist() == [0] + [20] * 5


@pytest.mark.parametrize(
    ("recency", "worth", "named"),
    [
        (5, 5, "champions"),
        (5, 4, "champions"),
        (4, 5, "loyal"),
        (3, 4, "loyal"),
        (5, 3, "potential_loyalists"),
        (4, 2, "potential_loyalists"),
        (5, 1, "new"),
        (4, 1, "promising"),
        (3, 3, "need_attention"),
        (3, 1, "about_to_sleep"),
        (2, 4, "at_risk"),
        (1, 3, "at_risk"),
        (1, 5, "cannot_lose"),
        (2, 1, "hibernating"),
        (1, 2, "hibernating"),
        (1, 1, "lost"),
    ],
)
def test_the_segment_follows_from_the_two_scores(recency, worth, named):
    # One member of each pair of scores, so that every fifth is of one value.
    pairs = [(r, w) for r in range(1, 6) for w in range(1, 6)]
    since = np.array([100.0 * (6 - r) for r, _ in pairs])
    baskets = np.array([float(w) for _, w in pairs])

    assert segments(since, baskets, baskets * 100)[pairs.index((recency, worth))] == named


def test_all_twelve_names_occur_and_no_other():
    draw = np.random.default_rng(2)
    since = np.where(draw.random(4_000) < 0.1, np.nan, draw.integers(1, 10_000, 4_000))
    found = segments(since, draw.integers(0, 50, 4_000).astype(float), draw.integers(0, 9_000, 4_000).astype(float))

    assert set(found) == set(SEGMENTS)
    assert (found[np.isnan(since)] == NEVER_BOUGHT).all()
    assert NEVER_BOUGHT not in found[~np.isnan(since)]


def test_money_counts_beside_frequency():
    pairs = np.arange(1.0, 6.0)
    poor, rich = (segments(np.full(5, 10.0), pairs, money)[2] for money in (pairs[::-1] * 0 + [5, 5, 1, 5, 5], pairs))

    assert (poor, rich) == ("about_to_sleep", "need_attention")
