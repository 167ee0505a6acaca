"""The fraud task on a small simulated world: from its tables to a bundle, with every gate passed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from data.sources import open_folder
from data.world.request import Request
from data.world.simulation import simulate
from features.rfm import RFM
from features.ring import RING
from features.scan import SCAN
from training.dataset import examples
from training.payoff import Holdout
from training.registry import promote
from training.split import NEVER
from training.tasks.fraud import CIRCUMSTANCES, CLOCKS, LIMITED, MORE_IS_LIKELIER, TASK
from training.unlabelled import Past
from training.walk import train

SMALL = replace(
    TASK,
    split=replace(TASK.split, test=timedelta(days=10), folds=2),
    learner=replace(TASK.learner, bags=1, parameters={**TASK.learner.parameters, "num_iterations": 40}),
)
BASELINES = ("analyst_rules", "lightgbm_without_rings", "isolation_forest")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    simulate(Request(preset="world/v1", members=1_500, days=42, seed=3), folder)
    return folder


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return train(SMALL, open_folder(world), now=datetime.now(UTC), home=home, trials=1), home


@pytest.fixture(scope="module")
def table(world, trained):
    return examples(SMALL, open_folder(world), trained[0].fitted.built)


def test_the_export_is_the_model_and_serving_sees_what_training_saw(trained):
    manifest = trained[0].released.bundle.manifest
    assert (manifest.task, manifest.parity.wrong_leaves, manifest.parity.max_raw_difference) == ("fraud", 0, 0.0)
    assert manifest.calibrator["kind"] == "spline"
    assert manifest.feature_names == SMALL.features.names


def test_it_has_to_beat_the_analyst_and_its_ablation_only_has_to_be_no_better(trained):
    criteria = trained[0].released.bundle.manifest.criteria
    assert criteria.metrics == ("average_precision",)
    assert (criteria.rivals, criteria.ablations) == (("analyst_rules", "isolation_forest"), ("lightgbm_without_rings",))
    assert promote("fraud", trained[1])


def test_the_bundle_carries_the_holdout(trained):
    assert trained[0].released.bundle.manifest.holdout == SMALL.holdout == Holdout(share=0.01)


def test_the_model_is_judged_beside_every_baseline(trained):
    record = trained[0].fitted.record
    assert tuple(record.baselines) == BASELINES
    assert set(record.metrics) == {"average_precision", "tpr_at_fpr_0.001", "tpr_at_fpr_0.01"}
    assert record.metrics["average_precision"].value > 0.8
    assert record.baselines["isolation_forest"]["gain_average_precision"].value > 0


def test_all_scans_are_rows_and_only_labelled_ones_are_tested_on(world, table, trained):
    scans = pq.read_table(world / "scans")
    labels = pq.read_table(world / "scan_labels")
    rows = trained[0].fitted.record.rows
    test = table.as_of >= int(trained[0].fitted.record.test_from.timestamp() * 1_000_000)

    assert len(table.label) == scans.num_rows
    assert (~np.isnan(table.label)).sum() == labels.num_rows
    assert ((table.closes_at == NEVER) == np.isnan(table.label)).all()
    assert rows["test"] == (test & ~np.isnan(table.label)).sum()
    assert rows["test_by_lot"] == (test & table.by_lot).sum() > 0
    assert rows["train"] + rows["unlabelled"] == (~test).sum()
    assert table.by_lot.sum() == pc.sum(pc.equal(labels["origin"], "audit")).as_py()


def test_nothing_is_learned_from_a_verdict_before_it_landed(table):
    division = SMALL.split.divide(table.as_of, table.closes_at)
    cut = int(division.test_from.timestamp() * 1_000_000)
    later = np.setdiff1d(np.flatnonzero(table.as_of < cut), division.train)

    assert (table.closes_at[division.train] <= cut).all()
    assert (table.closes_at[later] > cut).all()
    assert (~np.isnan(table.label[later])).any(), "some verdicts land after the cut, and count as none"


def test_members_of_a_farm_who_share_phones_are_fewer_units_than_members(world, table):
    truth = pq.read_table(world / "truth" / "scans")
    scans = pq.read_table(world / "scans", columns=["scan_id", "member_id"])
    member = dict(zip(scans["scan_id"].to_pylist(), scans["member_id"].to_pylist(), strict=True))
    farmed = set(truth.filter(pc.field("family") == "device_farm")["scan_id"].to_pylist())
    rows = [row for row, row_id in enumerate(table.row_id) if row_id in farmed]

    assert len(np.unique(table.unit[rows])) < 0.7 * len({member[table.row_id[row]] for row in rows})
    assert len(np.unique(table.unit)) > 0.5 * len(set(member.values()))


def test_a_baseline_without_rings_has_seen_none(table):
    without = next(baseline for baseline in TASK.baselines if baseline.name == "lightgbm_without_rings")
    division = SMALL.split.divide(table.as_of, table.closes_at)
    past = _past(table, division)
    asked = division.test[:200]
    blind = replace(table, matrix=table.matrix.copy())
    blind.matrix[:, [table.features.index(name) for name in RING.names]] = 0
    scores = [_score(without, replace(past, table=one), asked) for one in (table, blind)]

    assert (scores[0] == scores[1]).all()


@pytest.mark.parametrize("baseline", TASK.baselines, ids=BASELINES)
def test_a_baseline_repeats_and_learns_nothing_from_later_labels(table, baseline):
    division = SMALL.split.divide(table.as_of, table.closes_at)
    past, asked = _past(table, division), division.test[:100]
    turned = table.label.copy()
    turned[division.test] = 1 - turned[division.test]
    turned[division.dropped] = np.nan

    scores = [_score(baseline, replace(past, table=one), asked) for one in (table, replace(table, label=turned))]
    assert (scores[0] == scores[1]).all()
    assert len(np.unique(scores[0])) > 1


def _past(table, division):
    return Past.of(SMALL, table, division.train, division.dropped)


def _score(baseline, past, asked):
    return baseline.score(past, (), asked, np.random.default_rng(0))


def test_the_features_are_those_of_scan_ring_and_shopping_but_the_calendar():
    assert set(TASK.features.names) == {*SCAN.names, *RING.names, *RFM.names} - set(CLOCKS)


def test_constraints_and_limits_name_features_and_circumstances_slices():
    assert {*MORE_IS_LIKELIER, *LIMITED} <= set(TASK.features.names)
    assert len(set(MORE_IS_LIKELIER)) == len(MORE_IS_LIKELIER)
    for circumstance in CIRCUMSTANCES:
        assert circumstance.column in ("", *(TASK.features.names if circumstance.below else TASK.slices))
