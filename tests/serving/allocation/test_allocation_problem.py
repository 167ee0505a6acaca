"""What cannot be allocated is refused with everything that is wrong; what can be is read in any layout and type."""

import subprocess
import sys
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from data.errors import DataError
from serving.allocation.kernel import Table, Tariff, best
from serving.allocation.prices import OfferTerms, ShadowPrices, choose, scores
from serving.allocation.problem import Problem, Service, Stock
from serving.allocation.solver import solve

GOOD = Problem(
    np.array([[10.0, 20.0], [30.0, 5.0]]),
    np.array([[5.0, 9.0], [8.0, 2.0]]),
    None,
    ("tea", "nuts"),
    ("spring", "year"),
    {"spring": 8.0, "year": 9.0},
    {"tea": Stock(1), "nuts": Stock(0.5, "redemption", 20.0)},
    np.array([0, -1]),
    ("new",),
    (Service("new", 1.0),),
)
PRICES = ShadowPrices(
    {"spring": 1.5, "year": 2.0},
    (OfferTerms("tea", "spring", 3.0), OfferTerms("nuts", "year", 40.0, "redemption", 80.0)),
    {"new": 2.0},
)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"value": np.zeros((0, 2))}, ["value: found shape (0, 2)", "cost: found shape (2, 2)"]),
        ({"cost": np.zeros((2, 2), np.int64)}, ["found types float64, int64"]),
        ({"allowed": np.ones((2, 1), bool)}, ["allowed: found bool of shape (2, 1)"]),
        ({"offers": ("tea", "tea")}, ["expected each name once", "stock: found 'nuts'"]),
        ({"budget_of": ("spring",)}, ["budget_of: found 1 names"]),
        ({"budget_of": ("spring", "autumn")}, ["budget_of: found autumn, expected names of budgets (spring, year)"]),
        ({"budgets": {"spring": -1.0, "year": float("nan")}}, ["budget spring: found -1.0", "budget year: found nan"]),
        ({"stock": {"tea": Stock(-1), "nuts": Stock(1, "redemption")}}, ["found -1 pieces", "face value of 0.0 fen"]),
        ({"segment": None}, ["segment: found none"]),
        ({"segment": np.array([0.0, 1.0])}, ["segment: found float64"]),
        ({"segment": np.array([0, 1])}, ["found codes from 0 to 1, expected -1 to 0"]),
        ({"service": (Service("old", 2.0),)}, ["found the segment 'old'", "found the share 2.0"]),
        ({"value": np.array([[np.nan, 1.0], [np.inf, 1.0]])}, ["value: found 2 allowed ones not finite"]),
        ({"cost": np.array([[-1.0, 1.0], [1.0, np.nan]])}, ["cost: found 2 allowed ones below 0 or not finite"]),
        ({"cost": np.full((2, 2), 1e13)}, ["fen in all, expected at most", "check the unit"]),
        ({"allowed": np.array([[False, False], [True, True]])}, ["service of new: found 0 members", "at least 1"]),
    ],
)
def test_what_cannot_be_allocated_is_refused_with_all_that_is_wrong(changes, found):
    with pytest.raises(DataError) as caught:
        replace(GOOD, **changes)
    assert all(each in str(caught.value) for each in found)


def test_what_is_not_allowed_is_never_read():
    allowed = np.array([[True, False], [False, True]])
    hidden = replace(
        GOOD, value=np.where(allowed, GOOD.value, np.nan), cost=np.where(allowed, GOOD.cost, -1.0), allowed=allowed
    )
    assert solve(hidden).choice.tolist() == [0, 1]


def test_a_service_of_the_reachable_asks_nothing_for_those_who_are_not():
    masked = np.array([[False, False], [True, True]])
    assert replace(GOOD, allowed=masked, service=(Service("new", 1.0, "reachable"),)).needed().tolist() == [0]


def test_the_least_service_is_rounded_as_people_count():
    many = Problem(
        np.ones((30, 1)),
        np.ones((30, 1)),
        None,
        ("tea",),
        ("year",),
        {"year": 9.0},
        segment=np.zeros(30, np.int64),
        segments=("all",),
        service=(Service("all", 0.1),),
    )
    assert many.needed().tolist() == [3]
    assert replace(many, service=(Service("all", 0.11),)).needed().tolist() == [4]


