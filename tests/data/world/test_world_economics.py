from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.world.adaptation import Adaptation, AdaptationSettings
from data.world.economics import OUTCOME, Books, EconomicsSettings
from data.world.families.device_farm import DeviceFarm
from data.world.trade import RING

CREW = replace(DeviceFarm().crew, scan_fen=1.0, code_share=0.5, account_fen=10.0, phone_fen_week=7.0)


def rings(count: int = 2) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    made = np.zeros(count, RING)
    made["ring"] = np.arange(count)
    made["family"], made["end"], made["pace"] = 1, -1, 1.0
    made["accounts"], made["held"], made["phones"] = 10, 16, 4
    made["mix"], made["proxies"] = 0.1, 0.0
    return made


def outcome(scans: int, blocked: int, *prizes: int) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    told = np.zeros(len(prizes), OUTCOME)
    told["scans"], told["blocked"], told["prize_fen"] = scans, blocked, prizes
    return told


def test_a_week_costs_codes_labour_and_phones() -> None:
    books = Books(EconomicsSettings(least_scans=1), rings(), (CREW,))
    books.enter(outcome(10, 0, 100, 0), np.array([4.0, 4.0]))
    books.close_week(rings())
    assert books.balance["yield_fen"].tolist() == [100.0, 0.0]
    assert books.balance["cost_fen"].tolist() == pytest.approx([10 * 10 + 10 * (1 + 2) + 4 * 7] * 2)


def test_only_two_losing_weeks_in_a_row_make_a_ring_give_up() -> None:
    books = Books(EconomicsSettings(losing_weeks=2, least_scans=5, patience=0.0), rings(), (CREW,))
    given_up = []
    for prizes in ((0, 0), (500, 0), (0, 0), (0, 0)):
        books.enter(outcome(10, 0, *prizes), np.zeros(2))
        given_up.append(books.close_week(rings()).tolist())
    assert given_up == [[False, False], [False, True], [False, True], [True, True]]


def test_a_thin_week_runs_on_into_the_next() -> None:
    books = Books(EconomicsSettings(losing_weeks=1, least_scans=15), rings(), (CREW,))
    books.enter(outcome(10, 0, 0, 0), np.zeros(2))
    assert not books.close_week(rings()).any()
    books.enter(outcome(10, 0, 0, 1_000), np.zeros(2))
    assert books.close_week(rings()).tolist() == [True, False]


def test_blocked_rings_change_and_pay_for_it_and_others_do_not() -> None:
    crowd = rings(2)
    books = Books(EconomicsSettings(), crowd, (CREW,))
    adaptation = Adaptation(AdaptationSettings(changes=4, pause_days=1), crowd)
    before, spent = crowd.copy(), books.balance["cost_fen"].copy()
    told = outcome(10, 0, 0, 0)
    told["blocked"][0] = 9
    for _ in range(3):
        adaptation.learn(np.random.default_rng(0), crowd, told, books)
    assert adaptation.changes.tolist() == [2, 0]
    assert crowd[1] == before[1]
    assert books.balance["cost_fen"][1] == spent[1]
    assert books.balance["cost_fen"][0] > spent[0]
    assert crowd["pace"][0] < 1
    assert crowd["phones"][0] > 4
    assert crowd["mix"][0] > 0.1
    assert crowd["proxies"][0] > 0
    assert 0 < crowd["used_up"][0] <= 6


def test_change_has_its_limits() -> None:
    crowd = rings(1)
    settings = AdaptationSettings(changes=4, pause_days=0)
    books = Books(EconomicsSettings(), crowd, (CREW,))
    adaptation = Adaptation(settings, crowd)
    for _ in range(60):
        adaptation.learn(np.random.default_rng(0), crowd, outcome(10, 10, 0), books)
    assert crowd["pace"][0] == settings.slowest
    assert crowd["mix"][0] == settings.most_mix
    assert crowd["phones"][0] == 16
    assert crowd["accounts"][0] + crowd["used_up"][0] == crowd["held"][0]


def test_a_ring_that_gave_up_learns_nothing() -> None:
    crowd = rings(1)
    crowd["end"] = 3
    adaptation = Adaptation(AdaptationSettings(), crowd)
    adaptation.learn(np.random.default_rng(0), crowd, outcome(10, 10, 0), Books(EconomicsSettings(), crowd, (CREW,)))
    assert adaptation.changes.tolist() == [0]
