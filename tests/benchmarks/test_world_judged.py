"""The benchmark of the world prints the keys that DESIGN.md names, of a world as `simulate` writes it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.world import judge
from data.world.request import Request
from data.world.simulation import simulate

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged") / "world"
    simulate(Request(members=800, days=28, seed=4), folder)
    return folder


def test_a_world_is_judged_from_its_folder(world, tmp_path):
    found = judge(world, tmp_path / "no real data")
    families = set(found["world"]["families"]) - {"honest"}
    assert len(families) == 9
    assert sum(found["world"]["families"].values()) == pytest.approx(1, abs=1e-3)
    assert set(found["leaks"]) == {"all", *families}
    assert set(found["baselines"]) == {"rules", "own_columns"}
    for baseline in found["baselines"].values():
        assert 0 <= baseline["low"] <= baseline["value"] <= baseline["high"] <= 1
    assert "events_an_address" in found["skipped"]
    json.dumps(found, allow_nan=False)


def test_the_benchmark_starts_and_its_help_is_short():
    command = [sys.executable, "-m", "benchmarks.world", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)  # noqa: S603
    assert "--quick" in done.stdout
    assert "--json" in done.stdout