def test_layout_type_and_file_do_not_change_the_answer(tmp_path):
    draw = np.random.default_rng(2)
    cost = draw.uniform(1, 9, (300, 4)).astype(np.float32)
    value = (cost * draw.uniform(0.5, 3, (300, 4))).astype(np.float32)
    np.save(tmp_path / "value.npy", value)

    def choice(one, other):
        offers = tuple("abcd")
        return solve(Problem(one, other, None, offers, ("year",) * 4, {"year": 500.0}), threads=1).choice.tolist()

    expected = choice(value, cost)
    assert choice(value.astype(np.float64), cost.astype(np.float64)) == expected
    assert choice(np.asfortranarray(value), np.asfortranarray(cost)) == expected
    assert choice(np.load(tmp_path / "value.npy", mmap_mode="r"), cost) == expected


def test_prices_stand_in_a_manifest():
    assert msgspec.json.decode(msgspec.json.encode(PRICES), type=ShadowPrices) == PRICES


def test_an_offer_is_charged_its_budget_and_its_stock():
    value, cost = np.array([[20.0, 20.0]]), np.array([[4.0, 6.0]])
    worth = scores(value, cost, np.array([[True, True]]), PRICES, np.array([0]))
    assert worth.tolist() == [[20 - 1.5 * 4 - 3 + 2, 20 - (2 + 40 / 80) * 6 + 2]]
    assert scores(value, cost, np.array([[True, False]]), PRICES, np.array([-1])).tolist() == [[11.0, -np.inf]]
    assert choose(value, cost, None, PRICES.at(spring=9.0), np.array([-1])).tolist() == [1]


def test_what_answers_online_needs_no_compiler():
    code = "import sys, serving.allocation.prices, serving.allocation.guardrails, serving.allocation.pacing"
    listing = "print(sorted({'numba', 'scipy', 'serving.allocation.kernel'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", f"{code}; {listing}"], capture_output=True, text=True, check=True)  # noqa: S603 - our own statements
    assert done.stdout.strip() == "[]"


def test_of_equals_the_cheapest_is_taken_and_nothing_before_what_earns_nothing():
    prices = ShadowPrices({"year": 1.0}, (OfferTerms("a", "year"), OfferTerms("b", "year"), OfferTerms("c", "year")))
    value, cost = np.array([[9.0, 7.0, 7.0], [3.0, 2.0, 1.0]]), np.array([[5.0, 3.0, 3.0], [3.0, 2.0, 1.0]])
    assert choose(value, cost, None, prices).tolist() == [1, -1]


@settings(deadline=None)  # the first call compiles
@given(
    arrays.arrays(np.float32, (7, 2), elements=st.floats(-100, 100, width=32)),
    arrays.arrays(np.float32, (7, 2), elements=st.floats(0, 100, width=32)),
    arrays.arrays(np.bool_, (7, 2)),
    arrays.arrays(np.int64, 7, elements=st.integers(-1, 0)),
)
def test_an_answer_hangs_on_no_neighbour_and_on_no_type_and_is_the_best_score(value, cost, allowed, segment):
    chosen = choose(value, cost, allowed, PRICES, segment)
    worth = scores(value, cost, allowed, PRICES, segment)
    compiled = np.empty(len(value), np.int64)
    for row in range(len(value)):
        compiled[row], top = best(Table(value, cost, allowed, segment.astype(np.int32)), Tariff(*PRICES.charges()), row)
        assert top == max(worth[row].max(), 0)
    assert compiled.tolist() == chosen.tolist()
    for row in range(len(value)):
        one = slice(row, row + 1)
        wide = value[one].astype(np.float64), cost[one].astype(np.float64)
        assert choose(*wide, allowed[one], PRICES, segment[one])[0] == chosen[row]
        if chosen[row] < 0:
            assert worth[row].max() <= 0
        else:
            assert allowed[row, chosen[row]]
            assert worth[row, chosen[row]] == worth[row].max() > 0


def test_what_does_not_fit_the_prices_is_refused_together():
    with pytest.raises(DataError) as caught:
        choose(np.ones((2, 3)), np.ones((2, 2)), np.ones((2, 3)), PRICES)
    for found in ("value: found shape (2, 3)", "cost: found float64 of (2, 2)", "allowed: found float64", "segment:"):
        assert found in str(caught.value)
    with pytest.raises(DataError, match="found codes up to 1"):
        choose(np.ones((1, 2)), np.ones((1, 2)), None, PRICES, np.array([1]))


def test_prices_that_are_none_are_refused_together():
    with pytest.raises(DataError) as caught:
        ShadowPrices({"year": -1.0}, (OfferTerms("tea", "spring", float("nan")),))
    for found in ("price of year: found -1.0", "price of tea: found nan", "found the budget 'spring'"):
        assert found in str(caught.value)
    with pytest.raises(DataError, match="found autumn, expected budgets among spring, year"):
        PRICES.at(autumn=1.0)
