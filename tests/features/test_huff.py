"""Huff's model: shares, markets, what opening and closing change, and powers found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from features.huff import PRIMARY_SHARE, Huff, catchment
from features.huff_calibration import from_flows, from_totals

SEEDS = st.integers(0, 2**32 - 1)
MODELS = st.builds(
    Huff,
    alpha=st.floats(0.1, 2.0),
    beta=st.floats(0.0, 4.0),
    decay=st.sampled_from(("power", "exponential")),
    floor_m=st.floats(10.0, 1_000.0),
    elsewhere=st.sampled_from((0.0, 1.0, 500.0)),
)

SIZE = np.array([350.0, 800.0, 120.0, 2400.0])
FAR_M = np.array([[400.0, 1700.0, 900.0, 6200.0], [2500.0, 600.0, 3100.0, 4000.0], [7500.0, 5200.0, 350.0, 1100.0]])
BY_THE_PACKAGE = {
    ("power", 0.8, 1.9): [
        [0.8061379805868583, 0.09992817826721849, 0.0733420694518578, 0.020591771694065463],
        [0.0309077158576685, 0.9013285045733391, 0.008722807143406511, 0.059040972425585786],
        [0.0030539945296918225, 0.01186576810177295, 0.43837515490272555, 0.5467050824658097],
    ],
    ("exponential", 1.1, 0.6): [
        [0.3813305203356351, 0.4339862870772937, 0.08702373988130588, 0.09765945270576537],
        [0.08092213515987853, 0.6281844468454284, 0.017391852425329174, 0.27350156556936384],
        [0.002380317560797402, 0.023490130123711123, 0.05350356861799265, 0.9206259836974988],
    ],
}
"""Shares that the package huff 1.9.14 gives for SIZE and FAR_M in kilometres."""


def _town(seed, cells=12, stores=5):
    draw = np.random.default_rng(seed)
    homes, shops = draw.uniform(0, 8_000, (cells, 2)), draw.uniform(0, 8_000, (stores, 2))
    apart = np.linalg.norm(homes[:, None] - shops[None], axis=2)
    return draw.uniform(50, 3_000, stores), apart, draw.uniform(0, 5_000, cells)


@pytest.mark.parametrize(("decay", "alpha", "beta"), BY_THE_PACKAGE)
def test_the_shares_are_those_of_the_package_huff(decay, alpha, beta):
    found = Huff(alpha, beta, decay, floor_m=1.0).shares(SIZE, FAR_M)
    np.testing.assert_allclose(found, BY_THE_PACKAGE[decay, alpha, beta], rtol=0, atol=1e-12)


@given(SEEDS, MODELS)
def test_the_shares_are_the_formula(seed, huff):
    size, apart, _ = _town(seed, cells=4)
    for cell, row in zip(apart, huff.shares(size, apart), strict=True):
        far = [max(one, huff.floor_m) / 1000 for one in cell]
        kept = [one**-huff.beta if huff.decay == "power" else np.exp(-huff.beta * one) for one in far]
        pull = [one**huff.alpha * held for one, held in zip(size, kept, strict=True)]
        np.testing.assert_allclose(row, [one / (sum(pull) + huff.elsewhere) for one in pull], rtol=1e-9)


@given(SEEDS, MODELS)
def test_a_cell_spends_all_it_has_unless_some_is_spent_elsewhere(seed, huff):
    size, apart, demand = _town(seed)
    spent = huff.shares(size, apart).sum(axis=1)
    assert (spent <= 1 + 1e-12).all()
    if huff.elsewhere == 0:
        np.testing.assert_allclose(spent, 1, rtol=1e-12)
        assert huff.markets(size, apart, demand).sum() == pytest.approx(demand.sum())
    else:
        assert (spent < 1).all()


@given(SEEDS, MODELS)
def test_a_new_store_never_raises_anothers_share(seed, huff):
    size, apart, _ = _town(seed)
    before, after = huff.shares(size[:-1], apart[:, :-1]), huff.shares(size, apart)[:, :-1]
    assert (after <= before * (1 + 1e-12)).all()


@given(SEEDS, MODELS)
def test_what_an_opening_changes_is_the_difference_of_two_worlds(seed, huff):
    size, apart, demand = _town(seed, stores=8)
    there, new = slice(0, 5), slice(5, 8)
    opening = huff.opened(size[there], apart[:, there], demand, size[new], apart[:, new])
    before = huff.markets(size[there], apart[:, there], demand)
    assert opening.change.shape == (3, 5)
    for place, one in enumerate(range(5, 8)):
        with_it = [*range(5), one]
        after = huff.markets(size[with_it], apart[:, with_it], demand)
        np.testing.assert_allclose(opening.market[place], after[-1], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(opening.change[place], after[:-1] - before, rtol=1e-7, atol=1e-6)


@given(SEEDS, MODELS)
def test_what_a_closing_changes_is_the_difference_of_two_worlds(seed, huff):
    size, apart, demand = _town(seed)
    change, before = huff.closed(size, apart, demand), huff.markets(size, apart, demand)
    for place in range(5):
        left = [one for one in range(5) if one != place]
        gained = huff.markets(size[left], apart[:, left], demand) - before[left]
        np.testing.assert_allclose(change[place, left], gained, rtol=1e-6, atol=1e-6)
        assert change[place, place] == pytest.approx(-before[place])


def test_a_steep_decay_over_a_long_way_still_divides_the_demand():
    far = np.array([[900_000.0, 901_000.0]])
    shares = Huff(beta=9.0, decay="exponential").shares(np.array([300.0, 300.0]), far)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares[0, 0] == pytest.approx(1 / (1 + np.exp(-9)))


def test_below_the_floor_nearer_draws_no_more():
    near = Huff(floor_m=350.0).shares(np.array([300.0, 300.0]), np.array([[0.0, 350.0]]))
    np.testing.assert_allclose(near, [[0.5, 0.5]])


def test_a_store_that_is_shut_gets_nothing_and_without_stores_nothing_is_spent():
    apart = np.array([[500.0, 500.0]])
    assert Huff().shares(np.array([0.0, 300.0]), apart).tolist() == [[0.0, 1.0]]
    assert Huff().shares(np.zeros(2), apart).tolist() == [[0.0, 0.0]]
    first = Huff().opened(np.zeros(2), apart, np.array([70.0]), np.array([300.0, 0.0]), apart)
    assert first.market.tolist() == [70.0, 0.0]
    assert Huff().shares(np.empty(0), np.empty((1, 0))).shape == (1, 0)


def test_a_catchment_lists_cells_by_share_and_the_primary_trade_area():
    share, demand = np.array([0.005, 0.41, 0.9, 0.4]), np.array([10.0, 20.0, 30.0, 40.0])
    found = catchment(share, demand)
    assert found.cells.tolist() == [2, 1, 3]
    assert found.primary.tolist() == [True, True, False]
    assert found.market.tolist() == pytest.approx([27.0, 8.2, 16.0])
    assert PRIMARY_SHARE == 0.4


def test_everything_wrong_with_a_model_is_said_at_once():
    with pytest.raises(UsageError) as caught:
        Huff(alpha=float("nan"), beta=-1.0, decay="linear", floor_m=-2.0)
    for word in ("alpha: found nan", "beta: found -1.0", "floor_m: found -2.0", "decay: found 'linear'"):
        assert word in str(caught.value)
    with pytest.raises(UsageError, match="without bound"):
        Huff(floor_m=0.0)


def test_everything_wrong_with_the_numbers_is_said_at_once():
    with pytest.raises(DataError) as caught:
        Huff().shares(np.array([-1.0, np.nan]), np.array([[1.0, np.inf, 2.0]]))
    for word in ("attractiveness: found 2 of 2", "distance in metres: found 1 of 3", "expected (stores,)"):
        assert word in str(caught.value)


def _chain(seed, stores=25):
    return _town(seed, cells=300, stores=stores)


@pytest.mark.parametrize("decay", ["power", "exponential"])
def test_powers_are_found_again_from_flows_within_their_intervals(decay):
    size, apart, _ = _chain(3)
    truth = Huff(0.8, 1.7 if decay == "power" else 0.6, decay)
    draw = np.random.default_rng(4)
    counts = np.stack([draw.multinomial(40, row) for row in truth.shares(size, apart)]).astype(float)
    found = from_flows(Huff(decay=decay), size, apart, counts)
    assert found.alpha[0] < truth.alpha < found.alpha[1]
    assert found.beta[0] < truth.beta < found.beta[1]
    assert found.beta[1] - found.beta[0] < 0.1
    assert not found.weakly_identified
    assert (found.basis, found.rows) == ("flows", 300)


def test_flows_to_some_stores_say_the_same_as_flows_to_all():
    size, apart, demand = _chain(5)
    truth = Huff(0.9, 2.1, elsewhere=200.0)
    flows = truth.shares(size, apart) * demand[:, None]
    found = from_flows(Huff(), size[:10], apart[:, :10], flows[:, :10])
    assert found.huff.alpha == pytest.approx(0.9, abs=1e-6)
    assert found.huff.beta == pytest.approx(2.1, abs=1e-6)


def test_exact_totals_give_the_powers_and_noisy_ones_say_that_they_do_not_know():
    size, apart, demand = _chain(6)
    truth = Huff(0.8, 1.9)
    totals = 12.5 * truth.markets(size, apart, demand)
    exact = from_totals(Huff(), size, apart, demand, totals)
    assert exact.huff.alpha == pytest.approx(0.8, abs=1e-4)
    assert exact.huff.beta == pytest.approx(1.9, abs=1e-4)
    noise = np.exp(np.random.default_rng(7).normal(0, 0.5, 25))
    noisy = from_totals(Huff(), size[:25], apart, demand, totals * noise)
    assert noisy.weakly_identified
    assert noisy.beta[0] < 1.9 < noisy.beta[1]
    assert noisy.curvature[0] < exact.curvature[0]


def test_intervals_from_totals_hold_the_truth_about_as_often_as_they_say():
    held = []
    for seed in range(25):
        size, apart, demand = _town(seed, cells=120, stores=30)
        noise = np.exp(np.random.default_rng(seed).normal(0, 0.15, 30))
        found = from_totals(Huff(), size, apart, demand, Huff(0.8, 1.9).markets(size, apart, demand) * noise)
        held.append(found.alpha[0] < 0.8 < found.alpha[1])
    assert 0.85 <= np.mean(held) <= 1.0


def test_totals_that_are_not_known_are_left_out():
    size, apart, demand = _chain(8)
    totals = Huff(0.8, 1.9).markets(size, apart, demand)
    totals[10:] = np.nan
    found = from_totals(Huff(), size, apart, demand, totals)
    assert found.rows == 10
    assert found.huff.beta == pytest.approx(1.9, abs=1e-3)


def test_stores_of_one_size_say_nothing_of_alpha():
    apart = _chain(9)[1]
    flows = Huff(1.0, 1.5).shares(np.full(25, 300.0), apart)
    found = from_flows(Huff(), np.full(25, 300.0), apart, flows)
    assert found.weakly_identified
    assert found.alpha == (-np.inf, np.inf)
    assert found.huff.beta == pytest.approx(1.5, abs=1e-6)


def test_a_calibration_without_data_is_refused():
    size, apart, demand = _chain(10)
    with pytest.raises(DataError, match="counts: found shape"):
        from_flows(Huff(), size, apart, np.zeros_like(apart))
    with pytest.raises(DataError, match="at least four known totals"):
        from_totals(Huff(), size, apart, demand, np.full(25, np.nan))
    with pytest.raises(DataError, match="leave shut stores out"):
        from_flows(Huff(), np.zeros(25), apart, np.ones_like(apart))
