"""The tail of a Poisson law and the adjusted values, against slow and obvious ones."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, poisson

from data.codes.yardstick import adjusted, at_least_one, poisson_sign, poisson_tail, usual_rate

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(st.integers(0, 60), st.floats(1e-6, 50))
def test_the_tail_is_that_of_the_law(seen, expected):
    assert poisson_tail(seen, expected) == pytest.approx(poisson.sf(seen - 1, expected), rel=1e-8, abs=1e-15)


def test_a_tail_that_no_number_holds_is_0():
    assert poisson_tail(10_000, 0.5) == 0


def test_nothing_can_be_expected_less_than_never():
    with pytest.raises(ValueError, match="expected: found 0"):
        poisson_tail(1, 0)


@given(P_VALUES)
def test_the_adjusted_values_are_those_of_benjamini_and_hochberg(p_values):
    assert adjusted(p_values, len(p_values)) == pytest.approx(false_discovery_control(p_values).tolist())


@given(P_VALUES, st.integers(0, 100))
def test_tests_that_are_not_listed_count_as_no_surprise(p_values, more):
    listed = adjusted(p_values, len(p_values) + more)

    assert listed == pytest.approx(false_discovery_control([*p_values, *[1.0] * more]).tolist()[: len(p_values)])


def test_more_listed_than_made_is_a_mistake():
    with pytest.raises(ValueError, match="tests: found 1"):
        adjusted([0.1, 0.2], 1)


@given(P_VALUES)
def test_the_least_of_several_is_no_smaller_than_itself(p_values):
    assert min(p_values) <= at_least_one(p_values) <= 1


@given(st.floats(0, 50), st.floats(1, 1e6), st.floats(0, 500), st.floats(1, 1e7))
def test_a_rate_lies_between_the_product_s_and_the_brand_s(events, exposure, all_events, all_exposure):
    rate = usual_rate((events, exposure), (all_events, all_exposure))
    own, brand = events / exposure, (all_events + 0.5) / all_exposure

    assert min(own, brand) * (1 - 1e-9) <= rate <= max(own, brand) * (1 + 1e-9)
    assert rate > 0


def test_a_sign_says_the_count_and_what_is_usual():
    sign = poisson_sign("people_before_activation", 3, 0.1)

    assert sign.p is not None
    assert math.isclose(sign.p, poisson_tail(3, 0.1))
    assert sign.text() == "people before activation 3 (usual 0.1, p 2e-04)"
