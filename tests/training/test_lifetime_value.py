"""BG/NBD and gamma-gamma: parameters come back, slopes are right, and expectations are those of simulated shoppers."""

import numpy as np
import pytest
from scipy.special import betaln, gammaln, hyp2f1

from data.errors import DataError, UsageError
from training.lifetime_value import (
    PurchaseModel,
    SpendModel,
    _purchase_likelihood,
    _slopes,
    _spend_likelihood,
    lifetime_value,
)
from training.purchase_history import Histories

PUBLISHED = np.array([0.243, 4.414, 0.793, 2.426])
NOTHING = np.zeros((4, 4))


def _simulated(generator, members, parameters=PUBLISHED, age=(27.0, 39.0), ahead=39.0):
    """Shoppers as the model has them: their histories, and what they buy in the time ahead."""
    r, alpha, a, b = parameters
    rate = generator.gamma(r, 1 / alpha, members)
    leaves = generator.beta(a, b, members)
    end = generator.uniform(*age, members)
    frequency, recency, later = np.zeros(members), np.zeros(members), np.zeros(members)
    for member in range(members):
        at = 0.0
        while True:
            at += generator.exponential(1 / max(rate[member], 1e-300))
            if at > end[member] + ahead:
                break
            if at <= end[member]:
                frequency[member] += 1
                recency[member] = at
            else:
                later[member] += 1
            if generator.random() < leaves[member]:
                break
    amount = np.zeros(members)
    came = frequency > 0
    scale = generator.gamma(3.74, 1 / 1544.0, members)
    amount[came] = generator.gamma(6.25 * frequency[came], 1 / (scale[came] * frequency[came]))
    return Histories(np.arange(members).astype(object), frequency, recency, end, amount), later


@pytest.fixture(scope="module")
def shoppers():
    return _simulated(np.random.default_rng(3), 6_000)


def _one(frequency, recency, age, amount=0.0):
    return Histories(
        np.array(["x"], object), np.array([frequency]), np.array([recency]), np.array([age]), np.array([amount])
    )


def test_parameters_come_back_from_simulated_shoppers(shoppers):
    histories, later = shoppers
    model, spend = PurchaseModel.fit(histories), SpendModel.fit(histories)
    held = model.intervals()
    for name, truth in zip(("r", "alpha", "a", "b"), PUBLISHED, strict=True):
        width = np.log(held[name].high / held[name].low)
        assert abs(np.log(held[name].value / truth)) < width, name
        assert width < 1.5
    for name, truth in (("p", 6.25), ("q", 3.74), ("v", 1_544.0)):
        one = spend.intervals()[name]
        assert abs(np.log(one.value / truth)) < np.log(one.high / one.low), name
    assert model.log_likelihood >= _purchase_likelihood(PUBLISHED, histories)[0].sum()
    assert model.purchases(histories, 39.0).sum() == pytest.approx(later.sum(), rel=0.08)


def test_expectations_are_what_simulated_shoppers_then_do(shoppers):
    histories, later = shoppers
    model = PurchaseModel(*PUBLISHED, 0.0, NOTHING)
    expected = model.purchases(histories, 39.0)
    for rows in (histories.frequency == 0, histories.frequency == 1, histories.frequency > 3):
        error = later[rows].std() / np.sqrt(rows.sum())
        assert expected[rows].mean() == pytest.approx(later[rows].mean(), abs=4 * error)
    came, again = histories.frequency > 0, later > 0
    assert model.alive(histories)[came & again].mean() > 0.1 + model.alive(histories)[came & ~again].mean()


def test_published_expectation_of_a_published_customer():
    """Fader, Hardie and Lee, note 004: 1.226 purchases in 39 weeks of the one with 2, 30.43 and 38.86."""
    model = PurchaseModel(*PUBLISHED, 0.0, NOTHING)
    assert model.purchases(_one(2.0, 30.43, 38.86), 39.0)[0] == pytest.approx(1.226, abs=5e-4)


