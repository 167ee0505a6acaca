import math

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from features import batch, evaluation, kernel, ordering
from tests.features.judge import expectations, mismatches
from tests.features.oracle import entropy
from tests.features.stream import ALL, drawn, events, instants, questions


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(log=st.lists(events, max_size=30), rows=st.lists(questions, min_size=1, max_size=12))
@example(log=[], rows=[{"as_of": 1_700_000_000_000_000, "member_id": "ann", "offer_id": None, "budget": None}])
def test_batch_equals_the_oracle_to_the_bit(log, rows):
    assert mismatches(ALL, log, rows, expectations(ALL, log, rows)) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(log=st.lists(events, min_size=1, max_size=12), at=instants)
def test_events_of_one_instant_do_not_see_each_other(log, at):
    tied = [{**event, "seen_at": at} for event in log]
    rows = [{"as_of": at, "member_id": event["member_id"], "offer_id": event["offer_id"], "budget": 1} for event in log]
    assert mismatches(ALL, tied, rows, expectations(ALL, tied, rows)) == []


def test_a_hot_key_equals_the_oracle():
    log, rows = drawn(np.random.default_rng(7), 400)
    hot = [{**event, "member_id": "ann"} if number % 5 else event for number, event in enumerate(log)]
    assert mismatches(ALL, hot, rows[:60], expectations(ALL, hot, rows[:60])) == []


def test_entropy_is_the_textbook_one():
    values = list("aaabbcdddd")
    parts = np.array([3, 2, 1, 4]) / 10
    assert math.isclose(entropy(values), -float(np.sum(parts * np.log(parts))), rel_tol=1e-12)
    assert entropy(["a"] * 7) == 0.0


def test_the_entropy_of_a_busy_key_equals_the_oracle():
    generator = np.random.default_rng(3)
    log, rows = drawn(generator, 1)
    busy = [
        {**log[0], "member_id": "ann", "category": f"c{code}", "seen_at": rows[0]["as_of"] - 1 - number}
        for number, code in enumerate(generator.geometric(0.02, 5_000))
    ]
    spread = ALL.only("member_entropy_category_1d")
    asked = [{**rows[0], "member_id": "ann"}]
    assert mismatches(spread, busy, asked, expectations(spread, busy, asked)) == []


def _edge_off_by_one(layout, length, found, bound=kernel.bound):
    bound(layout, length - 1 if 0 < length < kernel.FOREVER else length, found)


def _tie_visible(layout, length, found, bound=kernel.bound):
    bound(layout, -1 if length == 0 else length, found)


def _float_sums(values, power, before):
    before[0] = 0
    before[1:] = np.cumsum(values.astype(np.float64) ** power)


def _rows_out_of_place(values, place, answer, to_rows=ordering.to_rows):
    to_rows(values, np.where(place > 0, place - 1, place), answer)


def _gap_to_the_row_before(layout, seconds, present, gaps=kernel.gaps):
    gaps(layout, seconds, present)
    tied = np.flatnonzero(np.diff(layout.event_at) == 0) + 1
    seconds[tied], present[tied] = 0, True


def _latest_by_row_order(wanted, layout, *rest, recall=kernel.recall):
    recall(wanted, layout._replace(event_at=layout.event_at + np.arange(len(layout.event_at)) % 1_000), *rest)


def _counters_not_given_back(cap, layout, seen, codes, answer):
    codes.held[:1] += 1
    DIFFERING(cap, layout, seen, codes, answer)


def _population_deviation(statistic, *rest, totals=kernel.totals):
    totals(statistic, *rest)
    if statistic == kernel.STD:
        np.multiply(rest[-1], 0.99, out=rest[-1])


def _smallest_for_largest(largest, *rest, extremes=kernel.extremes):
    extremes(not largest, *rest)


DIFFERING = kernel.differing
FAULTS = {
    "window edge off by one": (kernel, "bound", _edge_off_by_one),
    "tie visible": (kernel, "bound", _tie_visible),
    "float sums": (ordering, "running", _float_sums),
    "answers of other rows": (ordering, "to_rows", _rows_out_of_place),
    "gap to a tied event": (kernel, "gaps", _gap_to_the_row_before),
    "latest value by row order": (kernel, "recall", _latest_by_row_order),
    "counters not given back": (kernel, "differing", _counters_not_given_back),
    "deviation of the population": (kernel, "totals", _population_deviation),
    "smallest for largest": (kernel, "extremes", _smallest_for_largest),
    "null taken for 0": (evaluation._Reading, "_known", lambda *_: None),
}


@pytest.fixture(scope="module")
def judged():
    """A log, rows and what the oracle says of them: the healthy evaluator agrees."""
    log, rows = drawn(np.random.default_rng(11), 120)
    case = (ALL, log, rows, expectations(ALL, log, rows))
    assert mismatches(*case) == []
    return case


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_caught(fault, judged, monkeypatch):
    monkeypatch.setattr(*FAULTS[fault])
    assert mismatches(*judged) != []


def test_rounding_before_deriving_is_caught(judged, monkeypatch):
    compile_plan = batch.compile_plan

    def forgetful(feature_set):
        plan = compile_plan(feature_set)
        object.__setattr__(plan, "exact", frozenset())
        return plan

    monkeypatch.setattr(batch, "compile_plan", forgetful)
    assert mismatches(*judged) != []
