import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features import hashing
from features.encoding import Encoder
from features.hashing import ascending, buckets, marked
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


@settings(deadline=None)
@given(values=st.lists(st.text("ab", min_size=hashing.SHORT + 1, max_size=30), max_size=40))
@example(values=["a" * 7 + "b" * 7, "b" * 7 + "a" * 7, "a" * 16, "a" * 15 + "b", "a" * 17, "a" * 7 + "b" * 7])
def test_texts_of_one_mark_are_settled_by_the_bytes(values):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "mixed", lambda value: value)
        patch.setattr(hashing, "_PRIME", np.uint64(0))
        for loop in ("_hash", "_text_marks"):
            patch.setattr(hashing, loop, getattr(hashing, loop).py_func)
        encoded = _encoded([[values[:9], values[9:]], [values[::-1]]], pa.string())
    expected = _expected(values + values[::-1])
    assert encoded == (expected, max(expected, default=-1) + 1)


@settings(deadline=None)
@given(texts=st.lists(st.text(max_size=20), max_size=20, unique=True))
def test_short_texts_are_their_own_marks_and_no_long_one_has_them(texts):
    (piece,) = list(marked(pa.chunked_array([pa.array(texts, pa.string())]))) or [None]
    marks = {} if piece is None else dict(zip(texts, piece.mark.tolist(), strict=True))
    short = [marks[text] for text in texts if len(text.encode()) <= hashing.SHORT]
    assert len(set(short)) == len(short)
    assert set(short).isdisjoint(marks[text] for text in texts if len(text.encode()) > hashing.SHORT)


@settings(deadline=None)
@given(first=texts, second=texts)
def test_equal_values_go_to_one_bucket_and_nulls_to_none(first, second):
    kind = pa.string()
    one = buckets([pa.chunked_array([pa.array(first + second, kind)])], 64).tolist()
    again = buckets([pa.chunked_array([pa.array(first, kind), pa.array(second, kind)], kind)], 64).tolist()
    assert one == again
    assert [bucket == -1 for bucket in one] == [text is None for text in first + second]


@settings(deadline=None)
@given(values=st.lists(st.integers(0, 300), max_size=12), cut=st.integers(0, 12), text=st.booleans())
def test_values_that_rise_are_told_from_those_that_may_repeat(values, cut, text):
    kind = pa.string() if text else pa.int64()
    chunks = [pa.array(part).cast(kind) for part in (values[:cut], values[cut:])]
    assert ascending(pa.chunked_array(chunks, kind)) == (values == sorted(set(values)))


def test_a_null_and_letters_out_of_order_do_not_rise():
    for values in (["a", None], [None, "a"], ["b", "a"], ["ab", "b"], ["a", "a"]):
        assert not ascending(pa.chunked_array([values], pa.string()))
    assert ascending(pa.chunked_array([["b", "aa", "ab", "aaa"]], pa.string()))