def test_slopes_are_those_of_the_likelihood(shoppers):
    histories = shoppers[0].drawn(np.arange(50))
    written = _purchase_likelihood(PUBLISHED, histories)[1]
    measured = _slopes(lambda logs: _purchase_likelihood(np.exp(logs), histories)[0], np.log(PUBLISHED))
    assert written == pytest.approx(measured, abs=1e-6)
    spend, count, mean = np.array([2.0, 3.0, 1.5]), np.array([1.0, 4.0, 9.0]), np.array([0.5, 1.0, 3.0])
    written = _spend_likelihood(spend, count, mean)[1]
    measured = _slopes(lambda logs: _spend_likelihood(np.exp(logs), count, mean)[0], np.log(spend))
    assert written == pytest.approx(measured, abs=1e-6)


@pytest.mark.parametrize(("frequency", "recency"), [(0.0, 0.0), (2.0, 30.0), (40.0, 38.0), (3_000.0, 38.86)])
def test_purchases_are_the_sum_of_their_rate_over_the_time_ahead(frequency, recency):
    """Slow and obvious: over rates and chances to leave, weighed by what the history says of each."""
    r, alpha, a, b = PUBLISHED
    age, ahead = 38.86, 39.0
    leaves = np.geomspace(1e-12, 1 - 1e-9, 200_000)
    shape = r + frequency
    # Given that the member is still there, the rate is gamma and the chance beta, apart from each other.
    density = np.exp(a * np.log(leaves) + (b + frequency - 1) * np.log1p(-leaves) - betaln(a, b + frequency))
    bought = (1 - (1 + leaves * ahead / (alpha + age)) ** -shape) / leaves
    if_there = (density * bought).sum() / density.sum()
    stays = -shape * np.log(alpha + age) + betaln(a, b + frequency)
    left = betaln(a + 1, b + frequency - 1) - shape * np.log(alpha + recency) if frequency else -np.inf
    model = PurchaseModel(*PUBLISHED, 0.0, NOTHING)
    history = _one(frequency, recency, age)
    assert model.alive(history)[0] == pytest.approx(np.exp(stays - np.logaddexp(stays, left)))
    found = model.purchases(history, ahead)[0]
    assert found == pytest.approx(if_there * model.alive(history)[0], rel=1e-3)


def test_the_published_formula_comes_out_where_it_is_stable():
    """Fader, Hardie and Lee 2005, equation 10, in Euler's form."""
    history = _one(5.0, 20.0, 30.0)
    for r, alpha, a, b in ((0.243, 4.414, 0.793, 2.426), (1.4, 9.4, 0.04, 37.5), (0.5, 4.0, 5.0, 0.2)):
        model = PurchaseModel(r, alpha, a, b, 0.0, NOTHING)
        gone = 100.0 / (alpha + 130.0)
        steady = (1 - gone) ** (a - 1) * hyp2f1(a + b - 1 - r, a - 1, a + b + 4, gone)
        by_formula = (a + b + 4) / (a - 1) * (1 - steady) * model.alive(history)
        assert model.purchases(history, 100.0) == pytest.approx(by_formula, rel=1e-5)


def test_expectations_are_numbers_at_the_edges_of_the_parameters():
    """Where the published formula divides 0 by 0, and where it overflows."""
    history = _one(2.0, 15.0, 20.0)
    for a, b in ((1.0, 2.0), (0.4, 0.6), (14_381.0, 162_754.0), (6e-6, 1.0), (1.0, 6e-6)):
        found = PurchaseModel(1.1, 26.0, a, b, 0.0, NOTHING).purchases(history, 273.0)
        assert 0 < found[0] < 3.1 * 273 / 46, (a, b)


def test_who_was_silent_for_long_is_gone_and_who_seldom_buys_is_not():
    model = PurchaseModel(*PUBLISHED, 0.0, NOTHING)
    weekly, yearly = _one(30.0, 30.0, 39.0), _one(1.0, 30.0, 39.0)
    assert model.alive(weekly) < 0.1
    assert model.alive(yearly) > 0.6
    assert model.alive(_one(0.0, 0.0, 39.0)) == 1.0


