"""What is said of scans is held against the truth of each of them, by numbers that a small case gives by hand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.judged import (
    Said,
    by_family,
    honest_blocked,
    money,
    of_what_is_reached,
    precision_a_day,
    ranking,
    read_truth,
    together,
    top_calibration,
)
from data.errors import DataError
from data.sources import open_folder
from training.interval import Interval
from training.scan_costs import ACTIONS, ScanCosts

SINCE = datetime(2025, 4, 1, tzinfo=UTC)
ROWS = 2_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Scans over ten days, one in ten by rings of ten; the first five days lie before the moment asked about."""
    home = tmp_path_factory.mktemp("judged") / "world"
    (home / "truth").mkdir(parents=True)
    number = np.arange(2 * ROWS)
    wool = number % 10 == 0
    at = [SINCE - timedelta(days=5) + timedelta(minutes=3.6 * int(one)) for one in number]
    ids = [f"scan-{one}" for one in number]
    scans = {
        "scan_id": ids,
        "ts": pa.array(at, pa.timestamp("us", "UTC")),
        "member_id": [f"member-{one % 700}" for one in number],
        "device_id": pa.nulls(len(number), pa.string()),
        "ip": pa.nulls(len(number), pa.string()),
        "code_id": ids,
        "product_id": pa.nulls(len(number), pa.string()),
        "campaign_id": pa.nulls(len(number), pa.string()),
        "status": ["valid"] * len(number),
        "prize_fen": np.where(number % 3 == 0, 900, 0),
    }
    truth = {
        "scan_id": ids,
        "family": np.where(wool, np.where(number // 100 % 2 == 0, "device_farm", "cap_resale"), "honest"),
        "ring_id": pa.array([f"ring-{one // 100}" for one in number], mask=~wool),
        "crowd": np.where(~wool & (number % 4 == 1), "carrier_nat", "none"),
    }
    pq.write_table(pa.table(scans), home / "scans.parquet")
    pq.write_table(pa.table(truth), home / "truth" / "scans.parquet")
    return home


def _numbers():
    return np.arange(ROWS, 2 * ROWS)[::-1]


def _ids(numbers):
    return pa.array([f"scan-{one}" for one in numbers])


@pytest.fixture(scope="module")
def truth(folder):
    return read_truth(open_folder(folder), folder / "truth", SINCE, _ids(_numbers()))


def test_the_truth_comes_in_the_order_of_what_was_said(truth):
    numbers = _numbers()
    assert truth.label.tolist() == (numbers % 10 == 0).tolist()
    assert truth.prize_fen.tolist() == np.where(numbers % 3 == 0, 900, 0).tolist()
    assert truth.day.tolist() == ((numbers - ROWS) // 400).tolist()
    rings = truth.scans.unit[truth.scans.wool]
    assert len(np.unique(rings)) == ROWS // 100
    assert not set(rings) & set(truth.scans.unit[~truth.scans.wool])


@pytest.mark.parametrize(
    ("numbers", "what"),
    [
        (range(ROWS, 2 * ROWS - 3), "3 left out, 0 said twice and 0"),
        ([*range(ROWS, 2 * ROWS), ROWS], "0 left out, 1 said twice and 0"),
        (range(ROWS - 2, 2 * ROWS), "0 left out, 0 said twice and 2"),
    ],
)
def test_nobody_chooses_what_is_judged(folder, numbers, what):
    with pytest.raises(DataError, match=f"found {what} that were not made then, expected each of {ROWS} once"):
        read_truth(open_folder(folder), folder / "truth", SINCE, _ids(numbers))


def test_a_perfect_score_is_perfect_and_its_gain_is_paired(truth):
    noise = np.random.default_rng(1).random(ROWS)
    found = ranking(Said(_ids(_numbers()), {"model": truth.label, "chance": noise}), truth, 1, 100)
    assert found["model"]["tpr_at_fpr_0.001"] == Interval(1.0, 1.0, 1.0)
    assert found["model"]["average_precision"] == Interval(1.0, 1.0, 1.0)
    assert found["chance"]["gain_average_precision"].low > 0.8


def test_a_family_is_caught_by_itself(truth):
    caught = by_family((truth.scans.family == "device_farm").astype(float), truth, 1, 100)
    assert caught["device_farm"].value == 1
    assert caught["cap_resale"].value == 0
    assert caught["all"].value == pytest.approx(0.5)
    assert caught["all"].low < 0.5 < caught["all"].high


def test_who_is_blocked_is_told_by_crowd(truth):
    blocked = truth.scans.crowd == "carrier_nat"
    found = honest_blocked(blocked | truth.scans.wool, truth, 1, 100)
    assert {name: one.value for name, one in found.items()} == {
        "all": pytest.approx(blocked.sum() / (~truth.scans.wool).sum()),
        "carrier_nat": 1.0,
        "none": 0.0,
    }


def test_a_perfect_judge_saves_all_and_paying_everything_nothing(truth):
    payoff, pay, block = ScanCosts().payoff(), ACTIONS.index("pay"), ACTIONS.index("block")
    perfect = money(np.where(truth.scans.wool, block, pay), payoff, truth, 1, 100)
    assert perfect["share"] == Interval(1.0, 1.0, 1.0)
    assert perfect["fen_a_thousand"].value == pytest.approx(1_000 * (truth.prize_fen * truth.label).mean())
    assert money(np.full(ROWS, pay), payoff, truth, 1, 100)["share"].value == 0
    assert money(np.full(ROWS, block), payoff, truth, 1, 100)["share"].high < 0


def test_half_of_what_is_reached_is_half(truth):
    half = (truth.scans.family == "device_farm").astype(float)
    found = of_what_is_reached(half, truth.label, truth, 1, 100)
    assert found.value == pytest.approx(0.5)
    assert found.low < 0.5 < found.high
    assert of_what_is_reached(half, half, truth, 1, 100) == Interval(1.0, 1.0, 1.0)


def test_a_desk_looks_at_so_many_a_day(truth):
    # 400 scans a day, 40 of them by the wool party, which the score puts first.
    assert precision_a_day(truth.label, truth, 1, most=40, resamples=50).value == 1
    assert precision_a_day(truth.label, truth, 1, most=80, resamples=50).value == pytest.approx(0.5)
    assert precision_a_day(truth.label, truth, 1, most=1_000, resamples=50).value == pytest.approx(0.1)


def test_what_is_said_too_loud_in_the_tail_shows(truth):
    said = np.where(truth.scans.wool, 0.9, 0.01)
    assert top_calibration(said, truth, 1, resamples=50).value == pytest.approx(-0.1)
    assert top_calibration(np.full(ROWS, 0.4), truth, 1, share=1.0, resamples=50).value == pytest.approx(0.3)


def test_worlds_add_their_errors_as_squares():
    found = together([Interval(0.2, 0.1, 0.5), Interval(0.4, 0.3, 0.8)])
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.3 - 0.02**0.5 / 2, 0.3 + 0.5 / 2))
