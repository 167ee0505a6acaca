"""The price of a cap on harm: found on calibrated probabilities, kept by the decisions, no higher than it must be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from data.errors import DataError
from serving.decisions import decide
from training.interval import Resampling
from training.payoff import Cap, Payoff, Prices, Stakes, find_prices, money, rates
from training.scan_costs import ScanCosts

PAYOFF = ScanCosts().payoff()
COUPON = Payoff(("skip", "send"), ("not_redeemed", "redeemed"), ((0.0, 0.0), (-50.0, 400.0)))


def _capped(rate: float, rates_of: dict[str, float] | None = None) -> Payoff:
    return replace(PAYOFF, cap=Cap(("hold", "block"), "honest", rate, "campaign_id", rates_of or {}))


def _scans(seed: int, rows: int) -> tuple[np.ndarray, Stakes]:
    generator = np.random.default_rng(seed)
    probability = np.round(generator.beta(0.05, 0.5, rows), 3)
    prize = generator.choice([0.0, 30.0, 500.0, 1_880.0, 50_000.0], rows)
    group = np.array(["spring", "autumn", None], dtype=object)[generator.integers(0, 3, rows)]
    return probability, Stakes(prize, group)


def _harmed(payoff: Payoff, probability: np.ndarray, stakes: Stakes, prices: Prices, inside: np.ndarray) -> float:
    """Share of the honest rows, as expected, that are held or blocked."""
    price = prices.of(stakes.group, len(probability))
    action, _ = decide(probability, payoff, stakes.fen, price)
    taken = np.isin(np.array(payoff.actions)[action], payoff.cap.actions)
    return float(((1 - probability) * taken)[inside].sum() / (1 - probability)[inside].sum())


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 400), st.floats(1e-4, 0.5))
def test_the_cap_is_kept_and_a_lower_price_would_break_it(seed: int, rows: int, rate: float) -> None:
    payoff, (probability, stakes) = _capped(rate), _scans(seed, rows)
    everyone = np.full(rows, fill_value=True)
    if not (probability < 1).any():
        return

    prices = find_prices(payoff, probability, stakes)

    assert _harmed(payoff, probability, stakes, prices, everyone) <= rate + 1e-12
    if prices.default > 0:
        lower = Prices(prices.default * (1 - 1e-6) - 1e-3)
        assert _harmed(payoff, probability, stakes, lower, everyone) > rate


def test_a_cap_that_money_keeps_by_itself_costs_nothing() -> None:
    probability, stakes = _scans(3, 500)

    assert find_prices(_capped(1.0), probability, stakes) == Prices(0.0, {})
    assert find_prices(COUPON, probability) == Prices()


def test_a_campaign_may_have_a_rate_of_its_own() -> None:
    payoff = _capped(0.001, {"spring": 0.02, "summer": 0.0005})
    probability, stakes = _scans(5, 30_000)

    prices = find_prices(payoff, probability, stakes)

    spring = stakes.group == "spring"
    assert _harmed(payoff, probability, stakes, prices, spring) == pytest.approx(0.02, rel=0.02)
    assert _harmed(payoff, probability, stakes, prices, ~spring) == pytest.approx(0.001, rel=0.2)
    assert _harmed(payoff, probability, stakes, prices, ~spring) <= 0.001
    assert prices.by_group["spring"] < prices.default < prices.by_group["summer"]


def test_a_campaign_with_too_few_rows_is_priced_by_all() -> None:
    payoff, (probability, stakes) = _capped(0.001, {"summer": 0.01}), _scans(5, 30_000)

    prices = find_prices(payoff, probability, stakes)

    assert prices.by_group["summer"] == find_prices(_capped(0.01), probability, stakes).default


def test_a_row_may_stand_for_many() -> None:
    payoff, (probability, stakes) = _capped(0.01), _scans(6, 2_000)
    twice = np.repeat(np.arange(2_000), np.arange(2_000) % 3)

    weighted = find_prices(payoff, probability, stakes, weight=(np.arange(2_000) % 3).astype(float))

    assert weighted.default == pytest.approx(find_prices(payoff, probability[twice], stakes.at(twice)).default)


def test_no_rows_have_no_price() -> None:
    with pytest.raises(DataError, match="no held-out rows"):
        find_prices(PAYOFF, np.empty(0), Stakes(np.empty(0), np.empty(0, dtype=object)))


def _resampling(units: np.ndarray) -> Resampling:
    return Resampling(units, np.random.default_rng(1), 200)


def test_realised_rates_are_those_of_the_decisions_with_intervals() -> None:
    payoff = _capped(0.005, {"spring": 0.02})
    probability, stakes = _scans(8, 5_000)
    label = (np.random.default_rng(9).random(5_000) < probability).astype(np.float64)
    prices = find_prices(payoff, probability, stakes)

    figures = rates(payoff, probability, label, lambda: _resampling(np.arange(5_000) // 5), stakes, prices)

    for outcome in payoff.outcomes:
        assert sum(figures[f"{action}_of_{outcome}"].value for action in payoff.actions) == pytest.approx(1)
    harmed = figures["harmed_of_honest"]
    assert harmed.value == pytest.approx(figures["hold_of_honest"].value + figures["block_of_honest"].value)
    assert harmed.low < harmed.value < harmed.high
    own = figures["harmed_of_honest/spring"]
    assert own.low < 0.02 < own.high
    assert figures["block_of_wool"].value + figures["hold_of_wool"].value > 0.1


def test_money_hangs_on_the_prize_of_each_row() -> None:
    stakes = Stakes(np.array([100.0, 10_000.0]), np.array([None, None], dtype=object))

    figures = money(PAYOFF, np.array([0.01, 0.99]), np.array([0.0, 1.0]), lambda: _resampling(np.arange(2)), stakes)

    assert figures["always_pay"].value == pytest.approx(-5_000)
    assert figures["always_block"].value == pytest.approx(-(1_500 + 100) / 2)
    assert figures["model"].value == pytest.approx(0.0)
    assert figures["gain_over_best_constant"].value == pytest.approx(800)


def test_a_pay_off_without_stake_or_cap_earns_as_before() -> None:
    label = np.array([1.0, 0.0, 1.0, 0.0])

    figures = money(COUPON, np.array([0.9, 0.0, 0.0, 0.9]), label, lambda: _resampling(np.arange(4)))

    assert figures["model"].value == pytest.approx((400 - 50) / 4)
    assert figures["always_send"].value == pytest.approx((800 - 100) / 4)
    assert figures["always_skip"].value == 0


def test_a_row_says_what_the_batch_route_asks() -> None:
    stakes = Stakes(np.array([100.0, 200.0]), np.array(["spring", None], dtype=object))

    assert stakes.of_row(PAYOFF, 0) == {"prize_fen": 100.0, "campaign_id": "spring"}
    assert stakes.of_row(PAYOFF, 1) == {"prize_fen": 200.0, "campaign_id": None}
    assert Stakes().of_row(COUPON, 0) == {}
