"""The log is read as it was served: only what the lot revealed by the moment asked about is believed."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from data.contracts import TABLES
from data.errors import DataError
from training.decision_log import UNKNOWN, read_log
from training.scan_costs import ScanCosts

PAYOFF = ScanCosts().payoff()
NOON = datetime(2025, 4, 1, 12, tzinfo=UTC)
DECISIONS = {
    "decision_id": ["a", "b", "c", "d", "e"],
    "unit": ["ring 1", "member 1", "ring 1", "member 2", "member 3"],
    "meant": ["block", "pay", "block", "block", "hold"],
    "share": [0.1, 0.1, 0.1, 0.2, 0.0],
    "allowed_at_random": [True, True, True, False, False],
    "stake": [500, 0, 100, 2_000, 100],
    "probability": [0.9, 0.1, 0.8, 0.95, 0.5],
}
FEEDBACK = {
    "decision_id": ["a", "b", "c", "d", "x"],
    "landed_at": pa.array([NOON, NOON, NOON + timedelta(days=1), NOON, NOON], pa.timestamp("us", "UTC")),
    "outcome": ["wool", "honest", "honest", "wool", "wool"],
    "allowed_at_random": [1, 1, 1, 0, 1],
    "propensity": [0.1, 1.0, 0.1, 0.8, 0.1],
}


def _read(landed_by=NOON, **changed):
    feedback = {name: changed.pop(f"feedback_{name}", values) for name, values in FEEDBACK.items()}
    decisions = {name: changed.pop(name, values) for name, values in DECISIONS.items()}
    return read_log(
        pa.table({name: values for name, values in decisions.items() if values is not None}),
        pa.table({name: values for name, values in feedback.items() if values is not None}),
        PAYOFF,
        landed_by,
    )


def test_feedback_is_read_by_the_columns_of_its_contract():
    assert set(FEEDBACK) == {column.name for column in TABLES["feedback"].columns}


def test_only_what_the_lot_revealed_by_then_is_believed():
    logged = _read()
    assert logged.outcome.tolist() == [1, 0, UNKNOWN, UNKNOWN, UNKNOWN]
    assert [PAYOFF.actions[action] for action in logged.meant] == DECISIONS["meant"]
    assert logged.unit[0] == logged.unit[2]
    assert len(set(logged.unit.tolist())) == 4
    assert logged.stake.tolist() == DECISIONS["stake"]
    assert logged.probability.tolist() == DECISIONS["probability"]


def test_what_has_an_outcome_stands_for_those_let_through_without():
    # Of two blocks that the lot let through, one has an outcome: it counts for both.
    assert _read().chance.tolist() == pytest.approx([0.05, 0.1, 0.05, 0.1, 0.0])
    assert _read(NOON + timedelta(days=2)).chance.tolist() == DECISIONS["share"]


def test_a_log_without_probabilities_is_read():
    assert _read(probability=None).probability is None


def test_all_that_is_wrong_with_the_columns_is_said_at_once():
    with pytest.raises(DataError, match="decisions: no column share; feedback: no column outcome"):
        _read(share=None, feedback_outcome=None)


def test_all_that_is_wrong_with_the_values_is_said_at_once():
    with pytest.raises(DataError) as refusal:
        _read(
            decision_id=["a", "a", "c", "d", "e"],
            meant=["block", "pay", "refuse", "block", "hold"],
            feedback_outcome=["wool", "honest", "maybe", "wool", None],
            share=[0.1, None, 0.1, 0.1, 0.1],
        )
    for problem in (
        "decisions: 1 repeated decision_ids",
        "decisions: meant says refuse, expected one of pay, reduce, step_up, hold, block",
        "feedback: outcome says None, maybe, expected one of honest, wool",
        "decisions: null in share",
    ):
        assert problem in str(refusal.value)


def test_feedback_of_another_service_is_refused():
    with pytest.raises(DataError, match="1 outcomes marked allowed_at_random of decisions that were not so by the log"):
        _read(feedback_allowed_at_random=[1, 1, 1, 1, 1])


def test_an_empty_feedback_reveals_nothing():
    empty = {f"feedback_{name}": np.array([], object) for name in ("decision_id", "outcome")}
    logged = _read(
        **{name: pa.array([], pa.string()) for name in empty},
        feedback_landed_at=pa.array([], pa.timestamp("us", "UTC")),
        feedback_allowed_at_random=pa.array([], pa.int64()),
        feedback_propensity=pa.array([], pa.float64()),
    )
    assert (logged.outcome == UNKNOWN).all()
