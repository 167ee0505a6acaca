"""The flash sale: who gets the stock under a judge, on requests made by hand and on a small world."""

import json
from dataclasses import replace

import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.flash import ASKED_OF, RateLimit, Requests, judged, matrix_of, measure, read_requests
from benchmarks.learned import AtSales
from benchmarks.stock import Sales, least_suspicious_first, pooled, reached
from benchmarks.stock import threshold as threshold_of
from benchmarks.truth import RATE
from data.world.request import Request
from data.world.simulation import simulate
from training.calibrate import Sigmoid
from training.payoff import Prices
from training.pipeline import Model
from training.tasks.fraud import TASK


def sales(honest, members=None, stock=2, sale=None, seconds=None):
    honest = np.asarray(honest, np.bool_)
    count = len(honest)
    of_sale = np.zeros(count, np.int64) if sale is None else np.asarray(sale, np.int64)
    return Sales(
        sale=of_sale,
        stock=np.full(of_sale.max() + 1, stock),
        opening=of_sale == 0,
        seconds=np.arange(count, dtype=np.float64) if seconds is None else np.asarray(seconds, np.float64),
        member=np.arange(count) if members is None else np.asarray(members, np.int64),
        valid=np.ones(count, np.bool_),
        honest=honest,
        crowd=np.full(count, "none"),
        unit=np.arange(count) if members is None else np.asarray(members, np.int64),
    )


def refused(*places, of):
    flags = np.zeros(of, np.bool_)
    flags[list(places)] = True
    return flags


def test_the_stock_goes_to_whoever_comes_first():
    asked = sales([False, True, True])

    assert reached(asked, refused(of=3)) == 0.5


def test_a_refused_request_takes_none():
    asked = sales([False, True, True])

    assert reached(asked, refused(0, of=3)) == 1


def test_nobody_gets_two():
    asked = sales([True, True, False, True], members=[0, 0, 1, 2])

    assert reached(asked, refused(of=4)) == 0.5


def test_who_was_refused_may_get_one_at_the_next_request():
    asked = sales([True, False, True], members=[0, 1, 0], stock=2)

    assert reached(asked, refused(0, of=3)) == 0.5


def test_what_is_no_answerable_request_takes_none():
    asked = replace(sales([False, True, True]), valid=np.array([False, True, True]))

    assert reached(asked, refused(of=3)) == 1


def test_each_sale_has_its_own_stock():
    asked = sales([False, False, True, True], sale=[0, 0, 1, 1])

    assert reached(asked, refused(of=4)) == 0.5


def test_a_request_that_counts_twice_takes_two():
    asked = sales([False, True, True])

    assert reached(asked, refused(of=3), np.array([2.0, 1.0, 1.0])) == 0
    assert reached(asked, refused(of=3), np.array([0.0, 1.0, 1.0])) == 1


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=60).filter(
        lambda rows: any(honest for _, honest in rows)
    )
)
def test_the_threshold_refuses_no_more_honest_requests_than_allowed(rows):
    score = np.array([score for score, _ in rows], np.float64)
    honest = np.array([honest for _, honest in rows])
    limit = threshold_of(score, honest)

    assert (score[honest] > limit).mean() <= RATE
    below = score[honest & (score < limit)]
    assert np.isfinite(limit)
    assert below.size == 0 or (score[honest] > below.max()).mean() > RATE


def test_the_least_suspicious_are_served_first_whoever_asks_first():
    asked = sales([False, False, True, True])

    assert least_suspicious_first(asked, np.array([3.0, 2.0, 1.0, 0.0])) == 1
    assert least_suspicious_first(asked, np.zeros(4)) == 0


def test_whoever_comes_after_the_queue_gets_what_is_left():
    asked = sales([False, True, True], seconds=[0, 61, 62])

    assert least_suspicious_first(asked, np.array([9.0, 0.0, 0.0])) == 0.5


def test_a_member_s_worst_request_counts_in_the_queue():
    asked = sales([False, False, True], members=[0, 0, 1], stock=1)

    assert least_suspicious_first(asked, np.array([0.0, 5.0, 1.0])) == 1


def test_a_rate_limit_counts_each_key_in_each_sale_from_one():
    asked = sales([True] * 6, sale=[0, 0, 0, 0, 1, 1])
    rows = pa.table({"ip": ["a", "b", "a", None, "a", "a"]})

    score = RateLimit("ip").score(Requests(None, rows, np.zeros(6, np.bool_), asked))

    assert score.tolist() == [1, 1, 2, 0, 1, 2]


def test_worlds_are_pooled_without_meeting():
    one = sales([False, True], members=[0, 1])

    both = pooled([one, one])

    assert both.sale.tolist() == [0, 0, 1, 1]
    assert both.member.tolist() == [0, 1, 2, 3]
    assert both.stock.tolist() == [2, 2]
    assert both.opening.all()


def test_what_a_judge_refuses_is_told_by_crowd():
    asked = replace(sales([True, True, False, True]), crowd=np.array(["none", "carrier_nat", "none", "none"]))

    told = judged(asked, np.array([0.0, 0.0, 1.0, 0.0]), np.random.default_rng(1))

    assert told["stock_share"]["value"] == 1
    assert told["wool_refused"] == 1
    assert told["honest_refused_by_crowd"] == {"carrier_nat": 0, "none": 0}
    assert told["as_set"] is None


class Knowing:
    """A judge who knows the truth."""

    def score(self, requests):
        return (~requests.sales.honest).astype(np.float64)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flash") / "world"
    simulate(Request(preset="flash/v1", members=500, days=45, seed=4), folder)
    return folder


def test_a_judge_from_outside_is_held_against_limits(world):
    found = measure([], [world], Knowing())

    assert found["abnormal"] > 0.9
    assert found["flash_sale_stock_share"]["value"] == pytest.approx(found["all_wool_refused"], abs=1e-4)
    assert found["flash_sale_stock_share"]["value"] >= found["rate_limit_stock_share"]["value"]
    assert set(found["judges"]) == {"model", "limit_member_id", "limit_device_id", "limit_ip", "limit_ip24"}
    assert all(judge["honest_refused"] <= RATE for judge in found["judges"].values())
    json.dumps(found, allow_nan=False)


def test_what_is_not_asked_of_a_request_is_not_known(world):
    requests = read_requests(world)

    told = matrix_of(requests, ("member_sum_prize_fen_1d", "member_scan_count_5m"))

    assert told.shape == (requests.rows.num_rows, 2)
    assert np.isnan(told[:, 0]).all()
    assert np.array_equal(told[:, 1], matrix_of(requests)[:, ASKED_OF.names.index("member_scan_count_5m")])


def test_the_model_of_scans_judges_requests_without_their_prizes(world):
    features = TASK.features.only("member_scan_count_5m", "member_sum_prize_fen_1d")
    drawn = np.random.default_rng(1).integers(0, 4, (400, 2)).astype(np.float64)
    data = lgb.Dataset(drawn, (drawn.sum(axis=1) > 3).astype(np.float64))
    booster = lgb.train({"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1}, data, 10)
    model = Model(replace(TASK, features=features), booster, Sigmoid(), Prices(), np.zeros(2))
    requests = read_requests(world)

    score = AtSales(model).score(requests)

    counts = matrix_of(requests, features.names)[:, features.names.index("member_scan_count_5m")]
    assert len(np.unique(score)) > 1
    assert all(len(np.unique(score[counts == count])) == 1 for count in np.unique(counts))


def test_a_model_is_learned_from_past_sales(world):
    found = measure([world], [world])

    assert found["flash_sale_stock_share"]["value"] >= found["nobody_refused"]
