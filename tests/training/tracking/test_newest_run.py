"""Whoever asks for a task's newest model gets its run, whatever else was written beside it since."""

from __future__ import annotations

import pytest

from data.errors import DataError
from training.tracking.measured import log_measured
from training.tracking.runs import BUNDLE, EXPERIMENT, experiment_of, newest, run
from training.tracking.stores import client, store


@pytest.fixture
def where(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return store(tmp_path)


def _model(where, tracked, bundle):
    """A run with a registered model, as `register` leaves it."""
    with run(tracked, experiment_of(tracked, where, "fraud"), bundle, {}) as run_id:
        version = tracked.create_model_version(EXPERIMENT.format(task="fraud"), str(where.artifacts), run_id)
        tracked.set_model_version_tag(version.name, version.version, BUNDLE, bundle)
    return run_id


def test_a_week_that_was_looked_at_is_not_a_model(where):
    tracked = client(where)
    tracked.create_registered_model(EXPERIMENT.format(task="fraud"))
    _model(where, tracked, "first")
    second = _model(where, tracked, "second")
    week = log_measured(where, "monitoring", "a week", figures={}, tags={BUNDLE: "second"}, told={}, task="fraud")

    found = newest(tracked, "fraud")

    assert found.info.run_id == second != week
    assert found.info.run_name == "second"


def test_without_a_model_the_message_says_how_to_make_one(where):
    tracked = client(where)
    log_measured(where, "monitoring", "a week", figures={}, tags={}, told={}, task="fraud")

    with pytest.raises(
        DataError, match=r"task 'fraud': found no model .* expected one; .* `shepherd train --task fraud`"
    ):
        newest(tracked, "fraud")
