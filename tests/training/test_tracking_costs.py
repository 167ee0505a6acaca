"""What tracking costs, measured on a run of a second, in a store of a handful of runs."""

from __future__ import annotations

import pytest

from benchmarks.tracking import answering, asked, commands, crowd, overhead
from data.sources import open_folder
from training.tracking.runs import EXPERIMENT
from training.tracking.stores import client, store


@pytest.fixture(scope="module")
def measured(renewal, written_contracts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("costs")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        costs, tracked = overhead(renewal, open_folder(written_contracts(folder / "brand")), folder / "home")
        yield folder, costs, tracked


def test_the_same_fit_is_told_without_and_with_its_run(measured):
    _, costs, _ = measured
    sizes = costs["megabytes"]

    assert costs["fit_without_tracking"]["cpu_seconds"] > 0
    assert 0 < costs["track_next"]["cpu_seconds"] <= costs["track_next"]["seconds"] * 3
    assert 0 < sizes["of_these_the_bundle"] < sizes["files_of_a_run"] < 20
    assert costs["metrics"] > 50
    assert costs["parameters"] > 20


def test_a_crowded_store_is_asked_by_every_part_and_command(measured):
    folder, _, tracked = measured
    home = folder / "home"
    crowd(home, "renewal", tracked.run_id, 6)
    seen = client(store(home))
    experiment = seen.get_experiment_by_name(EXPERIMENT.format(task="renewal")).experiment_id

    assert len(seen.search_runs([experiment])) == 6
    assert len(seen.search_model_versions("name = 'shepherd-renewal'")) == 6
    parts = asked(home, "renewal", tracked.run_id, folder)
    assert len(parts) == 4
    assert all(one["seconds"] > 0 for one in parts.values())
    words = answering(home, "renewal", folder)
    refused = ("verify an unknown run", "train an unknown task")
    found = commands({name: words[name] for name in refused}, calls=1)
    assert [one["exit_code"] for one in found.values()] == [2.0, 2.0]
    assert all(one["cpu_seconds"] > 0 for one in found.values())
    assert all(one["longest_seconds"] == one["seconds"] >= one["answer_seconds"] > 0 for one in found.values())
