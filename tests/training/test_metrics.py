from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from data.errors import UsageError
from training.metrics import Judged, average_precision, brier, log_loss, precision_a_day, roc_auc, tpr_at


@st.composite
def judged(draw):
    """Rows of both classes, with ties, and a whole number of times that each counts."""
    size = draw(st.integers(2, 40))
    label = np.array(draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=size, max_size=size)))
    label[:2] = [0.0, 1.0]
    score = np.array(draw(st.lists(st.integers(0, 8), min_size=size, max_size=size))) / 8
    weight = np.array(draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)), dtype=float)
    weight[:2] = np.maximum(weight[:2], 1)
    return label, score, weight


@given(judged())
def test_metrics_equal_scikit_learn_with_weights_and_ties(drawn):
    label, score, weight = drawn
    weights = np.stack([weight, np.ones_like(weight)])
    peers = {
        roc_auc: sklearn_metrics.roc_auc_score,
        average_precision: sklearn_metrics.average_precision_score,
        brier: sklearn_metrics.brier_score_loss,
    }
    for metric, peer in peers.items():
        found = metric.measure(Judged(label, score), weights)
        expected = [peer(label, score, sample_weight=row) for row in weights]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, err_msg=metric.name)
    inside = np.clip(score, 0.01, 0.99)
    np.testing.assert_allclose(
        log_loss.measure(Judged(label, inside), weights),
        [sklearn_metrics.log_loss(label, inside, sample_weight=row) for row in weights],
        rtol=1e-12,
    )


@given(judged(), st.floats(0.01, 0.99))
def test_tpr_at_is_the_best_point_of_the_curve_within_the_rate(drawn, rate):
    label, score, weight = drawn
    false, true, _ = sklearn_metrics.roc_curve(label, score, sample_weight=weight, drop_intermediate=False)
    # Rates that lie on a point of the curve up to rounding say nothing about the metric.
    if np.abs(false - rate).min() > 1e-9:
        found = tpr_at(rate).measure(Judged(label, score), weight[None])[0]
        assert found == pytest.approx(true[false <= rate].max())


@pytest.mark.parametrize("metric", [roc_auc, average_precision, tpr_at(0.1)])
def test_a_metric_without_meaning_is_nan_not_a_number_that_looks_like_one(metric):
    nobody = np.zeros(5)
    assert np.isnan(metric.of(nobody, np.arange(5.0)))


@pytest.mark.parametrize("rate", [0, 1, -0.1])
def test_tpr_at_refuses_what_is_no_rate(rate):
    with pytest.raises(UsageError, match="between 0 and 1"):
        tpr_at(rate)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=30),
    st.integers(1, 6),
)
def test_precision_a_day_is_that_of_the_copies_that_reviewers_look_at(rows, alerts):
    day, label, copies = (np.array(part) for part in zip(*rows, strict=True))
    score = np.random.default_rng(len(rows)).permutation(len(rows)).astype(float)
    looked_at = []
    for one in set(day.tolist()):
        places = [place for place in np.argsort(-score) if day[place] == one for _ in range(copies[place])]
        looked_at += [label[place] for place in places[:alerts]]

    found = precision_a_day(day, alerts).measure(Judged(label.astype(float), score), copies[None].astype(float))[0]

    assert found == pytest.approx(np.mean(looked_at)) if looked_at else np.isnan(found)


def test_reviewers_who_look_at_nothing_have_no_precision():
    with pytest.raises(UsageError, match="found 0"):
        precision_a_day(np.zeros(1, np.int64), 0)
