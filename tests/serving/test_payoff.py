from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UsageError
from serving.decisions import decide, expected_values, thresholds
from serving.payoff import Cap, Payoff, Prices

SCAN = Payoff(
    ("pay", "hold", "block"),
    ("honest", "wool"),
    ((0.0, 0.0), (-300.0, -300.0), (-1_000.0, 0.0)),
    value_of_stake=((0.0, -1.0), (0.0, -0.1), (-1.0, 0.0)),
    stake="prize_fen",
    stakes_shown=(100.0, 5_000.0),
    cap=Cap(("hold", "block"), "honest", 0.001, "campaign_id", {"spring": 0.01}),
)
CHANCE = st.floats(0, 1)
PRIZE = st.integers(0, 100_000).map(float)
PRICE = st.floats(0, 1e6)


def test_an_amount_hangs_on_what_is_at_stake() -> None:
    worth = expected_values(np.array([0.5, 0.5]), SCAN, np.array([0.0, 10_000.0]))

    assert worth.tolist() == [[0, -300, -500], [-5_000, -800, -5_500]]


def test_the_larger_the_prize_the_sooner_a_scan_is_held() -> None:
    action, value = decide(np.full(3, 0.5), SCAN, np.array([100.0, 600.0, 10_000.0]))

    assert [SCAN.actions[number] for number in action] == ["pay", "pay", "hold"]
    assert value == pytest.approx([-50, -300, -800])


@given(st.lists(st.tuples(CHANCE, PRIZE, PRICE), min_size=1, max_size=30))
def test_a_row_is_decided_by_its_own_stake_and_price_alone(rows: list[tuple[float, float, float]]) -> None:
    chance, stake, price = (np.array(column) for column in zip(*rows, strict=True))

    action, value = decide(chance, SCAN, stake, price)

    for number in range(len(rows)):
        here = slice(number, number + 1)
        alone, worth = decide(chance[here], SCAN, stake[here], price[here])
        assert (alone[0], worth[0]) == (action[number], value[number])


@given(CHANCE, PRIZE, PRICE, PRICE)
def test_a_higher_price_never_harms_more_and_its_value_is_told_without_it(
    chance: float, prize: float, low: float, more: float
) -> None:
    row, stake = np.array([chance]), np.array([prize])
    before, _ = decide(row, SCAN, stake, np.array([low]))
    after, value = decide(row, SCAN, stake, np.array([low + more]))

    assert SCAN.actions[before[0]] != "pay" or SCAN.actions[after[0]] == "pay"
    assert value[0] == expected_values(row, SCAN, stake)[0, after[0]]


@given(CHANCE, PRIZE, PRICE)
def test_thresholds_of_a_stake_agree_with_its_decisions(chance: float, prize: float, price: float) -> None:
    action, _ = decide(np.array([chance]), SCAN, np.array([prize]), np.array([price]))
    intervals = thresholds(SCAN, prize, price)

    near = [each.action for each in intervals if each.low - 1e-9 <= chance <= each.high + 1e-9]
    assert SCAN.actions[action[0]] in near


def test_prices_are_those_of_the_group_else_the_default() -> None:
    prices = Prices(5.0, {"spring": 2.0})

    assert prices.of(["spring", "autumn", None], 3).tolist() == [2, 5, 5]
    assert prices.of(None, 2).tolist() == [5, 5]


def test_a_missing_or_impossible_stake_is_refused() -> None:
    for stake in (None, np.array([1.0]), np.array([1.0, -1.0]), np.array([1.0, np.nan])):
        with pytest.raises(UsageError, match="'prize_fen' of each of 2 rows"):
            decide(np.array([0.1, 0.2]), SCAN, stake)


def test_a_price_without_a_cap_is_refused() -> None:
    payoff = Payoff(("a", "b"), ("no", "yes"), ((0.0, 0.0), (-1.0, 1.0)))

    with pytest.raises(UsageError, match="found a price and no cap"):
        decide(np.array([0.5]), payoff, None, np.array([1.0]))


def test_a_table_comes_back_from_json_as_it_was() -> None:
    assert msgspec.json.decode(msgspec.json.encode(SCAN), type=Payoff) == SCAN
    prices = Prices(1.5, {"spring": 0.25})
    assert msgspec.json.decode(msgspec.json.encode(prices), type=Prices) == prices


def test_all_faults_of_stakes_and_caps_are_said_at_once() -> None:
    with pytest.raises(UsageError) as refused:
        Payoff(
            ("pay", "block"),
            ("honest", "wool"),
            ((0.0, 0.0), (0.0, 0.0)),
            value_of_stake=((0.0, 0.0),),
            stakes_shown=(-1.0,),
            cap=Cap(("refuse",), "guilty", 0.0, "", {"spring": 2.0}),
        )

    message = str(refused.value)
    assert "found 1 rows of value_of_stake" in message
    assert "expected both or neither" in message
    assert "found stakes_shown, expected none without a stake" in message
    assert "found stakes_shown [-1.0], expected 0 fen or more" in message
    assert "cap: found the actions ['refuse']" in message
    assert "cap: found the outcome 'guilty'" in message
    assert "cap: found the rates [0.0, 2.0]" in message
    assert "cap: found rates of groups, expected the column" in message


def test_a_cap_leaves_an_action_to_take() -> None:
    with pytest.raises(UsageError, match="expected some, not all"):
        Payoff(("a", "b"), ("no", "yes"), ((0.0, 0.0), (0.0, 0.0)), cap=Cap(("a", "b"), "no", 0.5))
