"""The benchmark of `shepherd codes` on a small world as `simulate` writes it."""

import json

import pytest

from benchmarks.codes import judge
from data.world.request import Request
from data.world.simulation import simulate


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("codes") / "world"
    simulate(Request(members=1_500, days=30, seed=4), folder)
    return folder


def test_findings_are_judged_by_the_truth(world):
    found = judge([world])

    for name in ("leaked_batches", "cloned_codes"):
        one = found[name]
        assert one["true"] >= one["true_and_plain"] > 0
        assert one["precision"] is None or 0 <= one["precision"]["low"] <= one["precision"]["high"] <= 1
        assert 0 <= one["only_honest"] <= one["found"]
        assert 0 <= one["recall"]["low"] <= one["recall"]["high"] <= 1
    assert found["cloned_codes"]["precision"]["value"] > 0.5
    assert found["serial_runs"]["found"] == sum(found["serial_runs"]["behind"].values())
    json.dumps(found, allow_nan=False)


def test_worlds_add_up(world):
    once, twice = judge([world]), judge([world, world])

    assert twice["cloned_codes"]["found"] == 2 * once["cloned_codes"]["found"]
    assert twice["cloned_codes"]["precision"]["value"] == once["cloned_codes"]["precision"]["value"]
