"""A run of offers, whose bundle holds the heads of what sending changes, is derived again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from data.steps import Steps
from training.catalogue import find
from training.verification.verdict import verify
from training.walk import train


@pytest.fixture
def offers(small_task, monkeypatch):
    """The task that ships, with learners that a test can afford."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("training.tasks.offers.EFFECT", small_task)
    monkeypatch.setattr("training.tasks.offers.TASK", small_task.redemption)
    return find("offers")


def test_a_run_of_offers_is_equal(offers, offers_brand, tmp_path):
    trained = train(offers, offers_brand, now=datetime.now(UTC), home=tmp_path, trials=1)
    verdict = verify(trained.tracked.run_id, home=tmp_path, steps=Steps())

    assert trained.changes is not None
    assert [str(one) for one in verdict.differences] == []
    assert verdict.compared["files"] > len(trained.changes.model.purchase.heads) + 3
