from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UsageError
from serving.decisions import thresholds
from training.scan_costs import ACTIONS, ScanCosts

PAYOFF = ScanCosts().payoff()


def _from(action: str, prize: float) -> float:
    """From which probability on this action, or a harsher one, is taken."""
    rank = ACTIONS.index(action)
    return next(each.low for each in thresholds(PAYOFF, prize) if ACTIONS.index(each.action) >= rank)


def test_every_action_is_the_best_one_somewhere() -> None:
    taken = {each.action for prize in (30, 500, 5_000) for each in thresholds(PAYOFF, prize)}

    assert taken == set(ACTIONS)


def test_a_scan_without_a_prize_is_let_through() -> None:
    assert [each.action for each in thresholds(PAYOFF, 0)] == ["pay"]


def test_a_likely_honest_scan_is_paid_and_a_certain_cheat_is_blocked() -> None:
    for prize in (30, 500, 5_000, 100_000):
        first, *_, last = thresholds(PAYOFF, prize)
        assert (first.action, last.action) == ("pay", "block")


@given(st.floats(50, 50_000), st.floats(1.01, 10))
def test_the_larger_the_prize_the_less_suspicion_it_takes_to_look_twice(prize: float, times: float) -> None:
    assert thresholds(PAYOFF, prize * times)[0].high <= thresholds(PAYOFF, prize)[0].high + 1e-12


def test_dearer_annoyance_means_later_blocks() -> None:
    gentle = ScanCosts(block_annoyance_fen=10_000).payoff()

    assert thresholds(gentle, 500)[-1].low > _from("block", 500)


def test_the_cap_is_one_in_a_thousand_and_can_be_set_for_a_campaign() -> None:
    cap = ScanCosts(harmed_rates={"spring": 0.0002}).payoff().cap

    assert cap is not None
    assert (cap.rate, cap.rates, cap.outcome, cap.group) == (0.001, {"spring": 0.0002}, "honest", "campaign_id")


def test_what_is_no_share_and_no_cost_is_refused_all_at_once() -> None:
    with pytest.raises(UsageError) as refused:
        ScanCosts(check_stops=1.5, review_fen=-1, broken_promise=float("nan"))

    for name in ("check_stops 1.5", "review_fen -1", "broken_promise nan"):
        assert name in str(refused.value)
