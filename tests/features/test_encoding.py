import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from features import encoding
from features.encoding import Encoder
from features.kernel import Values

texts = st.lists(st.one_of(st.none(), st.text(max_size=6), st.sampled_from(["a", "b", "ab", ""])), max_size=40)
integers = st.lists(st.one_of(st.none(), st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1)), max_size=40)


def _expected(values):
    numbers: dict[object, int] = {}
    return [-1 if one is None else numbers.setdefault(one, len(numbers)) for one in values]


def _encoded(columns, kind):
    encoder = Encoder(0)
    codes = [encoder.column(pa.chunked_array([pa.array(one, kind) for one in chunks], kind)) for chunks in columns]
    return np.concatenate(codes).tolist(), len(encoder)


@settings(deadline=None)
@given(first=texts, second=texts)
def test_equal_texts_get_equal_numbers_in_order_of_first_sight(first, second):
    expected = _expected(first + second)
    assert _encoded([[first[:5], first[5:]], [second]], pa.string()) == (expected, max(expected, default=-1) + 1)


@settings(deadline=None)
@given(first=integers, second=integers)
def test_equal_integers_get_equal_numbers(first, second):
    expected = _expected(first + second)
    assert _encoded([[first], [second[:3], second[3:]]], pa.int64()) == (expected, max(expected, default=-1) + 1)


def test_a_slice_of_text_is_read_from_its_own_place():
    column = pa.array(["x", None, "y", "x", None, "z", "y", "x", "w", "y"])
    sliced = pa.chunked_array([column.slice(3, 6), column.slice(1, 2)])
    assert Encoder().column(sliced).tolist() == [0, -1, 1, 2, 0, 3, -1, 2]


def test_the_table_grows():
    numbers = np.random.default_rng(1).integers(0, 40_000, 100_000)
    encoder = Encoder(0)
    codes = encoder.column(pa.chunked_array([pa.array(numbers).cast(pa.string())]))
    assert codes.tolist() == _expected(numbers.tolist())
    again = Encoder(0).integers(Values(numbers, np.ones(len(numbers), np.bool_)))
    assert np.array_equal(again, codes)


def test_equal_hashes_are_settled_by_the_bytes(monkeypatch):
    monkeypatch.setattr(encoding, "_PRIME", np.uint64(0))
    for loop in ("_encode_texts", "_equal", "_mixed"):
        monkeypatch.setattr(encoding, loop, getattr(encoding, loop).py_func)
    values = ["a", "b", "ab", "ba", "a", "", None, "b", ""]
    encoder = Encoder(20)
    with np.errstate(over="ignore"):
        assert encoder.column(pa.chunked_array([pa.array(values)])).tolist() == _expected(values)
