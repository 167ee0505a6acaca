import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import UsageError
from features.expression import Finish, _Called
from features.spec import derived

RATE = 3.7


def _helped(a, b):
    return np.where(np.isnan(a) | (b <= 2), -a * RATE, np.fmax(a, b) / np.abs(b))


FOLLOWED = {
    "arithmetic": lambda a, b: (a + b) * 2 - b / 3.3,
    "functions": lambda a, b: np.sqrt(np.abs(a)) + np.floor(b / 7.0) - abs(a),
    "extremes": lambda a, b: np.maximum(a, b) + np.minimum(a, 1.5) * np.fmin(a, b) - np.fmax(2.0, b),
    "comparisons": lambda a, b: np.where(a < b, 1.0, 2.0) + (a > b) * 1.0 + (a >= b) * 4.0 + (a <= b) * 8.0,
    "equality": lambda a, b: (a == b) * 1.0 + (a != b) * 2.0,
    "logic": lambda a, b: np.where((a > 0) & ~(b > 0) | np.isfinite(a), a, b) + np.where(np.isnan(b), 5.0, a),
    "help": _helped,
    "by nothing": lambda a, b: a / (b - b),
}
CALLED = {
    "power": lambda a, b: a**2 + b,
    "logarithm": lambda a, b: np.log1p(np.abs(a)) + b,
    "numbers of truths": lambda a, b: ((a > 0) + (b > 0)) * 1.0,
    "indexing": lambda a, b: a[::1] + b,
    "a constant": lambda a, b: np.full_like(a, 2.0),  # noqa: ARG005 - the shape is all it needs
    "options": lambda a, b: np.add(a, b, where=True),
}
numbers = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 2.0, np.nan, 0.1, 1e300, -1e-300, 7.0]), st.floats(allow_nan=True, width=64)
)


def _declared(functions):
    return [derived(name, function, "", "", of=("a", "b")) for name, function in functions.items()]


def _batch(function, row):
    with np.errstate(all="ignore"):
        value = np.asarray(function(*(np.array([one, one, one]) for one in row)), np.float64)[1]
        single = np.float32(value if np.isfinite(value) else np.nan)
    return single if np.isfinite(single) else np.float32(np.nan)


@settings(max_examples=300, deadline=None)
@given(row=st.tuples(numbers, numbers))
def test_one_row_gets_what_many_rows_get(row):
    functions = FOLLOWED | CALLED
    found = FINISH(np.array(row))
    for value, function in zip(found, functions.values(), strict=True):
        wanted = _batch(function, row)
        assert (value == wanted) or (np.isnan(value) and np.isnan(wanted))


FINISH = Finish(("a", "b"), _declared(FOLLOWED | CALLED), tuple(FOLLOWED | CALLED))


def test_straight_lines_are_followed_and_the_rest_is_called():
    parts = FINISH._parts
    assert not isinstance(parts[0], _Called)
    assert [part.feature.name for part in parts[1:]] == list(CALLED)


def test_a_feature_derived_from_a_called_one_comes_after_it():
    first = derived("first", CALLED["power"], "", "", of=("a", "b"))
    second = derived("second", lambda first: first / 2, "", "")
    assert Finish(("a", "b"), (first, second), ("second", "a"))(np.array([3.0, 1.0])).tolist() == [5.0, 3.0]


def test_a_function_that_decides_by_a_value_is_refused_only_where_it_fails():
    decides = derived("decides", lambda a: a if a > 0 else -a, "", "")
    assert Finish(("a",), (decides,), ("decides",))(np.array([-3.0])).tolist() == [3.0]


def test_a_wrong_shape_is_named():
    wrong = derived("wrong", lambda a: np.concatenate([a, a]), "", "")
    with pytest.raises(UsageError, match=r"derived feature wrong: its function gave shape \(2,\) for one row"):
        Finish(("a",), (wrong,), ("wrong",))(np.array([1.0]))
