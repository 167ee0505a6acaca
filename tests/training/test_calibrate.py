from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from data.errors import DataError, UsageError
from training.calibrate import CALIBRATIONS, Isotonic, Sigmoid, Spline, fit_isotonic, fit_sigmoid, fit_spline


def drawn(seed: int, rows: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    raw = generator.normal(size=rows) * 3
    return raw, (generator.random(rows) < 1 / (1 + np.exp(-(0.5 * raw - 1)))).astype(float)


def test_the_sigmoid_finds_the_curve_that_made_the_labels() -> None:
    fitted = fit_sigmoid(*drawn(1, 100_000))

    assert fitted.slope == pytest.approx(0.5, abs=0.02)
    assert fitted.intercept == pytest.approx(-1, abs=0.03)


def test_the_sigmoid_agrees_with_an_unpenalised_logistic_regression() -> None:
    raw, label = drawn(2, 20_000)
    peer = LogisticRegression(C=np.inf, tol=1e-10).fit(raw[:, None], label)

    fitted = fit_sigmoid(raw, label)

    assert fitted.slope == pytest.approx(peer.coef_[0, 0], rel=1e-2)
    assert fitted.apply(raw).mean() == pytest.approx(label.mean(), abs=1e-3)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("shift", [-1e3, 0.0, 1e3])
def test_the_sigmoid_does_not_depend_on_the_scale_of_the_score(scale: float, shift: float) -> None:
    raw, label = drawn(3)

    assert fit_sigmoid(raw * scale + shift * scale, label).apply(raw * scale + shift * scale) == pytest.approx(
        fit_sigmoid(raw, label).apply(raw), abs=1e-6
    )


@pytest.mark.parametrize("label", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1]])
def test_the_sigmoid_stays_finite_where_the_labels_are_separated_or_all_alike(label: list[int]) -> None:
    fitted = fit_sigmoid(np.array([1.0, 2.0, 3.0, 4.0]), np.array(label))

    assert np.isfinite([fitted.slope, fitted.intercept]).all()


def test_one_distinct_score_gives_the_mean() -> None:
    raw, label = np.full(8, 2.0), np.array([0, 0, 0, 0, 0, 0, 1, 1])

    assert fit_isotonic(raw, label).apply(np.array([-1e9, 2.0, 1e9])) == pytest.approx(0.25)
    assert fit_sigmoid(raw, label).apply(raw) == pytest.approx(0.28125)  # Platt's targets pull to the middle


def test_extreme_scores_give_probabilities() -> None:
    ends = np.array([-np.inf, -1e308, 1e308, np.inf])

    assert Sigmoid(2.0, 1.0).apply(ends).tolist() == [0, 0, 1, 1]
    assert Isotonic((0.0, 1.0), (0.25, 0.5)).apply(ends).tolist() == [0.25, 0.25, 0.5, 0.5]


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 1)), min_size=1, max_size=40),
    st.lists(st.floats(-1e7, 1e7), min_size=2),
)
def test_the_polygon_never_falls_and_stays_a_probability(rows: list[tuple[float, int]], asked: list[float]) -> None:
    raw, label = np.array(rows).T
    fitted = fit_isotonic(raw, label)

    answer = fitted.apply(np.sort(np.array(asked)))

    assert ((answer >= fitted.y[0]) & (answer <= fitted.y[-1])).all()
    assert (np.diff(answer) >= -1e-15).all()


def test_the_polygon_goes_through_its_knots() -> None:
    fitted = fit_isotonic(*drawn(4))

    assert fitted.apply(np.array(fitted.x)) == pytest.approx(np.array(fitted.y), abs=1e-15)


def test_all_that_is_wrong_with_the_rows_is_said_at_once() -> None:
    with pytest.raises(DataError, match=r"shapes .3,. and .2,.*1 scores that are not finite; found 1 labels.*held-out"):
        fit_sigmoid(np.array([0.0, np.nan, 1.0]), np.array([0, 2]))


def test_numbers_that_are_no_calibrator_are_refused() -> None:
    with pytest.raises(UsageError, match="slope nan"):
        Sigmoid(float("nan"), 0.0)
    with pytest.raises(UsageError, match="strictly rising; found probabilities outside 0 to 1 or falling"):
        Isotonic((1.0, 1.0), (0.5, 0.4))


def test_a_fitted_curve_is_of_plain_numbers_that_a_manifest_can_hold() -> None:
    fitted = fit_sigmoid(np.array([-1.0, 0.5, 2.0, 3.0]), np.array([0, 1, 0, 1]))
    assert (type(fitted.slope), type(fitted.intercept)) == (float, float)


def bent(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores whose log-odds rise by 0.3 up to score 1 and by 3 from there on."""
    generator = np.random.default_rng(seed)
    raw = generator.normal(0, 2, rows)
    truth = 1 / (1 + np.exp(-(0.3 * raw - 3 + 2.7 * np.maximum(raw - 1, 0))))
    return raw, (generator.random(rows) < truth).astype(float), truth


def test_the_spline_bends_where_a_sigmoid_cannot() -> None:
    raw, label, truth = bent(5, 50_000)

    spline, sigmoid = (np.abs(fit(raw, label).apply(raw) - truth).mean() for fit in (fit_spline, fit_sigmoid))

    assert spline < 0.02
    assert 2 * spline < sigmoid
    top = np.argsort(raw)[-500:]
    assert fit_spline(raw, label).apply(raw)[top].mean() == pytest.approx(truth[top].mean(), abs=0.01)


def test_with_few_rows_the_spline_stays_near_a_logistic_curve() -> None:
    raw, label = drawn(6, 80)

    assert np.abs(fit_spline(raw, label).apply(raw) - fit_sigmoid(raw, label).apply(raw)).max() < 0.12


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-1_000, 1_000), st.integers(0, 1)), min_size=1, max_size=40))
def test_the_spline_rises_everywhere_and_stays_a_probability(rows: list[tuple[int, int]]) -> None:
    raw, label = np.array(rows, float).T
    fitted = fit_spline(raw / 100, label)

    assert (np.diff(fitted.y) > 0).all()
    answer = fitted.apply(np.sort(np.append(raw, (-1e9, 1e9))))
    assert ((answer >= 0) & (answer <= 1) & (np.diff(answer, prepend=0) >= 0)).all()


def test_a_line_that_falls_is_no_spline() -> None:
    with pytest.raises(UsageError, match=r"strictly rising; found log-odds that are not finite or falling.*fit_spline"):
        Spline((1.0, 1.0), (0.5, 0.4))
    with pytest.raises(UsageError, match="found 1 scores and 2 log-odds"):
        Spline((1.0,), (0.5, 0.6))


@pytest.mark.parametrize("name", ["sigmoid", "isotonic", "spline"])
def test_every_name_that_a_learner_may_give_is_a_calibration(name: str) -> None:
    raw, label = drawn(7)
    assert type(CALIBRATIONS[name](raw, label)).__name__.lower() == name
