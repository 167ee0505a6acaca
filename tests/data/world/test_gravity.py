import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data.world.gravity import pulls, shares, takings

positive = st.floats(1e-3, 1e3)


@st.composite
def markets(draw):
    """The pull of some shops on some cells, how far each has come, what is elsewhere and what the cells spend."""
    cells, shops = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    pull = draw(hnp.arrays(np.float64, (cells, shops), elements=positive))
    weight = draw(hnp.arrays(np.float64, shops, elements=st.just(0.0) | st.floats(1e-6, 1)))
    demand = draw(hnp.arrays(np.float64, cells, elements=positive))
    return pull, weight, draw(positive), demand


@given(markets())
def test_every_fen_of_a_cell_is_spent_once(market):
    pull, weight, elsewhere, _ = market
    at_shops, away = shares(pull, weight, elsewhere)
    np.testing.assert_allclose(at_shops.sum(axis=1) + away, 1, rtol=1e-12)
    assert (at_shops >= 0).all()
    assert (at_shops[:, weight == 0] == 0).all()


@given(markets())
def test_takings_are_what_the_shares_say(market):
    pull, weight, elsewhere, demand = market
    at_shops, _ = shares(pull, weight, elsewhere)
    taken = takings(pull, weight[:, None], elsewhere, demand[:, None])[:, 0]
    np.testing.assert_allclose(taken, demand @ at_shops, rtol=1e-9)


@given(markets(), st.data())
def test_a_new_shop_never_raises_what_another_takes(market, data):
    pull, weight, elsewhere, demand = market
    new = data.draw(st.integers(0, pull.shape[1] - 1))
    before, after = weight.copy(), weight.copy()
    before[new], after[new] = 0.0, data.draw(st.floats(0.01, 1))
    taken = takings(pull, np.stack([before, after], axis=1), elsewhere, demand[:, None])
    others = np.arange(pull.shape[1]) != new
    assert (taken[others, 1] <= taken[others, 0] * (1 + 1e-12)).all()
    assert taken[new, 1] > 0
    # What it takes comes from the others and from elsewhere: no money is made.
    assert taken[:, 1].sum() <= demand.sum() * (1 + 1e-9)
    assert taken[:, 1].sum() >= taken[:, 0].sum() * (1 - 1e-9)


@given(hnp.arrays(np.float64, 5, elements=st.floats(0, 50)), st.floats(0.5, 4))
def test_pull_falls_with_distance_down_to_the_floor(apart, decay):
    kept = pulls(decay, 0.4, np.sort(apart))
    assert (np.diff(kept) <= 0).all()
    np.testing.assert_allclose(pulls(decay, 0.4, np.array([0.0, 0.2, 0.4])), 0.4**-decay)