def test_mean_amounts_are_drawn_towards_the_mean_of_all():
    spend = SpendModel(6.25, 3.74, 15.44, 0.0, np.zeros((3, 3)))
    overall = 6.25 * 15.44 / 2.74
    assert spend.mean_amount(_one(0.0, 0.0, 9.0))[0] == pytest.approx(overall)
    means = [spend.mean_amount(_one(count, 5.0, 9.0, 100.0))[0] for count in (1.0, 5.0, 500.0)]
    assert overall < means[0] < means[1] < means[2] < 100.0
    assert means[2] == pytest.approx(100.0, rel=0.01)
    with pytest.raises(UsageError, match=r"q = 0.900, expected more than 1"):
        SpendModel(6.25, 0.9, 15.44, 0.0, np.zeros((3, 3))).mean_amount(_one(0.0, 0.0, 9.0))


def test_value_is_purchases_times_amount_times_margin_and_less_with_a_discount(shoppers):
    histories = shoppers[0].drawn(np.arange(100))
    model, spend = PurchaseModel(*PUBLISHED, 0.0, NOTHING), SpendModel(6.25, 3.74, 1_544.0, 0.0, np.zeros((3, 3)))
    plain = lifetime_value(model, spend, histories, 100.0, margin=0.3)
    assert plain == pytest.approx(0.3 * model.purchases(histories, 100.0) * spend.mean_amount(histories))
    less = lifetime_value(model, spend, histories, 100.0, margin=0.3, yearly_discount=0.1)
    assert (less < plain).all()
    assert less == pytest.approx(plain, rel=0.03)
    with pytest.raises(UsageError, match=r"found 0 days and a yearly discount of 1.0"):
        lifetime_value(model, spend, histories, 0, margin=0.3, yearly_discount=1.0)


def test_intervals_hold_the_expectation():
    asked = _one(2.0, 30.43, 38.86)
    truth = PurchaseModel(*PUBLISHED, 0.0, NOTHING).purchases(asked, 39.0)[0]
    held = []
    for seed in range(20):
        model = PurchaseModel.fit(_simulated(np.random.default_rng(seed), 600)[0])
        low, high = model.purchases_between(asked, 39.0)
        held.append(low[0] <= truth <= high[0])
        assert 0 < low[0] < model.purchases(asked, 39.0)[0] < high[0] < 3 * truth
    assert sum(held) >= 16


def test_where_nobody_leaves_the_fit_says_so():
    histories, _ = _simulated(np.random.default_rng(6), 400, np.array([2.0, 4.0, 1e-9, 5.0]))
    model = PurchaseModel.fit(histories)
    assert model.alive(histories).mean() > 0.97
    assert np.isfinite(model.purchases(histories, 39.0)).all()
    low, high = model.purchases_between(histories, 39.0)
    assert (np.isfinite(low) & (low <= high)).all()


def test_too_little_to_learn_from_is_refused():
    nobody = Histories(np.arange(50).astype(object), np.zeros(50), np.zeros(50), np.ones(50), np.zeros(50))
    with pytest.raises(DataError, match=r"too few members with purchases on two days"):
        PurchaseModel.fit(nobody)
    with pytest.raises(DataError, match=r"too few members who came back and paid"):
        SpendModel.fit(nobody)


def test_the_published_form_of_the_likelihood():
    """Term by term as printed in the paper, for one customer."""
    r, alpha, a, b = PUBLISHED
    x, recency, age = 3.0, 20.0, 30.0
    stays = betaln(a, b + x) - betaln(a, b) + gammaln(r + x) + r * np.log(alpha) - gammaln(r)
    leaves = stays - betaln(a, b + x) + betaln(a + 1, b + x - 1) - (r + x) * np.log(alpha + recency)
    either = np.logaddexp(stays - (r + x) * np.log(alpha + age), leaves)
    assert _purchase_likelihood(PUBLISHED, _one(x, recency, age))[0][0] == pytest.approx(either)
